//! Another process than auth's, which hears of it by its public events alone.

use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use cqrs_core::{Actor, EventHandler as _, EventSource, Projection, PublicSource};
use cqrs_sql::testing::TestStore;

use super::*;
use crate::display_name::DisplayName;
use crate::logout_user::LogoutUser;
use crate::publish::AuthPublisher;
use crate::testing::{PASSWORD, World};

struct Elsewhere {
    store: TestStore,
    source: Arc<dyn EventSource>,
}

impl Elsewhere {
    async fn new(world: &World) -> Self {
        let projections: Vec<Arc<dyn Projection>> = vec![Arc::new(AdmissionProjection)];
        let (log, keyring) = (world.auth.executor.log().clone(), world.auth.executor.keyring().clone());
        Self {
            store: TestStore::new("chat", projections, None).await.unwrap(),
            source: Arc::new(PublicSource::new(SOURCE, log, keyring, AuthPublisher)),
        }
    }

    /// The view takes in what there is.
    async fn keep(&self) {
        self.store.project(std::slice::from_ref(&self.source)).await.unwrap();
    }

    /// A process that starts now, with what the view holds.
    async fn start(&self, world: &World) -> (Admission, FollowsAdmission) {
        let admission = Admission::new(world.auth.token_settings(), &InstanceSecret::new([3; 32]));
        let store = &self.store.store;
        let keyring = world.auth.executor.keyring().clone();
        let handler =
            FollowsAdmission::new(admission.clone(), store.views.clone(), keyring, world.clock.clone());
        handler.place(SOURCE).await.unwrap();
        (admission, handler)
    }

    async fn follow(&self, handler: &FollowsAdmission) {
        loop {
            let place = handler.place(SOURCE).await.unwrap();
            let batch = self.source.read(place, 3).await.unwrap();
            if batch.upto <= place {
                return;
            }
            handler.handle(SOURCE, &batch, None).await.unwrap();
        }
    }
}

fn shows(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    headers
}

#[tokio::test]
async fn security_17_another_process_knows_tokens_and_ended_sessions_from_the_view_and_from_what_follows() {
    let world = World::new();
    world.auth.tend_keys().await.unwrap();
    world.register("ann@example.org").await;
    let [phone, laptop] = [(); 2].map(|()| world.login("ann@example.org", PASSWORD));
    let (phone, laptop) = (phone.await.unwrap(), laptop.await.unwrap());
    world.bus.dispatch(&world.signed_in(&phone), LogoutUser::default()).await.unwrap();
    let elsewhere = Elsewhere::new(&world).await;
    elsewhere.keep().await;

    // The source is never read: auth, or what carries its events, is down.
    let (alone, handler) = elsewhere.start(&world).await;
    assert!(alone.authenticate(&shows(&phone.access_token), world.now()).await.is_err());
    let ann = alone.authenticate(&shows(&laptop.access_token), world.now()).await.unwrap();
    assert_eq!((ann.actor, ann.session), (Actor::User(laptop.user_id), Some(laptop.session_id)));

    world.bus.dispatch(&world.signed_in(&laptop), LogoutUser::default()).await.unwrap();
    elsewhere.follow(&handler).await;
    assert!(alone.authenticate(&shows(&laptop.access_token), world.now()).await.is_err());
}

#[tokio::test]
async fn what_the_view_had_not_taken_in_is_heard_from_the_source() {
    let world = World::new();
    let elsewhere = Elsewhere::new(&world).await;
    let (admission, handler) = elsewhere.start(&world).await;
    world.register("ann@example.org").await;
    let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
    // Before anything is known of auth, nobody is called a stranger.
    let early = admission.authenticate(&shows(&tokens.access_token), world.now()).await;
    assert!(matches!(early, Err(Failure::Unavailable(_))), "{early:?}");
    world.auth.tend_keys().await.unwrap();
    elsewhere.follow(&handler).await;
    assert!(admission.authenticate(&shows(&tokens.access_token), world.now()).await.is_ok());
}

#[tokio::test]
async fn a_service_key_is_good_in_another_process_from_hearing_of_it_to_hearing_of_its_end() {
    let world = World::new();
    let elsewhere = Elsewhere::new(&world).await;
    let (admission, handler) = elsewhere.start(&world).await;
    let name = DisplayName::parse("shop").unwrap();
    let (id, key) = world.auth.create_service_key(&world.cx(Actor::System), name).await.unwrap();
    // It is waited for: it was made a moment ago.
    let shown = shows(&key);
    let (shop, ()) = tokio::join!(admission.authenticate(&shown, world.now()), elsewhere.follow(&handler));
    let shop = shop.unwrap();
    assert_eq!((shop.actor, shop.roles), (Actor::Service(id), vec!["service".to_owned()]));
    elsewhere.keep().await;
    let (restarted, _) = elsewhere.start(&world).await;
    assert!(restarted.recognise(&key).await.is_some());

    world.auth.revoke_service_key(&world.cx(Actor::System), id).await.unwrap();
    elsewhere.follow(&handler).await;
    assert!(admission.recognise(&key).await.is_none());
    elsewhere.keep().await;
    let (restarted, _) = elsewhere.start(&world).await;
    assert!(restarted.recognise(&key).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_made_up_service_key_is_refused_after_a_moment_and_many_at_once() {
    let world = World::new();
    let elsewhere = Elsewhere::new(&world).await;
    let (admission, _) = elsewhere.start(&world).await;
    let keys = ServiceKeys::new(&InstanceSecret::new([9; 32]));
    let made_up = (0..1_000_u16).map(|n| keys.issue(Uuid::from_u128(n.into()), [7; 32]).0);
    let made_up: Vec<_> = made_up.collect();
    let began = tokio::time::Instant::now();
    let answers = made_up.iter().map(|key| admission.recognise(key));
    assert!(futures::future::join_all(answers).await.iter().all(Option::is_none));
    assert_eq!(began.elapsed(), PATIENCE, "they waited side by side, and no longer");
}

#[tokio::test]
async fn a_signing_key_is_known_until_its_last_token_has_expired() {
    let world = World::new();
    world.auth.tend_keys().await.unwrap();
    let first = world.auth.jwks().keys.remove(0).kid;
    let elsewhere = Elsewhere::new(&world).await;
    let (admission, handler) = elsewhere.start(&world).await;
    let kids = |admission: &Admission| {
        admission.jwks().keys.into_iter().map(|key| key.kid).collect::<std::collections::BTreeSet<_>>()
    };
    world.later(400 * 24 * 3_600);
    world.auth.tend_keys().await.unwrap();
    elsewhere.follow(&handler).await;
    assert_eq!(kids(&admission).len(), 2, "the next one is announced");
    world.later(3_600);
    world.auth.tend_keys().await.unwrap();
    elsewhere.follow(&handler).await;
    elsewhere.keep().await;
    let (restarted, _) = elsewhere.start(&world).await;
    for admission in [&admission, &restarted, &world.auth.admission] {
        assert_eq!(kids(admission).len(), 1);
        assert!(!kids(admission).contains(&first), "the first signs nothing that still holds");
    }
    assert_eq!(elsewhere.source.head().borrow().0, 3, "each was told of once");
}
