//! Pages that can't be, and cursors that belong elsewhere.

use reqwest::Method;
use serde_json::json;

use crate::stage::{Stage, assert_field};

/// Every route that answers in pages.
const PAGED: [&str; 8] = [
    "/v1/conversations?",
    "/v1/conversations/{group}/messages?",
    "/v1/conversations/{group}/participants?",
    "/v1/messages/search?q=wren&",
    "/v1/users?search=ann&",
    "/v1/users/me/contacts?",
    "/v1/notifications?",
    "/v1/notifications?unread=true&",
];

#[tokio::test]
async fn a_page_size_is_a_number_from_1_to_200() {
    let stage = Stage::new().await;
    for path in PAGED {
        for limit in [
            "-1",
            "0",
            "201",
            "9223372036854775808",
            "18446744073709551616",
            "1.5",
            "1e2",
            "ten",
            "",
            "+5",
            "0x10",
            "%00",
        ] {
            let reply = stage.call(Method::GET, &format!("{path}limit={limit}")).send().await;
            assert_field(&reply, "invalid-value", "limit", &format!("{path}limit={limit}"));
        }
        let twice = stage.call(Method::GET, &format!("{path}limit=1&limit=2")).send().await;
        assert_field(&twice, "invalid-value", "limit", path);
        for limit in [1, 200] {
            stage.call(Method::GET, &format!("{path}limit={limit}")).expect(200).await;
        }
    }
    let messages = PAGED[1];
    for offset in ["-1", "9223372036854775808", "4294967296", "x", ""] {
        let reply = stage.call(Method::GET, &format!("{messages}offset={offset}")).send().await;
        assert_field(&reply, "invalid-value", "offset", offset);
    }
    // Far beyond the end there is nothing, which is an answer.
    let beyond = stage.call(Method::GET, &format!("{messages}offset=4294967295")).expect(200).await;
    assert_eq!(beyond.json(), json!({"items": [], "nextCursor": null}));
    for name in ["before", "after", "around"] {
        for id in ["x", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "%ff"] {
            let reply = stage.call(Method::GET, &format!("{messages}{name}={id}")).send().await;
            assert!([404, 422].contains(&reply.status), "{name}={id}: {reply:?}");
        }
    }
    let both = stage.call(Method::GET, &format!("{messages}offset=1&before={{message}}")).send().await;
    assert_eq!(both.status, 422, "{both:?}");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let stage = Stage::new().await;
    let other = stage.ann.group("Elsewhere", &[&stage.bob]).await;
    let mut last = String::new();
    for number in 0..3 {
        stage.ann.say(&stage.group, &format!("wren {number}")).await;
        last = stage.ann.say(&other, &format!("wren {number}")).await.position();
    }
    let cursor = async |user: &parlor_tests::User, path: &str| {
        let page = user.get(path).after(&last).expect(200).await.json();
        page["nextCursor"].as_str().unwrap_or_else(|| panic!("{path}: one page: {page}")).to_owned()
    };
    let messages = format!("/v1/conversations/{}/messages?limit=1", stage.group);
    let elsewhere = format!("/v1/conversations/{other}/messages?limit=1");
    let own = cursor(&stage.ann, &messages).await;
    stage.ann.get(&format!("{messages}&cursor={own}")).expect(200).await;

    let cut: Vec<String> = (0..own.len()).step_by(7).map(|length| own[..length].to_owned()).collect();
    let mut flipped = own.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let mut wrong = vec![
        ("another conversation's", cursor(&stage.ann, &elsewhere).await),
        ("a search's", cursor(&stage.ann, "/v1/messages/search?q=wren&limit=1").await),
        ("the list of conversations'", cursor(&stage.ann, "/v1/conversations?limit=1").await),
        (
            "the participants'",
            cursor(&stage.ann, &format!("/v1/conversations/{}/participants?limit=1", stage.group)).await,
        ),
        ("one changed in its middle", String::from_utf8(flipped).unwrap()),
        ("one with more behind it", format!("{own}A")),
        ("twice itself", format!("{own}{own}")),
        ("a position token", last.clone()),
        ("an access token", stage.ann.token.clone()),
        ("nonsense", "nonsense".to_owned()),
        ("a NUL", "%00".to_owned()),
        ("not UTF-8", "%ff%fe".to_owned()),
        ("10,000 characters", "A".repeat(10_000)),
    ];
    wrong.extend(cut.into_iter().map(|cut| ("one cut short", cut)));
    for (name, cursor) in &wrong {
        let reply = stage.ann.get(&format!("{messages}&cursor={cursor}")).send().await;
        assert_field(&reply, "invalid-value", "cursor", &format!("{name}: {cursor}"));
    }
    for path in PAGED {
        for cursor in [own.as_str(), "nonsense", ""] {
            if path == PAGED[1] && cursor == own {
                continue;
            }
            let reply = stage.call(Method::GET, &format!("{path}cursor={cursor}")).send().await;
            assert_field(&reply, "invalid-value", "cursor", &format!("{path}cursor={cursor}"));
        }
    }
    // Somebody else's, of a list that is each one's own.
    let theirs = cursor(&stage.bob, "/v1/conversations?limit=1").await;
    let reply = stage.ann.get(&format!("/v1/conversations?limit=1&cursor={theirs}")).send().await;
    assert!([200, 422].contains(&reply.status), "{reply:?}");
    if reply.status == 200 {
        let own = stage.ann.all("/v1/conversations", None).await;
        assert!(reply.items().iter().all(|item| own.iter().any(|own| own["id"] == item["id"])), "{reply:?}");
    }
}
