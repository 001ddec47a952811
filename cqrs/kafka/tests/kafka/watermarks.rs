//! What a service has made of another's events is known wherever its own events are.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{EventSource, Place, PlaceStore as _, Position};
use cqrs_kafka::{KafkaSource, SourceOptions, Upstream};

use crate::common::{Places, Public, broker, cluster, limit, relay_after};

#[tokio::test(flavor = "multi_thread")]
async fn a_reactors_place_is_known_elsewhere_with_the_position_that_holds_what_it_did() {
    let Some(broker) = broker() else { return };
    let (cluster, auth) = (cluster(&broker, 3), Public::new("auth.public", 5));
    let (log, places) = (Public::new("user.public", 6), Arc::new(Places::default()));
    auth.happen(10, 3);
    let upstream = Upstream {
        source: auth.clone() as Arc<dyn EventSource>,
        places: places.clone(),
        reactors: vec!["profile-of-account"],
        through: Vec::new(),
    };
    let _relay = relay_after(&cluster, &log, &places, vec![upstream]);
    let options = SourceOptions { covers: vec!["auth"], ..SourceOptions::default() };
    let source = KafkaSource::open(&cluster, "user.public", options);
    assert!(source.covered("chat").is_none());
    let mut covered = source.covered("auth").unwrap();

    // The reactor takes in four events, of which came three positions of its own log, and then two of which came nothing.
    log.happen(3, 2);
    for (reached, least) in [(4, 3), (6, 3)] {
        let place = Place { position: Position(reached), epoch: auth.epoch };
        places.save("profile-of-account", "auth.public", place, None).await.unwrap();
        let wait = covered.wait_for(|covered| covered.upstream == Position(reached));
        let said = *tokio::time::timeout(limit(), wait).await.expect("it is said").unwrap();
        assert_eq!((said.epoch, said.at), (auth.epoch, Position(least)));
    }

    // A reactor's place is never said before what it did is out: here, that comes later than the place.
    let idle = tokio::time::timeout(Duration::from_millis(200), covered.changed()).await;
    assert!(idle.is_err(), "nothing has changed, so nothing is said");
}
