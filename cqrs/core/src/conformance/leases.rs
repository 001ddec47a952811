use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use super::{EPOCH, Fixture, position};
use crate::event::Position;
use crate::lease::{Fence, LeaseStore};
use crate::projection::{Place, PlaceError, PlaceStore};

/// Longer than any check takes.
const LONG: Duration = Duration::from_mins(1);
/// How long a holding that is to expire lasts.
const SHORT: Duration = Duration::from_millis(200);
/// When one that should have expired counts as one that doesn't.
const PATIENCE: Duration = Duration::from_secs(20);

fn holder(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Asks until the lease is had.
async fn taken(leases: &impl LeaseStore, name: &str) -> Fence {
    let asking = async {
        loop {
            if let Some(fence) = leases.acquire(name, holder(2), LONG).await.unwrap() {
                return fence;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("a lease expires")
}

/// A store that one process has gives every lease at once; one that several share, to one of many who ask.
pub async fn of_many_who_ask_for_a_lease_one_gets_it<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let other = if F::SHARED { fixture.open().await.unwrap() } else { log.clone() };
    let asking = (0..10).map(|n| if n % 2 == 0 { &log } else { &other }).enumerate();
    let asked = join_all(asking.map(|(n, log)| log.acquire("reactor", holder(n as u128), LONG))).await;
    let given = asked.into_iter().filter_map(Result::unwrap).count();
    assert_eq!(given, if F::LEASES { 1 } else { 10 });
    // Another lease is another's.
    assert!(other.acquire("relay", holder(1), LONG).await.unwrap().is_some());
}

/// And the next holding has a greater number.
pub async fn a_lease_that_is_given_back_is_free_at_once<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let first = log.acquire("reactor", holder(1), LONG).await.unwrap().unwrap();
    assert!(log.renew("reactor", first, LONG).await.unwrap());
    log.release("reactor", first).await.unwrap();
    let second = log.acquire("reactor", holder(2), LONG).await.unwrap().unwrap();
    if F::LEASES {
        assert!(second > first, "{second:?} after {first:?}");
        // Who gave it back, or lost it, can't give it back for the next.
        log.release("reactor", first).await.unwrap();
        assert_eq!(log.acquire("reactor", holder(1), LONG).await.unwrap(), None);
        assert!(!log.renew("reactor", first, LONG).await.unwrap());
        assert!(log.renew("reactor", second, LONG).await.unwrap());
    }
}

/// The holder that was held up finds its lease gone, and its place where it was.
pub async fn a_holder_past_its_time_moves_no_place<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let other = if F::SHARED { fixture.open().await.unwrap() } else { log.clone() };
    let at = |position| Place { position: Position(position), epoch: EPOCH };
    let stale = log.acquire("reactor", holder(1), SHORT).await.unwrap().unwrap();
    log.save("reactor", "chat", at(3), Some(stale)).await.unwrap();
    if !F::LEASES {
        assert!(log.renew("reactor", stale, SHORT).await.unwrap());
        return;
    }
    let fence = taken(&*other, "reactor").await;
    assert!(fence > stale, "{fence:?} after {stale:?}");
    for source in ["chat", "user"] {
        let late = log.save("reactor", source, at(5), Some(stale)).await;
        assert!(matches!(late, Err(PlaceError::LeaseLost)), "{late:?}");
    }
    assert_eq!(log.load("reactor", "chat").await.unwrap(), Some(at(3)));
    assert_eq!(log.load("reactor", "user").await.unwrap(), None);
    assert!(!log.renew("reactor", stale, LONG).await.unwrap());
    other.save("reactor", "chat", at(4), Some(fence)).await.unwrap();
    assert_eq!(position(&*log, "reactor", "chat").await, 4);
}

/// Nobody took it: it goes on, under its number.
pub async fn a_holding_that_is_renewed_in_time_or_that_nobody_took_goes_on<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let fence = log.acquire("reactor", holder(1), SHORT).await.unwrap().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert!(log.renew("reactor", fence, LONG).await.unwrap());
    if F::LEASES {
        tokio::time::sleep(SHORT * 2).await;
        assert_eq!(log.acquire("reactor", holder(2), LONG).await.unwrap(), None);
    }
    let place = Place { position: Position(1), epoch: EPOCH };
    log.save("reactor", "chat", place, Some(fence)).await.unwrap();
    assert_eq!(position(&*log, "reactor", "chat").await, 1);
}

/// A log that was restored has other events at the same positions.
pub async fn a_place_of_another_epoch_is_kept_until_it_is_forgotten<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let at = |position, epoch| Place { position: Position(position), epoch };
    // Kept by a version that didn't write epochs down, and gone on with in one.
    log.save("reactor", "chat", at(2, Uuid::nil()), None).await.unwrap();
    log.save("reactor", "chat", at(3, EPOCH), None).await.unwrap();
    log.save("another", "chat", at(9, EPOCH), None).await.unwrap();
    let restored = Uuid::from_u128(99);
    for position in [1, 7] {
        let refused = log.save("reactor", "chat", at(position, restored), None).await;
        assert!(matches!(&refused, Err(PlaceError::OtherEpoch { position: Position(3), .. })), "{refused:?}");
        assert_eq!(log.load("reactor", "chat").await.unwrap(), Some(at(3, EPOCH)));
    }
    log.forget("reactor").await.unwrap();
    assert_eq!(log.load("reactor", "chat").await.unwrap(), None);
    assert_eq!(log.load("another", "chat").await.unwrap(), Some(at(9, EPOCH)));
    log.save("reactor", "chat", at(1, restored), None).await.unwrap();
    assert_eq!(log.load("reactor", "chat").await.unwrap(), Some(at(1, restored)));
}
