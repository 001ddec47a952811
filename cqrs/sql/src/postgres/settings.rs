//! What PostgreSQL is told about a session, or about a transaction where the session isn't one's own.

use std::fmt::Write as _;
use std::time::Duration;

/// Settings of the server's, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// The longest that a statement runs, that it waits for a lock, and that a transaction stands still.
    pub(crate) fn limits(longest: Duration) -> Self {
        let millis = longest.as_millis().to_string();
        let all = ["statement_timeout", "lock_timeout", STANDSTILL];
        Self(all.map(|name| (name, millis.clone())).into())
    }

    /// Plans that are made once, for statements whose parameters don't change what is the best one.
    ///
    /// Left to itself, PostgreSQL plans anew each time as long as the plans of the first executions were cheaper than one for all
    /// values is by now: in tables that have grown since, that is for thousands of executions
    /// (<https://www.postgresql.org/docs/15/sql-prepare.html#SQL-PREPARE-NOTES>). JIT is off, too: without values a statement may
    /// look dear, and PostgreSQL would translate it into machine code each time (100 ms).
    pub(crate) fn planned_once() -> Self {
        Self(vec![("plan_cache_mode", "force_generic_plan".to_owned()), ("jit", "off".to_owned())])
    }

    /// Plans that are made once and look rows up by their keys, for statements that do nothing else.
    ///
    /// Left to itself the planner reads a table of some thousand rows whole to find a hundred of them; or it keeps a plan that it
    /// made while the table was empty. What can only be read whole, such as the one row of the head, counts as dear then.
    pub(crate) fn by_keys() -> Self {
        let off = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"];
        Self(off.map(|name| (name, "off".to_owned())).into()).and(Self::planned_once())
    }

    /// These, and `other`, which go before.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.retain(|(name, _)| other.0.iter().all(|(others, _)| others != name));
        self.0.extend(other.0);
        self
    }

    /// These, and one more, which goes before.
    pub(crate) fn with(self, name: &'static str, value: &impl ToString) -> Self {
        self.and(Self(vec![(name, value.to_string())]))
    }

    /// As start-up options: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>.
    pub(super) fn options(&self) -> String {
        let mut options = String::new();
        for (name, value) in &self.0 {
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            let _ = write!(options, " -c {name}={value}");
        }
        options
    }

    /// As statements for the rest of the session.
    pub(crate) fn for_session(&self) -> String {
        self.statements("SET")
    }

    /// As statements for the transaction that is open.
    pub(crate) fn for_transaction(&self) -> String {
        self.statements("SET LOCAL")
    }

    fn statements(&self, set: &str) -> String {
        self.0.iter().fold(String::new(), |mut all, (name, value)| {
            let _ = write!(all, "{set} {name} = {value}; ");
            all
        })
    }
}

/// How long a transaction may stand still.
pub(crate) const STANDSTILL: &str = "idle_in_transaction_session_timeout";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_is_said_of_a_setting_holds() {
        let settings = Settings::limits(Duration::from_secs(3)).with(STANDSTILL, &200);
        let (once, local) = (settings.for_session(), settings.for_transaction());
        assert_eq!(
            once,
            "SET statement_timeout = 3000; SET lock_timeout = 3000; SET idle_in_transaction_session_timeout = 200; "
        );
        assert_eq!(local, once.replace("SET", "SET LOCAL"));
    }

    #[test]
    fn a_value_with_blanks_is_one_option() {
        let settings = Settings(Vec::new()).with("search_path", &"\"odd \\ name\"");
        assert_eq!(settings.options(), " -c search_path=\"odd\\ \\\\\\ name\"");
    }
}
