//! The roles that `deploy/postgres/roles.sql` makes: enough for Parlor, and for nothing else.

use std::process::Output;

use parlor_tests::store::connect;
use parlor_tests::{Options, Server, Store, User, eventually};
use tokio_postgres::Client;

const ROLES: &str = include_str!("../../../deploy/postgres/roles.sql");
const SERVICES: [&str; 4] = ["auth", "user", "chat", "notification"];
const STORES: [(&str, &str, &str); 4] = [
    ("auth", "PARLOR_AUTH_STORE_LOG_URL", "PARLOR_AUTH_STORE_VIEWS_URL"),
    ("user", "PARLOR_USER_STORE_LOG_URL", "PARLOR_USER_STORE_VIEWS_URL"),
    ("chat", "PARLOR_CHAT_STORE_LOG_URL", "PARLOR_CHAT_STORE_VIEWS_URL"),
    ("notification", "PARLOR_NOTIFICATION_STORE_LOG_URL", "PARLOR_NOTIFICATION_STORE_VIEWS_URL"),
];
const PASSWORD: &str = "of-the-test";

/// The roles under a prefix of the test's own, for roles belong to the whole server; gone with it.
struct Roles {
    prefix: String,
    admin: Client,
    url: String,
}

impl Roles {
    async fn make(url: &str) -> Self {
        let admin = connect(url).await;
        let prefix = format!("parlor_test_{}", std::process::id());
        let roles = Self { prefix, admin, url: url.to_owned() };
        roles.apply().await;
        for role in roles.all() {
            let sql = format!("ALTER ROLE {role} PASSWORD '{PASSWORD}'");
            roles.admin.batch_execute(&sql).await.unwrap();
        }
        roles
    }

    async fn apply(&self) {
        let sql = format!("SET parlor.prefix = '{}'; {ROLES}", self.prefix);
        self.admin.batch_execute(&sql).await.unwrap();
    }

    fn all(&self) -> Vec<String> {
        ["owner", "reader"]
            .into_iter()
            .chain(SERVICES)
            .map(|name| format!("{}_{name}", self.prefix))
            .collect()
    }

    /// The database's URL for a role.
    fn url(&self, role: &str) -> String {
        let (_, rest) = self.url.rsplit_once('@').unwrap();
        format!("postgres://{}_{role}:{PASSWORD}@{rest}", self.prefix)
    }

    async fn drop(self) {
        for role in self.all() {
            // Only now: whoever owns something can't go.
            self.admin
                .batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
                .await
                .unwrap();
        }
    }
}

fn ended_well(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn security_38_the_documented_roles_suffice_for_parlor_and_for_nothing_else() {
    let Some(store) = Store::postgres() else { return };
    let mut server = Server::prepare(store, Options::default()).await;
    let roles = Roles::make(&server.database_url("chat").unwrap()).await;

    server.set("PARLOR_MIGRATE_ON_START", "false");
    // A role has a pool of its own.
    server.set("PARLOR_POSTGRES_POOL_SIZE", "6");
    server.set("PARLOR_STORE_URL", &roles.url("owner"));
    ended_well(&server.run(&["migrate"]).await);
    roles.apply().await;
    for (service, log, views) in STORES {
        server.set(log, &roles.url(service));
        server.set(views, &roles.url(service));
    }
    server.set("PARLOR_STORE_URL", &roles.url("reader"));
    server.set("PARLOR_KEYS_STORE_URL", &roles.url("auth"));

    server.start_again().await;
    let ann = User::sign_up(server.api(), "Ann").await;
    let bob = User::sign_up(server.api(), "Bob").await;
    let room = ann.direct(&bob).await;
    let said = ann.say(&room, "Least privilege suffices").await;
    assert_eq!(bob.messages(&room, Some(&said.position())).await.len(), 1);
    assert_eq!(bob.find("privilege", Some(&said.position())).await.len(), 1);
    eventually("Bob is notified", async || {
        (!bob.get("/v1/notifications").expect(200).await.items().is_empty()).then_some(())
    })
    .await;
    // A view is made anew by the service itself, beside the live one.
    server.run_ok(&["views", "rebuild", "timeline"]).await;
    assert_eq!(bob.messages(&room, Some(&said.position())).await.len(), 1);

    let [chat, reader, owner] = ["chat", "reader", "owner"].map(|role| roles.url(role));
    let (chat, reader, owner) = (connect(&chat).await, connect(&reader).await, connect(&owner).await);
    for (who, client, forbidden) in [
        (
            "chat",
            &chat,
            &[
                "DELETE FROM chat_log.events",
                "UPDATE chat_log.events SET data = ''",
                "TRUNCATE chat_log.events",
                "UPDATE chat_log.meta SET value = ''",
                "DELETE FROM chat_log.head",
                "CREATE TABLE chat_log.other (id uuid)",
                "CREATE TABLE public.other (id uuid)",
                "ALTER TABLE chat_log.claims ADD COLUMN other text",
                "DROP TABLE chat_log.snapshots",
                "SELECT * FROM auth_log.events",
                "SELECT * FROM user_views.views",
                "DELETE FROM keys.person_keys",
                "UPDATE keys.person_keys SET key = NULL",
                "CREATE SCHEMA other",
                "CREATE ROLE other",
            ][..],
        ),
        (
            "reader",
            &reader,
            &[
                "SELECT * FROM chat_log.events",
                "SELECT * FROM keys.person_keys",
                "DELETE FROM chat_views.view_places",
                "CREATE TABLE chat_views.other (id uuid)",
            ],
        ),
        ("owner", &owner, &["CREATE SCHEMA other", "CREATE ROLE other", "SELECT * FROM chat_views.views"]),
    ] {
        for sql in forbidden {
            let error = client.batch_execute(sql).await.expect_err(&format!("{who} may not: {sql}"));
            let code = error.code().map(tokio_postgres::error::SqlState::code);
            assert_eq!(code, Some("42501"), "{who}: {sql}: {error}");
        }
    }
    let seen = reader.query("SELECT 1 FROM chat_views.view_places", &[]).await.unwrap();
    assert!(!seen.is_empty(), "the reader reads the views, those made after the grant too");

    server.stop().await;
    drop((chat, reader, owner));
    roles.drop().await;
}
