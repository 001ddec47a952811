//! What is printed in the end.

use std::fmt::Write as _;

use cqrs_sql::transfer::StoreDigest;

use crate::config::{Config, StoreUrl};

/// A table of stores: how many events and other records each has, and a hash over all of them.
pub(super) fn stores_table(stores: &[(String, StoreDigest)]) -> String {
    let mut text = format!("  {:<14}{:>12}{:>14}  {}\n", "STORE", "EVENTS", "RECORDS", "HASH");
    for (name, digest) in stores {
        let events = digest.0.get("events").map_or(0, |events| events.rows);
        let hash: String = digest.hash().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let _ = writeln!(text, "  {name:<14}{events:>12}{:>14}  {}", digest.rows(), &hash[..SHOWN]);
    }
    text
}

/// As much of a hash as is shown: 128 bits, enough to compare by.
const SHOWN: usize = 32;

/// How to run Parlor on the stores at `url`.
pub(super) fn how_to_serve(config: &Config) -> String {
    let folder = config.data_dir.display();
    if config.keys_url() == StoreUrl::Sqlite {
        format!("To run it: parlor serve --data-dir {folder}\n")
    } else {
        format!(
            "To run it, with store_url (or PARLOR_STORE_URL) set to that database: parlor serve --data-dir {folder}\n"
        )
    }
}
