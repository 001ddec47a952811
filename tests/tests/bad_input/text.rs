//! Texts: lengths, marks of direction, joiners, combining marks, normal forms, look-alikes, line breaks.

use parlor_tests::User;
use parlor_tests::user::{PASSWORD, escape};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, assert_field, assert_problem};

/// A text somewhere in a command: at least and at most so many characters.
struct Text {
    method: Method,
    path: &'static str,
    body: Value,
    field: &'static str,
    min: usize,
    max: usize,
    /// Whether only ASCII is taken.
    ascii: bool,
}

fn text(
    method: Method,
    path: &'static str,
    body: Value,
    field: &'static str,
    min: usize,
    max: usize,
) -> Text {
    Text { method, path, body, field, min, max, ascii: false }
}

fn texts() -> Vec<Text> {
    let message = "/v1/conversations/{group}/messages";
    let group = json!({"kind": "group", "participants": []});
    let notification = json!({"userId": "{bob}", "kind": "k", "title": "t", "body": "b"});
    vec![
        text(Method::POST, message, json!({}), "content", 1, 4_000),
        text(Method::PATCH, "/v1/conversations/{group}/messages/{message}", json!({}), "content", 1, 4_000),
        text(Method::POST, "/v1/conversations", group, "title", 1, 200),
        text(Method::PATCH, "/v1/conversations/{group}", json!({}), "title", 1, 200),
        text(Method::PATCH, "/v1/users/me/profile", json!({}), "displayName", 1, 100),
        text(Method::PATCH, "/v1/users/me/profile", json!({}), "bio", 0, 500),
        text(Method::PUT, "/v1/users/me/status", json!({"status": "busy"}), "text", 0, 140),
        text(Method::POST, "/v1/users", json!({}), "displayName", 1, 100),
        text(Method::POST, "/v1/users", json!({"displayName": "Made"}), "bio", 0, 500),
        text(Method::POST, "/v1/users", json!({"displayName": "Made"}), "externalId", 1, 255),
        text(Method::POST, "/v1/notifications", notification.clone(), "title", 1, 200),
        text(Method::POST, "/v1/notifications", notification.clone(), "body", 0, 2_000),
        Text { ascii: true, ..text(Method::POST, "/v1/notifications", notification, "kind", 1, 64) },
        text(Method::POST, "/v1/auth/register", json!({"password": PASSWORD}), "displayName", 1, 100),
        text(Method::POST, "/v1/auth/register", json!({"displayName": "Next"}), "password", 8, 128),
    ]
}

impl Text {
    /// The command with this text, as somebody new where it registers.
    async fn send(&self, stage: &Stage, number: usize, text: &str) -> parlor_tests::Reply {
        let mut body = self.body.clone();
        body[self.field] = text.into();
        if self.path == "/v1/auth/register" {
            body["email"] = format!("{}{number}@example.org", self.field.to_lowercase()).into();
        }
        if body["userId"].is_string() {
            body["userId"] = stage.bob.id.as_str().into();
        }
        stage.call(self.method.clone(), self.path).json(&body).send().await
    }
}

#[tokio::test]
async fn a_text_has_as_many_characters_as_its_field_takes_and_not_one_more() {
    let stage = Stage::new().await;
    for text in texts() {
        let letters: &[char] = if text.ascii { &['k'] } else { &['x', '好', '𝕏'] };
        let what = format!("{} {} {}", text.method, text.path, text.field);
        let pointer = format!("/{}", text.field);
        let mut number = 0;
        for letter in letters {
            // A password made of one letter is one of the first to be guessed; a varied one isn't.
            let of = |length: usize| -> String {
                let varied = |at: usize| char::from_u32(*letter as u32 + at as u32 % 2).unwrap();
                if text.field == "password" {
                    (0..length).map(|at| if at % 5 == 0 { '7' } else { varied(at) }).collect()
                } else {
                    letter.to_string().repeat(length)
                }
            };
            let mut taken = vec![text.max];
            taken.extend((text.min > 0).then_some(text.min));
            for length in taken {
                number += 1;
                let reply = text.send(&stage, number, &of(length)).await;
                assert!((200..300).contains(&reply.status), "{what}: {length} × {letter}: {reply:?}");
                if ["content", "title", "displayName", "bio"].contains(&text.field)
                    && let Some(shown) = reply.json().get(text.field)
                {
                    assert_eq!(shown, &json!(of(length)), "{what}: {length} × {letter}");
                }
            }
            let mut refused = vec![text.max + 1, text.max * 20];
            refused.extend((text.min > 0).then(|| text.min - 1));
            let before = parlor_tests::log::settled(&stage.server).await;
            for length in refused {
                number += 1;
                let reply = text.send(&stage, number, &of(length)).await;
                assert_field(&reply, "invalid-value", &pointer, &format!("{what}: {length} × {letter}"));
            }
            // Nothing but white space is nothing, where something is asked for.
            if text.min > 0 && text.field != "password" {
                let reply = text.send(&stage, number, " \u{3000} ").await;
                assert_field(&reply, "invalid-value", &pointer, &format!("{what}: white space"));
            }
            // A password may hold anything.
            if text.field != "password" {
                let nul = text.send(&stage, number, &format!("{}\0", of(text.min.max(1)))).await;
                assert_field(&nul, "invalid-value", &pointer, &format!("{what}: NUL"));
                assert_eq!(
                    parlor_tests::log::settled(&stage.server).await,
                    before,
                    "{what}: nothing is stored"
                );
            }
        }
        if text.min == 0 {
            let reply = text.send(&stage, 99, "").await;
            assert!((200..300).contains(&reply.status), "{what}: empty: {reply:?}");
        }
    }
}

#[tokio::test]
async fn marks_of_direction_turn_no_name_round_and_stay_in_what_people_say() {
    let stage = Stage::new().await;
    let before = parlor_tests::log::settled(&stage.server).await;
    for mark in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
        let name = format!("nnA{mark}");
        let reply = stage.ann.patch("/v1/users/me/profile", &json!({"displayName": name})).send().await;
        assert_field(&reply, "invalid-value", "/displayName", "a profile");
        let reply = stage.call(Method::POST, "/v1/users").json(&json!({"displayName": name})).send().await;
        assert_field(&reply, "invalid-value", "/displayName", "a user");
        let body = json!({"email": "turned@example.org", "password": PASSWORD, "displayName": name});
        let reply = stage.ann.api.post("/v1/auth/register", &body).send().await;
        assert_field(&reply, "invalid-value", "/displayName", "an account");
    }
    for invisible in ["\u{200b}\u{200d}", "\u{2060}", "\u{ad}", "\u{3164}", "\u{2800}"] {
        let reply = stage.ann.patch("/v1/users/me/profile", &json!({"displayName": invisible})).send().await;
        assert_field(&reply, "invalid-value", "/displayName", "nothing to be seen");
    }
    for broken in ["a\nb", "a\r\nb", "a\u{2028}b", "a\u{85}b", "a\tb", "a\u{1b}[31mb"] {
        let reply = stage.ann.patch("/v1/users/me/profile", &json!({"displayName": broken})).send().await;
        assert_field(&reply, "invalid-value", "/displayName", broken);
    }
    assert_eq!(parlor_tests::log::settled(&stage.server).await, before, "nothing is stored");
    // What is said may turn: in Arabic beside English it must. It comes back as it was sent.
    let mut last = String::new();
    let said = [
        "\u{202e}txet\u{202c}",
        "\u{2067}שלום\u{2069} hello",
        "👩\u{200d}👩\u{200d}👧",
        "می\u{200c}خواهم",
        "a\u{feff}b",
    ];
    for content in said {
        let reply = stage.ann.say(&stage.group, content).await;
        assert_eq!(reply.json()["content"], content);
        last = reply.position();
    }
    let shown = stage.bob.messages(&stage.group, Some(&last)).await;
    let shown: Vec<_> =
        shown.iter().rev().skip(1).map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(shown, said);
    // Joiners belong to names, too.
    for name in ["👩\u{200d}🚀 Ann", "می\u{200c}نا"] {
        let reply = stage.ann.patch("/v1/users/me/profile", &json!({"displayName": name})).expect(200).await;
        assert_eq!(reply.json()["displayName"], name);
    }
}

#[tokio::test]
async fn ten_thousand_combining_marks_are_too_many_characters_and_harm_nobody() {
    let stage = Stage::new().await;
    let marked = |marks: usize| format!("a{}", "\u{301}".repeat(marks));
    let before = stage.stored().await;
    for text in texts().iter().filter(|text| !text.ascii) {
        let reply = text.send(&stage, 0, &marked(10_000)).await;
        assert_field(&reply, "invalid-value", &format!("/{}", text.field), text.path);
    }
    let body =
        json!({"email": format!("{}@example.org", marked(10_000)), "password": PASSWORD, "displayName": "M"});
    assert_field(
        &stage.ann.api.post("/v1/auth/register", &body).send().await,
        "invalid-value",
        "/email",
        "e-mail",
    );
    assert_eq!(stage.stored().await, before);
    let most = marked(3_999);
    let sent = stage.ann.say(&stage.group, &most).await;
    let shown = stage.bob.messages(&stage.group, Some(&sent.position())).await;
    assert_eq!(shown[0]["content"], most, "what is within the bound is as it was sent");
    for query in [marked(10_000), marked(0), "\u{301}".repeat(10_000)] {
        let path = format!("/v1/messages/search?q={}", escape(&query));
        let reply = stage.bob.get(&path).after(&sent.position()).send().await;
        assert!([200, 422].contains(&reply.status), "{reply:?}");
    }
}

#[tokio::test]
async fn the_same_text_in_another_normal_form_is_the_same() {
    let stage = Stage::new().await;
    let (composed, decomposed) = ("Zoë Müller", "Zoe\u{308} Mu\u{308}ller");
    for name in [composed, decomposed] {
        let reply = stage.ann.patch("/v1/users/me/profile", &json!({"displayName": name})).expect(200).await;
        assert_eq!(reply.json()["displayName"], composed, "names are kept in NFC");
    }
    // What is said stays as it was, and is found in either form.
    let one = stage.ann.say(&stage.group, "the café is open").await;
    let two = stage.ann.say(&stage.group, "the cafe\u{301} is shut").await;
    assert_eq!(two.json()["content"], "the cafe\u{301} is shut");
    for query in ["café", "cafe\u{301}", "CAFÉ", "cafe"] {
        let found = stage.bob.find(query, Some(&two.position())).await;
        let ids: Vec<_> = found.iter().map(|message| message["id"].clone()).collect();
        assert_eq!(ids, [json!(two.text("id")), json!(one.text("id"))], "{query}");
    }
    // An address is one account in either form, and a password opens it in either.
    let password = "drei Vo\u{308}gel fliegen";
    let body = json!({"email": "jo\u{eb}lle@example.org", "password": password, "displayName": "J"});
    let api = stage.ann.api.clone();
    api.post("/v1/auth/register", &body).expect(201).await;
    let mut other = body.clone();
    other["email"] = "joe\u{308}lle@example.org".into();
    let taken = api.post("/v1/auth/register", &other).refused(409, "email-taken").await;
    assert_eq!(taken.json()["errors"][0]["pointer"], "/email");
    let login = json!({"email": "JOE\u{308}LLE@EXAMPLE.ORG", "password": "drei Vögel fliegen"});
    api.post("/v1/auth/login", &login).expect(200).await;
}

#[tokio::test]
async fn a_look_alike_is_somebody_else_and_a_wide_letter_is_not() {
    let stage = Stage::new().await;
    let api = stage.ann.api.clone();
    let register = |email: &str| {
        api.post("/v1/auth/register", &json!({"email": email, "password": PASSWORD, "displayName": "Ann"}))
    };
    // With a Cyrillic а: never the Latin Ann, whatever it looks like.
    let cyrillic = "\u{430}nn@example.org";
    assert_eq!(stage.ann.email, "ann@example.org");
    let wrong = json!({"email": cyrillic, "password": PASSWORD});
    api.post("/v1/auth/login", &wrong).refused(401, "invalid-credentials").await;
    let other = register(cyrillic).expect(201).await;
    assert_ne!(other.text("userId"), stage.ann.id);
    // Full width, ligatures and capitals are the same letters (NFKC, as UTS 39 compares).
    for same in ["ａnn@example.org", "ANN@EXAMPLE.ORG", "ann@ｅxample.org", "aⁿn@example.org"] {
        register(same).refused(409, "email-taken").await;
    }
    for not_an_address in [
        "ann＠example.org",
        "ann@example．org",
        "ann\u{200d}@example.org",
        "ann\u{ad}@example.org",
        "ann\u{202e}@example.org",
    ] {
        let reply = register(not_an_address).send().await;
        assert_field(&reply, "invalid-value", "/email", not_an_address);
    }
}

#[tokio::test]
async fn a_line_break_in_an_address_reaches_no_mail() {
    let stage = Stage::new().await;
    let before = (stage.stored().await, stage.server.mails());
    let User { api, .. } = &stage.ann;
    for email in [
        "x@example.org\r\nBcc: victim@example.org",
        "x@example.org\nBcc: victim@example.org",
        "x@example.org\r",
        "\r\nx@example.org",
        "x\r\n@example.org",
        "x@example.org\0",
        "x@example.org, victim@example.org",
        "<x@example.org>",
        "\"x\r\n\"@example.org",
        "x@example.org\u{2028}Bcc: victim@example.org",
    ] {
        let register = json!({"email": email, "password": PASSWORD, "displayName": "X"});
        let change = json!({"email": email, "currentPassword": PASSWORD});
        let made = json!({"email": email, "displayName": "X"});
        for (what, call) in [
            ("register", api.post("/v1/auth/register", &register)),
            ("reset", api.post("/v1/auth/password-reset", &json!({"email": email}))),
            ("change", stage.ann.put("/v1/auth/email", &change)),
            ("make", stage.call(Method::POST, "/v1/users").json(&made)),
        ] {
            assert_field(&call.send().await, "invalid-value", "/email", &format!("{what} {email:?}"));
        }
        let login = api.post("/v1/auth/login", &json!({"email": email, "password": PASSWORD})).send().await;
        assert!([401, 422].contains(&login.status), "{login:?}");
        assert_problem(&login, login.status, login.json()["code"].as_str().unwrap(), "login");
    }
    let device =
        json!({"email": stage.ann.email, "password": PASSWORD, "device": "phone\r\nBcc: victim@example.org"});
    assert_field(&api.post("/v1/auth/login", &device).send().await, "invalid-value", "/device", "device");
    assert_eq!((stage.stored().await, stage.server.mails()), before);
}
