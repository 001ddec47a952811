//! Clusters for tests, and what the tests ask of them.

use parlor_tests::model::Said;
use parlor_tests::store::clusters_are_tested;
use parlor_tests::{Cluster, Options, Reply, Store, User, eventually};

/// A cluster on servers that other tests use, too; `None`, with a message, if none are to be tested.
pub async fn cluster() -> Option<Cluster> {
    let (postgres, kafka) = servers()?;
    Some(Cluster::on(&postgres, &kafka, &Options::default()).await)
}

/// A cluster with servers of its own, for tests that stop them.
pub async fn whole_cluster() -> Option<Cluster> {
    servers()?;
    Some(Cluster::start(&Options::default()).await)
}

fn servers() -> Option<(String, String)> {
    if !clusters_are_tested() {
        println!("skipped: PARLOR_TEST_TARGET isn't `cluster` (see CONTRIBUTING.md)");
        return None;
    }
    let Store::Cluster { postgres, kafka } = Store::postgres()? else { return None };
    Some((postgres, kafka))
}

/// Says something under a key until there is an answer.
pub async fn say_until_acknowledged(sender: &User, room: &str, content: &str, key: &str) -> Reply {
    eventually("a send is acknowledged", async || {
        let reply = sender.saying(room, content).key(key).attempt().await.ok()?;
        match reply.status {
            201 => Some(reply),
            // What became of it is unknown, or it can't be done now: the same key settles it.
            503 => {
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
                None
            }
            _ => panic!("{reply:?}"),
        }
    })
    .await
}

/// All messages of a conversation as somebody in it sees them, newest first.
pub async fn page(user: &User, room: &str, after: &str) -> Vec<Said> {
    user.messages(room, Some(after)).await.iter().map(Said::shown).collect()
}

/// What was acknowledged, newest first, and a position that covers all of it.
pub fn journal(replies: &[Reply]) -> (Vec<Said>, String) {
    let mut said: Vec<_> = replies.iter().map(|reply| Said::shown(&reply.json())).collect();
    said.sort_by_key(|said| std::cmp::Reverse(said.position));
    let newest = replies.iter().max_by_key(|reply| Said::shown(&reply.json()).position);
    (said, newest.expect("something was acknowledged").position())
}

/// How many notifications of a conversation somebody has.
pub async fn told_of(user: &User, room: &str) -> usize {
    let items = user.all("/v1/notifications", None).await;
    items.iter().filter(|item| item.to_string().contains(room)).count()
}

/// The value of a metric with these labels in its line, if the process tells it.
pub async fn metric(cluster: &Cluster, process: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let at = format!("http://{}/metrics", cluster.process(process).metrics());
    let text = reqwest::get(at).await.ok()?.text().await.ok()?;
    let line = text.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}
