//! `GET /v1/users/me/contacts`: who is on one's list.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::user::NoStanding;
use crate::users::{Place, UserCard, Users};

/// Asks who is on one's list, by name.
#[derive(Debug, Clone)]
pub struct GetUserContacts {
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: Limit,
}

impl Query for GetUserContacts {
    const NAME: &'static str = "user.get-user-contacts";
    const VIEWS: &'static [&'static str] = &["contacts", "users"];
    type Answer = Page<UserCard>;
}

/// Answers [`GetUserContacts`].
pub struct GetUserContactsHandler {
    /// Where it looks.
    pub users: Users,
    /// Makes and reads its cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<GetUserContacts> for GetUserContactsHandler {
    async fn handle(&self, cx: &Context, query: GetUserContacts) -> Result<Page<UserCard>, Failure> {
        let me = cx.actor.user().ok_or(NoStanding::NotAUser)?;
        let scope = format!("contacts:{me}");
        let after: Option<Place> =
            query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let found = self.users.contacts_of(me, after, query.limit.and_one()).await?;
        let next = match found.get(query.limit.get().saturating_sub(1)) {
            Some(last) if found.len() > query.limit.get() => {
                let place = Place { rank: 0, name: last.folded_name.clone(), id: last.id };
                Some(self.cursors.encode(&scope, &place)?)
            }
            _ => None,
        };
        let items = found.into_iter().take(query.limit.get()).map(UserCard::from).collect();
        Ok(Page { items, next_cursor: next })
    }
}

/// What one's list can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContactsParams {
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// One's contacts, by name.
#[utoipa::path(
    get, path = "/v1/users/me/contacts", tag = "users",
    params(ContactsParams),
    responses(
        (status = 200, description = "Who is on the list.", body = Page<UserCard>),
        (status = 403, description = "The caller is no user."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_user_contacts(State(edge): State<Edge>, ask: Asking<ContactsParams>) -> Answer {
    let ContactsParams { limit, cursor } = ask.params;
    edge.query(ask.cx, GetUserContacts { cursor, limit }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;

    use crate::add_user_contact::AddUserContact;
    use crate::remove_user_contact::RemoveUserContact;
    use crate::testing::World;

    #[tokio::test]
    async fn ones_list_is_shown_by_name_in_pages_and_to_nobody_else() {
        let world = World::new().await;
        let ann = world.user(r#"{"displayName":"Ann"}"#).await;
        let mut others = Vec::new();
        for name in ["Éva", "dan", "Cy", "Bob"] {
            others.push(world.user(&serde_json::json!({ "displayName": name }).to_string()).await);
        }
        let cx = World::cx(Actor::User(ann), &[]);
        for contact in &others {
            world.send(&cx, AddUserContact { contact: *contact }).await.expect("added");
        }
        world.send(&cx, RemoveUserContact { contact: others[2] }).await.expect("removed");
        let two = Limit::new(2).expect("allowed");
        let first = world.ask(&cx, GetUserContacts { cursor: None, limit: two }).await.expect("a page");
        let second = world
            .ask(&cx, GetUserContacts { cursor: first.next_cursor.clone(), limit: two })
            .await
            .expect("a page");
        let names = |page: &Page<UserCard>| {
            page.items.iter().map(|user| user.display_name.clone()).collect::<Vec<_>>()
        };
        assert_eq!((names(&first), names(&second)), (vec!["Bob".into(), "dan".into()], vec!["Éva".into()]));
        assert_eq!(second.next_cursor, None);

        let bob = World::cx(Actor::User(others[3]), &[]);
        let his = world.ask(&bob, GetUserContacts { cursor: None, limit: two }).await.expect("a page");
        assert!(his.items.is_empty());
        // Nor does Ann's cursor open Ann's list to Bob.
        let stolen = world.ask(&bob, GetUserContacts { cursor: first.next_cursor, limit: two }).await;
        assert!(stolen.is_err());
    }
}
