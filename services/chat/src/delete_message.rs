//! `DELETE /v1/conversations/{id}/messages/{messageId}`: an author takes a message back, or an admin removes it.
//! Records `message.deleted`; public as `message-deleted.v1`; shown by `timeline`; pushed by `live`.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Executor, Failure, Reads, Refusal, RefusalKind,
    Reply, State,
};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::membership::{Membership, Stays};
use crate::message::{Message, MessageEvent, SentMessage};
use crate::values::caller;

/// Deletes a message.
#[derive(Debug, Clone, Copy)]
pub struct DeleteMessage {
    /// Where it was said.
    pub conversation: Uuid,
    /// The message.
    pub message: Uuid,
}

impl Command for DeleteMessage {
    const NAME: &'static str = "chat.delete-message";
}

/// Why nothing was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRefusal {
    /// No such message, or none that the caller can see.
    #[error("there is no such message")]
    NoSuchMessage,
    /// Neither author nor admin.
    #[error("only its author and the group's admins may delete a message")]
    NeitherAuthorNorAdmin,
}

impl Refusal for DeleteRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchMessage => "not-found",
            Self::NeitherAuthorNorAdmin => "not-the-author",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchMessage => RefusalKind::NotFound,
            Self::NeitherAuthorNorAdmin => RefusalKind::Forbidden,
        }
    }
}

/// The decision, with the message as the log has it; `None` if the caller can't have seen one.
struct Deleting {
    command: DeleteMessage,
    seen: Option<SentMessage>,
}

impl Decide for Deleting {
    type Answer = ();
    type Refusal = DeleteRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let DeleteMessage { conversation, message } = self.command;
        Reads::of::<Message>(message).and::<Membership>(Membership::id(conversation, caller(cx)))
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, DeleteRefusal> {
        let (me, DeleteMessage { conversation, message: id }) = (caller(cx), self.command);
        let (message, membership) =
            (state.get::<Message>(id), state.get::<Membership>(Membership::id(conversation, me)));
        let known = membership.is_in() && message.conversation == conversation;
        let (true, Some(sent)) = (known, &self.seen) else {
            return Err(DeleteRefusal::NoSuchMessage);
        };
        if message.sender != me && !membership.is_admin() {
            return Err(DeleteRefusal::NeitherAuthorNorAdmin);
        }
        if message.deleted {
            return Ok(Decision::already(()));
        }
        let event = MessageEvent::Deleted { conversation, sender: message.sender, position: sent.position.0 };
        Ok(Decision::done().record::<Message>(id, event))
    }
}

/// Carries [`DeleteMessage`] out.
pub struct DeleteMessageHandler(pub Executor);

#[async_trait]
impl CommandHandler<DeleteMessage> for DeleteMessageHandler {
    async fn handle(&self, cx: &Context, command: DeleteMessage) -> Result<Reply, Failure> {
        let stays = Stays::load(&self.0, command.conversation, caller(cx)).await?;
        let sent = SentMessage::load(&self.0, command.message).await?;
        let seen = sent.filter(|sent| stays.cover(sent.position));
        self.0.run(cx, &Deleting { command, seen }).await
    }
}

/// Deletes a message
///
/// Its author may, and in a group its admins. The content is gone for everybody; that there was a message remains.
#[utoipa::path(delete, path = "/v1/conversations/{id}/messages/{messageId}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"),
        ("messageId" = Uuid, Path, description = "The message")),
    responses(
        (status = 204, description = "Deleted, now or before"),
        (status = 403, description = "`not-the-author`: neither its author nor an admin"),
        (status = 404, description = "No such message, or none that the caller can see"),
        (status = 412, description = "`version-mismatch`: it was edited meanwhile")),
    security(("bearer" = [])))]
pub(crate) async fn delete_message(
    Shared(edge): Shared<Edge>,
    PathId((conversation, message)): PathId<(Uuid, Uuid)>,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, DeleteMessage { conversation, message }).await
}

#[cfg(test)]
mod tests {
    use cqrs_core::Position;
    use cqrs_core::testing::noon;

    use super::*;
    use crate::fixtures::{
        ANN, BOB, CID, MSG, OTHER_ROOM, Participants as _, ROOM, deleted, given_room, sent, user,
    };
    use crate::values::{Kind, MessageType, Role};

    fn deleting() -> Deleting {
        let seen = SentMessage {
            position: Position(1),
            at: noon(),
            message_type: MessageType::Text,
            content: "oops".to_owned(),
            reply_to: None,
        };
        Deleting { command: DeleteMessage { conversation: ROOM, message: MSG }, seen: Some(seen) }
    }

    #[test]
    fn an_author_takes_a_message_back_and_an_admin_removes_any() {
        for (who, role) in [(BOB, Role::Member), (ANN, Role::Admin)] {
            let given = given_room(Kind::Group).with(who, role).message([sent(ROOM, BOB, "oops")]);
            let _ = given.when(user(who), &deleting()).records::<Message>(MSG, [deleted(BOB)]);
        }
    }

    #[test]
    fn another_member_deletes_nothing() {
        given_room(Kind::Group)
            .with(CID, Role::Member)
            .message([sent(ROOM, BOB, "oops")])
            .when(user(CID), &deleting())
            .refused(DeleteRefusal::NeitherAuthorNorAdmin);
    }

    #[test]
    fn deleting_what_is_deleted_changes_nothing() {
        let given = given_room(Kind::Group).with(BOB, Role::Member);
        let given = given.message([sent(ROOM, BOB, "oops"), deleted(BOB)]);
        let _ = given.when(user(BOB), &deleting()).is_already();
    }

    #[test]
    fn a_message_that_is_absent_unseen_or_elsewhere_is_not_found() {
        let given = || given_room(Kind::Group).with(BOB, Role::Admin);
        given().when(user(BOB), &deleting()).refused(DeleteRefusal::NoSuchMessage);
        given()
            .message([sent(OTHER_ROOM, BOB, "oops")])
            .when(user(BOB), &deleting())
            .refused(DeleteRefusal::NoSuchMessage);
        given()
            .message([sent(ROOM, ANN, "oops")])
            .when(user(BOB), &Deleting { seen: None, ..deleting() })
            .refused(DeleteRefusal::NoSuchMessage);
    }

    #[test]
    fn an_author_who_left_deletes_no_more() {
        given_room(Kind::Group)
            .without(BOB)
            .message([sent(ROOM, BOB, "oops")])
            .when(user(BOB), &deleting())
            .refused(DeleteRefusal::NoSuchMessage);
    }
}
