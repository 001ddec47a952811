//! `parlor move`, `parlor backup`, `parlor restore`: a whole instance, elsewhere.

mod backing_up;
mod bar;
mod filling;
mod moving;
mod restoring;
mod say;
mod site;
mod views;

use cqrs_sql::transfer::{OlderLog, TransferError, find_older_log};

use crate::config::Config;
use crate::instance::OpenError;
use crate::roles::Roles;

pub use backing_up::{back_up, verify};
pub use moving::move_instance;
pub use restoring::restore;

/// Whether a log of these services ends before what a view or a reactor of theirs has seen of it: somebody put an older copy
/// of the log in its place.
pub async fn older_log(config: &Config, roles: &Roles) -> Result<Option<OlderLog>, OpenError> {
    if !roles.handle_events() {
        // Whoever keeps the views looks.
        return Ok(None);
    }
    let services: Vec<_> = roles.services.iter().copied().collect();
    let site = site::Site::with(config.clone(), &services)?;
    let views: Vec<_> = site.views.iter().map(|(_, location)| location).collect();
    match find_older_log(&site.logs(), &views).await {
        Ok(found) => Ok(found),
        Err(TransferError::Store { store, error }) => Err(OpenError::Store { store, error }),
        Err(error) => Err(OpenError::Store {
            store: "the log".to_owned(),
            error: cqrs_core::StoreError::Other(error.to_string()),
        }),
    }
}
