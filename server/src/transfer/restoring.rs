//! `parlor restore`: a backup into empty stores of either kind, as new logs: what clients held of the old ones is void.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use cqrs_core::{Clock as _, SystemClock, Value};
use cqrs_sql::transfer::archive::{Archive, Manifest, Part, StoreEntry};
use cqrs_sql::transfer::{Digest, Mark, Row, Stage, StoreDigest, Table, TableDigest, Target};
use uuid::Uuid;

use super::bar::Bar;
use super::filling::{self, State, Wanted};
use super::site::Site;
use super::{backing_up, say, views};
use crate::config::Config;

/// Restores a backup to `to` (`sqlite:…` or `postgres://…`; where the configuration says, if it isn't given). Gives what
/// to print.
pub async fn restore(config: &Config, file: &Path, to: Option<&str>) -> anyhow::Result<String> {
    let archive = backing_up::read(file)?;
    let manifest = archive.manifest();
    let site = match to {
        Some(url) => Site::at(config, url)?,
        None => Site::of(config.clone())?,
    };
    must_be_ours(&site, manifest, file)?;
    let secrets = secrets(&archive)?;
    fill(&site, &archive, &secrets, file).await?;
    views::build(&site.config).await.context(
        "all is there and was compared, but the views couldn't be built now; they will be when Parlor is started there",
    )?;
    let stores: Vec<_> = manifest.stores.iter().map(|store| (store.name.clone(), store.digest())).collect();
    Ok(format!(
        "{} holds what {} held at {}:\n\n{}\n{}{}",
        site.said,
        file.display(),
        manifest.created_at,
        say::stores_table(&stores),
        say::how_to_serve(&site.config),
        "Clients that were connected before start anew: their cursors and position tokens are answered with epoch-changed.\n"
    ))
}

/// Refuses a backup with other stores than this version's.
fn must_be_ours(site: &Site, manifest: &Manifest, file: &Path) -> anyhow::Result<()> {
    let held: Vec<&str> = manifest.stores.iter().map(|store| store.name.as_str()).collect();
    let missing: Vec<&str> =
        site.stores.iter().map(|store| store.name).filter(|name| !held.contains(name)).collect();
    let unknown: Vec<&str> =
        held.iter().copied().filter(|name| !site.stores.iter().any(|store| store.name == *name)).collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    bail!(
        "{} was made by {}, with other stores than this version's (missing: {}; unknown: {}); restore it with that version",
        file.display(),
        manifest.made_by,
        missing.join(", "),
        unknown.join(", ")
    )
}

fn secrets(archive: &Archive) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let (mut parts, mut files) = (archive.parts()?, Vec::new());
    while let Some(part) = parts.part()? {
        if let Part::File { name, bytes } = part {
            files.push((name, bytes));
        }
    }
    Ok(files)
}

async fn fill(
    site: &Site,
    archive: &Archive,
    secrets: &[(String, Vec<u8>)],
    file: &Path,
) -> anyhow::Result<()> {
    let locked = site.lock()?;
    let hash = archive.hash().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let of = format!("a restore of {}", file.display());
    let mark = Mark { of, origin: format!("backup {hash}"), stage: Stage::Copying };
    let state = filling::look(site, &mark).await?;
    match &state {
        State::Empty | State::Begun(_) => {}
        State::BegunOf(other) => bail!(
            "{} holds the beginning of {}; run that again to its end, or empty the place first",
            site.said,
            other.of
        ),
        State::InUse(place) => return Err(filling::refuse(site, place)),
    }
    site.must_not_hold_another_secret(secrets)?;
    let _held = locked.map_or_else(|| filling::take(site), Ok)?;
    if !matches!(state, State::Begun(Stage::Compared)) {
        let targets = filling::open(site, &mark).await?;
        // Before anybody who starts Parlor there too early could have another one made.
        site.put_secrets(secrets)?;
        for target in &targets {
            // What an earlier run left has epochs of its own.
            target.clear().await?;
        }
        let wanted = copy(archive, &targets).await?;
        let bar = Bar::of_records("Comparing", wanted.iter().map(|wanted| wanted.digest.rows()).sum());
        filling::compare(&targets, &wanted, &bar).await.context(
            "what was restored isn't what was backed up, so that it stays unusable; run the restore again",
        )?;
    }
    filling::complete(site, &mark).await
}

/// Copies a backup's rows, under new epochs; what they came to.
async fn copy(archive: &Archive, targets: &[Target]) -> anyhow::Result<Vec<Wanted>> {
    let epochs = Epochs::fresh(&archive.manifest().stores);
    let total = archive.manifest().stores.iter().map(|store| store.digest().rows()).sum();
    let bar = Bar::of_records("Restoring", total);
    for store in &archive.manifest().stores {
        let target = targets.iter().find(|target| target.name() == store.name);
        let target = target.with_context(|| format!("there is no place for {}", store.name))?;
        target.take_epoch(epochs.new_of(&store.name), store.format).await?;
    }
    let (mut parts, mut wanted) = (archive.parts()?, Vec::<Wanted>::new());
    let mut table: Option<(&Target, Table, Digest)> = None;
    while let Some(part) = parts.part()? {
        match part {
            Part::Table { store, table: next } => {
                end(&epochs, &mut wanted, table.take());
                bar.about(format!("Restoring {store}"));
                let target = targets.iter().find(|target| target.name() == store);
                let target = target.with_context(|| format!("there is no place for {store}"))?;
                target.fits(&next)?;
                table = Some((target, next, Digest::default()));
            }
            Part::Rows(mut rows) => {
                let Some((target, table, digest)) = &mut table else { continue };
                for row in &mut rows {
                    epochs.renew(table, row);
                    digest.add(row);
                }
                let count = rows.len() as u64;
                target.insert(table, rows).await?;
                bar.add(count);
            }
            Part::File { .. } => {}
        }
    }
    end(&epochs, &mut wanted, table);
    parts.must_be_of(archive)?;
    Ok(wanted)
}

fn end(epochs: &Epochs, wanted: &mut Vec<Wanted>, table: Option<(&Target, Table, Digest)>) {
    let Some((target, table, digest)) = table else { return };
    let store = target.name();
    if wanted.last().is_none_or(|last| last.store != store) {
        wanted.push(Wanted {
            store: store.to_owned(),
            epoch: epochs.new_of(store),
            tables: Vec::new(),
            digest: StoreDigest::default(),
        });
    }
    if let Some(last) = wanted.last_mut() {
        last.digest.0.insert(table.name.clone(), TableDigest::from(&digest));
        last.tables.push(table);
    }
}

/// Each log's old epoch and its new one.
struct Epochs(BTreeMap<String, (Uuid, Uuid)>);

impl Epochs {
    fn fresh(stores: &[StoreEntry]) -> Self {
        let renewed = stores.iter().filter_map(|store| {
            let old = store.epoch?;
            Some((store.name.clone(), (old, SystemClock.fresh_id())))
        });
        Self(renewed.collect())
    }

    fn new_of(&self, store: &str) -> Option<Uuid> {
        self.0.get(store).map(|(_, new)| *new)
    }

    /// Puts the new epoch of a log where its old one stands in the places of those who follow it. A place that was in another
    /// epoch already stays there, and its keeper goes on standing still.
    fn renew(&self, table: &Table, row: &mut Row) {
        let at = |name: &str| table.columns.iter().position(|column| column == name);
        let (Some(source), Some(epoch)) = (at("source"), at("epoch")) else { return };
        let Value::Text(log) = &row[source] else { return };
        let log = log.strip_suffix(".public").unwrap_or(log);
        if table.name == "places"
            && let Some((old, new)) = self.0.get(log)
            && row[epoch] == Value::Bytes(old.as_bytes().to_vec())
        {
            row[epoch] = Value::Bytes(new.as_bytes().to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_reaches_those_who_were_in_the_old_one() {
        let (old, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let chat = StoreEntry {
            name: "chat".to_owned(),
            epoch: Some(old),
            format: Some(1),
            position: Some(7),
            tables: Vec::new(),
        };
        let epochs = Epochs::fresh(&[chat]);
        let new = Value::Bytes(epochs.0["chat"].1.as_bytes().to_vec());
        let bytes = |id: Uuid| Value::Bytes(id.as_bytes().to_vec());
        let text = |text: &str| Value::Text(text.to_owned());
        let places = Table {
            name: "places".to_owned(),
            columns: ["consumer", "epoch", "position", "source"].map(str::to_owned).to_vec(),
            key: Vec::new(),
        };
        let renewed = |table: &Table, epoch, source| {
            let mut row = vec![text("notify"), bytes(epoch), Value::Int(3), text(source)];
            epochs.renew(table, &mut row);
            row.swap_remove(1)
        };
        assert_eq!(renewed(&places, old, "chat.public"), new);
        assert_eq!(renewed(&places, old, "chat"), new);
        assert_eq!(renewed(&places, other, "chat.public"), bytes(other));
        assert_eq!(renewed(&places, old, "user.public"), bytes(old));
        let elsewhere = Table { name: "travels".to_owned(), ..places };
        assert_eq!(renewed(&elsewhere, old, "chat"), bytes(old));
    }
}
