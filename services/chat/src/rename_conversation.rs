//! `PATCH /v1/conversations/{id}`: an admin renames a group.
//! Records `conversation.renamed`; public as `conversation-renamed.v1`; shown by `conversations`.

use axum::extract::State as Shared;
use cqrs_core::{
    Command, Committed, Context, Decide, Decision, Personal, Reads, Refusal, RefusalKind, State,
};
use cqrs_http::{Answer, Edge, Input, PathId};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::Membership;
use crate::values::{History, Kind, Title, caller};

/// What is to change.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenameConversationBody {
    /// What the group is called from now on; null takes its title away, leaving it out changes nothing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Title>)]
    pub title: Option<Option<Title>>,
}

/// Tells null from absent.
#[expect(
    clippy::option_option,
    reason = "absent, null and a title are three things, and this is serde's form of them"
)]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Title>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Renames a group.
#[derive(Debug, Clone)]
pub struct RenameConversation {
    /// Which.
    pub conversation: Uuid,
    /// What is to change.
    pub body: RenameConversationBody,
}

impl Command for RenameConversation {
    const NAME: &'static str = "chat.rename-conversation";
}

/// Why nothing was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenameRefusal {
    /// No such conversation, or not one of the caller's.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// Direct conversations have no title.
    #[error("a direct conversation has no title")]
    Direct,
    /// The caller isn't an admin of the group.
    #[error("only the group's admins may rename it")]
    NotAnAdmin,
}

impl Refusal for RenameRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConversation => "not-found",
            Self::Direct => "direct-conversation",
            Self::NotAnAdmin => "not-an-admin",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchConversation => RefusalKind::NotFound,
            Self::Direct => RefusalKind::Conflict,
            Self::NotAnAdmin => RefusalKind::Forbidden,
        }
    }
}

/// A conversation's settings, as they are now. They are answered from the write side, which is why nothing of what
/// only views know (last message, unread count) is among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSettings {
    /// The conversation.
    pub id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// What it is called.
    pub title: Option<String>,
    /// What newcomers see.
    pub history: History,
    /// When this was so.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Decide for RenameConversation {
    type Answer = ConversationSettings;
    type Refusal = RenameRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        Reads::of::<Conversation>(self.conversation)
            .and::<Membership>(Membership::id(self.conversation, caller(cx)))
    }

    fn decide(
        &self,
        cx: &Context,
        state: &State<'_>,
    ) -> Result<Decision<ConversationSettings>, RenameRefusal> {
        let (me, id) = (caller(cx), self.conversation);
        let room: &Conversation = state.get(id);
        let membership: &Membership = state.get(Membership::id(id, me));
        if !membership.is_in() {
            return Err(RenameRefusal::NoSuchConversation);
        }
        if room.kind == Kind::Direct {
            return Err(RenameRefusal::Direct);
        }
        if !membership.is_admin() {
            return Err(RenameRefusal::NotAnAdmin);
        }
        let now = room.title_text();
        let title = match &self.body.title {
            Some(title) => title.as_ref().map(|title| title.as_str().to_owned()),
            None => now.clone(),
        };
        let (kind, history) = (room.kind, room.history);
        let changed = title != now;
        let event = ConversationEvent::Renamed { title: title.clone().map(|text| Personal::new(me, text)) };
        let decision = Decision::answering(move |done: &Committed| ConversationSettings {
            id,
            kind,
            title: title.clone(),
            history,
            updated_at: done.at,
        });
        Ok(if changed { decision.record::<Conversation>(id, event) } else { decision })
    }
}

/// Renames a group
///
/// Its admins may.
#[utoipa::path(patch, path = "/v1/conversations/{id}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation")),
    request_body = RenameConversationBody,
    responses(
        (status = 200, description = "The settings as they are now", body = ConversationSettings),
        (status = 403, description = "`not-an-admin`"),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 409, description = "`direct-conversation`: it has no title"),
        (status = 412, description = "`version-mismatch`: it was changed meanwhile"),
        (status = 422, description = "An invalid value")),
    security(("bearer" = [])))]
pub(crate) async fn rename_conversation(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    input: Input<RenameConversationBody>,
) -> Answer {
    edge.command(input.cx, RenameConversation { conversation, body: input.body }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ANN, BOB, Participants as _, ROOM, given_room, user};
    use crate::values::Role;

    fn renaming(body: &str) -> RenameConversation {
        RenameConversation { conversation: ROOM, body: serde_json::from_str(body).unwrap() }
    }

    #[test]
    fn an_admin_renames_a_group_and_takes_its_title_away() {
        let given = || given_room(Kind::Group).with(ANN, Role::Admin);
        let then = given().when(user(ANN), &renaming(r#"{"title": "Crew"}"#));
        assert_eq!(then.answer().title.as_deref(), Some("Crew"));
        let renamed = ConversationEvent::Renamed { title: Some(Personal::new(ANN, "Crew".to_owned())) };
        let _ = then.records::<Conversation>(ROOM, [renamed.clone()]);
        let named = || {
            cqrs_core::testing::given::<Conversation>(
                ROOM,
                [crate::fixtures::created(Kind::Group), renamed.clone()],
            )
            .with(ANN, Role::Admin)
        };
        let then = named().when(user(ANN), &renaming(r#"{"title": null}"#));
        let _ = then.records::<Conversation>(ROOM, [ConversationEvent::Renamed { title: None }]);
        let then = named().when(user(ANN), &renaming("{}")).is_already();
        assert_eq!(then.answer().title.as_deref(), Some("Crew"));
    }

    #[test]
    fn a_name_that_it_has_already_changes_nothing() {
        let given = given_room(Kind::Group).with(ANN, Role::Admin);
        let _ = given.when(user(ANN), &renaming(r#"{"title": null}"#)).is_already();
    }

    #[test]
    fn who_is_not_an_admin_or_not_in_renames_nothing() {
        let crew = renaming(r#"{"title": "Crew"}"#);
        given_room(Kind::Group)
            .with(BOB, Role::Member)
            .when(user(BOB), &crew)
            .refused(RenameRefusal::NotAnAdmin);
        given_room(Kind::Group)
            .without(BOB)
            .when(user(BOB), &crew)
            .refused(RenameRefusal::NoSuchConversation);
    }

    #[test]
    fn a_direct_conversation_has_no_title() {
        given_room(Kind::Direct)
            .with(ANN, Role::Member)
            .when(user(ANN), &renaming(r#"{"title": "Us"}"#))
            .refused(RenameRefusal::Direct);
    }
}
