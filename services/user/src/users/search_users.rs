//! `GET /v1/users?search=`: who is called so.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::repository::WORDS;
use super::{GetUserByEmail, Place, UserCard, Users};

/// Asks who is called so: every word of the search occurs in the display name, in any script, whatever the case and
/// the accents. Whoever is disabled or gone isn't found.
#[derive(Debug, Clone)]
pub struct SearchUsers {
    /// What is looked for.
    pub search: String,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: Limit,
}

impl Query for SearchUsers {
    const NAME: &'static str = "user.search-users";
    const VIEWS: &'static [&'static str] = &["users"];
    type Answer = Page<UserCard>;
}

/// Answers [`SearchUsers`].
pub struct SearchUsersHandler {
    /// Where it looks.
    pub users: Users,
    /// Makes and reads its cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<SearchUsers> for SearchUsersHandler {
    async fn handle(&self, _: &Context, query: SearchUsers) -> Result<Page<UserCard>, Failure> {
        let mut words = parlor_text::terms(&query.search);
        words.truncate(WORDS);
        if words.is_empty() {
            return Err(Failure::invalid("search", "must have a letter, a digit or a symbol"));
        }
        let phrase = words.join(" ");
        // A cursor belongs to its search.
        let scope = format!("users:{phrase}");
        let after: Option<Place> =
            query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let found = self.users.find_by_name(&words, &phrase, after, query.limit.and_one()).await?;
        let shown = found.get(query.limit.get().saturating_sub(1));
        let next = match shown {
            Some((rank, last)) if found.len() > query.limit.get() => {
                let place = Place { rank: *rank, name: last.folded_name.clone(), id: last.id };
                Some(self.cursors.encode(&scope, &place)?)
            }
            _ => None,
        };
        let items = found.into_iter().take(query.limit.get()).map(|(_, user)| user.into()).collect();
        Ok(Page { items, next_cursor: next })
    }
}

/// What `GET /v1/users` can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersParams {
    /// Words of the display name, or parts of words.
    search: Option<String>,
    /// An e-mail address, instead of a search.
    email: Option<String>,
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Finds users by display name or by e-mail address.
///
/// Give either `search` or `email`. By address, administrators find anybody and others find themselves.
#[utoipa::path(
    get, path = "/v1/users", tag = "users",
    params(UsersParams),
    responses(
        (status = 200, description = "Who was found; the best matches first.", body = Page<UserCard>),
        (status = 422, description = "Neither or both were given, or a value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn find_users(State(edge): State<Edge>, ask: Asking<UsersParams>) -> Answer {
    let UsersParams { search, email, limit, cursor } = ask.params;
    match (search, email) {
        (Some(search), None) => edge.query(ask.cx, SearchUsers { search, cursor, limit }).await,
        (None, Some(email)) => edge.query(ask.cx, GetUserByEmail { email }).await,
        (None, None) => Err(Failure::invalid("search", "give search or email").into()),
        (Some(_), Some(_)) => Err(Failure::invalid("email", "give search or email, not both").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use uuid::Uuid;

    use crate::delete_user::DeleteUser;
    use crate::disable_user::DisableUser;
    use crate::testing::World;
    use crate::update_user_profile::UpdateUserProfile;

    async fn found(world: &World, search: &str) -> Vec<String> {
        let query = SearchUsers { search: search.to_owned(), cursor: None, limit: Limit::default() };
        let cx = World::cx(Actor::User(Uuid::from_u128(1)), &[]);
        let page = world.ask(&cx, query).await.expect("answered");
        page.items.into_iter().map(|user| user.display_name).collect()
    }

    async fn world_of(names: &[&str]) -> World {
        let world = World::new().await;
        for name in names {
            world.user(&serde_json::json!({ "displayName": name }).to_string()).await;
        }
        world
    }

    #[tokio::test]
    async fn names_of_any_script_are_found_by_their_beginnings_and_parts() {
        let world =
            world_of(&["Zoë Strauß", "李小龍", "김민수", "Ольга Їжак", "अनीता", "محمد", "สมชาย", "İpek"])
                .await;
        for (search, name) in [
            ("zoe", "Zoë Strauß"),
            ("STRAUSS", "Zoë Strauß"),
            ("trau oë", "Zoë Strauß"),
            ("小", "李小龍"),
            ("小龍", "李小龍"),
            ("민수", "김민수"),
            ("їж", "Ольга Їжак"),
            ("नीता", "अनीता"),
            ("حمد", "محمد"),
            ("ชาย", "สมชาย"),
            ("ipek", "İpek"),
        ] {
            assert_eq!(found(&world, search).await, [name], "{search}");
        }
        assert!(found(&world, "100%").await.is_empty());
        assert!(found(&world, "zoe nobody").await.is_empty());
    }

    #[tokio::test]
    async fn the_best_matches_come_first() {
        let world = world_of(&["Joanna", "Beth Anne", "Zed Ann", "Anna", "Ann Zimmer", "Hannah"]).await;
        assert_eq!(
            found(&world, "ann").await,
            ["Ann Zimmer", "Anna", "Beth Anne", "Zed Ann", "Hannah", "Joanna"]
        );
    }

    #[tokio::test]
    async fn pages_follow_one_another_without_gap_or_repeat() {
        let names: Vec<String> =
            (0..25).map(|n| format!("Ann {n:02}")).chain((0..6).map(|_| "Anna".to_owned())).collect();
        let world = world_of(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let cx = World::cx(Actor::User(Uuid::from_u128(1)), &[]);
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let limit = Limit::new(7).expect("allowed");
            let page = world
                .ask(&cx, SearchUsers { search: "ann".to_owned(), cursor, limit })
                .await
                .expect("a page");
            seen.extend(page.items.into_iter().map(|user| user.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((all, seen.len()), (31, 31));
    }

    #[tokio::test]
    async fn a_cursor_belongs_to_its_search() {
        let world = world_of(&["Ann A", "Ann B"]).await;
        let cx = World::cx(Actor::User(Uuid::from_u128(1)), &[]);
        let one = Limit::new(1).expect("allowed");
        let page = world
            .ask(&cx, SearchUsers { search: "ann".into(), cursor: None, limit: one })
            .await
            .expect("a page");
        let other = SearchUsers { search: "a".into(), cursor: page.next_cursor, limit: one };
        assert!(
            matches!(world.ask(&cx, other).await, Err(Failure::Refused(refused)) if refused.code == "invalid-value")
        );
    }

    #[tokio::test]
    async fn who_is_renamed_is_found_by_the_new_name_and_who_is_gone_by_none() {
        let world = world_of(&[]).await;
        let ann = world.user(r#"{"displayName":"Ann"}"#).await;
        let bob = world.user(r#"{"displayName":"Bob"}"#).await;
        let eve = world.user(r#"{"displayName":"Eve"}"#).await;
        world.send_json::<UpdateUserProfile>(ann, r#"{"displayName":"Anaïs"}"#).await;
        world.send(&World::cx(Actor::System, &[]), DisableUser { user: bob }).await.expect("disabled");
        world.send(&World::cx(Actor::User(eve), &[]), DeleteUser).await.expect("deleted");
        assert_eq!(found(&world, "anais").await, ["Anaïs"]);
        for nobody in ["ann", "bob", "eve"] {
            assert!(found(&world, nobody).await.is_empty(), "{nobody}");
        }
    }
}
