//! What processes do about a Kafka that isn't there, and about topics that hold what they shouldn't.

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;

use crate::installation::{Installation, PATIENCE, free_port, until};
use crate::{begins, profiled, registers};

#[tokio::test]
async fn a_kafka_that_is_not_there_yet_is_named_and_waited_for() {
    let Some(mut all) = Installation::new().await else { return };
    let (port, brokers) = (free_port(), "PARLOR_KAFKA_BROKERS");
    let nowhere = format!("127.0.0.1:{port}");
    all.start("auth", &["auth"]);
    all.start_with("user", &["user"], &[(brokers, nowhere.clone())]);
    let unready = until("it is live, and not ready", async || {
        let answer = all.try_call("user", "GET", "/health/ready", None, &[], None).await?;
        answer.body["kafka"].to_string().contains(&nowhere).then_some(answer)
    })
    .await;
    assert_eq!((unready.status, &unready.body["status"]), (503, &json!("unready")));
    assert!(unready.body["missing"].to_string().contains("auth yet, by Kafka"), "{unready:?}");
    assert_eq!(all.call("user", "GET", "/health/live", None, &[], None).await.status, 200);
    // Said once and again, each time in a line that names the brokers.
    let said = |log: &str| {
        log.lines().filter(|line| line.contains("no Kafka broker answers") && line.contains(&nowhere)).count()
    };
    until("it is said, and said again", async || (said(&all.log("user")) >= 2).then_some(())).await;
    // What takes no other service is done meanwhile.
    all.ready("auth").await;
    let ann = registers(&all, "Ann").await;

    // Now it comes.
    let forwarding = Installation::forward(port, all.kafka().to_owned()).await;
    all.ready("user").await;
    profiled(&all, &ann).await;
    until("that is said, too", async || all.log("user").contains("Kafka answers again").then_some(())).await;
    forwarding.abort();
}

#[tokio::test]
async fn a_foreign_record_is_set_aside_shown_to_operators_and_given_up_by_them() {
    let Some(all) = Installation::of_four().await else { return };
    let ann = registers(&all, "Ann").await;
    profiled(&all, &ann).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", all.kafka()).create().unwrap();
    let topic = all.topic("user");
    let foreign = FutureRecord::<str, str>::to(&topic).key("who").payload("no event of Parlor's");
    producer.send(foreign, PATIENCE).await.unwrap();

    // Chat follows the topic: it sets the record aside, and goes on with what comes behind.
    let parked = until("it is parked", async || {
        let (well, said) = all.operate("chat", &["parked", "list"]);
        assert!(well, "{said}");
        said.lines().find(|line| line.contains("(no event)")).map(str::to_owned)
    })
    .await;
    assert!(parked.contains(&topic) && parked.contains("ce_type is missing"), "{parked}");
    let bob = registers(&all, "Bob").await;
    let begun = begins(&all, &ann, &bob, &[&bob.written]).await;
    assert_eq!(begun.status, 201, "{begun:?}");

    let id = parked.split_whitespace().next().unwrap();
    let (well, said) = all.operate("chat", &["parked", "retry", id]);
    assert!(!well && said.contains("is no event"), "there is nothing to try: {said}");
    let (well, said) = all.operate("chat", &["parked", "drop", id]);
    assert!(well && said.contains("given up"), "{said}");
    let (well, said) = all.operate("chat", &["parked", "list"]);
    assert!(well && said.contains("Nothing is parked"), "{said}");
}

#[tokio::test]
async fn a_database_older_than_what_kafka_has_of_it_stops_the_start() {
    let Some(mut all) = Installation::new().await else { return };
    let start = |all: &mut Installation| {
        for service in ["auth", "user"] {
            all.start(service, &[service]);
        }
    };
    start(&mut all);
    profiled(&all, &{
        all.ready("auth").await;
        registers(&all, "Ann").await
    })
    .await;
    for service in ["auth", "user"] {
        all.kill(service);
    }
    all.copy().await;
    start(&mut all);
    all.ready("auth").await;
    // It has gone through Kafka to the user service and back.
    profiled(&all, &registers(&all, "Bob").await).await;
    for service in ["auth", "user"] {
        all.kill(service);
    }

    // Logs and views alike are of before: nothing in the database contradicts anything else in it.
    all.put_back().await;
    start(&mut all);
    for service in ["auth", "user"] {
        let well = until(&format!("{service} gives up"), async || all.ended(service)).await;
        assert!(!well);
        let log = all.log(service);
        for said in [format!("the log {service} ends at"), all.topic(service), "parlor restore".to_owned()] {
            assert!(log.contains(&said), "{said:?} is missing in {log}");
        }
    }
}
