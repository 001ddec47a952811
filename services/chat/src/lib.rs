//! Parlor's chat service: conversations, who is in them, what is said there, and how much of it one hasn't read.
//!
//! Everything that it handles is in the lists below; each entry is a file. Aggregates: [`conversation`] (its settings),
//! [`membership`], [`read_mark`], [`message`]. Views: [`conversations`], [`timeline`], [`search`], [`people`],
//! [`live::feed`]. Live delivery: [`live`], whose routes are [`live::routes`].

pub mod add_participant;
pub mod conversation;
pub mod conversations;
pub mod create_conversation;
pub mod delete_message;
pub mod edit_message;
#[cfg(test)]
mod fixtures;
pub mod live;
pub mod mark_messages_read;
pub mod membership;
pub mod message;
mod paging;
pub mod people;
pub mod problems;
pub mod publish;
pub mod read_mark;
pub mod remove_participant;
pub mod rename_conversation;
pub mod search;
pub mod send_message;
pub mod timeline;
mod touched;
pub mod values;

use std::sync::Arc;

use cqrs_core::{CommandBus, CommandBusBuilder, Projection, QueryBus, QueryBusBuilder};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::ServiceStore;
use utoipa_axum::routes;

use add_participant::{AddParticipant, AddParticipantHandler};
use conversations::get_conversation::{GetConversation, GetConversationHandler};
use conversations::get_conversations::{GetConversations, GetConversationsHandler};
use conversations::get_participants::{GetParticipants, GetParticipantsHandler};
use conversations::{Conversations, ConversationsProjection};
use create_conversation::{CreateConversation, CreateConversationHandler};
use delete_message::{DeleteMessage, DeleteMessageHandler};
use edit_message::{EditMessage, EditMessageHandler};
use live::feed::FeedProjection;
use mark_messages_read::{MarkMessagesAsRead, MarkMessagesAsReadHandler};
use people::{People, PeopleProjection};
use remove_participant::RemoveParticipant;
use rename_conversation::RenameConversation;
use search::search_messages::{SearchMessages, SearchMessagesHandler};
use search::{Search, SearchProjection};
use send_message::{SendMessage, SendMessageHandler};
use timeline::get_conversation_messages::{GetConversationMessages, GetConversationMessagesHandler};
use timeline::get_unread_counts::{GetUnreadCountsHandler, GetUnreadMessagesCount, GetUnreadMessagesCounts};
use timeline::{Timeline, TimelineProjection};

/// The service's name, and its log's. Its public events are the source `chat.public`.
pub const NAME: &str = "chat";

/// The tables beside the log, for SQLite and for PostgreSQL: live delivery's. All of chat's aggregates are event-sourced.
pub const WRITE_SCHEMA: Option<(&str, &str)> = Some((
    include_str!("../migrations/sqlite/beside.sql"),
    include_str!("../migrations/postgres/beside.sql"),
));

/// What the service is built on.
#[derive(Clone)]
pub struct Deps {
    /// Its log, views and executor.
    pub store: ServiceStore,
    /// Makes and reads the cursors of its pages.
    pub cursors: Cursors,
}

impl Deps {
    fn conversations(&self) -> Conversations {
        Conversations::new(self.store.views.clone())
    }
    fn timeline(&self) -> Timeline {
        Timeline::new(self.store.views.clone())
    }
    fn search(&self) -> Search {
        Search::new(self.store.views.clone())
    }
    fn people(&self) -> People {
        People::new(self.store.views.clone())
    }
}

/// The commands that it carries out.
pub fn commands(deps: &Deps) -> CommandBusBuilder {
    let executor = || deps.store.executor.clone();
    CommandBus::builder()
        .handle::<CreateConversation, _>(CreateConversationHandler {
            executor: executor(),
            people: deps.people(),
            conversations: deps.conversations(),
        })
        .decide::<RenameConversation>(&executor())
        .handle::<AddParticipant, _>(AddParticipantHandler { executor: executor(), people: deps.people() })
        .decide::<RemoveParticipant>(&executor())
        .handle::<SendMessage, _>(SendMessageHandler(executor()))
        .handle::<EditMessage, _>(EditMessageHandler(executor()))
        .handle::<DeleteMessage, _>(DeleteMessageHandler(executor()))
        .handle::<MarkMessagesAsRead, _>(MarkMessagesAsReadHandler(executor()))
}

/// The queries that it answers.
pub fn queries(deps: &Deps) -> QueryBusBuilder {
    let cursors = || deps.cursors.clone();
    QueryBus::builder()
        .answer::<GetConversations, _>(GetConversationsHandler {
            conversations: deps.conversations(),
            cursors: cursors(),
        })
        .answer::<GetConversation, _>(GetConversationHandler(deps.conversations()))
        .answer::<GetParticipants, _>(GetParticipantsHandler {
            conversations: deps.conversations(),
            cursors: cursors(),
        })
        .answer::<GetConversationMessages, _>(GetConversationMessagesHandler {
            timeline: deps.timeline(),
            cursors: cursors(),
        })
        .answer::<SearchMessages, _>(SearchMessagesHandler { search: deps.search(), cursors: cursors() })
        .answer::<GetUnreadMessagesCount, _>(GetUnreadCountsHandler(deps.timeline()))
        .answer::<GetUnreadMessagesCounts, _>(GetUnreadCountsHandler(deps.timeline()))
}

/// What keeps its views.
pub fn projections() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(PeopleProjection),
        Arc::new(ConversationsProjection),
        Arc::new(TimelineProjection),
        Arc::new(SearchProjection),
        Arc::new(FeedProjection),
    ]
}

/// What makes its events public.
pub fn publisher() -> publish::ChatPublisher {
    publish::ChatPublisher
}

/// Its routes, but for [`live::routes`].
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(
            create_conversation::create_conversation,
            conversations::get_conversations::get_conversations
        ))
        .routes(routes!(
            conversations::get_conversation::get_conversation,
            rename_conversation::rename_conversation
        ))
        .routes(routes!(conversations::get_participants::get_participants))
        .routes(routes!(add_participant::add_participant, remove_participant::remove_participant))
        .routes(routes!(
            send_message::send_message,
            timeline::get_conversation_messages::get_conversation_messages
        ))
        .routes(routes!(edit_message::edit_message, delete_message::delete_message))
        .routes(routes!(search::search_messages::search_messages))
        .routes(routes!(mark_messages_read::mark_messages_as_read))
        .routes(routes!(timeline::get_unread_counts::get_unread_messages_count))
        .routes(routes!(timeline::get_unread_counts::get_unread_messages_counts))
}
