//! `POST /v1/conversations/{id}/typing`: somebody is typing. Told to those connected, and recorded nowhere.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use cqrs_core::Failure;
use cqrs_http::{Answer, Input, NoBody, PathId};
use uuid::Uuid;

use super::event::LiveEvent;
use super::note::Word;
use super::rates::Rate;
use super::told::{Passing, SomebodyTyping};
use super::{Inner, Live};
use crate::membership::Membership;

/// Clients say it every few seconds; somebody may change from one conversation to the next.
pub(super) const RATE: Rate = Rate::new(1, 10);

impl Live {
    /// Tells the others in the conversation that somebody is typing. Whether they are in it is asked of the log, each time:
    /// 404 if they aren't; 429 if it is too often.
    pub async fn typing(&self, user: Uuid, conversation: Uuid) -> Result<(), Failure> {
        let inner = &self.0;
        inner.typing_rates.check(user)?;
        let (_, membership) = inner.executor.state::<Membership>(Membership::id(conversation, user)).await?;
        if !membership.is_in() {
            return Err(Failure::not_found("there is no such conversation"));
        }
        inner.show_typing(conversation, user);
        inner.tell(Word::Typing { conversation, user });
        Ok(())
    }
}

impl Inner {
    /// Shows it to those connected to this process.
    pub(super) fn show_typing(&self, conversation: Uuid, user: Uuid) {
        let typing = SomebodyTyping { conversation_id: conversation, user_id: user };
        if let Ok(event) = LiveEvent::of(&Passing::Typing(typing), self.clock.now()) {
            self.hub.show(&event.into(), &self.hub.those_in(conversation, user));
        }
    }
}

/// Says that the caller is typing
///
/// The others in the conversation who are connected are told by a `typing` frame; nothing is recorded. Said again every few
/// seconds as long as it is so. WebSocket connections say it by a frame of their own.
#[utoipa::path(post, path = "/v1/conversations/{id}/typing", tag = "live",
    params(("id" = Uuid, Path, description = "The conversation")),
    responses(
        (status = 204, description = "Told"),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 429, description = "Too often")),
    security(("bearer" = [])))]
pub(crate) async fn tell_typing(
    Extension(live): Extension<Live>,
    PathId(conversation): PathId,
    input: Input<NoBody>,
) -> Answer {
    let user = input.ignoring_key().cx.actor.user();
    // Others are in no conversation.
    let user = user.ok_or_else(|| Failure::not_found("there is no such conversation"))?;
    live.typing(user, conversation).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
