use uuid::Uuid;

use super::{Fixture, SET, after_noon, ask, position, save, stream, whole};
use crate::event::Position;
use crate::log::{CommitError, Log};

/// Events, epoch, time, ledger, claims, rows, snapshots and places.
pub async fn everything_is_there_after_reopening<F: Fixture>(fixture: &F) {
    if !F::REOPENS {
        return;
    }
    let log = fixture.open().await.unwrap();
    let (name, epoch) = (log.name(), log.epoch());
    ask()
        .append(stream(1), 0, 3)
        .row(1, Some(0), Some("kept"))
        .now(after_noon(9000))
        .of(&*log)
        .await
        .unwrap();
    ask().append(stream(2), 0, 1).take(1, 10, None).key(1, 1, "kept").of(&*log).await.unwrap();
    log.save_snapshot(stream(1), 3, b"state".to_vec()).await.unwrap();
    save(&*log, "reactor", "chat", 2).await;
    let before = whole(&*log).await;
    drop(log);

    let log = fixture.open().await.unwrap();
    assert_eq!((log.name(), log.epoch()), (name, epoch));
    assert_eq!(*log.head().borrow(), Position(4));
    let after = whole(&*log).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(log.claim_owner(SET, [1; 32]).await.unwrap(), Some(Uuid::from_u128(10)));
    assert_eq!(log.snapshot(stream(1)).await.unwrap(), Some((3, b"state".to_vec())));
    assert_eq!(position(&*log, "reactor", "chat").await, 2);
    let repeat = ask().append(stream(9), 0, 1).key(1, 1, "again").of(&*log).await;
    assert!(matches!(&repeat, Err(CommitError::Replayed(answer)) if answer == b"kept at 4"), "{repeat:?}");
    let row = ask().row(1, Some(0), Some("new")).of(&*log).await;
    assert!(matches!(row, Err(CommitError::Conflict { actual: 1, .. })), "{row:?}");
    let next = ask().append(stream(1), 3, 1).of(&*log).await.unwrap();
    assert_eq!((next.last, next.at), (Position(5), after_noon(9000)));
}
