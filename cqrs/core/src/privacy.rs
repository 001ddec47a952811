//! Fields that say something about a person, sealed with that person's key wherever an event is stored or sent.
//!
//! Destroying the key erases the person from every log, snapshot and topic for good, while order and counts hold.
//! [`Personal`] and [`Plain`] mark the fields, [`Keyring`] seals and opens them, a [`KeyStore`] keeps the keys apart
//! from what they protect.

mod decoded;
mod lately;
mod opened;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use quick_cache::sync::Cache;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use self::decoded::DecodedEvents;
use self::opened::{Opened, OpenedFields};
use crate::event::{Event, NewEvent, RecordedEvent};
use crate::failure::StoreError;

/// A text field that says nothing about a person, or that must outlive them; stored as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plain<T>(pub T);

/// A field about the person `of`: sealed with their key in every log and topic, plain in memory and in views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal<T> {
    of: Uuid,
    value: Option<T>,
}

impl<T> Personal<T> {
    /// A value about `person`.
    pub fn new(person: Uuid, value: T) -> Self {
        Self { of: person, value: Some(value) }
    }

    /// Whom it is about.
    pub fn person(&self) -> Uuid {
        self.of
    }

    /// The value; `None` once the person was erased.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value, taken out; `None` once the person was erased.
    pub fn into_inner(self) -> Option<T> {
        self.value
    }
}

/// What an erased text reads as, where some text must stand.
pub const ERASED: &str = "";

impl Personal<String> {
    /// The text; empty once the person was erased.
    pub fn text(&self) -> &str {
        self.value.as_deref().unwrap_or(ERASED)
    }
}

/// One person's key, 256 bits.
pub type PersonKey = [u8; 32];

/// What is known of a person's key.
#[derive(Clone)]
enum KeyState {
    Present(Arc<XChaCha20Poly1305>),
    Destroyed,
}

/// Where persons' keys are kept: apart from the logs, readable by all services.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The keys of these persons; none for who has none, or none any more.
    async fn find(&self, persons: &[Uuid]) -> Result<Vec<(Uuid, PersonKey)>, StoreError>;

    /// Stores `offered` for those who have no key yet and returns the keys that hold, synced to disk; none for
    /// a person whose key was destroyed: they never get another.
    async fn ensure(&self, offered: Vec<(Uuid, PersonKey)>) -> Result<Vec<(Uuid, PersonKey)>, StoreError>;
}

/// The keys at hand, shared by all who encode and decode.
#[derive(Clone)]
pub struct Keys(Arc<AtHand>);

struct AtHand {
    keys: Cache<Uuid, KeyState>,
    opened: OpenedFields,
    decoded: DecodedEvents,
}

struct Scope {
    keys: Keys,
    /// The event whose fields these are.
    event: Uuid,
    /// Whether they are to be sealed, not opened.
    seals: bool,
    /// See [`nonce_base`]; worked out when it is first needed.
    base: Option<[u8; 24]>,
    /// The number of the next field to be sealed.
    index: u16,
    missing: Vec<Uuid>,
}

impl Scope {
    fn new(event: Uuid, keys: &Keys, seals: bool) -> Self {
        Self { keys: keys.clone(), event, seals, base: None, index: 0, missing: Vec::new() }
    }

    fn nonce(&mut self, index: u16) -> XNonce {
        nth_nonce(self.base.get_or_insert_with(|| nonce_base(self.event)), index)
    }
}

thread_local! {
    // serde gives a field's implementation no way to be handed the keys; the scope is set around one call only.
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Fields of one event are sealed under nonces derived from the event's id and the field's number: an id never recurs
/// with another content (a public event has an id of its own, derived from the private one's), so the nonce needn't be
/// stored, and a sealed field can't be moved to another event. The number is stored in front of the sealed bytes, for
/// an event may be read with other fields than it was written with: upcast, or by code that ignores some.
fn nonce_base(event: Uuid) -> [u8; 24] {
    let mut hash = blake3::Hasher::new_derive_key("parlor cqrs sealed field nonce v1");
    hash.update(event.as_bytes());
    let mut base = [0; 24];
    base.copy_from_slice(&hash.finalize().as_bytes()[..24]);
    base
}

fn nth_nonce(base: &[u8; 24], index: u16) -> XNonce {
    let mut nonce = *base;
    for (byte, n) in nonce[22..].iter_mut().zip(index.to_be_bytes()) {
        *byte ^= n;
    }
    XNonce::from(nonce)
}

#[derive(Serialize, Deserialize)]
struct SealedForm<'a, T> {
    of: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    sealed: Option<Cow<'a, str>>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    value: Option<T>,
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sealed = SCOPE.with_borrow_mut(|scope| -> Result<Option<String>, S::Error> {
            let Some(scope) = scope.as_mut() else { return Ok(None) };
            let Some(value) = self.value.as_ref().filter(|_| scope.seals) else { return Ok(None) };
            let plain = serde_json::to_vec(value).map_err(S::Error::custom)?;
            match scope.keys.0.keys.get(&self.of) {
                Some(KeyState::Present(key)) => {
                    let index = scope.index;
                    scope.index = index.checked_add(1).ok_or_else(|| {
                        S::Error::custom(format!("an event holds at most {} personal fields", u16::MAX))
                    })?;
                    let payload = Payload { msg: &plain, aad: self.of.as_bytes() };
                    let sealed = key.encrypt(&scope.nonce(index), payload).map_err(S::Error::custom)?;
                    let sealed = URL_SAFE_NO_PAD.encode([&index.to_be_bytes()[..], &sealed].concat());
                    scope.keys.0.opened.keep(scope.event, index, self.of, &sealed, plain);
                    Ok(Some(sealed))
                }
                // Nothing more is recorded about who was erased.
                Some(KeyState::Destroyed) => Ok(Some(String::new())),
                None => {
                    scope.missing.push(self.of);
                    Ok(Some(String::new()))
                }
            }
        })?;
        let mut form = serializer.serialize_struct("Personal", 2)?;
        form.serialize_field("of", &self.of)?;
        match sealed {
            Some(sealed) => form.serialize_field("sealed", &sealed)?,
            None => form.serialize_field("value", &self.value)?,
        }
        form.end()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = SealedForm::<T>::deserialize(deserializer)?;
        let Some(sealed) = form.sealed else { return Ok(Self { of: form.of, value: form.value }) };
        let opened = SCOPE.with_borrow_mut(|scope| -> Result<Option<Arc<Opened>>, D::Error> {
            let scope =
                scope.as_mut().ok_or_else(|| D::Error::custom("a sealed field outside of a codec"))?;
            if scope.seals {
                return Err(D::Error::custom("a sealed field while sealing"));
            }
            if sealed.is_empty() {
                return Ok(None);
            }
            match scope.keys.0.keys.get(&form.of) {
                Some(KeyState::Present(key)) => {
                    let at_hand = scope.keys.0.opened.get(scope.event, form.of, &sealed);
                    if at_hand.is_some() {
                        return Ok(at_hand);
                    }
                    let bytes = URL_SAFE_NO_PAD.decode(sealed.as_bytes()).map_err(D::Error::custom)?;
                    let not_ours = || D::Error::custom(format!("a field about {} can't be opened", form.of));
                    let (index, cipher) = bytes.split_first_chunk::<2>().ok_or_else(not_ours)?;
                    let index = u16::from_be_bytes(*index);
                    let payload = Payload { msg: cipher, aad: form.of.as_bytes() };
                    let plain = key.decrypt(&scope.nonce(index), payload).map_err(|_| not_ours())?;
                    Ok(Some(scope.keys.0.opened.keep(scope.event, index, form.of, &sealed, plain)))
                }
                Some(KeyState::Destroyed) => Ok(None),
                None => {
                    scope.missing.push(form.of);
                    Ok(None)
                }
            }
        })?;
        let value =
            opened.map(|field| serde_json::from_slice(&field.plain)).transpose().map_err(D::Error::custom)?;
        Ok(Self { of: form.of, value })
    }
}

impl<T: JsonSchema> JsonSchema for Personal<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Personal_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({
            "type": "object",
            "description": "Sealed with the key of the person `of`; decodes as erased once that key is gone.",
            "x-personal": true,
            "properties": { "of": {"type": "string", "format": "uuid"}, "sealed": {"type": "string"}, "value": value },
            "required": ["of"],
        })
    }
}

impl<T: JsonSchema> JsonSchema for Plain<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Plain_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("x-plain".to_owned(), true.into());
        schema
    }
}

/// Where events of type `E` have text fields that declare neither [`Personal`] nor [`Plain`]: the paths into their
/// schema. Every service asserts that this is empty.
pub fn undeclared_text<E: JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(E);
    let mut search = UndeclaredText { root: schema.as_value(), followed: Vec::new(), found: Vec::new() };
    search.walk(schema.as_value(), "");
    search.found
}

struct UndeclaredText<'a> {
    root: &'a serde_json::Value,
    /// Definitions gone into already: each is looked at once, which also ends recursive types.
    followed: Vec<&'a str>,
    found: Vec<String>,
}

impl<'a> UndeclaredText<'a> {
    fn walk(&mut self, node: &'a serde_json::Value, path: &str) {
        if let Some(items) = node.as_array() {
            for (i, item) in items.iter().enumerate() {
                self.walk(item, &format!("{path}/{i}"));
            }
        }
        let Some(object) = node.as_object() else { return };
        if object.contains_key("x-personal") || object.contains_key("x-plain") {
            return;
        }
        // Definitions are looked at from where they are used: what is used in a personal field only needs no
        // declaration of its own.
        if let Some(target) = object.get("$ref").and_then(serde_json::Value::as_str)
            && !self.followed.contains(&target)
            && let Some(definition) = target.strip_prefix('#').and_then(|path| self.root.pointer(path))
        {
            self.followed.push(target);
            self.walk(definition, path);
        }
        let is_text = match object.get("type") {
            Some(serde_json::Value::String(kind)) => kind == "string",
            Some(serde_json::Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
            _ => false,
        };
        let says_what = ["const", "enum", "format"].iter().any(|key| object.contains_key(*key));
        if is_text && !says_what {
            self.found.push(path.to_owned());
        }
        for (key, value) in object {
            // Only the places where JSON Schema nests schemas or maps of them.
            if !matches!(key.as_str(), "$defs" | "enum" | "const" | "required" | "default" | "examples") {
                self.walk(value, &format!("{path}/{key}"));
            }
        }
    }
}

/// Why an event couldn't be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Keys aren't at hand; load them and try again.
    #[error("keys of {} persons are not loaded", .0.len())]
    MissingKeys(Vec<Uuid>),
    /// The event's type isn't an adjacently tagged enum.
    #[error("{0} must be an enum with #[serde(tag = \"type\", content = \"data\")]")]
    NotTagged(&'static str),
    /// The data is not what the event's name and version promise.
    #[error("{name} version {schema}: {detail}")]
    Undecodable {
        /// The event's name.
        name: String,
        /// The version of its data.
        schema: u16,
        /// What is wrong.
        detail: String,
    },
    /// The key store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CodecError> for crate::failure::Failure {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Store(error) => error.into(),
            CodecError::MissingKeys(persons) => Self::MissingKeys(persons),
            other => Self::internal(other),
        }
    }
}

fn scoped<R>(scope: Scope, run: impl FnOnce() -> R) -> (R, Vec<Uuid>) {
    /// Ends the scope even where a field's own implementation panics: nothing else on this thread may meet it.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            SCOPE.with_borrow_mut(|slot| *slot = None);
        }
    }
    SCOPE.with_borrow_mut(|slot| *slot = Some(scope));
    let _end = End;
    let result = run();
    let missing = SCOPE.with_borrow_mut(Option::take).map(|scope| scope.missing).unwrap_or_default();
    (result, missing)
}

/// Encodes an adjacently tagged value into its name and its data, personal fields sealed.
pub fn encode<E: Serialize>(event: &E, id: Uuid, keys: &Keys) -> Result<(String, Bytes), CodecError> {
    let (json, missing) = scoped(Scope::new(id, keys, true), || serde_json::to_vec(event));
    if !missing.is_empty() {
        return Err(CodecError::MissingKeys(missing));
    }
    let json = json.map_err(|error| CodecError::Undecodable {
        name: std::any::type_name::<E>().to_owned(),
        schema: 0,
        detail: error.to_string(),
    })?;
    let not_tagged = || CodecError::NotTagged(std::any::type_name::<E>());
    let rest = json.strip_prefix(br#"{"type":""#).ok_or_else(not_tagged)?;
    let end = rest.iter().position(|&byte| byte == b'"').ok_or_else(not_tagged)?;
    let name = std::str::from_utf8(&rest[..end]).map_err(|_| not_tagged())?.to_owned();
    let data = match rest[end + 1..].strip_prefix(br#","data":"#) {
        Some(data) => Bytes::copy_from_slice(&data[..data.len() - 1]),
        None => Bytes::from_static(b"{}"),
    };
    Ok((name, data))
}

/// Decodes what [`encode`] made: `name` and `data` back into the tagged value, under the event's `id`.
pub fn decode_parts<E: DeserializeOwned>(
    name: &str,
    data: &[u8],
    id: Uuid,
    keys: &Keys,
) -> Result<E, CodecError> {
    let mut json = Vec::with_capacity(data.len() + name.len() + 24);
    json.extend_from_slice(br#"{"type":""#);
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(br#"","data":"#);
    json.extend_from_slice(data);
    json.push(b'}');
    let (value, missing) = scoped(Scope::new(id, keys, false), || serde_json::from_slice(&json));
    if !missing.is_empty() {
        return Err(CodecError::MissingKeys(missing));
    }
    value.map_err(|error| CodecError::Undecodable {
        name: name.to_owned(),
        schema: 0,
        detail: error.to_string(),
    })
}

/// Decodes a recorded event, upcasting an older version first.
pub fn decode<E: Event>(recorded: &RecordedEvent, keys: &Keys) -> Result<E, CodecError> {
    if let Some(event) = keys.0.decoded.get(recorded) {
        return Ok(event);
    }
    let event = decode_anew(recorded, keys)?;
    keys.0.decoded.keep(recorded, &event);
    Ok(event)
}

fn decode_anew<E: Event>(recorded: &RecordedEvent, keys: &Keys) -> Result<E, CodecError> {
    let undecodable = |detail: String| CodecError::Undecodable {
        name: recorded.name.to_string(),
        schema: recorded.schema,
        detail,
    };
    let present = E::version(&recorded.name);
    let mut data = Cow::Borrowed(&recorded.data);
    if recorded.schema < present {
        let old = serde_json::from_slice(&recorded.data).map_err(|error| undecodable(error.to_string()))?;
        let new = E::upcast(&recorded.name, recorded.schema, old).map_err(undecodable)?;
        data = Cow::Owned(serde_json::to_vec(&new).map_err(|error| undecodable(error.to_string()))?.into());
    } else if recorded.schema > present {
        return Err(undecodable(format!("newer than version {present}, which is the newest known here")));
    }
    decode_parts(&recorded.name, &data, recorded.id, keys).map_err(|error| match error {
        CodecError::Undecodable { detail, .. } => undecodable(detail),
        other => other,
    })
}

/// Seals and opens events: the keys at hand, and the store behind them.
#[derive(Clone)]
pub struct Keyring {
    keys: Keys,
    store: Arc<dyn KeyStore>,
}

/// How many keys stay at hand; about 400 bytes each.
const KEYS_AT_HAND: usize = 50_000;

impl Keyring {
    /// A keyring over `store`.
    pub fn new(store: Arc<dyn KeyStore>) -> Self {
        let at_hand = AtHand {
            keys: Cache::new(KEYS_AT_HAND),
            opened: OpenedFields::new(),
            decoded: DecodedEvents::new(),
        };
        Self { keys: Keys(Arc::new(at_hand)), store }
    }

    /// The keys at hand.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Encodes an event under a new id, making the keys of persons who have none yet.
    pub async fn encode<E: Event>(&self, id: Uuid, event: &E) -> Result<NewEvent, CodecError> {
        let (name, data) = self.encode_parts(id, event).await?;
        let schema = E::version(&name);
        Ok(NewEvent { id, name: name.into(), schema, data })
    }

    /// Encodes any adjacently tagged value under `id`, as [`Keyring::encode`] does.
    pub async fn encode_parts<E: Serialize + Sync>(
        &self,
        id: Uuid,
        value: &E,
    ) -> Result<(String, Bytes), CodecError> {
        loop {
            match encode(value, id, &self.keys) {
                Err(CodecError::MissingKeys(persons)) => self.ensure(&persons).await?,
                result => return result,
            }
        }
    }

    /// Decodes an event, fetching keys that aren't at hand.
    pub async fn decode<E: Event>(&self, recorded: &RecordedEvent) -> Result<E, CodecError> {
        self.with_keys(|keys| decode(recorded, keys)).await
    }

    /// Runs `work`, fetching the keys that it turns out to miss, until it misses none.
    pub async fn with_keys<R>(
        &self,
        mut work: impl FnMut(&Keys) -> Result<R, CodecError>,
    ) -> Result<R, CodecError> {
        loop {
            match work(&self.keys) {
                Err(CodecError::MissingKeys(persons)) => self.load(&persons).await?,
                result => return result,
            }
        }
    }

    pub(crate) async fn ensure(&self, persons: &[Uuid]) -> Result<(), CodecError> {
        let offered = persons.iter().map(|person| (*person, rand::random())).collect();
        let held = self.store.ensure(offered).await?;
        self.remember(persons, &held);
        Ok(())
    }

    pub(crate) async fn load(&self, persons: &[Uuid]) -> Result<(), CodecError> {
        let held = self.store.find(persons).await?;
        self.remember(persons, &held);
        Ok(())
    }

    fn remember(&self, persons: &[Uuid], held: &[(Uuid, PersonKey)]) {
        if persons.iter().any(|person| held.iter().all(|(of, _)| of != person)) {
            self.keys.0.decoded.forget();
        }
        for person in persons {
            let state = match held.iter().find(|(of, _)| of == person) {
                Some((_, key)) => KeyState::Present(Arc::new(XChaCha20Poly1305::new(key.into()))),
                // A key is stored before the first event that uses it: none there means none any more.
                None => KeyState::Destroyed,
            };
            self.keys.0.keys.insert(*person, state);
        }
    }
}

/// Seals whole byte strings (stored answers, snapshots) with a key of the instance.
#[derive(Clone)]
pub struct InstanceKey {
    cipher: Arc<XChaCha20Poly1305>,
    hash_key: [u8; 32],
}

impl InstanceKey {
    /// From 32 secret bytes; what it seals for one purpose can't be opened for another.
    pub fn new(secret: &[u8; 32]) -> Self {
        let cipher_key = blake3::derive_key("parlor cqrs instance cipher v1", secret);
        Self {
            cipher: Arc::new(XChaCha20Poly1305::new(&cipher_key.into())),
            hash_key: blake3::derive_key("parlor cqrs instance hash v1", secret),
        }
    }

    /// Seals `plain`, bound to `purpose`.
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; 24] = rand::random();
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: purpose })
            .expect("encrypting in memory does not fail below the cipher's limit of 256 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what [`InstanceKey::seal`] made; `None` if it is not that, or was sealed with another key.
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(24)?;
        let nonce: [u8; 24] = nonce.try_into().ok()?;
        self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: purpose }).ok()
    }

    /// A keyed hash of `parts`: tells equal from unequal, and nothing about what was hashed.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_keyed(&self.hash_key);
        for part in parts {
            hash.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        *hash.finalize().as_bytes()
    }
}
