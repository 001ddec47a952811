use futures::future::join_all;
use uuid::Uuid;

use super::{Fixture, SET, after_noon, ask, stream, whole};
use crate::log::{CommitError, Committed, Log};

fn is_taken(result: &Result<Committed, CommitError>) -> bool {
    matches!(result, Err(CommitError::ClaimTaken { set: SET }))
}

/// And those who don't have recorded nothing.
pub async fn of_many_who_claim_a_value_one_gets_it<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let racing = (1..=50).map(|n| ask().append(stream(n), 0, 1).take(1, n.into(), None).of(&*log));
    let results = join_all(racing).await;
    let winners: Vec<_> = results.iter().zip(1_u128..).filter(|(result, _)| result.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(results.iter().filter(|result| is_taken(result)).count(), 49);
    let events = whole(&*log).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].stream, Uuid::from_u128(winners[0].1));
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), Some(Uuid::from_u128(winners[0].1)));
}

/// Who doesn't hold it can't give it away.
pub async fn a_claim_is_released_by_its_owner_only_and_then_free<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().take(1, 10, None).of(&*log).await.unwrap();
    ask().release(1, 20).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 20, None).of(&*log).await));
    ask().release(1, 10).of(&*log).await.unwrap();
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), None);
    ask().take(1, 20, None).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 10, None).of(&*log).await));
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), Some(Uuid::from_u128(20)));

    // One value given back and another taken, together; and the other is refused as a whole.
    ask().release(1, 20).take(2, 20, None).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 30, None).take(2, 30, None).of(&*log).await));
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), None);
}

/// By the time of who asks, to the millisecond.
pub async fn a_claim_lapses_when_its_time_has_come<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().take(1, 10, Some(after_noon(1000))).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 20, None).now(after_noon(999)).of(&*log).await));
    ask().take(1, 20, Some(after_noon(9000))).now(after_noon(1000)).of(&*log).await.unwrap();
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), Some(Uuid::from_u128(20)));
    // Whose claim has lapsed doesn't take the next owner's away.
    ask().release(1, 10).now(after_noon(2000)).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 10, None).now(after_noon(2000)).of(&*log).await));
}

/// Which prolongs it, or makes it last.
pub async fn an_owner_takes_its_own_claim_again<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().take(1, 10, Some(after_noon(1000))).of(&*log).await.unwrap();
    ask().take(1, 10, None).of(&*log).await.unwrap();
    assert!(is_taken(&ask().take(1, 20, None).now(after_noon(5000)).of(&*log).await));
}
