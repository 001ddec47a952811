//! `parlor move`: an instance from one kind of store to another, offline for the source, which is only read.

use anyhow::{Context as _, bail};
use cqrs_sql::transfer::{Hold, Mark, Snapshot, Stage, StoreDigest, Target, copy, digest, running_handlers};

use super::bar::Bar;
use super::filling::{self, State, Wanted};
use super::say;
use super::site::{Site, identity};
use super::views;
use crate::config::Config;

/// Moves the instance at `from` to `to` (`sqlite:…` or `postgres://…`), or goes on with a move that died; `restart` drops
/// what that one had copied. Gives what to print.
pub async fn move_instance(config: &Config, from: &str, to: &str, restart: bool) -> anyhow::Result<String> {
    let (from, to) = (Site::at(config, from)?, Site::at(config, to)?);
    if from.said == to.said {
        bail!("{} is both where from and where to", from.said);
    }
    from.must_be_there()?;
    let stores = carry_over(&from, &to, restart).await?;
    views::build(&to.config).await.context(
        "all is there and was compared, but the views couldn't be built now; they will be when Parlor is started there",
    )?;
    let table = say::stores_table(&stores);
    Ok(format!(
        "{} holds all that {} held:\n\n{table}\n{}{}",
        to.said,
        from.said,
        say::how_to_serve(&to.config),
        "What it was moved from was left as it is. Don't run Parlor there again: the two would go different ways.\n"
    ))
}

/// All but the views, which follow. Both places are held meanwhile.
async fn carry_over(from: &Site, to: &Site, restart: bool) -> anyhow::Result<Vec<(String, StoreDigest)>> {
    let same_folder = from.config.data_dir == to.config.data_dir;
    let source = from.lock()?;
    let destination = if same_folder { None } else { to.lock()? };
    let mut all = from.logs();
    all.extend(from.views.iter().map(|(name, location)| (*name, location)));
    let running = running_handlers(&all).await?;
    if !running.is_empty() {
        bail!(
            "a Parlor is running on {} ({}); stop every one that does, or, if one was killed, wait five seconds",
            from.said,
            running.join(", ")
        );
    }
    let in_use = |error| anyhow::anyhow!("{error}; stop every Parlor that runs on {} first", from.said);
    // Whoever runs there in spite of that commits nothing from here on.
    let held = Hold::of(&from.logs()).await.map_err(in_use)?;
    let mut snapshots = Vec::new();
    for store in &from.stores {
        snapshots.push(Snapshot::pin(store.name, &store.location).await?);
    }
    let origin = identity(&snapshots);
    let mark = Mark { of: format!("a move from {}", from.said), origin, stage: Stage::Copying };
    let secrets = from.secrets()?;
    let state = filling::look(to, &mark).await?;
    let afresh = match &state {
        State::Empty | State::Begun(_) => restart,
        State::BegunOf(_) if restart => true,
        State::BegunOf(other) => bail!(
            "{} holds the beginning of {}, as it was then or of another instance; with --restart that is dropped and this \
             move begins",
            to.said,
            other.of
        ),
        State::InUse(_) if is_copy(to, &mark.origin).await => false,
        State::InUse(place) => return Err(filling::refuse(to, place)),
    };
    to.must_not_hold_another_secret(&secrets)?;
    let complete = matches!(state, State::Begun(Stage::Compared) | State::InUse(_)) && !afresh;
    let destination = match destination {
        None if !same_folder => Some(filling::take(to)?),
        held => held,
    };
    let wanted = if complete {
        let bar = Bar::of_records("Reading", 0);
        digests(&snapshots, &bar).await?
    } else {
        let targets = filling::open(to, &mark).await?;
        // Before anybody who starts Parlor there too early could have another one made.
        if !same_folder {
            to.put_secrets(&secrets)?;
        }
        if afresh {
            for target in &targets {
                target.clear().await?;
                target.mark(&mark).await?;
            }
        }
        fill(&snapshots, &targets).await?
    };
    if !matches!(state, State::InUse(_)) {
        filling::complete(to, &mark).await?;
    }
    held.release().await;
    drop((source, destination));
    Ok(wanted.into_iter().map(|wanted| (wanted.store, wanted.digest)).collect())
}

/// Whether the destination is what a move that came to its end made of this very source.
async fn is_copy(to: &Site, origin: &str) -> bool {
    let mut snapshots = Vec::new();
    for store in &to.stores {
        match Snapshot::pin(store.name, &store.location).await {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(_) => return false,
        }
    }
    identity(&snapshots) == origin
}

/// Copies every store and compares every copy.
async fn fill(snapshots: &[Snapshot], targets: &[Target]) -> anyhow::Result<Vec<Wanted>> {
    let mut total = 0;
    for snapshot in snapshots {
        for table in snapshot.tables() {
            total += snapshot.count(table).await?;
        }
    }
    let bar = Bar::of_records("Copying", total);
    for snapshot in snapshots {
        bar.about(format!("Copying {}", snapshot.name()));
        let target = targets.iter().find(|target| target.name() == snapshot.name());
        let target = target.with_context(|| format!("there is no place for {}", snapshot.name()))?;
        copy(snapshot, target, |rows| bar.add(rows)).await?;
    }
    drop(bar);
    // Both sides anew: what an earlier run copied was read at another time.
    let bar = Bar::of_records("Comparing", 2 * total);
    let wanted = digests(snapshots, &bar).await?;
    filling::compare(targets, &wanted, &bar).await.context(
        "the copy isn't what it was made of, so that it stays unusable; run the same move again with --restart",
    )?;
    Ok(wanted)
}

async fn digests(snapshots: &[Snapshot], bar: &Bar) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        bar.about(format!("Comparing {}", snapshot.name()));
        let digest = digest(snapshot, snapshot.tables(), |rows| bar.add(rows)).await?;
        wanted.push(Wanted {
            store: snapshot.name().to_owned(),
            epoch: snapshot.epoch(),
            tables: snapshot.tables().to_vec(),
            digest,
        });
    }
    Ok(wanted)
}
