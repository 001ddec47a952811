//! Keeps what a process knows of who is let in up to date, from where the view has come to on.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{
    BaseReadRepository as _, Batch, Clock, EventHandler, Fence, HandlerError, Keyring, Position,
    QueryOptions, Record, StoreError, codec_error,
};
use cqrs_sql::{SqlReadRepository, Views};
use parking_lot::Mutex;

use super::projection::concerns;
use super::rows::{EndedRow, KeyRow, ServiceRow};
use super::{Admission, NAME, SOURCE};
use crate::tokens::verify::Jwk;

/// Fills [`Admission`]. Each process does so for itself: it starts with what the view holds, and follows from there.
pub struct FollowsAdmission {
    admission: Admission,
    views: Views,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    place: Mutex<Option<Position>>,
}

impl FollowsAdmission {
    /// Starts with the view in `views`, which an [`AdmissionProjection`](super::AdmissionProjection) keeps.
    pub fn new(admission: Admission, views: Views, keyring: Keyring, clock: Arc<dyn Clock>) -> Self {
        Self { admission, views, keyring, clock, place: Mutex::new(None) }
    }

    async fn rows<T: Record>(&self) -> Result<Vec<T>, StoreError> {
        SqlReadRepository::<T>::new(self.views.clone(), NAME).find_all(&QueryOptions::all()).await
    }

    /// Takes over what the view holds; the place from which on events add to it.
    async fn begin(&self) -> Result<Position, StoreError> {
        // First the place, then the rows: what they hold beyond it is said once more, which changes nothing.
        let place = self.views.place_of(NAME, SOURCE).await?;
        for KeyRow { kid, x } in self.rows().await? {
            self.admission.add_key(Jwk::ed25519(kid, x));
        }
        for ServiceRow { id, name, hash, revoked } in self.rows().await? {
            self.admission.know_service(id, name.into(), (!revoked).then(|| hash.into()));
        }
        let (now, ended) = (self.clock.now(), self.admission.verifier().ended_sessions().clone());
        for EndedRow { session, ended_at, .. } in self.rows().await? {
            ended.end(session, ended_at, now);
        }
        Ok(place)
    }
}

#[async_trait]
impl EventHandler for FollowsAdmission {
    fn name(&self) -> &'static str {
        super::FOLLOWER
    }

    fn sources(&self) -> &'static [&'static str] {
        &[SOURCE]
    }

    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        let known = *self.place.lock();
        if let Some(place) = known {
            return Ok(place);
        }
        let place = self.begin().await?;
        *self.place.lock() = Some(place);
        Ok(place)
    }

    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        let now = self.clock.now();
        for event in batch.events.iter().filter(|event| concerns(&event.name)) {
            let said =
                self.keyring.decode(event).await.map_err(|error| codec_error(event.position, &error))?;
            self.admission.learn(said, event.at, now);
        }
        *self.place.lock() = Some(batch.upto);
        Ok(())
    }
}
