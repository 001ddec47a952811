//! `parlor backup`: all stores at one instant, and the secrets, into one file; beside a running instance, which need not know.

use std::path::Path;
use std::time::Instant;

use cqrs_core::{Clock as _, SystemClock};
use cqrs_sql::transfer::archive::{Archive, ArchiveWriter, Manifest};
use cqrs_sql::transfer::pin_together;

use super::bar::Bar;
use super::say;
use super::site::Site;
use crate::config::Config;

/// Backs the configured instance up into a new file, and reads it back. Gives what to print.
pub async fn back_up(config: &Config, file: &Path) -> anyhow::Result<String> {
    let site = Site::of(config.clone())?;
    site.must_be_there()?;
    let mut writer = ArchiveWriter::create(file)?;
    let since = Instant::now();
    let snapshots = pin_together(&site.logs(), site.keys()).await?;
    let instant = SystemClock.now();
    tracing::debug!(milliseconds = since.elapsed().as_millis(), "commits waited for a backup's snapshots");
    let mut total = 0;
    for snapshot in &snapshots {
        for table in snapshot.tables() {
            total += snapshot.count(table).await?;
        }
    }
    let bar = Bar::of_records("Backing up", total);
    for snapshot in &snapshots {
        bar.about(format!("Backing up {}", snapshot.name()));
        writer.store(snapshot, |rows| bar.add(rows)).await?;
    }
    drop(bar);
    // After the logs: whatever key they say signs is there.
    for (name, bytes) in site.secrets()? {
        writer.file(&name, &bytes)?;
    }
    writer.finish(concat!("parlor ", env!("CARGO_PKG_VERSION")), instant)?;
    let archive = read(file)?;
    Ok(format!(
        "{} holds {} as it was at {}:\n\n{}\n\
         It holds the instance's secret, the keys that sign tokens and those of persons, too: whoever has this file can read\n\
         everything and sign in as anybody. Only you can read it (mode 0600); keep it where that stays so.\n",
        file.display(),
        site.said,
        archive.manifest().created_at,
        stores(archive.manifest()),
    ))
}

/// Reads a backup from beginning to end and compares it with what it says of itself. Gives what to print.
pub fn verify(file: &Path) -> anyhow::Result<String> {
    let archive = read(file)?;
    let manifest = archive.manifest();
    Ok(format!(
        "{} is whole. {} made it at {}:\n\n{}",
        file.display(),
        manifest.made_by,
        manifest.created_at,
        stores(manifest)
    ))
}

/// Opens a backup, every byte of it checked.
pub(super) fn read(file: &Path) -> anyhow::Result<Archive> {
    let bar = Bar::of_bytes("Checking the backup", std::fs::metadata(file).map_or(0, |file| file.len()));
    Ok(Archive::open(file, |bytes| bar.add(bytes))?)
}

fn stores(manifest: &Manifest) -> String {
    let stores: Vec<_> = manifest.stores.iter().map(|store| (store.name.clone(), store.digest())).collect();
    say::stores_table(&stores)
}
