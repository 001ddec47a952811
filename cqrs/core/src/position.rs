//! Position tokens and cursors: opaque to clients, authenticated, and able to name several logs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::event::Position;
use crate::failure::Failure;

/// Positions in several logs: what somebody has seen or written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionVector(BTreeMap<String, (Uuid, Position)>);

impl PositionVector {
    /// Of one log.
    pub fn of(log: &str, epoch: Uuid, position: Position) -> Self {
        Self(BTreeMap::from([(log.to_owned(), (epoch, position))]))
    }

    /// Adds a log's position; the later one stays.
    pub fn advance(&mut self, log: &str, epoch: Uuid, position: Position) {
        let held = self.0.entry(log.to_owned()).or_insert((epoch, position));
        if held.0 != epoch || held.1 < position {
            *held = (epoch, position);
        }
    }

    /// Joins another vector into this one.
    pub fn merge(&mut self, other: &Self) {
        for (log, (epoch, position)) in &other.0 {
            self.advance(log, *epoch, *position);
        }
    }

    /// The position in `log`, with the epoch it was taken in.
    pub fn get(&self, log: &str) -> Option<(Uuid, Position)> {
        self.0.get(log).copied()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Uuid, Position)> {
        self.0.iter().map(|(log, (epoch, position))| (log.as_str(), *epoch, *position))
    }
}

/// Makes and reads tokens with the instance's key.
#[derive(Clone)]
pub struct TokenCodec {
    key: [u8; 32],
}

/// The format's version, so that later ones can be told apart.
const VERSION: u8 = 1;
const MAC: usize = 16;

impl TokenCodec {
    /// From the instance's 32 secret bytes, shared by all its processes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("parlor cqrs tokens v1", secret) }
    }

    /// An authenticated token of `purpose` with this content.
    pub fn encode(&self, purpose: &str, content: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(1 + content.len() + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(content);
        let mac = self.mac(purpose, &bytes);
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The content of a token that [`TokenCodec::encode`] made for `purpose`.
    pub fn decode(&self, purpose: &str, token: &str) -> Result<Vec<u8>, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Failure::BadToken)?;
        let split = bytes.len().checked_sub(MAC).ok_or(Failure::BadToken)?;
        let (content, mac) = bytes.split_at(split);
        let expected = blake3::Hash::from(pad(&self.mac(purpose, content)));
        // blake3's comparison takes the same time whatever differs.
        let given = blake3::Hash::from(pad(mac.try_into().map_err(|_| Failure::BadToken)?));
        match content.split_first() {
            Some((&VERSION, content)) if expected == given => Ok(content.to_vec()),
            _ => Err(Failure::BadToken),
        }
    }

    /// A position token.
    pub fn encode_positions(&self, positions: &PositionVector) -> String {
        let mut content = Vec::with_capacity(32);
        for (log, epoch, position) in positions.iter() {
            content.push(u8::try_from(log.len()).unwrap_or(u8::MAX));
            content.extend_from_slice(&log.as_bytes()[..log.len().min(255)]);
            content.extend_from_slice(epoch.as_bytes());
            content.extend_from_slice(&position.0.to_be_bytes());
        }
        self.encode("position", &content)
    }

    /// The positions in a token; several tokens may be joined by commas.
    pub fn decode_positions(&self, tokens: &str) -> Result<PositionVector, Failure> {
        let mut all = PositionVector::default();
        for token in tokens.split(',') {
            let content = self.decode("position", token.trim())?;
            let mut rest = content.as_slice();
            while let Some((&len, after)) = rest.split_first() {
                let (log, after) = after.split_at_checked(len as usize).ok_or(Failure::BadToken)?;
                let (epoch, after) = after.split_first_chunk::<16>().ok_or(Failure::BadToken)?;
                let (position, after) = after.split_first_chunk::<8>().ok_or(Failure::BadToken)?;
                let log = std::str::from_utf8(log).map_err(|_| Failure::BadToken)?;
                all.advance(log, Uuid::from_bytes(*epoch), Position(u64::from_be_bytes(*position)));
                rest = after;
            }
        }
        Ok(all)
    }

    fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; MAC] {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        hash.update(&(purpose.len() as u64).to_be_bytes()).update(purpose.as_bytes()).update(bytes);
        let mut mac = [0; MAC];
        mac.copy_from_slice(&hash.finalize().as_bytes()[..MAC]);
        mac
    }
}

fn pad(mac: &[u8; MAC]) -> [u8; 32] {
    let mut padded = [0; 32];
    padded[..MAC].copy_from_slice(mac);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_what_it_was_made_of_and_joins_with_others() {
        let codec = TokenCodec::new(&[7; 32]);
        let epoch = Uuid::from_u128(9);
        let chat = codec.encode_positions(&PositionVector::of("chat", epoch, Position(42)));
        let user = codec.encode_positions(&PositionVector::of("user", epoch, Position(7)));
        let both = codec.decode_positions(&format!("{chat}, {user}")).expect("both are valid");
        assert_eq!(both.get("chat"), Some((epoch, Position(42))));
        assert_eq!(both.get("user"), Some((epoch, Position(7))));
    }

    #[test]
    fn a_token_that_was_changed_cut_or_made_elsewhere_is_refused() {
        let codec = TokenCodec::new(&[7; 32]);
        let token = codec.encode_positions(&PositionVector::of("chat", Uuid::nil(), Position(42)));
        let mut changed = token.clone().into_bytes();
        changed[5] = if changed[5] == b'A' { b'B' } else { b'A' };
        let other = TokenCodec::new(&[8; 32]);
        for bad in [&token[..token.len() - 1], "", "!", std::str::from_utf8(&changed).expect("ascii")] {
            assert!(matches!(codec.decode_positions(bad), Err(Failure::BadToken)), "{bad}");
        }
        assert!(matches!(other.decode_positions(&token), Err(Failure::BadToken)));
        assert!(matches!(codec.decode("cursor", &token), Err(Failure::BadToken)));
    }
}
