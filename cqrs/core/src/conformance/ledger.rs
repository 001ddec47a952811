use futures::future::join_all;

use super::{Ask, Fixture, ask, rendered, stream, whole};
use crate::event::Position;
use crate::failure::StoreError;
use crate::log::{CommitError, Committed, LedgerEntry, Log};

/// Even where the state has moved on meanwhile, and with or without events.
pub async fn a_repeat_gets_the_first_answer<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let first = ask().append(stream(1), 0, 2).key(1, 1, "first").of(&*log).await.unwrap();
    let kept = log.ledger([1; 32]).await.unwrap().unwrap();
    assert_eq!(kept.content, [1; 32]);
    assert_eq!(kept.answer, b"first at 2");
    assert_eq!(kept.answer, rendered(&first, "first"));
    let repeat = ask().append(stream(1), 0, 2).key(1, 1, "second").of(&*log).await;
    assert!(matches!(&repeat, Err(CommitError::Replayed(answer)) if *answer == kept.answer), "{repeat:?}");

    let empty = ask().key(2, 1, "nothing to do").of(&*log).await.unwrap();
    assert_eq!((empty.first, empty.last), (Position(2), Position(2)));
    let repeat = ask().append(stream(1), 2, 1).key(2, 1, "something to do").of(&*log).await;
    assert!(matches!(&repeat, Err(CommitError::Replayed(answer)) if answer == b"nothing to do at 2"));
    assert_eq!(whole(&*log).await.len(), 2);
    assert_eq!(log.ledger([3; 32]).await.unwrap(), None);
}

/// Whether or not it could be carried out.
pub async fn a_key_with_another_content_is_refused<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().append(stream(1), 0, 1).key(1, 1, "first").of(&*log).await.unwrap();
    let other = ask().append(stream(2), 0, 1).key(1, 2, "other").of(&*log).await;
    assert!(matches!(other, Err(CommitError::KeyReused)), "{other:?}");
    assert_eq!(whole(&*log).await.len(), 1);
    assert_eq!(log.ledger([1; 32]).await.unwrap().unwrap().answer, b"first at 1");
}

/// Each of those that come at once records an event of its own, if it is let.
fn repeat(n: u64) -> Ask {
    ask().append(stream(n), 0, 1).key(1, 1, format!("answer {n}"))
}

async fn assert_one_effect(log: &impl Log, results: Vec<Result<Committed, CommitError>>) {
    let kept = log.ledger([1; 32]).await.unwrap().unwrap().answer;
    let mut effects = 0;
    for (result, n) in results.into_iter().zip(1..) {
        match result {
            Ok(committed) => {
                effects += 1;
                assert_eq!(rendered(&committed, &format!("answer {n}")), kept);
            }
            Err(CommitError::Replayed(answer)) => assert_eq!(answer, kept),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(effects, 1);
    assert_eq!(whole(log).await.len(), 1);
}

/// 200 times.
pub async fn the_same_key_many_times_at_once_has_one_effect_and_one_answer<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let results = join_all((1..=200).map(|n| repeat(n).of(&*log))).await;
    assert_one_effect(&*log, results).await;
}

/// 100 times in each.
pub async fn the_same_key_in_two_logs_has_one_effect<F: Fixture>(fixture: &F) {
    if !F::SHARED {
        return;
    }
    let logs = [fixture.open().await.unwrap(), fixture.open().await.unwrap()];
    let results = join_all((1..=200).map(|n| repeat(n).of(&*logs[n as usize % 2]))).await;
    assert_one_effect(&*logs[0], results).await;
}

/// What was refused once may be tried again under the same key.
pub async fn a_refusal_is_not_recorded_under_its_key<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().append(stream(1), 0, 1).take(1, 10, None).of(&*log).await.unwrap();
    let conflict = ask().append(stream(1), 0, 1).key(1, 1, "conflict").of(&*log).await;
    assert!(matches!(conflict, Err(CommitError::Conflict { .. })), "{conflict:?}");
    let taken = ask().take(1, 20, None).key(1, 1, "taken").of(&*log).await;
    assert!(matches!(taken, Err(CommitError::ClaimTaken { .. })), "{taken:?}");
    assert_eq!(log.ledger([1; 32]).await.unwrap(), None);
    ask().append(stream(1), 1, 1).key(1, 1, "done").of(&*log).await.unwrap();
    assert_eq!(log.ledger([1; 32]).await.unwrap().unwrap().answer, b"done at 2");
}

/// Neither its batch-mates nor the log notice.
pub async fn an_answer_that_panics_fails_its_command_alone<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let mut broken = ask().append(stream(0), 0, 1);
    broken.0.ledger = Some(LedgerEntry {
        key: [1; 32],
        content: [1; 32],
        answer: Box::new(|_| panic!("on purpose: the suite tests what a panic does")),
    });
    let others = join_all((1..=20).map(|n| ask().append(stream(n), 0, 1).of(&*log)));
    let (broken, others) = tokio::join!(broken.of(&*log), others);
    assert!(matches!(broken, Err(CommitError::Store(StoreError::Other(_)))), "{broken:?}");
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(whole(&*log).await.len(), 20);
    ask().append(stream(0), 0, 1).key(1, 1, "mended").of(&*log).await.unwrap();
}
