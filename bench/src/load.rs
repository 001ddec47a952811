//! One load on the server under measurement, with the processor time that both sides took, and waiting until it has caught up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use parlor_load::{Kind, Mix, Options, Outcome, Size, World, verify};

use crate::Common;
use crate::results::Cpu;
use crate::server::Server;

/// How long views may take until they hold everything.
const CATCHING_UP: Duration = Duration::from_mins(10);
/// Connections with which messages are filled in.
const FILLERS: usize = 128;

/// A server with people, and everything that it acknowledged.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) world: Arc<World>,
    /// Everything that was sent since the server began.
    pub(crate) all: Outcome,
    /// Tells its keys and its people from those of others.
    pub(crate) run: String,
}

impl Bench {
    /// Makes the people of a measurement.
    pub(crate) async fn on(server: Server, size: Size) -> anyhow::Result<Self> {
        let run = format!("{}", std::process::id());
        let world = World::make(&server.url(), &server.service_key()?, &run, size).await?;
        let bench = Self { server, world: Arc::new(world), all: Outcome::default(), run };
        // People are told of the conversations that they were added to: that is no part of what is measured.
        bench.caught_up(CATCHING_UP).await?;
        Ok(bench)
    }

    /// A closed loop.
    pub(crate) fn closed(&self, mix: Mix, clients: usize, duration: Duration) -> Options {
        Options::closed(self.server.address, &self.run, mix, clients, duration)
    }

    /// Loads, and gives what it came to, with the server's processor time. That of a load that sends counts until all views and
    /// reactors have caught up.
    pub(crate) async fn load(&mut self, options: Options) -> anyhow::Result<(Outcome, Option<Cpu>)> {
        let sends = options.mix.has(Kind::Send);
        let before = self.server.cpu();
        let mut outcome = parlor_load::run(&self.world, options, |_| {}).await?;
        if sends {
            self.caught_up(CATCHING_UP).await?;
        }
        let cpu = before.zip(self.server.cpu()).map(|(before, after)| after.since(before));
        // Kept once: a million messages take their room.
        let sent = Outcome {
            acknowledged: std::mem::take(&mut outcome.acknowledged),
            unknown: outcome.unknown.clone(),
            ..Outcome::default()
        };
        self.all.add(sent, true);
        Ok((outcome, cpu))
    }

    /// Sends so many messages, as fast as they are taken; how many a second that were.
    pub(crate) async fn fill(&mut self, messages: u64) -> anyhow::Result<f64> {
        let mut options = self.closed(Mix::only(Kind::Send), FILLERS, Duration::from_hours(24));
        options.at_most = messages;
        let (outcome, _) = self.load(options).await?;
        ensure!(outcome.failed() == 0, "messages weren't taken: {:?}", outcome.errors());
        Ok(outcome.per_second())
    }

    /// Waits until every view and reactor holds everything.
    pub(crate) async fn caught_up(&self, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        loop {
            let lagging = self.server.lagging()?;
            if lagging.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("behind after {} s: {}", within.as_secs(), lagging.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How long it takes from now until what is sent now shows in messages, lists, counts and search, and until every reactor
    /// has seen it: what was sent before has, then, too, for all follow the log in its order.
    pub(crate) async fn catching_up(&mut self) -> anyhow::Result<CatchingUp> {
        let room = &self.world.rooms[0];
        let (sender, reader) = (&self.world.people[room.members[0]], &self.world.people[room.members[1]]);
        let marker = format!("caughtup{}", self.world.rooms.len() + self.all.acknowledged.len());
        let began = Instant::now();
        let sent = sender.parlor.send(room.id, marker.as_str()).await?;
        self.all.acknowledged.push(parlor_load::Acknowledged {
            id: sent.id,
            room: 0,
            content: parlor_load::fingerprint(&marker),
        });
        let parlor = &reader.parlor;
        let (mut views, mut search) = (None, None);
        while began.elapsed() < CATCHING_UP {
            if views.is_none() {
                let page = parlor.messages(room.id).limit(1).await?;
                let shown = page
                    .items
                    .first()
                    .and_then(|item| item.message())
                    .is_some_and(|first| first.id == sent.id);
                let list = parlor.conversations().limit(1).await?;
                let listed = list.items.first().is_some_and(|first| {
                    first.last_message.as_ref().is_some_and(|last| last.id == sent.id)
                        && first.unread_count > 0
                });
                views = (shown && listed).then(|| began.elapsed());
            }
            if search.is_none() {
                let found = parlor.search_messages(&marker).limit(1).await?;
                search = (!found.items.is_empty()).then(|| began.elapsed());
            }
            if let (Some(views), Some(search)) = (views, search) {
                self.caught_up(CATCHING_UP).await?;
                return Ok(CatchingUp { views, search, all: began.elapsed() });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("messages, lists or search didn't show the last message within {} s", CATCHING_UP.as_secs())
    }

    /// Reads everything back; a difference is an error.
    pub(crate) async fn verify(&self) -> anyhow::Result<String> {
        let verified = verify(&self.world, &self.all, CATCHING_UP).await?;
        ensure!(
            verified.holds(),
            "what was acknowledged isn't what is there:\n{}",
            verified.wrong.join("\n")
        );
        Ok(format!(
            "{} messages acknowledged, the same {} read back, each once and as it was sent.",
            verified.acknowledged, verified.read
        ))
    }
}

/// How long after a load views and reactors had everything.
pub(crate) struct CatchingUp {
    /// Messages, lists and counts.
    pub(crate) views: Duration,
    /// The search index.
    pub(crate) search: Duration,
    /// Everything, notifications among it.
    pub(crate) all: Duration,
}

/// The usual number of people and conversations.
pub(crate) fn usual(common: &Common) -> Size {
    Size { people: common.people, rooms: common.rooms, members: 10 }
}
