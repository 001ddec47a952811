//! Every operation of `/openapi.json`, with the rule of who may do it and a request that would succeed.

use std::sync::atomic::{AtomicU32, Ordering};

use parlor_tests::user::PASSWORD;
use parlor_tests::{Api, Call, Cast, Reply, Role, Server, User};
use reqwest::Method;
use serde_json::{Value, json};

/// Who may do something. Whoever may gets the route's own success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anybody, signed in or not.
    Open,
    /// Whoever is signed in, applications too: about others, or about what is theirs and may be nothing.
    SignedIn,
    /// Users, about themselves; an application has no such thing.
    Users,
    /// Members of the group. To others it doesn't exist.
    Members,
    /// The group's admins; its other members are told so, and to others it doesn't exist.
    GroupAdmins,
    /// Whose it is (the member's). To others it doesn't exist.
    Owner,
    /// Administrators of the instance.
    Admins,
    /// Administrators, and applications for their own users.
    AdminsAndServices,
    /// Applications.
    Services,
}

impl Rule {
    /// The status that somebody in this role gets, or `None` for the route's own success.
    pub fn refusal(self, role: Role) -> Option<u16> {
        const OK: Option<u16> = None;
        const UNSIGNED: Option<u16> = Some(401);
        const FORBIDDEN: Option<u16> = Some(403);
        const UNKNOWN: Option<u16> = Some(404);
        // In the order of `Role::ALL`: nobody, stranger, member, former member, administrator, application.
        let row = match self {
            Self::Open => [OK, OK, OK, OK, OK, OK],
            Self::SignedIn => [UNSIGNED, OK, OK, OK, OK, OK],
            Self::Users => [UNSIGNED, OK, OK, OK, OK, FORBIDDEN],
            Self::Members | Self::Owner => [UNSIGNED, UNKNOWN, OK, UNKNOWN, UNKNOWN, UNKNOWN],
            Self::GroupAdmins => [UNSIGNED, UNKNOWN, FORBIDDEN, UNKNOWN, UNKNOWN, UNKNOWN],
            Self::Admins => [UNSIGNED, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK, FORBIDDEN],
            Self::AdminsAndServices => [UNSIGNED, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK, OK],
            Self::Services => [UNSIGNED, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK],
        };
        let column = Role::ALL.iter().position(|other| *other == role).expect("one of all");
        row[column]
    }
}

/// One operation.
pub struct Route {
    /// Such as `GET /v1/users/{id}`, as the description has it.
    pub operation: &'static str,
    /// Who may.
    pub rule: Rule,
    /// The status of its success: what whoever may gets for this request.
    pub success: u16,
    /// A sound body.
    pub body: fn(&Scene) -> Option<Value>,
    /// What a query needs to be asked.
    pub query: &'static str,
    /// Whether it ends the session that asks.
    pub ends_session: bool,
}

/// What a route's request is about; made anew for each route.
#[derive(Clone)]
pub struct Scene {
    /// Everybody.
    pub cast: Cast,
    /// A message of the member's in the group.
    pub message: String,
    /// A notification of the member's.
    pub notification: String,
    /// A session of the member's, apart from the one that asks.
    pub session: String,
    /// A browser of the member's.
    pub browser: String,
    /// A webhook.
    pub webhook: String,
}

impl Scene {
    /// Sets the scene around a fresh group.
    pub async fn around(mut cast: Cast) -> Self {
        cast.group = cast.fresh_group().await;
        let message = cast.member.say(&cast.group, "something sound").await.text("id");
        let notification = cast.notify(&cast.member).await;
        let mut elsewhere = cast.member.clone();
        elsewhere.sign_in().await;
        let push = "/v1/notifications/push/subscriptions";
        let browser = cast.member.call(Method::POST, push).json(&browser()).expect(201).await.text("id");
        // One address for all: there may be only so many webhooks.
        let webhook = webhook(&cast.admin).await;
        Self { message, notification, session: elsewhere.session, browser, webhook, cast }
    }

    /// The route's request, from whoever holds this token.
    pub fn request(&self, route: &Route, token: Option<&str>, body: Option<&Value>) -> Call {
        let api = &self.cast.owner.api;
        let (method, path) = route.method_and_path();
        let call = api.call(method, &self.path(path, route.query));
        let call = match token {
            Some(token) => call.token(token),
            None => call,
        };
        match body {
            Some(body) => call.json(body),
            None => call,
        }
    }

    /// The token of somebody who may do it.
    pub fn permitted(&self, rule: Rule) -> Option<&str> {
        match rule {
            Rule::Open => None,
            Rule::GroupAdmins => Some(&self.cast.owner.token),
            Rule::SignedIn | Rule::Users | Rule::Members | Rule::Owner => Some(&self.cast.member.token),
            Rule::Admins | Rule::AdminsAndServices => Some(&self.cast.admin.token),
            Rule::Services => Some(&self.cast.service_key),
        }
    }

    fn path(&self, template: &str, query: &str) -> String {
        let id = match template {
            path if path.starts_with("/v1/conversations/") => &self.cast.group,
            path if path.starts_with("/v1/auth/sessions/") => &self.session,
            path if path.starts_with("/v1/notifications/push/") => &self.browser,
            path if path.starts_with("/v1/webhooks/") => &self.webhook,
            path if path.starts_with("/v1/notifications/") => &self.notification,
            path if path.ends_with("/sessions/{session}") => &self.cast.member.id,
            _ => &self.cast.owner.id,
        };
        let path = template.replace("/parked/{id}", "/parked/1");
        let path = path.replace("{id}", id).replace("{messageId}", &self.message);
        let path = path.replace("{userId}", &self.cast.owner.id).replace("{session}", &self.session);
        let path = path.replace("{service}", "notification").replace("{view}", "inbox");
        assert!(!path.contains('{'), "a parameter that is not filled in: {path}");
        format!("{path}{query}")
    }
}

impl Route {
    /// The method, and the path with its parameters' names.
    pub fn method_and_path(&self) -> (Method, &'static str) {
        let (method, path) = self.operation.split_once(' ').expect("a method and a path");
        (method.parse().expect("a method"), path)
    }

    fn sending(self, body: fn(&Scene) -> Option<Value>) -> Self {
        Self { body, ..self }
    }

    fn asking(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn ending_the_session(self) -> Self {
        Self { ends_session: true, ..self }
    }
}

fn route(operation: &'static str, rule: Rule, success: u16) -> Route {
    Route { operation, rule, success, body: |_| None, query: "", ends_session: false }
}

/// The webhook that there is, or a new one.
async fn webhook(admin: &User) -> String {
    let list = admin.call(Method::GET, "/v1/webhooks").expect(200).await.json();
    if let Some(id) = list["items"][0]["id"].as_str() {
        return id.to_owned();
    }
    let body = json!({"url": "https://hooks.example.invalid/"});
    admin.call(Method::POST, "/v1/webhooks").json(&body).expect(201).await.text("id")
}

/// An address that nobody has.
fn fresh_email() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("fresh-{}@example.org", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// All of them. Open routes that take a secret are asked with a wrong one, which everybody gets the same answer to.
pub fn all() -> Vec<Route> {
    let mut routes = auth();
    routes.extend(users());
    routes.extend(chat());
    // Before what ends accounts.
    routes.extend(administration());
    routes.extend(notifications());
    routes.extend(webhooks());
    routes.extend(operations());
    routes
}

fn auth() -> Vec<Route> {
    use Rule::{Open, Owner, Services, SignedIn, Users};
    vec![
        route("POST /v1/auth/register", Open, 201)
            .sending(|_| Some(json!({"email": fresh_email(), "password": PASSWORD, "displayName": "Fresh"}))),
        route("POST /v1/auth/login", Open, 200)
            .sending(|scene| Some(json!({"email": scene.cast.owner.email, "password": PASSWORD}))),
        route("POST /v1/auth/refresh", Open, 401).sending(|_| Some(json!({"refreshToken": "wrong"}))),
        route("POST /v1/auth/password-reset", Open, 202)
            .sending(|scene| Some(json!({"email": scene.cast.owner.email}))),
        route("POST /v1/auth/password-reset/confirm", Open, 422)
            .sending(|_| Some(json!({"token": "wrong", "newPassword": PASSWORD}))),
        route("POST /v1/auth/verify-email", Open, 422).sending(|_| Some(json!({"token": "wrong"}))),
        route("GET /.well-known/jwks.json", Open, 200),
        route("POST /v1/auth/introspect", SignedIn, 200)
            .sending(|scene| Some(json!({"token": scene.cast.owner.token}))),
        route("GET /v1/auth/me", Users, 200),
        route("DELETE /v1/auth/sessions/{id}", Owner, 204),
        route("PUT /v1/auth/email", Users, 202)
            .sending(|_| Some(json!({"email": fresh_email(), "currentPassword": PASSWORD}))),
        route("PUT /v1/auth/password", Users, 204)
            .sending(|_| Some(json!({"currentPassword": PASSWORD, "newPassword": PASSWORD}))),
        route("POST /v1/auth/logout", Users, 204).sending(|_| Some(json!({}))).ending_the_session(),
        route("POST /v1/auth/tokens", Services, 201)
            .sending(|scene| Some(json!({"userId": scene.cast.owner.id}))),
    ]
}

fn users() -> Vec<Route> {
    use Rule::{Admins, AdminsAndServices, SignedIn, Users};
    vec![
        route("POST /v1/users", AdminsAndServices, 201).sending(|_| Some(json!({"displayName": "Made"}))),
        route("GET /v1/users", SignedIn, 200).asking("?search=owner"),
        route("GET /v1/users/{id}", SignedIn, 200),
        route("GET /v1/users/{id}/profile", SignedIn, 200),
        route("GET /v1/users/me/profile", Users, 200),
        route("PATCH /v1/users/me/profile", Users, 200).sending(|_| Some(json!({"bio": "Sings."}))),
        route("PUT /v1/users/me/status", Users, 204).sending(|_| Some(json!({"status": "busy"}))),
        route("GET /v1/users/me/contacts", Users, 200),
        route("PUT /v1/users/me/contacts/{userId}", Users, 204),
        route("DELETE /v1/users/me/contacts/{userId}", Users, 204),
        route("POST /v1/users/{id}/disable", Admins, 204),
        route("POST /v1/users/{id}/enable", Admins, 204),
    ]
}

fn chat() -> Vec<Route> {
    use Rule::{GroupAdmins, Members, SignedIn, Users};
    vec![
        route("POST /v1/conversations", Users, 201).sending(|scene| {
            Some(json!({"kind": "group", "title": "Another", "participants": [scene.cast.owner.id]}))
        }),
        route("GET /v1/conversations", SignedIn, 200),
        route("GET /v1/conversations/{id}", Members, 200),
        route("PATCH /v1/conversations/{id}", GroupAdmins, 200)
            .sending(|_| Some(json!({"title": "Renamed"}))),
        route("GET /v1/conversations/{id}/participants", Members, 200),
        route("PUT /v1/conversations/{id}/participants/{userId}", GroupAdmins, 409)
            // The group's admin names themselves: nobody changes their own role.
            .sending(|_| Some(json!({"role": "member"}))),
        route("POST /v1/conversations/{id}/messages", Members, 201)
            .sending(|_| Some(json!({"content": "said"}))),
        route("GET /v1/conversations/{id}/messages", Members, 200),
        route("PATCH /v1/conversations/{id}/messages/{messageId}", Members, 200)
            .sending(|_| Some(json!({"content": "in other words"}))),
        route("PUT /v1/conversations/{id}/read", Members, 204)
            .sending(|scene| Some(json!({"upTo": scene.message}))),
        route("GET /v1/conversations/{id}/unread-count", Members, 200),
        route("GET /v1/unread-count", SignedIn, 200),
        route("GET /v1/messages/search", SignedIn, 200).asking("?q=something"),
        route("DELETE /v1/conversations/{id}/messages/{messageId}", Members, 204),
        route("DELETE /v1/conversations/{id}/participants/{userId}", GroupAdmins, 204),
        route("GET /v1/stream", Users, 200),
        // By a plain request: it is for WebSockets.
        route("GET /v1/ws", Users, 426),
        route("POST /v1/stream/ticket", Users, 201),
        route("POST /v1/conversations/{id}/typing", Members, 204),
        route("GET /v1/presence", Users, 200).asking("?users=00000000-0000-0000-0000-000000000000"),
    ]
}

fn notifications() -> Vec<Route> {
    use Rule::{AdminsAndServices, Owner, Users};
    vec![
        route("POST /v1/notifications", AdminsAndServices, 201).sending(|scene| {
            let user = &scene.cast.owner.id;
            Some(json!({"userId": user, "kind": "order-shipped", "title": "On its way", "body": "No. 42"}))
        }),
        route("GET /v1/notifications", Users, 200),
        route("GET /v1/notifications/unread-count", Users, 200),
        route("PUT /v1/notifications/{id}/read", Owner, 204),
        route("POST /v1/notifications/read-all", Users, 204),
        route("GET /v1/notifications/preferences", Users, 200),
        route("PUT /v1/notifications/preferences", Users, 200)
            .sending(|_| Some(json!({"kinds": {"group": "all"}}))),
        route("GET /v1/notifications/push/key", Users, 200),
        route("GET /v1/notifications/push/subscriptions", Users, 200),
        route("POST /v1/notifications/push/subscriptions", Users, 201).sending(|_| Some(browser())),
        route("DELETE /v1/notifications/push/subscriptions/{id}", Owner, 204),
        // Last of all: it ends the account.
        route("DELETE /v1/users/me", Users, 204).ending_the_session(),
    ]
}

fn administration() -> Vec<Route> {
    use Rule::Admins;
    vec![
        route("GET /v1/admin/{service}/overview", Admins, 200),
        route("GET /v1/admin/{service}/views/{view}/rebuild", Admins, 404),
        route("POST /v1/admin/{service}/views/{view}/rebuild", Admins, 202),
        route("GET /v1/admin/{service}/parked", Admins, 200),
        // Nothing is.
        route("POST /v1/admin/{service}/parked/{id}/retry", Admins, 404),
        route("DELETE /v1/admin/{service}/parked/{id}", Admins, 404),
        route("GET /v1/admin/{service}/events", Admins, 200),
        route("GET /v1/admin/{service}/ways/{id}", Admins, 200),
        route("GET /v1/admin/{service}/ledger", Admins, 200),
        route("GET /v1/admin/user/users", Admins, 200),
        route("GET /v1/admin/auth/accounts/{id}", Admins, 200),
        route("DELETE /v1/admin/auth/accounts/{id}/sessions/{session}", Admins, 204),
    ]
}

fn webhooks() -> Vec<Route> {
    use Rule::Admins;
    vec![
        route("POST /v1/webhooks", Admins, 201)
            .sending(|_| Some(json!({"url": "https://hooks.example.org/", "events": ["chat.message-sent"]}))),
        route("GET /v1/webhooks", Admins, 200),
        route("GET /v1/webhooks/{id}", Admins, 200),
        route("PATCH /v1/webhooks/{id}", Admins, 200).sending(|_| Some(json!({"description": "Archive"}))),
        route("POST /v1/webhooks/{id}/replay", Admins, 204).sending(|_| Some(json!({"from": "earliest"}))),
        route("POST /v1/webhooks/{id}/retry", Admins, 204),
        route("POST /v1/webhooks/{id}/secret", Admins, 200),
        route("DELETE /v1/webhooks/{id}", Admins, 204),
    ]
}

/// A browser's subscription, of which no message ever comes: nobody has the name.
fn browser() -> Value {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    json!({"endpoint": format!("https://push.example.invalid/{number}"), "keys": {
        // Those of the example in RFC 8291.
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }})
}

fn operations() -> Vec<Route> {
    use Rule::Open;
    vec![
        route("GET /health/live", Open, 200),
        route("GET /health/ready", Open, 200),
        route("GET /openapi.json", Open, 200),
        route("GET /docs", Open, 200),
    ]
}

/// What the description lists: `GET /v1/users/{id}` and so on.
pub async fn described(api: &Api) -> (Vec<String>, Value) {
    let description = api.get("/openapi.json").expect(200).await.json();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").keys();
        let methods = methods.filter(|key| ["get", "put", "post", "delete", "patch"].contains(&key.as_str()));
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    (operations, description)
}

/// An answer without waiting for the end of a live stream, which has none.
pub async fn answer(call: Call) -> Reply {
    let response = call.builder().send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let live =
        headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if live { bytes::Bytes::new() } else { response.bytes().await.expect("a whole answer") };
    Reply { status, headers, body }
}

/// What one of them was answered.
pub struct Seen {
    /// What was asked.
    pub operation: &'static str,
    /// By whom the rule lets do it.
    pub rule: Rule,
    /// By whom.
    pub role: Role,
    /// What must come of it.
    pub expected: u16,
    /// What came of it.
    pub reply: Reply,
}

/// Asks every route in every role.
pub async fn ask_all(server: &Server) -> Vec<Seen> {
    let mut cast = Cast::of(server).await;
    let mut seen = Vec::new();
    for route in all_with_endings_last() {
        let mut scene = Scene::around(cast.clone()).await;
        // Those who may come last: what they do may leave nothing to be refused.
        let (may, refused): (Vec<_>, Vec<_>) =
            Role::ALL.into_iter().partition(|role| route.rule.refusal(*role).is_none());
        for role in refused.into_iter().chain(may) {
            let body = (route.body)(&scene);
            let reply = answer(scene.request(&route, scene.cast.token(role), body.as_ref())).await;
            let expected = route.rule.refusal(role).unwrap_or(route.success);
            seen.push(Seen { operation: route.operation, rule: route.rule, role, expected, reply });
            if route.ends_session
                && route.operation != "DELETE /v1/users/me"
                && let Some(user) = scene.cast.user_mut(role)
            {
                user.sign_in().await;
            }
        }
        if route.operation == "POST /v1/users/{id}/disable" {
            enable(&scene.cast.admin, &scene.cast.owner).await;
            scene.cast.owner.sign_in().await;
        }
        cast = scene.cast;
    }
    seen
}

/// The same routes, the one that ends accounts after all others.
fn all_with_endings_last() -> Vec<Route> {
    let mut routes = all();
    routes.sort_by_key(|route| route.operation == "DELETE /v1/users/me");
    routes
}

/// Lets somebody in again, so that they can sign in.
async fn enable(admin: &User, user: &User) {
    admin.call(Method::POST, &format!("/v1/users/{}/enable", user.id)).expect(204).await;
    let login = json!({"email": user.email, "password": PASSWORD});
    parlor_tests::eventually("who is enabled can sign in", async || {
        (user.api.post("/v1/auth/login", &login).send().await.status == 200).then_some(())
    })
    .await;
}
