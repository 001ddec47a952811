//! Pages and cursors.

use cqrs_core::{Failure, TokenCodec};
use cqrs_http::Cursors;
use uuid::Uuid;

use crate::bank::bank;
use crate::client::ask;

#[tokio::test]
async fn pages_lead_through_the_whole_list_and_end() {
    let bank = bank();
    let (mut all, mut cursor, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = ask("GET", &format!("/v1/numbers?unread=true{cursor}")).of(&bank).await.json();
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        all.extend(items.iter().map(|item| item.as_u64().unwrap()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert_eq!(all, (1..=120).collect::<Vec<_>>());
    let page = ask("GET", "/v1/numbers?limit=200").of(&bank).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 120);
    let page = ask("GET", "/v1/numbers?limit=120").of(&bank).await.json();
    assert!(page["nextCursor"].is_null(), "a last page that is full is the last one nevertheless");
}

#[test]
fn a_cursor_is_of_one_list_and_one_epoch() {
    let (tokens, epoch) = (TokenCodec::new(&[1; 32]), Uuid::from_u128(1));
    let cursors = Cursors::new(tokens.clone(), epoch);
    let cursor = cursors.encode("timeline:7", &(42_u64, "x")).unwrap();
    assert_eq!(cursors.decode::<(u64, String)>("timeline:7", &cursor).unwrap(), (42, "x".to_owned()));
    for (scope, bad) in [("timeline:8", cursor.as_str()), ("timeline:7", &cursor[..cursor.len() - 2])] {
        let failure = cursors.decode::<(u64, String)>(scope, bad).unwrap_err();
        assert!(matches!(failure, Failure::Refused(refused) if refused.errors[0].pointer == "cursor"));
    }
    let restored = Cursors::new(tokens, Uuid::from_u128(2));
    assert!(matches!(restored.decode::<(u64, String)>("timeline:7", &cursor), Err(Failure::EpochChanged)));
}
