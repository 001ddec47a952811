//! Live delivery: everything that one may know of, each once, in order, whatever happens to connections.

mod crowd;
mod delivery;
mod histories;
mod presence;
mod sse;
mod tickets;
mod typing;

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{
    Clock as _, EventBus, EventBusBuilder, EventSource, Log as _, LogSource, MemoryLog, Personal, RunMode,
    SystemClock, TokenCodec,
};
use parlor_chat::live::{Frame, Frames, Live, LiveOptions, Rhythm, StillSignedIn};
use parlor_contracts::user::UserEvent;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::Chat;

/// Presence as quick as a test may want it.
const QUICK: Rhythm = Rhythm {
    again: Duration::from_millis(50),
    holds: Duration::from_millis(500),
    grace: Duration::from_millis(50),
};

fn options() -> LiveOptions {
    LiveOptions { rhythm: QUICK, ..LiveOptions::new(random) }
}

/// As random as a test needs it.
fn random() -> [u8; 32] {
    let ids = [SystemClock.fresh_id(), SystemClock.fresh_id()];
    ids.map(Uuid::into_bytes).concat().try_into().unwrap()
}

struct World {
    chat: Chat,
    live: Live,
    notes: Arc<MemoryLog>,
    bus: EventBus,
    _stop: watch::Sender<bool>,
}

impl World {
    async fn start() -> Self {
        Self::on(Chat::start().await, options())
    }

    fn on(chat: Chat, options: LiveOptions) -> Self {
        let notes = Arc::new(MemoryLog::new("notification.public"));
        let users: Arc<dyn EventSource> = Arc::new(LogSource(chat.users.clone()));
        let others: [Arc<dyn EventSource>; 2] = [users, Arc::new(LogSource(notes.clone()))];
        let store = &chat.store.store;
        let live = Live::new(store, &others, TokenCodec::new(&[7; 32]), options);
        let bus = store.subscribe_projections(&others).subscribe(Arc::new(live.clone())).build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = bus.clone();
        tokio::spawn(async move { running.run(stopped, RunMode::Follow).await });
        Self { chat, live, notes, bus, _stop: stop }
    }

    /// Somebody new, known to the views.
    async fn user(&self, name: &str) -> Uuid {
        let user_id = SystemClock.fresh_id();
        let display_name = Personal::new(user_id, name.to_owned());
        let event = UserEvent::UserCreated { user_id, display_name, avatar_url: None, external_id: None };
        self.chat.announce(&event).await;
        self.settle().await;
        user_id
    }

    /// Waits until everything that happened is routed and in the views.
    async fn settle(&self) {
        let heads = [
            (parlor_chat::NAME, *self.chat.store.store.log.head().borrow()),
            ("user.public", *self.chat.users.head().borrow()),
            ("notification.public", *self.notes.head().borrow()),
        ];
        for progress in self.bus.progress() {
            let head = heads.iter().find(|(name, _)| *name == progress.source).unwrap().1;
            let mut place = self.bus.position(progress.handler, progress.source).unwrap();
            place.wait_for(|place| *place >= head).await.unwrap();
        }
    }

    /// Another process of the service, on the same store.
    fn another(&self, options: LiveOptions) -> Another {
        let store = &self.chat.store.store;
        let users: Arc<dyn EventSource> = Arc::new(LogSource(self.chat.users.clone()));
        let others: [Arc<dyn EventSource>; 2] = [users, Arc::new(LogSource(self.notes.clone()))];
        let live = Live::new(store, &others, TokenCodec::new(&[7; 32]), options);
        let mut bus = EventBusBuilder::default().holder(SystemClock.fresh_id()).source(store.source());
        for source in others {
            bus = bus.source(source);
        }
        let bus = bus.subscribe(Arc::new(live.clone())).build().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { bus.run(stopped, RunMode::Follow).await });
        Another { live, _stop: stop }
    }

    fn reader(&self, user: Uuid) -> Reader {
        Reader::of(&self.live, user)
    }
}

struct Another {
    live: Live,
    _stop: watch::Sender<bool>,
}

struct Always;

#[async_trait::async_trait]
impl StillSignedIn for Always {
    async fn check(&self) -> bool {
        true
    }
}

/// A client that keeps its cursor over its connections.
struct Reader {
    live: Live,
    user: Uuid,
    frames: Option<Frames>,
    cursor: Option<String>,
    heard: Vec<Value>,
    /// What has no cursor.
    passed: Vec<Value>,
    caught_up: usize,
}

impl Reader {
    fn of(live: &Live, user: Uuid) -> Self {
        Self {
            live: live.clone(),
            user,
            frames: None,
            cursor: None,
            heard: Vec::new(),
            passed: Vec::new(),
            caught_up: 0,
        }
    }

    fn connect(&mut self) {
        self.frames = Some(self.live.connect(self.user, self.cursor.as_deref(), Always).unwrap());
    }

    fn take(&mut self, frame: &Frame) -> Option<&'static str> {
        if let Some(cursor) = frame.cursor() {
            self.cursor = Some(cursor.to_owned());
        }
        match frame {
            Frame::Event { .. } => self.heard.push(serde_json::from_str(&frame.to_json()).unwrap()),
            Frame::Passing { .. } => self.passed.push(serde_json::from_str(&frame.to_json()).unwrap()),
            Frame::CaughtUp { .. } => self.caught_up += 1,
            Frame::Closed { code, .. } => return Some(code),
        }
        None
    }

    /// Takes what has arrived, at most `most`.
    fn look(&mut self, most: usize) {
        for _ in 0..most {
            match self.frames.as_mut().and_then(Frames::try_recv) {
                Some(frame) => assert_eq!(self.take(&frame), None),
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Result<(), &'static str> {
        let frame = self.frames.as_mut().unwrap().recv().await.ok_or("gone")?;
        self.take(&frame).map_or(Ok(()), Err)
    }

    /// Connects anew, and takes all that was missed.
    async fn catch_up(&mut self) {
        self.connect();
        let before = self.caught_up;
        while self.caught_up == before {
            self.next().await.unwrap();
        }
    }

    async fn hear(&mut self, n: usize) {
        while self.heard.len() < n {
            self.next().await.unwrap();
        }
    }

    /// Waits for something that passes and is as wanted.
    async fn see(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = async {
            loop {
                if let Some(found) = self.passed.iter().position(&wanted) {
                    return self.passed.remove(found);
                }
                self.next().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it passes by in time")
    }

    fn kinds(&self) -> Vec<&str> {
        self.heard.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }
}
