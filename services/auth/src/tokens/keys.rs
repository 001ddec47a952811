//! The keys that sign access tokens: made at first start, kept in a folder, changed without anyone being signed out.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::access::{Grant, MAX_LIFETIME, TYPE, TokenSettings};
use super::verify::{Jwk, Jwks};

/// How long a new key is announced before anything is signed with it, so that every process has fetched it by then.
pub const ANNOUNCED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The signing keys of an instance.
///
/// Each is announced, then signs, then, when a later one signs, is only verified with until the last token that it signed
/// has expired. Which key is in which state follows from their times alone, so that processes that share the folder agree.
#[derive(Debug)]
pub struct KeyRing {
    folder: PathBuf,
    /// Oldest first; never empty.
    keys: Vec<SigningKey>,
}

/// Why there are no keys to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The folder or a file in it couldn't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others on this machine may read a key.
    #[error("{0} may be read by others; make it `chmod 600`, or delete it and everyone signs in anew")]
    Exposed(PathBuf),
    /// A file that should hold a key doesn't.
    #[error("{0} holds no signing key; restore it from a backup, or delete it and everyone signs in anew")]
    Unreadable(PathBuf),
}

struct SigningKey {
    kid: String,
    signs_from: Timestamp,
    public: Vec<u8>,
    encoding: EncodingKey,
}

/// A key as it lies in its file.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    kid: String,
    signs_from: Timestamp,
    pkcs8: String,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl KeyRing {
    /// Reads the keys in a folder (mode 0700, files 0600), or makes the folder and a first key, which signs at once.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, KeyRingError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error(folder))?;
        let mut ring = Self { folder: folder.to_owned(), keys: Vec::new() };
        ring.reload()?;
        if ring.keys.is_empty() {
            ring.add(now)?;
        }
        Ok(ring)
    }

    /// Reads the folder again: another process may have added a key.
    pub fn reload(&mut self) -> Result<(), KeyRingError> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io_error(&self.folder))? {
            let path = entry.map_err(io_error(&self.folder))?.path();
            if path.extension().is_some_and(|extension| extension == "key") {
                keys.push(read(&path)?);
            }
        }
        keys.sort_by(|a, b| (a.signs_from, &a.kid).cmp(&(b.signs_from, &b.kid)));
        self.keys = keys;
        Ok(())
    }

    /// Adds a key that signs after [`ANNOUNCED_FOR`], and deletes those whose last token has expired. Gives its id.
    pub fn rotate(&mut self, now: Timestamp) -> Result<String, KeyRingError> {
        self.reload()?;
        let kid = self.add(later(now, ANNOUNCED_FOR))?;
        let (kept, expired): (Vec<_>, Vec<_>) = {
            let live = self.oldest_live(now);
            let mut keys = std::mem::take(&mut self.keys);
            let kept = keys.split_off(live);
            (kept, keys)
        };
        self.keys = kept;
        for key in expired {
            let path = self.folder.join(format!("{}.key", key.kid));
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
        Ok(kid)
    }

    /// Signs an access token with the key whose turn it is.
    pub fn sign(&self, settings: &TokenSettings, grant: Grant, now: Timestamp) -> String {
        let key = &self.keys[self.active(now)];
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, &settings.claims(grant, now), &key.encoding)
            .expect("an Ed25519 key that was read signs")
    }

    /// The public keys that tokens may be verified with at this time, the announced ones included.
    pub fn jwks(&self, now: Timestamp) -> Jwks {
        Jwks { keys: self.keys[self.oldest_live(now)..].iter().map(SigningKey::jwk).collect() }
    }

    /// The keys that no token which still holds can be signed with; the next rotation deletes them.
    pub fn expired(&self, now: Timestamp) -> Vec<String> {
        self.keys[..self.oldest_live(now)].iter().map(|key| key.kid.clone()).collect()
    }

    /// Whether the newest key, the announced one included, has been there for `lifetime`: time for another.
    pub fn is_due(&self, now: Timestamp, lifetime: SignedDuration) -> bool {
        self.keys.last().is_none_or(|newest| now.duration_since(newest.signs_from) >= lifetime)
    }

    /// The newest key whose time has come. A clock set back must not leave nothing to sign with, so the oldest stands in.
    fn active(&self, now: Timestamp) -> usize {
        self.keys.iter().rposition(|key| key.signs_from <= now).unwrap_or(0)
    }

    /// The oldest key that may have signed a token which still holds.
    fn oldest_live(&self, now: Timestamp) -> usize {
        let longest_ago = now.saturating_sub(MAX_LIFETIME).unwrap_or(Timestamp::MIN);
        self.active(longest_ago)
    }

    fn add(&mut self, signs_from: Timestamp) -> Result<String, KeyRingError> {
        let pair = Ed25519KeyPair::generate().expect("the operating system gives random bytes");
        let pkcs8 = pair.to_pkcs8v1().expect("a fresh key has its PKCS#8 form");
        let stored =
            StoredKey { kid: key_id(pair.public_key().as_ref()), signs_from, pkcs8: STANDARD.encode(pkcs8) };
        let path = self.folder.join(format!("{}.key", stored.kid));
        write(&self.folder, &path, &stored)?;
        let kid = stored.kid.clone();
        self.reload()?;
        Ok(kid)
    }
}

impl SigningKey {
    fn jwk(&self) -> Jwk {
        Jwk::ed25519(self.kid.clone(), URL_SAFE_NO_PAD.encode(&self.public))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("signs_from", &self.signs_from)
            .finish_non_exhaustive()
    }
}

/// A name that follows from the public key, so that two keys never share one.
fn key_id(public: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&blake3::hash(public).as_bytes()[..12])
}

fn read(path: &Path) -> Result<SigningKey, KeyRingError> {
    let mode = fs::metadata(path).map_err(io_error(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyRingError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read(path).map_err(io_error(path))?);
    let unreadable = || KeyRingError::Unreadable(path.to_owned());
    let stored: StoredKey = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let pkcs8 = Zeroizing::new(STANDARD.decode(&stored.pkcs8).map_err(|_| unreadable())?);
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| unreadable())?;
    let public = pair.public_key().as_ref().to_vec();
    if key_id(&public) != stored.kid {
        return Err(unreadable());
    }
    Ok(SigningKey {
        kid: stored.kid.clone(),
        signs_from: stored.signs_from,
        public,
        encoding: EncodingKey::from_ed_der(&pkcs8),
    })
}

/// Written beside, synced and renamed, so that a crash leaves a whole key or none.
fn write(folder: &Path, path: &Path, key: &StoredKey) -> Result<(), KeyRingError> {
    let text = Zeroizing::new(serde_json::to_vec(key).expect("a key is plain JSON"));
    let draft = path.with_extension("new");
    let written = (|| {
        // A draft that a crash left behind may have another mode.
        fs::remove_file(&draft)
            .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(io_error(path))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyRingError {
    let path = path.to_owned();
    move |source| KeyRingError::Io { path: path.clone(), source }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn security_9_the_first_start_makes_a_key_that_nobody_else_may_read() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("keys");
        let ring = KeyRing::open(&folder, at(0)).unwrap();
        assert_eq!(mode(&folder), 0o700);
        let files = files(&folder);
        assert_eq!(files.len(), 1);
        assert_eq!(mode(&files[0]), 0o600);
        let again = KeyRing::open(&folder, at(100)).unwrap();
        assert_eq!(again.jwks(at(100)), ring.jwks(at(100)), "the second start takes the same key");
    }

    #[test]
    fn security_9_two_instances_have_different_keys() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = |folder: &Path| KeyRing::open(folder, at(0)).unwrap().jwks(at(0));
        assert_ne!(keys(one.path()), keys(other.path()));
    }

    #[test]
    fn security_9_a_key_that_others_may_read_stops_the_start() {
        let data = tempfile::tempdir().unwrap();
        KeyRing::open(data.path(), at(0)).unwrap();
        let path = files(data.path()).remove(0);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(
            matches!(KeyRing::open(data.path(), at(0)), Err(KeyRingError::Exposed(exposed)) if exposed == path)
        );
    }

    #[test]
    fn a_broken_key_stops_the_start_and_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        KeyRing::open(data.path(), at(0)).unwrap();
        let path = files(data.path()).remove(0);
        fs::write(&path, "{}").unwrap();
        assert!(
            matches!(KeyRing::open(data.path(), at(0)), Err(KeyRingError::Unreadable(broken)) if broken == path)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn the_public_keys_are_what_rfc_8037_asks_for() {
        let data = tempfile::tempdir().unwrap();
        let jwks = KeyRing::open(data.path(), at(0)).unwrap().jwks(at(0));
        let json = serde_json::to_value(&jwks).unwrap();
        let key = &json["keys"][0];
        assert_eq!((&key["kty"], &key["crv"]), (&"OKP".into(), &"Ed25519".into()));
        assert_eq!((&key["alg"], &key["use"]), (&"EdDSA".into(), &"sig".into()));
        assert_eq!(URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap().len(), 32);
        assert_eq!(key.as_object().unwrap().len(), 6, "and nothing of the private key");
    }

    #[test]
    fn security_18_a_key_is_announced_then_signs_then_is_verified_with_then_goes() {
        let data = tempfile::tempdir().unwrap();
        let mut ring = KeyRing::open(data.path(), at(0)).unwrap();
        let first = ring.jwks(at(0)).keys[0].kid.clone();
        let second = ring.rotate(at(1_000)).unwrap();
        let kids =
            |ring: &KeyRing, now| ring.jwks(now).keys.into_iter().map(|key| key.kid).collect::<Vec<_>>();
        let signer = |ring: &KeyRing, now| ring.keys[ring.active(now)].kid.clone();

        assert_eq!(kids(&ring, at(1_000)), [first.clone(), second.clone()]);
        assert_eq!(signer(&ring, at(1_599)), first);
        assert_eq!(signer(&ring, at(1_600)), second);
        assert_eq!(kids(&ring, at(1_899)), [first.clone(), second.clone()]);
        assert_eq!(kids(&ring, at(1_900)), std::slice::from_ref(&second));

        assert!(!ring.is_due(at(4_999), SignedDuration::from_secs(3_400)));
        assert!(ring.is_due(at(5_000), SignedDuration::from_secs(3_400)));
        let third = ring.rotate(at(5_000)).unwrap();
        assert_eq!(kids(&ring, at(5_000)), [second, third]);
        assert_eq!(files(data.path()).len(), 2, "the first is deleted");
    }
}
