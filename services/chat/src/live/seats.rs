//! How many connections somebody may have at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{Failure, RefusalKind, Refused};
use parking_lot::Mutex;
use uuid::Uuid;

/// Worth trying again: by then a connection that broke off has been noticed.
const LATER: Duration = Duration::from_secs(30);

/// The connections of one process, by person. Cheap to clone.
#[derive(Clone)]
pub(super) struct Seats {
    taken: Arc<Mutex<HashMap<Uuid, usize>>>,
    /// How many one person may have.
    most: usize,
}

/// A connection's place, given back when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    user: Uuid,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Takes a seat. Who has as many as they may get no further one: what is connected isn't disturbed.
    pub(super) fn take(&self, user: Uuid) -> Result<Seat, Failure> {
        let mut taken = self.taken.lock();
        let mine = taken.entry(user).or_default();
        if *mine >= self.most {
            metrics::counter!("live_refused_total").increment(1);
            return Err(self.too_many());
        }
        *mine += 1;
        metrics::gauge!("live_connections").increment(1.0);
        drop(taken);
        Ok(Seat { seats: self.clone(), user })
    }

    fn too_many(&self) -> Failure {
        Failure::Refused(Box::new(Refused {
            code: "too-many-connections",
            kind: RefusalKind::TooManyRequests,
            detail: format!("{} live connections are open already; close one first", self.most),
            errors: Vec::new(),
            retry_after: Some(LATER),
            permits_replay: false,
        }))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("live_connections").decrement(1.0);
        if let Entry::Occupied(mut mine) = self.seats.taken.lock().entry(self.user) {
            *mine.get_mut() -= 1;
            if *mine.get() == 0 {
                mine.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_a_seat_given_back_can_be_taken_again() {
        let seats = Seats::new(2);
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (first, _second) = (seats.take(ann).unwrap(), seats.take(ann).unwrap());
        assert!(matches!(
            seats.take(ann).err(),
            Some(Failure::Refused(refused)) if refused.code == "too-many-connections"
        ));
        let of_bob = seats.take(bob).unwrap();
        drop(first);
        let _third = seats.take(ann).unwrap();
        drop(of_bob);
        assert_eq!(seats.taken.lock().len(), 1, "who has none is forgotten");
    }
}
