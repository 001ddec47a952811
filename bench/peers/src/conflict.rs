//! What PostgreSQL says to those who lost a race.

/// A unique key that is taken, transactions that can't be put in an order, a deadlock.
const LOST: [&str; 3] = ["23505", "40001", "40P01"];

/// Whether somebody else was faster, so that the command may be tried again.
pub(crate) fn was_lost(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| LOST.contains(&&*code))
}
