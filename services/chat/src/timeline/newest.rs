//! The newest messages of a conversation: what everybody reads who opens it. Remembered for all who see them alike.

use std::sync::Arc;

use cqrs_core::{Failure, Query as _, RowExt as _, StoreError, params};
use cqrs_http::{Cursors, Limit, Page, Rendered};
use cqrs_sql::AnswerKey;
use uuid::Uuid;

use super::get_conversation_messages::{GetConversationMessages, MessageItem, Place, SeenMessage};
use super::{Timeline, sql};
use crate::touched;

/// A page of a conversation's newest messages.
struct Newest {
    /// The position of the oldest message that was read for it: who has been in since before that sees the same page.
    oldest: u64,
    page: Rendered<Page<MessageItem>>,
}

fn key_of_page(conversation: Uuid, limit: Limit) -> AnswerKey {
    let question = GetConversationMessages::NAME;
    AnswerKey { question, of: conversation, by: Uuid::nil(), limit: limit.get() }
}

fn key_of_stay(viewer: Uuid, conversation: Uuid) -> AnswerKey {
    AnswerKey { question: "stay", of: conversation, by: viewer, limit: 0 }
}

impl Timeline {
    /// The page of the newest messages, where all of it lies in the viewer's present stay. `None` where it doesn't, or where
    /// they aren't in the conversation.
    pub(super) async fn newest(
        &self,
        viewer: Uuid,
        conversation: Uuid,
        limit: Limit,
        cursors: &Cursors,
    ) -> Result<Option<Rendered<Page<MessageItem>>>, Failure> {
        if let Some(newest) = self.0.views().recall::<Newest>(&key_of_page(conversation, limit))
            && let Some(since) = self.since(viewer, conversation).await?
            && since < newest.oldest
        {
            return Ok(Some(newest.page.clone()));
        }
        self.read_newest(viewer, conversation, limit, cursors).await
    }

    /// Since when the viewer has been in the conversation; `None` if they aren't.
    async fn since(&self, viewer: Uuid, conversation: Uuid) -> Result<Option<u64>, StoreError> {
        let (views, key) = (self.0.views(), key_of_stay(viewer, conversation));
        if let Some(since) = views.recall::<u64>(&key) {
            return Ok(Some(*since));
        }
        let mut watch = views.watch();
        if let Some(watch) = &mut watch {
            watch.on([touched::in_room(conversation, viewer)]);
        }
        let found = self.0.rows(sql::SINCE, params![viewer, conversation], |row| row.get::<u64>(0)).await?;
        let since = found.into_iter().next();
        if let (Some(since), Some(watch)) = (since, watch)
            && let Some(settled) = views.settled(&[super::VIEW]).await
        {
            views.remember(&settled, key, watch, Arc::new(since), size_of::<u64>());
        }
        Ok(since)
    }

    async fn read_newest(
        &self,
        viewer: Uuid,
        conversation: Uuid,
        limit: Limit,
        cursors: &Cursors,
    ) -> Result<Option<Rendered<Page<MessageItem>>>, Failure> {
        let views = self.0.views();
        let watches = views.watch().zip(views.watch()).map(|(mut page, mut stay)| {
            page.on([conversation]);
            stay.on([touched::in_room(conversation, viewer)]);
            (page, stay)
        });
        let params = params![viewer, conversation, limit.and_one()];
        let found = self.0.rows(sql::NEWEST, params, move |row| {
            Ok((SeenMessage::from_row(row, conversation)?, row.get::<u64>(9)?, row.get::<u64>(10)?))
        });
        let found = found.await?;
        let Some((oldest, ordinal, since)) = found.last().map(|(seen, n, since)| (seen.position, *n, *since))
        else {
            return Ok(None);
        };
        // Older ones may have been sent in an earlier stay.
        if found.len() <= limit.get() && ordinal > 1 {
            return Ok(None);
        }
        let seen = found.into_iter().map(|(seen, ..)| seen).collect();
        let scope = super::get_conversation_messages::scope(conversation);
        let next = |last: &SeenMessage| Place::Before(last.position);
        let page = crate::paging::page(seen, limit, cursors, &scope, next)?;
        let page = Rendered::new(&page.map(|seen| seen.item))?;
        if let Some((of_page, of_stay)) = watches
            && let Some(settled) = views.settled(&[super::VIEW]).await
        {
            let bytes = page.json().len();
            let newest = Arc::new(Newest { oldest, page: page.clone() });
            views.remember(&settled, key_of_page(conversation, limit), of_page, newest, bytes);
            let key = key_of_stay(viewer, conversation);
            views.remember(&settled, key, of_stay, Arc::new(since), size_of::<u64>());
        }
        Ok(Some(page))
    }
}
