//! `PUT /v1/conversations/{id}/read`: somebody has read up to a message.
//! Records `messages.read`; public as `messages-read.v1`; counted by `timeline`; shown by `conversations`.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Executor, Failure, Reads, Refusal, RefusalKind,
    Reply, State,
};
use cqrs_http::{Answer, Edge, Input, PathId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::membership::{Membership, Stays};
use crate::message::{Message, SentMessage};
use crate::read_mark::{ReadMark, ReadMarkEvent};
use crate::values::caller;

/// How far the caller has read.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarkMessagesAsReadBody {
    /// The newest message read.
    pub up_to: Uuid,
}

/// Marks a conversation as read up to a message.
#[derive(Debug, Clone, Copy)]
pub struct MarkMessagesAsRead {
    /// Which conversation.
    pub conversation: Uuid,
    /// Up to which message.
    pub up_to: Uuid,
}

impl Command for MarkMessagesAsRead {
    const NAME: &'static str = "chat.mark-messages-as-read";
}

/// Why nothing was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkRefusal {
    /// No such conversation, or not one of the caller's.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// The message isn't in this conversation, or the caller can't see it.
    #[error("there is no such message in this conversation")]
    NoSuchMessage,
}

impl Refusal for MarkRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConversation => "not-found",
            Self::NoSuchMessage => "unknown-message",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchConversation => RefusalKind::NotFound,
            Self::NoSuchMessage => RefusalKind::Invalid,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        (*self == Self::NoSuchMessage).then_some("/upTo")
    }
}

/// The decision, with the message as the log has it; `None` if the caller can't have seen one.
struct Marking {
    command: MarkMessagesAsRead,
    seen: Option<SentMessage>,
}

impl Decide for Marking {
    type Answer = ();
    type Refusal = MarkRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let (me, MarkMessagesAsRead { conversation, up_to }) = (caller(cx), self.command);
        Reads::of::<ReadMark>(ReadMark::id(conversation, me))
            .and::<Membership>(Membership::id(conversation, me))
            .and::<Message>(up_to)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, MarkRefusal> {
        let (me, MarkMessagesAsRead { conversation, up_to }) = (caller(cx), self.command);
        if !state.get::<Membership>(Membership::id(conversation, me)).is_in() {
            return Err(MarkRefusal::NoSuchConversation);
        }
        let here = state.get::<Message>(up_to).conversation == conversation;
        let (true, Some(sent)) = (here, &self.seen) else {
            return Err(MarkRefusal::NoSuchMessage);
        };
        let mark = ReadMark::id(conversation, me);
        if sent.position <= state.get::<ReadMark>(mark).position {
            return Ok(Decision::already(()));
        }
        let event = ReadMarkEvent::Read { conversation, user: me, up_to, position: sent.position.0 };
        Ok(Decision::done().record::<ReadMark>(mark, event))
    }
}

/// Carries [`MarkMessagesAsRead`] out.
pub struct MarkMessagesAsReadHandler(pub Executor);

#[async_trait]
impl CommandHandler<MarkMessagesAsRead> for MarkMessagesAsReadHandler {
    async fn handle(&self, cx: &Context, command: MarkMessagesAsRead) -> Result<Reply, Failure> {
        let stays = Stays::load(&self.0, command.conversation, caller(cx)).await?;
        let sent = SentMessage::load(&self.0, command.up_to).await?;
        let seen = sent.filter(|sent| stays.cover(sent.position));
        self.0.run(cx, &Marking { command, seen }).await
    }
}

/// Marks messages as read
///
/// All messages up to the one named count as read from now on. The mark only ever advances: naming an older message
/// changes nothing.
#[utoipa::path(put, path = "/v1/conversations/{id}/read", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation")),
    request_body = MarkMessagesAsReadBody,
    responses(
        (status = 204, description = "Read, now or before"),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 422, description = "`unknown-message`: not in this conversation, or not to be seen by the caller")),
    security(("bearer" = [])))]
pub(crate) async fn mark_messages_as_read(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    input: Input<MarkMessagesAsReadBody>,
) -> Answer {
    edge.command(input.cx, MarkMessagesAsRead { conversation, up_to: input.body.up_to }).await
}

#[cfg(test)]
mod tests {
    use cqrs_core::Position;
    use cqrs_core::testing::{Given, noon};

    use super::*;
    use crate::fixtures::{ANN, BOB, MSG, OTHER_ROOM, Participants as _, ROOM, given_room, sent, user};
    use crate::values::{Kind, MessageType, Role};

    fn marking(position: u64) -> Marking {
        let seen = SentMessage {
            position: Position(position),
            at: noon(),
            message_type: MessageType::Text,
            content: "hi".to_owned(),
            reply_to: None,
        };
        Marking { command: MarkMessagesAsRead { conversation: ROOM, up_to: MSG }, seen: Some(seen) }
    }

    fn read(position: u64) -> ReadMarkEvent {
        ReadMarkEvent::Read { conversation: ROOM, user: BOB, up_to: MSG, position }
    }

    fn given_bob_in() -> Given {
        given_room(Kind::Group).with(BOB, Role::Member)
    }

    #[test]
    fn a_mark_advances_and_never_goes_back() {
        let mark = ReadMark::id(ROOM, BOB);
        let given = || given_bob_in().message([sent(ROOM, ANN, "hi")]);
        let _ = given().when(user(BOB), &marking(7)).records::<ReadMark>(mark, [read(7)]);
        let _ = given().and::<ReadMark>(mark, [read(6)]).when(user(BOB), &marking(7)).records_in_all(1);
        let _ = given().and::<ReadMark>(mark, [read(7)]).when(user(BOB), &marking(7)).is_already();
        let _ = given().and::<ReadMark>(mark, [read(9)]).when(user(BOB), &marking(7)).is_already();
    }

    #[test]
    fn somebody_who_is_not_in_marks_nothing() {
        given_room(Kind::Group)
            .without(BOB)
            .message([sent(ROOM, ANN, "hi")])
            .when(user(BOB), &marking(7))
            .refused(MarkRefusal::NoSuchConversation);
    }

    #[test]
    fn a_message_that_is_absent_unseen_or_elsewhere_is_refused() {
        given_bob_in().when(user(BOB), &marking(7)).refused(MarkRefusal::NoSuchMessage);
        given_bob_in()
            .message([sent(OTHER_ROOM, ANN, "hi")])
            .when(user(BOB), &marking(7))
            .refused(MarkRefusal::NoSuchMessage);
        given_bob_in()
            .message([sent(ROOM, ANN, "hi")])
            .when(user(BOB), &Marking { seen: None, ..marking(7) })
            .refused(MarkRefusal::NoSuchMessage);
    }
}
