//! `POST /v1/conversations`: somebody begins a conversation.
//! Records `conversation.created` and a `participant.added` for each first member, public as
//! `conversation-created.v1` and `participant-added.v1`; shown by `conversations` and `timeline`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{
    Aggregate as _, Command, CommandHandler, Committed, Context, Decide, Decision, Executor, Failure,
    Personal, Reads, Refusal, RefusalKind, Reply, State,
};
use cqrs_http::{Answer, Edge, Input};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent, direct_conversation_id};
use crate::conversations::{ConversationAnswer, Conversations};
use crate::membership::{Membership, MembershipEvent};
use crate::people::{self, People};
use crate::values::{History, Kind, Role, Title, caller};

/// The most participants a conversation can begin with, its creator among them; more are added one by one.
pub const MOST_AT_FIRST: usize = 500;

/// What is to begin.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateConversationBody {
    /// Direct, between two, or a group.
    pub kind: Kind,
    /// Who is in it besides the caller, whom one may name or leave out. At most 500 in all.
    pub participants: Vec<Uuid>,
    /// What the group is called.
    #[serde(default)]
    pub title: Option<Title>,
    /// What people who join later see of what was said before; `since-joining` unless said otherwise.
    #[serde(default)]
    pub history: History,
}

/// Begins a conversation.
#[derive(Debug, Clone)]
pub struct CreateConversation(pub CreateConversationBody);

impl Command for CreateConversation {
    const NAME: &'static str = "chat.create-conversation";
    const VIEWS: &'static [&'static str] = &[people::VIEW];
}

/// Why nothing began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateRefusal {
    /// Applications and operators take no part in conversations.
    #[error("only users begin conversations")]
    NotAUser,
    /// A direct conversation is between two.
    #[error("a direct conversation is between the caller and exactly one other")]
    NotTwo,
    /// A direct conversation is called by the other's name.
    #[error("a direct conversation has no title")]
    TitleOfDirect,
    /// Too many at once.
    #[error("a conversation begins with at most {MOST_AT_FIRST} participants; add the others afterwards")]
    TooMany,
    /// Somebody named is no user, or none any more.
    #[error("somebody among the participants is unknown")]
    UnknownParticipant,
    /// The two have one; the handler looks it up, and asks again.
    #[error("these two have a conversation")]
    BegunBefore,
}

const BEGUN_BEFORE: &str = "conversation-begun-before";

impl Refusal for CreateRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAUser => "forbidden",
            Self::NotTwo | Self::TitleOfDirect | Self::TooMany => "invalid-value",
            Self::UnknownParticipant => "unknown-participant",
            Self::BegunBefore => BEGUN_BEFORE,
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAUser => RefusalKind::Forbidden,
            Self::NotTwo | Self::TitleOfDirect | Self::TooMany | Self::UnknownParticipant => {
                RefusalKind::Invalid
            }
            Self::BegunBefore => RefusalKind::Conflict,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::NotTwo | Self::TooMany | Self::UnknownParticipant => Some("/participants"),
            Self::TitleOfDirect => Some("/title"),
            Self::NotAUser | Self::BegunBefore => None,
        }
    }
}

/// The decision, with what was looked up for it.
struct Creating {
    id: Uuid,
    body: CreateConversationBody,
    /// Who is in it besides the caller.
    others: BTreeSet<Uuid>,
    /// Whether all of them are users.
    known: bool,
    /// The direct conversation that there is, as the caller sees it.
    before: Option<ConversationAnswer>,
}

impl Creating {
    fn new(cx: &Context, body: CreateConversationBody) -> Self {
        let me = caller(cx);
        let others: BTreeSet<_> = body.participants.iter().copied().filter(|who| *who != me).collect();
        let id = match (body.kind, others.first()) {
            (Kind::Direct, Some(other)) => direct_conversation_id(me, *other),
            _ => cx.fresh_id(0),
        };
        Self { id, body, others, known: false, before: None }
    }

    /// The conversation at its beginning.
    fn answer(&self, me: Uuid, at: jiff::Timestamp) -> ConversationAnswer {
        ConversationAnswer {
            id: self.id,
            kind: self.body.kind,
            title: self.body.title.as_ref().map(|title| title.as_str().to_owned()),
            history: self.body.history,
            created_by: me,
            participants: std::iter::once(me)
                .chain(self.others.iter().copied())
                .take(ConversationAnswer::MOST_NAMED)
                .collect(),
            participant_count: self.others.len() as u64 + 1,
            last_message: None,
            unread_count: 0,
            updated_at: at,
            created_at: at,
        }
    }

    fn check(&self, me: Uuid) -> Result<(), CreateRefusal> {
        if me.is_nil() {
            return Err(CreateRefusal::NotAUser);
        }
        if self.body.kind == Kind::Direct && self.others.len() != 1 {
            return Err(CreateRefusal::NotTwo);
        }
        if self.body.kind == Kind::Direct && self.body.title.is_some() {
            return Err(CreateRefusal::TitleOfDirect);
        }
        if self.others.len() >= MOST_AT_FIRST {
            return Err(CreateRefusal::TooMany);
        }
        Ok(())
    }
}

impl Decide for Creating {
    type Answer = ConversationAnswer;
    type Refusal = CreateRefusal;

    fn reads(&self, _: &Context) -> Reads {
        match self.body.kind {
            Kind::Direct => Reads::of::<Conversation>(self.id),
            Kind::Group => Reads::none(),
        }
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<ConversationAnswer>, CreateRefusal> {
        let me = caller(cx);
        self.check(me)?;
        if self.body.kind == Kind::Direct && state.version::<Conversation>(self.id) > 0 {
            return match &self.before {
                Some(answer) => Ok(Decision::already(answer.clone())),
                None => Err(CreateRefusal::BegunBefore),
            };
        }
        if !self.known {
            return Err(CreateRefusal::UnknownParticipant);
        }
        let CreateConversationBody { kind, history, .. } = self.body;
        let title = self.body.title.as_ref().map(|title| Personal::new(me, title.as_str().to_owned()));
        let answer = self.answer(me, cx.now);
        let decision = Decision::answering(move |done: &Committed| ConversationAnswer {
            updated_at: done.at,
            created_at: done.at,
            ..answer.clone()
        });
        let created = ConversationEvent::Created { kind, title: title.clone(), history, creator: me };
        let decision = match kind {
            Kind::Direct => decision.record::<Conversation>(self.id, created),
            Kind::Group => decision.record_new::<Conversation>(self.id, created),
        };
        let members = std::iter::once(&me).chain(&self.others);
        Ok(members.fold(decision.created(), |decision, who| {
            let role = if kind == Kind::Group && *who == me { Role::Admin } else { Role::Member };
            let (conversation, user, title) = (self.id, *who, title.clone());
            let added = MembershipEvent::Added { conversation, user, role, kind, title, history };
            // Nobody was in what there was not: these streams can't exist, and needn't be looked for.
            decision.record_new::<Membership>(Membership::id(conversation, user), added)
        }))
    }
}

/// Carries [`CreateConversation`] out.
pub struct CreateConversationHandler {
    /// Decides.
    pub executor: Executor,
    /// Knows who there is.
    pub people: People,
    /// Shows the direct conversation that there is.
    pub conversations: Conversations,
}

impl CreateConversationHandler {
    /// The conversation that two have, as the caller sees it; as it began, while no view shows it.
    async fn begun_before(&self, cx: &Context, creating: &Creating) -> Result<ConversationAnswer, Failure> {
        match self.conversations.seen_by(caller(cx), creating.id).await {
            Ok(Some(seen)) => return Ok(seen.answer),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a conversation is answered without its view"),
        }
        let events = self.executor.log().read_stream(Conversation::stream(creating.id), 0).await?;
        Ok(creating.answer(caller(cx), events.first().map_or(cx.now, |first| first.at)))
    }
}

#[async_trait]
impl CommandHandler<CreateConversation> for CreateConversationHandler {
    async fn handle(&self, cx: &Context, command: CreateConversation) -> Result<Reply, Failure> {
        let mut creating = Creating::new(cx, command.0);
        creating.check(caller(cx))?;
        let others: Vec<_> = creating.others.iter().copied().collect();
        creating.known = self.people.active_by_now(cx, &others).await?.len() == others.len();
        match self.executor.run(cx, &creating).await {
            Err(Failure::Refused(refused)) if refused.code == BEGUN_BEFORE => {
                creating.before = Some(self.begun_before(cx, &creating).await?);
                self.executor.run(cx, &creating).await
            }
            result => result,
        }
    }
}

/// Begins a conversation
///
/// The caller is in it; a group's creator is its admin. Two people have one direct conversation: asked for again, by
/// either, it is the one that there is, with 200 instead of 201.
#[utoipa::path(post, path = "/v1/conversations", tag = "chat",
    request_body = CreateConversationBody,
    responses(
        (status = 201, description = "Begun", body = ConversationAnswer),
        (status = 200, description = "The direct conversation that the two have", body = ConversationAnswer),
        (status = 403, description = "Only users begin conversations"),
        (status = 422, description = "`unknown-participant`, or an invalid value")),
    security(("bearer" = [])))]
pub(crate) async fn create_conversation(
    Shared(edge): Shared<Edge>,
    input: Input<CreateConversationBody>,
) -> Answer {
    edge.command(input.cx, CreateConversation(input.body)).await
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;
    use cqrs_core::testing::{Then, context, given, given_nothing};

    use super::*;
    use crate::fixtures::{ANN, BOB, CID, user};

    fn body(kind: Kind, participants: &[Uuid]) -> CreateConversationBody {
        let history = History::SinceJoining;
        CreateConversationBody { kind, participants: participants.to_vec(), title: None, history }
    }

    fn creating(body: CreateConversationBody) -> Creating {
        Creating { known: true, ..Creating::new(&context(user(ANN)), body) }
    }

    fn when_ann(creating: &Creating) -> Then<Creating> {
        given_nothing().when(user(ANN), creating)
    }

    #[test]
    fn a_group_has_its_creator_as_admin_and_the_others_as_members() {
        let crew = creating(CreateConversationBody {
            title: Some(Title::try_from("Crew".to_owned()).unwrap()),
            ..body(Kind::Group, &[BOB, CID, BOB])
        });
        let then = when_ann(&crew);
        let answer = then.answer();
        assert_eq!((answer.participants, answer.participant_count), (vec![ANN, BOB, CID], 3));
        assert_eq!(answer.title.as_deref(), Some("Crew"));
        let added = |who, role| MembershipEvent::Added {
            conversation: crew.id,
            user: who,
            role,
            kind: Kind::Group,
            title: Some(Personal::new(ANN, "Crew".to_owned())),
            history: History::SinceJoining,
        };
        let _ = then
            .records_in_all(4)
            .records::<Membership>(Membership::id(crew.id, ANN), [added(ANN, Role::Admin)])
            .records::<Membership>(Membership::id(crew.id, CID), [added(CID, Role::Member)]);
    }

    #[test]
    fn a_direct_conversation_is_the_pairs_whoever_begins_it() {
        let of_ann = creating(body(Kind::Direct, &[BOB]));
        let of_bob = Creating::new(&context(user(BOB)), body(Kind::Direct, &[ANN, BOB]));
        assert_eq!(of_ann.id, of_bob.id);
        let _ = when_ann(&of_ann).records_in_all(3);
    }

    #[test]
    fn a_second_direct_conversation_between_two_is_the_first() {
        let created = ConversationEvent::Created {
            kind: Kind::Direct,
            title: None,
            history: History::SinceJoining,
            creator: BOB,
        };
        let mut again = creating(body(Kind::Direct, &[BOB]));
        let begun = given::<Conversation>(again.id, [created.clone()]);
        begun.when(user(ANN), &again).refused(CreateRefusal::BegunBefore);
        again.before =
            Some(ConversationAnswer { created_by: BOB, ..again.answer(ANN, context(user(ANN)).now) });
        // It is the first even if the other's account has ended since.
        again.known = false;
        let then = given::<Conversation>(again.id, [created]).when(user(ANN), &again).is_already();
        assert_eq!(then.answer().created_by, BOB);
    }

    #[test]
    fn a_direct_conversation_has_exactly_two_and_no_title() {
        for others in [&[][..], &[ANN], &[BOB, CID]] {
            when_ann(&creating(body(Kind::Direct, others))).refused(CreateRefusal::NotTwo);
        }
        let titled = CreateConversationBody {
            title: Some(Title::try_from("Us".to_owned()).unwrap()),
            ..body(Kind::Direct, &[BOB])
        };
        when_ann(&creating(titled)).refused(CreateRefusal::TitleOfDirect);
    }

    #[test]
    fn a_group_begins_with_at_most_five_hundred() {
        let others: Vec<_> = (1..=500).map(Uuid::from_u128).collect();
        let _ = when_ann(&creating(body(Kind::Group, &others[..499]))).records_in_all(501);
        when_ann(&creating(body(Kind::Group, &others))).refused(CreateRefusal::TooMany);
        let _ = when_ann(&creating(body(Kind::Group, &[]))).records_in_all(2);
    }

    #[test]
    fn somebody_unknown_is_named() {
        let unknown = Creating { known: false, ..creating(body(Kind::Group, &[BOB])) };
        when_ann(&unknown).refused(CreateRefusal::UnknownParticipant);
    }

    #[test]
    fn an_application_begins_nothing() {
        let group = creating(body(Kind::Group, &[BOB]));
        for actor in [Actor::System, Actor::Service(BOB), Actor::Anonymous] {
            given_nothing().when(actor, &group).refused(CreateRefusal::NotAUser);
        }
    }
}
