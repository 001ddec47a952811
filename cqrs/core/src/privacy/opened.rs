//! Personal fields that were sealed or opened lately. A dozen views and reactors take each event in: who comes first opens it
//! for the others.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::lately::of_lately;

/// How many bytes of fields stay at hand, sealed and plain.
const BYTES: u64 = 8 << 20;
/// About how many bytes a field has.
const EACH: u64 = 512;

/// A field as it is stored, and what it says.
pub(super) struct Opened {
    of: Uuid,
    sealed: Box<str>,
    pub(super) plain: Box<[u8]>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(Uuid, u16), Arc<Opened>> for ByBytes {
    fn weight(&self, _: &(Uuid, u16), field: &Arc<Opened>) -> u64 {
        // The map's own entry, and that of the allocator for each of the three.
        (field.sealed.len() + field.plain.len() + 160) as u64
    }
}

/// Fields by the event that they are in, and their number in it.
pub(super) struct OpenedFields(Cache<(Uuid, u16), Arc<Opened>, ByBytes>);

impl OpenedFields {
    pub(super) fn new() -> Self {
        Self(of_lately(BYTES, EACH, ByBytes))
    }

    /// What a field says, if it is at hand: to the letter the same one, of the same person, in the same event.
    pub(super) fn get(&self, event: Uuid, of: Uuid, sealed: &str) -> Option<Arc<Opened>> {
        let mut number = [0; 3];
        URL_SAFE_NO_PAD.decode_slice(sealed.get(..4)?, &mut number).ok()?;
        let found = self.0.get(&(event, u16::from_be_bytes([number[0], number[1]])))?;
        (found.of == of && *found.sealed == *sealed).then_some(found)
    }

    /// Keeps what the field with this number says.
    pub(super) fn keep(
        &self,
        event: Uuid,
        number: u16,
        of: Uuid,
        sealed: &str,
        plain: Vec<u8>,
    ) -> Arc<Opened> {
        let field = Arc::new(Opened { of, sealed: sealed.into(), plain: plain.into() });
        self.0.insert((event, number), field.clone());
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: Uuid = Uuid::from_u128(1);
    const ANNA: Uuid = Uuid::from_u128(2);

    fn sealed(number: u16, rest: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&number.to_be_bytes()[..], rest].concat())
    }

    #[test]
    fn only_the_same_field_of_the_same_event_and_person_is_at_hand() {
        let fields = OpenedFields::new();
        let (first, second) = (sealed(0, b"first"), sealed(1, b"second"));
        fields.keep(EVENT, 0, ANNA, &first, b"1".to_vec());
        fields.keep(EVENT, 1, ANNA, &second, b"2".to_vec());
        let says = |event, of, text: &str| fields.get(event, of, text).map(|field| field.plain.to_vec());
        assert_eq!(says(EVENT, ANNA, &first).as_deref(), Some(&b"1"[..]));
        assert_eq!(says(EVENT, ANNA, &second).as_deref(), Some(&b"2"[..]));
        assert_eq!(says(EVENT, ANNA, &sealed(0, b"frist")), None);
        assert_eq!(says(EVENT, ANNA, &sealed(2, b"first")), None);
        assert_eq!(says(EVENT, Uuid::from_u128(3), &first), None);
        assert_eq!(says(Uuid::from_u128(4), ANNA, &first), None);
        assert_eq!(says(EVENT, ANNA, "AA"), None);
    }

    #[test]
    fn what_is_at_hand_is_bounded() {
        let fields = OpenedFields::new();
        for n in 0..50_000 {
            fields.keep(Uuid::from_u128(n), 0, ANNA, &sealed(0, b"field"), vec![0; 300]);
        }
        assert!(fields.0.weight() <= BYTES);
        assert!(fields.0.len() > 10_000);
    }
}
