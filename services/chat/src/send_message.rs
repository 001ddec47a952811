//! `POST /v1/conversations/{id}/messages`: a participant says something.
//! Records `message.sent`; public as `message-sent.v1`; shown by `timeline`; pushed by `live`.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{
    Command, CommandHandler, Committed, Context, Decide, Decision, Executor, Failure, Personal, Reads,
    Refusal, RefusalKind, Reply, State,
};
use cqrs_http::{Answer, Edge, Input, PathId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversation::Conversation;
use crate::membership::Membership;
use crate::message::{Message, MessageAnswer, MessageEvent, SentMessage};
use crate::values::{Content, MessageType, caller};

/// What is said.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessageBody {
    /// The text.
    pub content: Content,
    /// What it is; `text` unless said otherwise.
    #[serde(default)]
    pub r#type: MessageType,
    /// The message's id, if the client picks it (a UUID v7): sent again, it is the same message.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// The message that this one replies to, in the same conversation.
    #[serde(default)]
    pub reply_to: Option<Uuid>,
}

/// Says something in a conversation.
#[derive(Debug, Clone)]
pub struct SendMessage {
    /// Where.
    pub conversation: Uuid,
    /// What.
    pub body: SendMessageBody,
}

impl Command for SendMessage {
    const NAME: &'static str = "chat.send-message";
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRefusal {
    /// No such conversation, or not one of the caller's.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// The id belongs to another message.
    #[error("this id belongs to another message; leave it out or pick another")]
    IdTaken,
    /// What it replies to isn't a message of this conversation.
    #[error("the message replied to is not in this conversation")]
    NothingToReplyTo,
    /// The message was sent before; the handler looks up when and where, and asks again.
    #[error("this message was sent before")]
    SentBefore,
}

impl Refusal for SendRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConversation => "not-found",
            Self::IdTaken => "message-id-taken",
            Self::NothingToReplyTo => "unknown-reply-to",
            Self::SentBefore => SENT_BEFORE,
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchConversation => RefusalKind::NotFound,
            Self::IdTaken | Self::SentBefore => RefusalKind::Conflict,
            Self::NothingToReplyTo => RefusalKind::Invalid,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchConversation => None,
            Self::IdTaken | Self::SentBefore => Some("/id"),
            Self::NothingToReplyTo => Some("/replyTo"),
        }
    }
}

const SENT_BEFORE: &str = "message-sent-before";

/// The decision: on the sender's membership and the settings alone, both of them in the cache as a rule.
struct Sending {
    id: Uuid,
    command: SendMessage,
    /// The message as it was first sent, if it is known to have been.
    before: Option<SentMessage>,
}

impl Sending {
    fn repeats(&self, message: &Message, me: Uuid, before: &SentMessage) -> bool {
        let SendMessage { conversation, body } = &self.command;
        (message.conversation, message.sender) == (*conversation, me)
            && (before.content.as_str(), before.reply_to) == (body.content.as_str(), body.reply_to)
    }

    fn answer(&self, me: Uuid) -> impl Fn(String, jiff::Timestamp) -> MessageAnswer + Send + Sync + 'static {
        let (id, SendMessage { conversation, body }) = (self.id, self.command.clone());
        move |position, created_at| MessageAnswer {
            id,
            conversation_id: conversation,
            sender_id: me,
            r#type: body.r#type,
            content: body.content.as_str().to_owned(),
            reply_to: body.reply_to,
            position,
            created_at,
            edited_at: None,
        }
    }
}

impl Decide for Sending {
    type Answer = MessageAnswer;
    type Refusal = SendRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let SendMessage { conversation, body } = &self.command;
        // Under an id made here there can be no message yet: that saves the hot path a look into the log.
        let reads = match body.id {
            Some(id) => Reads::of::<Message>(id),
            None => Reads::none(),
        };
        let reads = reads
            .and::<Membership>(Membership::id(*conversation, caller(cx)))
            .and::<Conversation>(*conversation);
        match body.reply_to {
            Some(original) => reads.and::<Message>(original),
            None => reads,
        }
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<MessageAnswer>, SendRefusal> {
        let (me, SendMessage { conversation, body }) = (caller(cx), &self.command);
        if !state.get::<Membership>(Membership::id(*conversation, me)).is_in() {
            return Err(SendRefusal::NoSuchConversation);
        }
        if let Some(message) = body.id.and_then(|id| state.find_existing::<Message>(id)) {
            return match &self.before {
                Some(before) if self.repeats(message, me, before) => {
                    Ok(Decision::already(self.answer(me)(before.position.to_string(), before.at)))
                }
                None if message.sender == me => Err(SendRefusal::SentBefore),
                _ => Err(SendRefusal::IdTaken),
            };
        }
        if let Some(original) = body.reply_to
            && state
                .find_existing::<Message>(original)
                .is_none_or(|found| found.conversation != *conversation)
        {
            return Err(SendRefusal::NothingToReplyTo);
        }
        let room: &Conversation = state.get(*conversation);
        let event = MessageEvent::Sent {
            conversation: *conversation,
            sender: me,
            kind: room.kind,
            title: room.title.clone(),
            message_type: body.r#type,
            content: Personal::new(me, body.content.as_str().to_owned()),
            reply_to: body.reply_to,
        };
        let answer = self.answer(me);
        let decision = Decision::answering(move |done: &Committed| answer(done.first.to_string(), done.at));
        Ok(match body.id {
            Some(id) => decision.record::<Message>(id, event),
            None => decision.record_new::<Message>(self.id, event),
        }
        .created())
    }
}

/// Carries [`SendMessage`] out.
pub struct SendMessageHandler(pub Executor);

#[async_trait]
impl CommandHandler<SendMessage> for SendMessageHandler {
    async fn handle(&self, cx: &Context, command: SendMessage) -> Result<Reply, Failure> {
        // A message that isn't there yet has no version to match; the conversation's and the membership's aren't meant.
        let cx = &Context { if_match: None, ..cx.clone() };
        let id = command.body.id.unwrap_or_else(|| cx.fresh_id(0));
        let mut sending = Sending { id, command, before: None };
        match self.0.run(cx, &sending).await {
            Err(Failure::Refused(refused)) if refused.code == SENT_BEFORE => {
                sending.before = SentMessage::load(&self.0, id).await?;
                self.0.run(cx, &sending).await
            }
            result => result,
        }
    }
}

/// Sends a message
///
/// The answer's `position` orders it among all messages. Sent again with the same `id`, it is the same message
/// and the answer is that of the first time.
#[utoipa::path(post, path = "/v1/conversations/{id}/messages", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation")),
    request_body = SendMessageBody,
    responses(
        (status = 201, description = "Sent", body = MessageAnswer),
        (status = 200, description = "Sent before under this id", body = MessageAnswer),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 409, description = "`message-id-taken`: the id belongs to another message"),
        (status = 422, description = "`unknown-reply-to`, or an invalid value")),
    security(("bearer" = [])))]
pub(crate) async fn send_message(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    input: Input<SendMessageBody>,
) -> Answer {
    edge.command(input.cx, SendMessage { conversation, body: input.body }).await
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{context, noon};
    use cqrs_core::{Actor, Position};

    use super::*;
    use crate::fixtures::{ANN, BOB, MSG, OTHER_ROOM, Participants as _, ROOM, given_room, sent, user};
    use crate::values::{Kind, Role};

    fn content(text: &str) -> Content {
        Content::try_from(text.to_owned()).unwrap()
    }

    fn hello() -> Sending {
        let body = SendMessageBody {
            content: content("hello"),
            r#type: MessageType::Text,
            id: None,
            reply_to: None,
        };
        Sending { id: MSG, command: SendMessage { conversation: ROOM, body }, before: None }
    }

    fn hello_as_msg() -> Sending {
        let mut sending = hello();
        sending.command.body.id = Some(MSG);
        sending
    }

    fn said_before(content: &str) -> SentMessage {
        SentMessage {
            position: Position(7),
            at: noon(),
            message_type: MessageType::Text,
            content: content.to_owned(),
            reply_to: None,
        }
    }

    #[test]
    fn a_participant_says_something_and_learns_its_place() {
        let then = given_room(Kind::Group).with(BOB, Role::Member).when(user(BOB), &hello());
        let answer = then.answer();
        assert_eq!((answer.position.as_str(), answer.created_at), ("1", noon()));
        assert_eq!((answer.sender_id, answer.content.as_str()), (BOB, "hello"));
        then.records_in_all(1).records::<Message>(MSG, [sent(ROOM, BOB, "hello")]);
    }

    #[test]
    fn an_outsider_a_former_participant_and_an_application_are_refused_alike() {
        let outsider = || given_room(Kind::Group).without(BOB);
        for actor in [user(ANN), user(BOB), Actor::System, Actor::Service(BOB)] {
            outsider().when(actor, &hello()).refused(SendRefusal::NoSuchConversation);
        }
    }

    #[test]
    fn a_repeat_under_the_same_id_is_the_same_message() {
        let given = || given_room(Kind::Group).with(BOB, Role::Member).message([sent(ROOM, BOB, "hello")]);
        given().when(user(BOB), &hello_as_msg()).refused(SendRefusal::SentBefore);
        let again = Sending { before: Some(said_before("hello")), ..hello_as_msg() };
        let then = given().when(user(BOB), &again).is_already();
        assert_eq!(then.answer().position, "7");
    }

    #[test]
    fn an_id_of_another_message_is_refused() {
        let given = || given_room(Kind::Group).with(BOB, Role::Member);
        let other = Sending { before: Some(said_before("goodbye")), ..hello_as_msg() };
        given().message([sent(ROOM, BOB, "goodbye")]).when(user(BOB), &other).refused(SendRefusal::IdTaken);
        let same = Sending { before: Some(said_before("hello")), ..hello_as_msg() };
        given()
            .message([sent(OTHER_ROOM, BOB, "hello")])
            .when(user(BOB), &same)
            .refused(SendRefusal::IdTaken);
        given().message([sent(ROOM, ANN, "hello")]).when(user(BOB), &same).refused(SendRefusal::IdTaken);
        given()
            .message([sent(ROOM, ANN, "hello")])
            .when(user(BOB), &hello_as_msg())
            .refused(SendRefusal::IdTaken);
    }

    #[test]
    fn a_reply_names_a_message_of_the_same_conversation() {
        let mut reply = hello();
        reply.id = cx_id();
        reply.command.body.reply_to = Some(MSG);
        let given = || given_room(Kind::Group).with(BOB, Role::Member);
        given().when(user(BOB), &reply).refused(SendRefusal::NothingToReplyTo);
        given()
            .message([sent(OTHER_ROOM, ANN, "hi")])
            .when(user(BOB), &reply)
            .refused(SendRefusal::NothingToReplyTo);
        let _ = given().message([sent(ROOM, ANN, "hi")]).when(user(BOB), &reply).records_in_all(1);
    }

    fn cx_id() -> Uuid {
        context(user(BOB)).fresh_id(0)
    }

    #[test]
    fn a_body_is_checked_while_it_is_parsed() {
        let refused = [
            "{}",
            r#"{"content": ""}"#,
            r#"{"content": "a", "type": "sticker"}"#,
            r#"{"content": "a", "colour": "red"}"#,
            r#"{"content": "a", "id": "7"}"#,
        ];
        for body in refused {
            assert!(serde_json::from_str::<SendMessageBody>(body).is_err(), "{body}");
        }
        assert!(serde_json::from_str::<SendMessageBody>(r#"{"content": "a", "type": "text"}"#).is_ok());
    }
}
