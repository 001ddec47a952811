//! Views made wrong on purpose, past the server: what they show must then differ from the model, and a rebuild must heal it.

use rusqlite::Connection;

use crate::server::Server;
use crate::store;

/// Takes the newest message out of the live timeline.
///
/// # Panics
/// If there is none.
pub async fn forget_newest_message(server: &Server) {
    let forget =
        |table: &str| format!("DELETE FROM {table} WHERE position = (SELECT max(position) FROM {table})");
    let forgotten = match server.database_url("chat") {
        None => {
            let path = server.data().join("chat").join("views.db");
            let views = Connection::open(path).expect("the views are there");
            // The search index has a table of messages, too, with one more word in its name.
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table'
                AND name GLOB 'g[0-9]*_messages' AND name NOT GLOB 'g*_*_messages'";
            let table: String = views.query_row(sql, (), |row| row.get(0)).expect("there is a timeline");
            views.execute(&forget(&table), ()).expect("it can be damaged") as u64
        }
        Some(url) => {
            let views = store::connect(&url).await;
            let sql = "SELECT table_name::text FROM information_schema.tables
                WHERE table_schema = 'chat_views' AND table_name ~ '^g[0-9]+_messages$'";
            let table: String = views.query_one(sql, &[]).await.expect("there is a timeline").get(0);
            let sql = forget(&format!("chat_views.{table}"));
            views.execute(&sql, &[]).await.expect("it can be damaged")
        }
    };
    assert_eq!(forgotten, 1, "there was a message to forget");
}
