//! Ids, time and chance: all that a client takes from its surroundings.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid, Variant, Version};

/// A new id (UUID version 7): for a message, say, that may have to be sent more than once.
#[expect(clippy::disallowed_methods, reason = "a client has no request context that ids would come from")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// An id that always is the same for the same two arguments, and as old as `id`: of the one message that answers another,
/// however often the answer is sent. `purpose` tells apart what is derived from one id.
///
/// The TypeScript client derives the same ids.
pub fn derived_id(id: Uuid, purpose: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("{id} {purpose}"))[..16]);
    // The first 48 bits of a version 7 are its time (RFC 9562 §5.7).
    bytes[..6].copy_from_slice(&id.as_bytes()[..6]);
    Builder::from_bytes(bytes).with_variant(Variant::RFC4122).with_version(Version::SortRand).into_uuid()
}

/// The time, by which tokens end.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no request context that the time would come from"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
