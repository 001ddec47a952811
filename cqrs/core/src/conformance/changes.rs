use futures::future::join_all;

use super::{Fixture, ask, is_conflict, stream, whole};
use crate::event::Position;
use crate::log::CommitError;

/// Of any of the streams a commit appends to; and the conflict says what the version is.
pub async fn a_stream_at_another_version_is_a_conflict_and_nothing_is_written<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().append(stream(1), 0, 2).of(&*log).await.unwrap();
    let too_late = ask().append(stream(1), 0, 1).of(&*log).await;
    assert!(is_conflict(&too_late, 1, 2), "{too_late:?}");
    let too_early = ask().append(stream(2), 1, 1).of(&*log).await;
    assert!(is_conflict(&too_early, 2, 0), "{too_early:?}");
    let second = ask().append(stream(3), 0, 1).append(stream(1), 1, 1).of(&*log).await;
    assert!(is_conflict(&second, 1, 2), "{second:?}");
    assert_eq!(whole(&*log).await.len(), 2);
    let both = ask().append(stream(3), 0, 1).append(stream(1), 2, 2).of(&*log).await.unwrap();
    assert_eq!((both.first, both.last), (Position(3), Position(5)));
}

/// A guard is relied on and not appended to.
pub async fn a_guard_that_moved_is_a_conflict_and_nothing_is_written<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().append(stream(1), 0, 1).of(&*log).await.unwrap();
    ask().append(stream(2), 0, 1).guard(stream(1), 1).guard(stream(9), 0).of(&*log).await.unwrap();
    let moved = ask().append(stream(2), 1, 1).guard(stream(1), 0).of(&*log).await;
    assert!(is_conflict(&moved, 1, 1), "{moved:?}");
    assert_eq!(whole(&*log).await.len(), 2);

    // In one batch as well: whichever of the two comes first, the other must not rely on what it moved.
    for round in 0..20 {
        let (a, b) = (stream(100 + 2 * round), stream(101 + 2 * round));
        let (one, other) = tokio::join!(
            ask().append(a, 0, 1).guard(b, 0).of(&*log),
            ask().append(b, 0, 1).guard(a, 0).of(&*log),
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }
}

/// Fifty race for one stream while fifty others write to their own.
pub async fn who_loses_takes_no_batch_mate_along<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let commits = (0..100).map(|n| {
        let asked = if n % 2 == 0 { ask().append(stream(0), 0, 1) } else { ask().append(stream(n), 0, 1) };
        asked.of(&*log)
    });
    let results = join_all(commits).await;
    let won = results.iter().step_by(2).filter(|result| result.is_ok()).count();
    assert_eq!(won, 1);
    for result in results.iter().step_by(2).filter(|result| result.is_err()) {
        assert!(is_conflict(result, 0, 1), "{result:?}");
    }
    assert!(results.iter().skip(1).step_by(2).all(Result::is_ok));
    assert_eq!(whole(&*log).await.len(), 51);
}

/// Rows of state-stored aggregates: 0 for one that isn't there, one more with each write, `None` for any.
pub async fn rows_are_written_at_their_version_only<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let missing = ask().row(1, Some(1), Some("early")).append(stream(1), 0, 1).of(&*log).await;
    assert!(matches!(missing, Err(CommitError::Conflict { expected: 1, actual: 0, .. })), "{missing:?}");
    assert!(whole(&*log).await.is_empty(), "the event beside the row is not written either");

    let made = ask().row(1, Some(0), Some("made")).append(stream(1), 0, 1).of(&*log).await.unwrap();
    assert_eq!(made.last, Position(1));
    let twice = ask().row(1, Some(0), Some("made again")).of(&*log).await;
    assert!(matches!(twice, Err(CommitError::Conflict { expected: 0, actual: 1, .. })), "{twice:?}");
    ask().row(1, Some(1), Some("changed")).of(&*log).await.unwrap();
    ask().row(1, None, Some("whatever it was")).of(&*log).await.unwrap();
    let late = ask().row(1, Some(2), Some("late")).of(&*log).await;
    assert!(matches!(late, Err(CommitError::Conflict { expected: 2, actual: 3, .. })), "{late:?}");

    let racing = (0..30).map(|_| ask().row(1, Some(3), Some("raced")).of(&*log));
    assert_eq!(join_all(racing).await.iter().filter(|result| result.is_ok()).count(), 1);
    ask().row(1, Some(4), None).of(&*log).await.unwrap();
    ask().row(1, Some(0), Some("there again")).of(&*log).await.unwrap();
    assert_eq!(whole(&*log).await.len(), 1);
}
