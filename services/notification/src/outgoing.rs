//! What sends events out and how far it has come, as operators see it beside views and reactors.

use cqrs_core::{LeaseStore as _, PlaceStore as _, Position, StoreError};
use uuid::Uuid;

use crate::push::deliver::CONSUMER;
use crate::push::subscription::PushSubscriptions;
use crate::webhooks::catalogue::SOURCES;
use crate::webhooks::webhook::{MAX_WEBHOOKS, Standing, Standings, State, Webhook, Webhooks};
use crate::{DELIVERIES, Deps, PUBLIC};

/// Something that sends events out, in one of the sources that it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// A webhook's receiver, by its host; told apart by a number where there are several. `web-push` for notifications.
    pub name: String,
    /// `webhook` or `push`.
    pub kind: &'static str,
    /// The source.
    pub source: &'static str,
    /// Up to where everything was sent, or isn't to be.
    pub position: Position,
    /// Where the source ends.
    pub newest: Position,
    /// `live`; `stuck` while something is tried again; `parked` until somebody tries again; `paused` while nothing is to be
    /// sent.
    pub state: &'static str,
    /// What the last try came to, if it failed.
    pub problem: Option<String>,
}

/// All of them, the oldest webhook first.
pub async fn outgoing(deps: &Deps) -> Result<Vec<Outgoing>, StoreError> {
    let mut found: Vec<Outgoing> = Vec::new();
    let standings = Standings::new(&deps.store.log);
    let mut names: Vec<String> = Vec::new();
    for webhook in Webhooks::new(&deps.store.log).page(None, MAX_WEBHOOKS as u32).await? {
        let host = webhook.target.url().host_str().unwrap_or_default().to_owned();
        let before = names.iter().filter(|name| **name == host).count();
        let name = if before == 0 { host.clone() } else { format!("{host} ({})", before + 1) };
        names.push(host);
        let (_, standing) = standings.of(&webhook).await?;
        for source in &deps.leaving.sources {
            let Some((_, log)) = SOURCES.iter().find(|(known, _)| *known == source.name()) else { continue };
            let kept = deps.store.log.load(&webhook.consumer(), source.name()).await?;
            let start = webhook.starts.get(*log).map(|start| Position(start.position));
            found.push(Outgoing {
                name: name.clone(),
                kind: "webhook",
                source: source.name(),
                position: kept.map(|kept| kept.position).or(start).unwrap_or(Position(0)),
                newest: *source.head().borrow(),
                state: state(deps, &webhook, &standing),
                problem: standing.problem.clone(),
            });
        }
    }
    found.extend(pushes(deps).await?);
    Ok(found)
}

/// Which process sends, if one does.
pub async fn sender(deps: &Deps) -> Result<Option<Uuid>, StoreError> {
    deps.store.log.holder(DELIVERIES).await
}

fn state(deps: &Deps, webhook: &Webhook, standing: &Standing) -> &'static str {
    match standing.state {
        _ if !deps.leaving.enabled || !webhook.enabled => "paused",
        State::Disabled => "paused",
        State::Parked | State::Gone => "parked",
        State::Active if standing.tries > 0 => "stuck",
        State::Active => "live",
    }
}

/// Notifications on their way to browsers; nothing where nobody has subscribed.
async fn pushes(deps: &Deps) -> Result<Option<Outgoing>, StoreError> {
    let source = deps.leaving.sources.iter().find(|source| source.name() == PUBLIC);
    let Some((source, earliest)) = source.zip(PushSubscriptions::new(&deps.store.log).earliest().await?)
    else {
        return Ok(None);
    };
    let kept = deps.store.log.load(CONSUMER, source.name()).await?;
    let kept = kept.filter(|kept| kept.epoch == source.epoch()).map(|kept| kept.position);
    Ok(Some(Outgoing {
        name: CONSUMER.to_owned(),
        kind: "push",
        source: source.name(),
        position: kept.unwrap_or_default().max(earliest),
        newest: *source.head().borrow(),
        state: if deps.leaving.enabled { "live" } else { "paused" },
        problem: None,
    }))
}
