//! Everything that the API's description says is what the client sends and understands, to the last field.
//!
//! A server made of the description answers every operation with all fields that the schema has; what comes out of the
//! client must be the same again. What is sent must be in the description, and all of that must be sent by somebody. So a
//! field, parameter or route that is new in the API fails here until the client has it, or it is listed as left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use parlor_client::{
    Availability, Call, ConversationHistory, Credentials, Level, List, NewConversation, NewMessage,
    NewNotification, NewUser, NewWebhook, Page, ParticipantRole, Preferences, Problem, ProfileChange,
    QuietHours, Uuid, WebhookChange,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::fake::{Fake, Reply, Seen, answer};

/// Routes that the client has no method for, whole or by how their paths begin (up to a `/`), and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("/.well-known/", "for services that check tokens themselves; a JWT library fetches it"),
    ("/health/", "for supervisors"),
    ("/v1/admin/", "for the console"),
    ("/v1/notifications/push/", "for browsers"),
    ("/v1/stream", "a feed is no call; `Parlor::live` is tested elsewhere"),
    ("/v1/ws", "as `/v1/stream`; see `Transport`"),
];

/// Whether a path is what is left out, or lies below it.
fn is_of(path: &str, left: &str) -> bool {
    path == left || left.ends_with('/') && path.starts_with(left)
}

const ID: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);

fn description() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The API as it is described.
struct Description {
    root: Value,
}

/// How much of a schema an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// All fields, and of alternatives the nth.
    All(usize),
    /// What must be there.
    Required,
}

impl Description {
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(path) => self.resolved(self.root.pointer(&path[1..]).expect("a schema that is there")),
            None => schema,
        }
    }

    /// A value that the schema allows.
    fn example(&self, schema: &Value, amount: Amount) -> Value {
        let schema = self.resolved(schema);
        let nth = if let Amount::All(n) = amount { n } else { 0 };
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().map(|part| self.example(part, amount));
            return parts.flat_map(|part| part.as_object().cloned().unwrap()).collect::<Map<_, _>>().into();
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[nth % values.len()].clone();
        }
        if let Some(alternatives) = schema["oneOf"].as_array() {
            let some: Vec<_> = alternatives.iter().filter(|one| one["type"] != "null").collect();
            return self.example(some[nth % some.len()], amount);
        }
        let kind =
            schema["type"].as_str().or(schema["type"][0].as_str()).unwrap_or_else(|| panic!("{schema}"));
        match kind {
            "object" => self.object(schema, amount),
            "array" if amount == Amount::Required => json!([]),
            "array" => json!([self.example(&schema["items"], amount)]),
            "integer" | "number" => json!(429),
            "boolean" => json!(true),
            "string" => match schema["format"].as_str() {
                Some("uuid") => json!(ID),
                Some("date-time") => json!("2026-01-02T03:04:05.678Z"),
                _ => json!("words"),
            },
            other => panic!("no example of {other}: {schema}"),
        }
    }

    fn object(&self, schema: &Value, amount: Amount) -> Value {
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return json!({ ID.to_string(): self.example(values, amount) });
        }
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
        let fields = schema["properties"].as_object().unwrap().iter();
        fields
            .filter(|(name, _)| amount != Amount::Required || required.contains(&&json!(name)))
            .map(|(name, field)| (name.clone(), self.example(field, amount)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// How many enumerated values or alternatives anything has at most that is answered.
    fn most_alternatives(&self) -> usize {
        let answered = self.operations().into_values().filter_map(Self::answered);
        answered.map(|(_, schema)| self.alternatives(schema)).max().unwrap_or(1)
    }

    fn alternatives(&self, schema: &Value) -> usize {
        let schema = self.resolved(schema);
        let own = ["enum", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).map(Vec::len).max();
        let inner = match schema {
            Value::Array(values) => values.iter().map(|value| self.alternatives(value)).max(),
            Value::Object(values) => values.values().map(|value| self.alternatives(value)).max(),
            _ => None,
        };
        own.max(inner).unwrap_or(1)
    }

    /// The operation that a request is.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (parts, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            parts.len() == given.len()
                && parts.iter().zip(&given).all(|(part, given)| {
                    part == given || (part.starts_with('{') && given.parse::<Uuid>().is_ok())
                })
        };
        let mut paths: Vec<_> =
            self.root["paths"].as_object().unwrap().iter().filter(|(at, _)| fits(at)).collect();
        paths.sort_by_key(|(template, _)| template.matches('{').count());
        paths.first()?.1.get(method.to_lowercase())
    }

    /// All operations that the client should have, by their ids.
    fn operations(&self) -> BTreeMap<String, &Value> {
        let paths = self.root["paths"].as_object().unwrap().iter();
        let left_out = |path: &str| LEFT_OUT.iter().any(|(left, _)| is_of(path, left));
        let all = paths
            .filter(|(path, _)| !left_out(path))
            .flat_map(|(_, path)| path.as_object().unwrap().values());
        all.filter_map(|operation| Some((operation["operationId"].as_str()?.to_owned(), operation))).collect()
    }

    /// The schema of what an operation answers with when it succeeds.
    fn answered(operation: &Value) -> Option<(u16, &Value)> {
        operation["responses"].as_object()?.iter().filter(|(status, _)| status.starts_with('2')).find_map(
            |(status, response)| {
                let content = response["content"].as_object()?.values().next()?;
                Some((status.parse().ok()?, &content["schema"]))
            },
        )
    }

    /// Names of an operation's parameters in the query string, and of its body's fields.
    fn taken(&self, operation: &Value) -> BTreeSet<String> {
        let parameters =
            operation["parameters"].as_array().into_iter().flatten().map(|one| self.resolved(one));
        let query = parameters
            .filter(|one| one["in"] == "query")
            .map(|one| format!("?{}", one["name"].as_str().unwrap()));
        let body = self.resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
        let fields = body["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        query.chain(fields).collect()
    }
}

/// What was sent to each operation: the names of its parameters and fields.
type Sent = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// Answers as the description says, and notes what came.
fn described(description: &Description, amount: Amount, sent: &Sent, seen: &Seen) -> Reply {
    let operation = description
        .operation(&seen.method, &seen.path)
        .unwrap_or_else(|| panic!("not in the description: {} {}", seen.method, seen.path));
    let names = seen.query.iter().map(|(name, _)| format!("?{name}"));
    let fields = seen.body.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let body = description.resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
    for required in body["required"].as_array().into_iter().flatten() {
        assert!(seen.body.get(required.as_str().unwrap()).is_some(), "{required} is missing: {seen:?}");
    }
    let id = operation["operationId"].as_str().unwrap();
    sent.lock().unwrap().entry(id.to_owned()).or_default().extend(names.chain(fields));
    match Description::answered(operation) {
        Some((status, schema)) => answer(status, &description.example(schema, amount)),
        None => answer(204, &Value::Null),
    }
}

/// Calls everything, and sees whether what is understood is what was answered.
struct Caller<'a> {
    description: &'a Description,
    amount: Amount,
}

impl Caller<'_> {
    async fn call<T: DeserializeOwned + Serialize>(&self, operation: &str, call: Call<T>) {
        let understood = call.answer().await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        self.check(operation, &understood.body);
    }

    async fn list<T: DeserializeOwned + Serialize + Send + 'static>(&self, operation: &str, list: List<T>) {
        let page: Page<T> =
            list.limit(7).cursor("c").await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        self.check(operation, &page);
    }

    fn check(&self, operation: &str, understood: &impl Serialize) {
        // Of what may be missing it is enough that it may.
        if self.amount == Amount::Required {
            return;
        }
        let answered = Description::answered(self.description.operations()[operation]);
        let answered =
            answered.map_or(Value::Null, |(_, schema)| self.description.example(schema, self.amount));
        assert_eq!(serde_json::to_value(understood).unwrap(), answered, "{operation}");
    }
}

#[tokio::test]
async fn the_client_sends_and_understands_all_that_is_described() {
    let description = Arc::new(Description { root: description() });
    let sent = Sent::default();
    let alternatives = (0..description.most_alternatives()).map(Amount::All);
    for amount in alternatives.chain([Amount::Required]) {
        let (by, noted) = (Arc::clone(&description), Arc::clone(&sent));
        let fake = Fake::start(move |seen, _| described(&by, amount, &noted, seen)).await;
        let caller = Caller { description: &description, amount };
        auth(&caller, &fake).await;
        user(&caller, &fake).await;
        chat(&caller, &fake).await;
        notification(&caller, &fake).await;
        presence(&caller, &fake).await;
        webhook(&caller, &fake).await;
    }
    let paths = description.root["paths"].as_object().unwrap();
    for (left, _) in LEFT_OUT {
        assert!(paths.keys().any(|path| is_of(path, left)), "{left} is left out and isn't there");
    }
    let sent = sent.lock().unwrap().clone();
    let there: BTreeMap<_, _> = description
        .operations()
        .into_iter()
        .map(|(id, operation)| (id, description.taken(operation)))
        .collect();
    assert_eq!(
        sent, there,
        "left: what the client calls and sends; right: what the API takes. What is new goes into clients/rust/src/api"
    );
}

async fn auth(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().build().unwrap();
    caller.call("register", parlor.register("a@example.org", "words", "Ada")).await;
    let signed_in = parlor.sign_in(Credentials::new("a@example.org", "words").device("phone")).await.unwrap();
    assert_eq!(signed_in.user_id, ID);
    // `expiresIn` is long: only a token that the server refuses is renewed, which is tested elsewhere.
    caller
        .call(
            "refresh",
            parlor
                .call::<parlor_client::SignedIn>(parlor_client::Method::POST, "/v1/auth/refresh")
                .body(&json!({"refreshToken": "r"})),
        )
        .await;
    caller.call("me", parlor.me()).await;
    caller.call("end_session", parlor.end_session(ID)).await;
    caller.call("change_password", parlor.change_password("words", "others")).await;
    caller.call("request_password_reset", parlor.request_password_reset("a@example.org")).await;
    caller.call("confirm_password_reset", parlor.confirm_password_reset("t", "others")).await;
    caller.call("change_email", parlor.change_email("b@example.org", "words")).await;
    caller.call("verify_email", parlor.verify_email("t")).await;
    caller.call("introspect", parlor.introspect("t")).await;
    caller.call("issue_tokens", parlor.issue_tokens(ID, Some("phone"))).await;
    parlor.sign_out(true).await.unwrap();
}

async fn user(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().service_key("key").build().unwrap();
    caller.call("get_user_by_id", parlor.user(ID)).await;
    caller.call("get_user_profile", parlor.profile(ID)).await;
    caller.list("find_users", parlor.find_users("ada")).await;
    caller.list("find_users", parlor.find_user_by_email("a@example.org")).await;
    let user = NewUser::new("Ada")
        .email("a@example.org")
        .external_id("7")
        .bio("words")
        .avatar_url("https://example.org/a");
    caller.call("create_user", parlor.create_user(&user)).await;
    caller.call("disable_user", parlor.disable_user(ID)).await;
    caller.call("enable_user", parlor.enable_user(ID)).await;
    caller.call("delete_user", parlor.delete_user()).await;
    caller.call("get_own_profile", parlor.own_profile()).await;
    let change = ProfileChange::new().display_name("Ada").bio(None).avatar_url(Some("https://example.org/a"));
    caller.call("update_user_profile", parlor.update_profile(&change)).await;
    caller.call("change_user_status", parlor.change_status(Availability::Away, Some("at lunch"))).await;
    caller.list("get_user_contacts", parlor.contacts()).await;
    caller.call("add_user_contact", parlor.add_contact(ID)).await;
    caller.call("remove_user_contact", parlor.remove_contact(ID)).await;
}

async fn chat(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().service_key("key").build().unwrap();
    caller.list("get_conversations", parlor.conversations()).await;
    caller.call("get_conversation", parlor.conversation(ID)).await;
    let group = NewConversation::group([ID]).title("Engines").history(ConversationHistory::All);
    caller.call("create_conversation", parlor.create_conversation(&group)).await;
    caller.call("create_conversation", parlor.create_conversation(&NewConversation::direct(ID))).await;
    caller.call("rename_conversation", parlor.rename_conversation(ID, Some("Engines"))).await;
    caller.list("get_participants", parlor.participants(ID)).await;
    caller.call("add_participant", parlor.add_participant(ID, ID, Some(ParticipantRole::Admin))).await;
    caller.call("remove_participant", parlor.remove_participant(ID, ID)).await;
    let lists = [
        parlor.messages(ID),
        parlor.messages_from(ID, 7),
        parlor.messages_before(ID, ID),
        parlor.messages_after(ID, ID),
        parlor.messages_around(ID, ID),
    ];
    for list in lists {
        caller.list("get_conversation_messages", list).await;
    }
    caller.call("send_message", parlor.send(ID, NewMessage::new("words").id(ID).reply_to(ID))).await;
    caller.call("edit_message", parlor.edit_message(ID, ID, "other words")).await;
    caller.call("delete_message", parlor.delete_message(ID, ID)).await;
    caller.call("mark_messages_as_read", parlor.mark_messages_as_read(ID, ID)).await;
    caller.call("get_unread_messages_count", parlor.unread_messages_count(ID)).await;
    caller.call("get_unread_messages_counts", parlor.unread_messages_counts()).await;
    caller.list("search_messages", parlor.search_messages("words").conversation(ID).sender(ID)).await;
}

async fn notification(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().service_key("key").build().unwrap();
    caller.list("get_user_notifications", parlor.unread_notifications()).await;
    caller.call("get_unread_notifications_count", parlor.unread_notifications_count()).await;
    caller.call("mark_notification_as_read", parlor.mark_notification_as_read(ID)).await;
    caller.call("mark_all_notifications_as_read", parlor.mark_all_notifications_as_read()).await;
    let new = NewNotification::new(ID, "news", "News", "There are some").link("https://example.org/news");
    caller.call("create_notification", parlor.create_notification(&new)).await;
    caller.call("get_notification_preferences", parlor.notification_preferences()).await;
    let mut preferences = Preferences::default();
    preferences.kinds.group = Level::None;
    preferences.conversations.insert(ID, Level::All);
    preferences.quiet_hours =
        Some(QuietHours { from: "22:00".into(), to: "07:00".into(), time_zone: "Europe/Berlin".into() });
    caller
        .call("update_notification_preferences", parlor.update_notification_preferences(&preferences))
        .await;
}

async fn presence(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().service_key("key").build().unwrap();
    caller.call("get_presence", parlor.presence([ID, ID])).await;
    caller.call("tell_typing", parlor.tell_typing(ID)).await;
    caller.call("issue_ticket", parlor.issue_ticket()).await;
}

async fn webhook(caller: &Caller<'_>, fake: &Fake) {
    let parlor = fake.client().service_key("key").build().unwrap();
    caller.list("get_webhooks", parlor.webhooks()).await;
    caller.call("get_webhook", parlor.webhook(ID)).await;
    let new = NewWebhook::new("https://example.org/hook").events(["chat.message-sent"]).description("words");
    caller.call("create_webhook", parlor.create_webhook(&new)).await;
    let change = WebhookChange::new().url("https://example.org/other").events(["chat.message-sent"]);
    let change = change.description("others").enabled(false);
    caller.call("update_webhook", parlor.update_webhook(ID, &change)).await;
    caller.call("replay_webhook", parlor.replay_webhook(ID, "earliest")).await;
    caller.call("retry_webhook", parlor.retry_webhook(ID)).await;
    caller.call("rotate_webhook_secret", parlor.rotate_webhook_secret(ID)).await;
    caller.call("delete_webhook", parlor.delete_webhook(ID)).await;
}

#[test]
fn a_problem_has_the_fields_that_are_described() {
    let description = Description { root: description() };
    let example = description.example(&description.root["components"]["schemas"]["Problem"], Amount::All(0));
    let understood: Problem = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(understood).unwrap(), example);
}
