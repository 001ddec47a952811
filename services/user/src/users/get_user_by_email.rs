//! `GET /v1/users?email=`: whose an address is. Its route is that of [`search_users`](super::search_users).

use async_trait::async_trait;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::Page;

use super::{UserCard, Users};
use crate::access;

/// Asks whose an address is.
#[derive(Debug, Clone)]
pub struct GetUserByEmail {
    /// The address, in any case and width.
    pub email: String,
}

impl Query for GetUserByEmail {
    const NAME: &'static str = "user.get-user-by-email";
    const VIEWS: &'static [&'static str] = &["users"];
    type Answer = Page<UserCard>;
}

/// Answers [`GetUserByEmail`]: an administrator learns of everybody with the address (applications may give several
/// users one), anybody else of themselves or of nobody, whether or not somebody has it.
pub struct GetUserByEmailHandler(pub Users);

#[async_trait]
impl QueryHandler<GetUserByEmail> for GetUserByEmailHandler {
    async fn handle(&self, cx: &Context, query: GetUserByEmail) -> Result<Page<UserCard>, Failure> {
        let found = self.0.find_by_email(&query.email).await?;
        let may_know = |id| access::administers(cx) || cx.actor.user() == Some(id);
        let items = found.into_iter().filter(|user| may_know(user.id)).map(UserCard::from).collect();
        Ok(Page { items, next_cursor: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;

    use crate::testing::World;

    #[tokio::test]
    async fn an_address_leads_administrators_to_anybody_and_others_to_themselves() {
        let world = World::new().await;
        let ann = world.user(r#"{"displayName":"Ann","email":"Ann@Example.org"}"#).await;
        let bob = world.user(r#"{"displayName":"Bob"}"#).await;
        let whose = |actor, roles: &'static [&'static str]| {
            let query = GetUserByEmail { email: "ann@example.ORG".to_owned() };
            let world = &world;
            async move {
                let page = world.ask(&World::cx(Actor::User(actor), roles), query).await.expect("answered");
                page.items.into_iter().map(|user| user.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(whose(bob, &["admin"]).await, [ann]);
        assert_eq!(whose(ann, &[]).await, [ann]);
        assert!(whose(bob, &[]).await.is_empty());
    }
}
