//! What a store takes on disk, table by table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::server::Database;

/// How many tables are named.
const NAMED: usize = 8;

/// Bytes on disk.
pub(crate) struct Weighed {
    /// All of it: tables and indexes.
    pub(crate) total: u64,
    /// Of that, the ledger of idempotency keys.
    pub(crate) ledger: u64,
    /// The largest tables and indexes, with their sizes.
    pub(crate) largest: Vec<String>,
}

/// Weighs a store that nobody has open.
pub(crate) async fn weigh(folder: &Path, database: Option<&Database>) -> anyhow::Result<Weighed> {
    let sizes = match database {
        Some(database) => tables_of_postgres(database).await?,
        None => tables_of_sqlite(folder)?,
    };
    let total = sizes.values().sum();
    let ledger = sizes.iter().filter(|(name, _)| name.contains("ledger")).map(|(_, bytes)| bytes).sum();
    let mut largest: Vec<_> = sizes.into_iter().collect();
    largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let largest =
        largest.into_iter().take(NAMED).map(|(name, bytes)| format!("{name} {:.1} MiB", mib(bytes)));
    Ok(Weighed { total, ledger, largest: largest.collect() })
}

fn tables_of_sqlite(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "db") {
                weigh_file(&path, &mut sizes).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(sizes)
}

fn weigh_file(path: &Path, sizes: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let db = rusqlite::Connection::open(path)?;
    // What is in the journal still is the database's, too.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let mut tables = db.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")?;
    let mut rows = tables.query([])?;
    while let Some(row) = rows.next()? {
        let (name, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
        *sizes.entry(format!("{file}.{name}")).or_default() += bytes.unsigned_abs();
    }
    Ok(())
}

async fn tables_of_postgres(database: &Database) -> anyhow::Result<BTreeMap<String, u64>> {
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CHECKPOINT").await?;
    let rows = client
        .query(
            "SELECT n.nspname || '.' || c.relname, pg_total_relation_size(c.oid) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
            &[],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()))).collect()
}
