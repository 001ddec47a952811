//! Conversations and messages, as the chat service has them: a message is a stream of its own, and who may send is guarded
//! in the conversation's, so that those who send at once don't stand in each other's way. And [`Thread`]s, whose messages
//! all lie in one stream: what a long history costs shows only there.

use cqrs_core::{
    Aggregate, Context, Decide, Decision, Event, Personal, Reads, Refusal, RefusalKind, State, Value, params,
};
use cqrs_core::{CodecError, ColumnKind, Incoming, Projection, Schema, Together, Writes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The log's name.
pub(crate) const LOG: &str = "contest";

/// The view that a replay fills.
pub(crate) const VIEW: &str = "messages";

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub(crate) enum ConversationEvent {
    #[serde(rename = "conversation.begun")]
    Begun { participants: Vec<Uuid> },
}
impl Event for ConversationEvent {}

#[derive(Debug, Clone, Default)]
pub(crate) struct Conversation {
    participants: Vec<Uuid>,
}
impl Aggregate for Conversation {
    const CATEGORY: &'static str = "conversation";
    type Event = ConversationEvent;
    fn apply(&mut self, event: &ConversationEvent) {
        let ConversationEvent::Begun { participants } = event;
        self.participants.clone_from(participants);
    }
    fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.participants)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub(crate) enum MessageEvent {
    #[serde(rename = "message.sent")]
    Sent { conversation: Uuid, sender: Uuid, text: Personal<String> },
}
impl Event for MessageEvent {}

#[derive(Debug, Clone, Default)]
pub(crate) struct Message;
impl Aggregate for Message {
    const CATEGORY: &'static str = "message";
    type Event = MessageEvent;
    fn apply(&mut self, _: &MessageEvent) {}
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub(crate) enum ThreadEvent {
    #[serde(rename = "thread.begun")]
    Begun { participants: Vec<Uuid> },
    #[serde(rename = "thread.sent")]
    Sent { message: Uuid, sender: Uuid, text: Personal<String> },
}
impl Event for ThreadEvent {}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Thread {
    participants: Vec<Uuid>,
    messages: u64,
}
impl Aggregate for Thread {
    const CATEGORY: &'static str = "thread";
    type Event = ThreadEvent;
    const SNAPSHOT_EVERY: Option<u64> = Some(64);
    fn apply(&mut self, event: &ThreadEvent) {
        match event {
            ThreadEvent::Begun { participants } => self.participants.clone_from(participants),
            ThreadEvent::Sent { .. } => self.messages += 1,
        }
    }
    fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.participants)
    }
    fn to_snapshot(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }
    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a participant")]
pub(crate) struct NotAParticipant;
impl Refusal for NotAParticipant {
    fn code(&self) -> &'static str {
        "not-a-participant"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }
}

/// Begins a conversation and its thread.
pub(crate) struct Begin {
    pub(crate) conversation: Uuid,
    pub(crate) participants: Vec<Uuid>,
}
impl Decide for Begin {
    type Answer = ();
    type Refusal = NotAParticipant;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Conversation>(self.conversation).and::<Thread>(self.conversation)
    }
    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, NotAParticipant> {
        let participants = self.participants.clone();
        Ok(Decision::done()
            .record::<Conversation>(
                self.conversation,
                ConversationEvent::Begun { participants: participants.clone() },
            )
            .record::<Thread>(self.conversation, ThreadEvent::Begun { participants }))
    }
}

/// Sends messages, each a stream of its own.
pub(crate) struct SendMessages {
    pub(crate) conversation: Uuid,
    pub(crate) sender: Uuid,
    pub(crate) messages: Vec<Uuid>,
    pub(crate) text: &'static str,
}
impl Decide for SendMessages {
    type Answer = String;
    type Refusal = NotAParticipant;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Conversation>(self.conversation)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<String>, NotAParticipant> {
        if !state.get::<Conversation>(self.conversation).participants.contains(&self.sender) {
            return Err(NotAParticipant);
        }
        let mut decision = Decision::answering(|committed| committed.last.to_string()).created();
        for message in &self.messages {
            let text = Personal::new(self.sender, self.text.to_owned());
            let sent = MessageEvent::Sent { conversation: self.conversation, sender: self.sender, text };
            decision = decision.record_new::<Message>(*message, sent);
        }
        Ok(decision)
    }
}

/// Sends messages in the thread's own stream.
pub(crate) struct SendInThread(pub(crate) SendMessages);
impl Decide for SendInThread {
    type Answer = String;
    type Refusal = NotAParticipant;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Thread>(self.0.conversation)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<String>, NotAParticipant> {
        let SendMessages { conversation, sender, messages, text } = &self.0;
        if !state.get::<Thread>(*conversation).participants.contains(sender) {
            return Err(NotAParticipant);
        }
        let mut decision = Decision::answering(|committed| committed.last.to_string()).created();
        for message in messages {
            let text = Personal::new(*sender, (*text).to_owned());
            let sent = ThreadEvent::Sent { message: *message, sender: *sender, text };
            decision = decision.record::<Thread>(*conversation, sent);
        }
        Ok(decision)
    }
}

static SENT: Together = Together {
    columns: &[ColumnKind::Uuid, ColumnKind::Uuid, ColumnKind::Uuid, ColumnKind::Text],
    sqlite: &["INSERT INTO {p}messages (id, conversation, sender, text) VALUES (?1, ?2, ?3, ?4)"],
    postgres: &[
        "INSERT INTO {p}messages (id, conversation, sender, text) SELECT c1, c2, c3, c4 FROM {rows} n",
    ],
};

/// A row for each message.
pub(crate) struct Messages;
impl Projection for Messages {
    fn name(&self) -> &'static str {
        VIEW
    }
    fn sources(&self) -> &'static [&'static str] {
        &[LOG]
    }
    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: "CREATE TABLE {p}messages (id BLOB PRIMARY KEY, conversation BLOB NOT NULL, sender BLOB NOT NULL,
                       text TEXT NOT NULL)",
            postgres: "CREATE TABLE {p}messages (id uuid PRIMARY KEY, conversation uuid NOT NULL, sender uuid NOT NULL,
                         text text NOT NULL)",
            tables: &["messages"],
        }
    }
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if event.category() != Message::CATEGORY {
            return Ok(());
        }
        let MessageEvent::Sent { conversation, sender, text } = event.decode()?;
        let text = text.get().cloned().unwrap_or_default();
        let row: Vec<Value> = params![event.meta.stream, conversation, sender, text];
        out.row(&SENT, row);
        Ok(())
    }
}
