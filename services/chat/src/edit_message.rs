//! `PATCH /v1/conversations/{id}/messages/{messageId}`: an author puts a message in other words.
//! Records `message.edited`; public as `message-edited.v1`; shown by `timeline`; pushed by `live`.

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

use crate::membership::{Membership, Stays};
use crate::message::{Message, MessageAnswer, MessageEvent, SentMessage};
use crate::values::{Content, caller};

/// The new words.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditMessageBody {
    /// The text.
    pub content: Content,
}

/// Puts a message in other words.
#[derive(Debug, Clone)]
pub struct EditMessage {
    /// Where it was said.
    pub conversation: Uuid,
    /// The message.
    pub message: Uuid,
    /// The new words.
    pub content: Content,
}

impl Command for EditMessage {
    const NAME: &'static str = "chat.edit-message";
}

/// Why nothing was edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// No such message, none any more, or none that the caller can see.
    #[error("there is no such message")]
    NoSuchMessage,
    /// Somebody else said it.
    #[error("only its author may edit a message")]
    NotTheAuthor,
}

impl Refusal for EditRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchMessage => "not-found",
            Self::NotTheAuthor => "not-the-author",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchMessage => RefusalKind::NotFound,
            Self::NotTheAuthor => RefusalKind::Forbidden,
        }
    }
}

/// The decision, with the message as the log has it; `None` if the caller can't have seen one.
struct Editing {
    command: EditMessage,
    seen: Option<SentMessage>,
}

impl Decide for Editing {
    type Answer = MessageAnswer;
    type Refusal = EditRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let EditMessage { conversation, message, .. } = &self.command;
        Reads::of::<Message>(*message).and::<Membership>(Membership::id(*conversation, caller(cx)))
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<MessageAnswer>, EditRefusal> {
        let (me, EditMessage { conversation, message: id, content }) = (caller(cx), self.command.clone());
        let message: &Message = state.get(id);
        let is_in = state.get::<Membership>(Membership::id(conversation, me)).is_in();
        let (true, Some(sent)) = (is_in && message.conversation == conversation, &self.seen) else {
            return Err(EditRefusal::NoSuchMessage);
        };
        if message.deleted {
            return Err(EditRefusal::NoSuchMessage);
        }
        if message.sender != me {
            return Err(EditRefusal::NotTheAuthor);
        }
        let event = MessageEvent::Edited {
            conversation,
            sender: me,
            position: sent.position.0,
            sent_at: sent.at,
            message_type: sent.message_type,
            content: Personal::new(me, content.as_str().to_owned()),
            reply_to: sent.reply_to,
        };
        let answer = MessageAnswer {
            id,
            conversation_id: conversation,
            sender_id: me,
            r#type: sent.message_type,
            content: content.into(),
            reply_to: sent.reply_to,
            position: sent.position.to_string(),
            created_at: sent.at,
            edited_at: None,
        };
        let answered = move |done: &Committed| MessageAnswer { edited_at: Some(done.at), ..answer.clone() };
        Ok(Decision::answering(answered).record::<Message>(id, event))
    }
}

/// Carries [`EditMessage`] out.
pub struct EditMessageHandler(pub Executor);

#[async_trait]
impl CommandHandler<EditMessage> for EditMessageHandler {
    async fn handle(&self, cx: &Context, command: EditMessage) -> Result<Reply, Failure> {
        let stays = Stays::load(&self.0, command.conversation, caller(cx)).await?;
        let sent = SentMessage::load(&self.0, command.message).await?;
        let seen = sent.filter(|sent| stays.cover(sent.position));
        self.0.run(cx, &Editing { command, seen }).await
    }
}

/// Edits a message
///
/// Its author may. Members who were away see the words of before until they are edited again.
#[utoipa::path(patch, path = "/v1/conversations/{id}/messages/{messageId}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"),
        ("messageId" = Uuid, Path, description = "The message")),
    request_body = EditMessageBody,
    responses(
        (status = 200, description = "Edited", body = MessageAnswer),
        (status = 403, description = "`not-the-author`: somebody else said it"),
        (status = 404, description = "No such message, or none that the caller can see"),
        (status = 412, description = "`version-mismatch`: it was edited meanwhile"),
        (status = 422, description = "An invalid value")),
    security(("bearer" = [])))]
pub(crate) async fn edit_message(
    Shared(edge): Shared<Edge>,
    PathId((conversation, message)): PathId<(Uuid, Uuid)>,
    input: Input<EditMessageBody>,
) -> Answer {
    edge.command(input.cx, EditMessage { conversation, message, content: input.body.content }).await
}

#[cfg(test)]
mod tests {
    use cqrs_core::Position;
    use cqrs_core::testing::noon;

    use super::*;
    use crate::fixtures::{
        ANN, BOB, MSG, OTHER_ROOM, Participants as _, ROOM, deleted, given_room, sent, user,
    };
    use crate::values::{Kind, MessageType, Role};

    fn editing() -> Editing {
        let content = Content::try_from("better".to_owned()).unwrap();
        let seen = SentMessage {
            position: Position(7),
            at: noon(),
            message_type: MessageType::Text,
            content: "good".to_owned(),
            reply_to: None,
        };
        Editing { command: EditMessage { conversation: ROOM, message: MSG, content }, seen: Some(seen) }
    }

    #[test]
    fn an_author_edits_and_the_message_keeps_its_place() {
        let given = given_room(Kind::Group).with(BOB, Role::Member).message([sent(ROOM, BOB, "good")]);
        let then = given.when(user(BOB), &editing());
        let answer = then.answer();
        assert_eq!((answer.position.as_str(), answer.content.as_str()), ("7", "better"));
        assert_eq!(answer.edited_at, Some(noon()));
        let edited = MessageEvent::Edited {
            conversation: ROOM,
            sender: BOB,
            position: 7,
            sent_at: noon(),
            message_type: MessageType::Text,
            content: Personal::new(BOB, "better".to_owned()),
            reply_to: None,
        };
        then.records_in_all(1).records::<Message>(MSG, [edited]);
    }

    #[test]
    fn nobody_else_edits_not_even_an_admin() {
        given_room(Kind::Group)
            .with(ANN, Role::Admin)
            .message([sent(ROOM, BOB, "good")])
            .when(user(ANN), &editing())
            .refused(EditRefusal::NotTheAuthor);
    }

    #[test]
    fn an_author_who_left_edits_no_more() {
        given_room(Kind::Group)
            .without(BOB)
            .message([sent(ROOM, BOB, "good")])
            .when(user(BOB), &editing())
            .refused(EditRefusal::NoSuchMessage);
    }

    #[test]
    fn a_message_that_is_absent_deleted_unseen_or_elsewhere_is_not_found() {
        let given = || given_room(Kind::Group).with(BOB, Role::Member);
        given().when(user(BOB), &editing()).refused(EditRefusal::NoSuchMessage);
        given()
            .message([sent(ROOM, BOB, "good"), deleted(BOB)])
            .when(user(BOB), &editing())
            .refused(EditRefusal::NoSuchMessage);
        given()
            .message([sent(OTHER_ROOM, BOB, "good")])
            .when(user(BOB), &editing())
            .refused(EditRefusal::NoSuchMessage);
        given()
            .message([sent(ROOM, ANN, "good")])
            .when(user(BOB), &Editing { seen: None, ..editing() })
            .refused(EditRefusal::NoSuchMessage);
    }
}
