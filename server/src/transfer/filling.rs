//! A destination: what may be there already, and making it what it is to be.

use anyhow::bail;
use cqrs_core::{Clock as _, SystemClock};
use cqrs_sql::Location;
use cqrs_sql::transfer::{Found, Mark, Stage, StoreDigest, Table, Target, digest};
use uuid::Uuid;

use super::bar::Bar;
use super::site::{Site, Store};
use crate::config::StoreUrl;
use crate::data_dir::DataDir;

/// What is at a destination.
pub(super) enum State {
    /// Nothing.
    Empty,
    /// What an earlier run with the same source left.
    Begun(Stage),
    /// What one with another source left.
    BegunOf(Mark),
    /// Something in use: where.
    InUse(String),
}

/// Looks at all stores of a destination, and changes nothing.
pub(super) async fn look(site: &Site, wanted: &Mark) -> anyhow::Result<State> {
    let (mut marks, mut in_use) = (Vec::new(), None);
    for store in &site.stores {
        match Found::at(&store.location).await? {
            Found::Nothing => {}
            Found::Unfinished(mark) => marks.push(mark),
            Found::Something(table) => in_use = Some(whereabouts(&store.location, &table)),
        }
    }
    for (_, location) in &site.views {
        if let Found::Something(table) = Found::at(location).await? {
            in_use.get_or_insert(whereabouts(location, &table));
        }
    }
    let ours = |mark: &&Mark| mark.origin == wanted.origin;
    // Once all was compared, marks are taken away one after the other.
    if marks.iter().filter(ours).any(|mark| mark.stage == Stage::Compared) {
        return Ok(State::Begun(Stage::Compared));
    }
    Ok(match (in_use, marks.iter().find(|mark| !ours(mark))) {
        (Some(place), _) => State::InUse(place),
        (None, Some(other)) => State::BegunOf(other.clone()),
        (None, None) if marks.is_empty() => State::Empty,
        (None, None) => State::Begun(Stage::Copying),
    })
}

fn whereabouts(location: &Location, table: &str) -> String {
    match location {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres { schema, .. } => format!("{schema}.{table}"),
    }
}

/// Refuses a destination in use, with what to do.
pub(super) fn refuse(site: &Site, place: &str) -> anyhow::Error {
    let remedy = if site.config.keys_url() == StoreUrl::Sqlite {
        "name an empty folder".to_owned()
    } else {
        let schemas: Vec<_> = site
            .stores
            .iter()
            .map(|store| &store.location)
            .chain(site.views.iter().map(|(_, at)| at))
            .filter_map(|location| match location {
                Location::Postgres { schema, .. } => Some(schema.as_str()),
                Location::Sqlite(_) => None,
            })
            .collect();
        format!(
            "name an empty database, or, if nobody needs what is there: DROP SCHEMA {} CASCADE",
            schemas.join(", ")
        )
    };
    anyhow::anyhow!("{} is in use: {place} holds data. Nothing was changed; {remedy}", site.said)
}

/// Makes what isn't there yet of a destination's stores.
pub(super) async fn open(site: &Site, mark: &Mark) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::with_capacity(site.stores.len());
    for Store { name, location, kind } in &site.stores {
        if let Location::Sqlite(path) = location
            && let Some(folder) = path.parent()
        {
            crate::data_dir::make_private(folder)?;
        }
        targets.push(match Found::at(location).await? {
            Found::Unfinished(_) => Target::resume(name, location).await?,
            _ => Target::create(name, location, *kind, SystemClock.fresh_id(), mark).await?,
        });
    }
    Ok(targets)
}

/// Takes hold of a destination's data folder, making it if it isn't there.
pub(super) fn take(site: &Site) -> anyhow::Result<DataDir> {
    Ok(DataDir::open(&site.config.data_dir)?)
}

/// What a store at the destination must come to.
pub(super) struct Wanted {
    pub(super) store: String,
    pub(super) epoch: Option<Uuid>,
    pub(super) tables: Vec<Table>,
    pub(super) digest: StoreDigest,
}

/// Compares what is at the destination with what should be.
pub(super) async fn compare(targets: &[Target], wanted: &[Wanted], bar: &Bar) -> anyhow::Result<()> {
    for target in targets {
        let Some(wanted) = wanted.iter().find(|wanted| wanted.store == target.name()) else {
            bail!("there is nothing to compare {} with", target.name());
        };
        bar.about(format!("Comparing {}", wanted.store));
        let there = target.snapshot().await?;
        if there.epoch() != wanted.epoch {
            bail!("{}: the log has another epoch than it should", wanted.store);
        }
        let there = digest(&there, &wanted.tables, |rows| bar.add(rows)).await?;
        wanted.digest.must_equal(&wanted.store, &there)?;
    }
    Ok(())
}

/// Lets a destination be used: everything is there and was compared.
pub(super) async fn complete(site: &Site, mark: &Mark) -> anyhow::Result<()> {
    let done = Mark { stage: Stage::Compared, ..mark.clone() };
    let mut targets = Vec::new();
    for store in &site.stores {
        if let Found::Unfinished(_) = Found::at(&store.location).await? {
            targets.push(Target::resume(store.name, &store.location).await?);
        }
    }
    for target in &targets {
        target.mark(&done).await?;
    }
    for target in targets {
        target.finish().await?;
    }
    Ok(())
}
