//! Those whom access rules tell apart, each signed in, around a group of their own.

use serde_json::json;

use crate::server::Server;
use crate::user::User;

/// Whom a rule may tell apart (PROOF.md, security 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Without a token.
    Nobody,
    /// Signed in, and never in the group.
    Stranger,
    /// In the group, not its admin.
    Member,
    /// Was in the group.
    FormerMember,
    /// Administers the instance, and was never in the group.
    Admin,
    /// An application with a service key.
    Service,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Nobody, Self::Stranger, Self::Member, Self::FormerMember, Self::Admin, Self::Service];
}

/// Somebody in each role, and a group that its owner began.
#[derive(Clone)]
pub struct Cast {
    /// Began the group and is its admin.
    pub owner: User,
    /// Never in it.
    pub stranger: User,
    /// In it.
    pub member: User,
    /// Was in it until just now.
    pub former: User,
    /// The instance's administrator.
    pub admin: User,
    /// An application's key.
    pub service_key: String,
    /// The group.
    pub group: String,
}

impl Cast {
    /// Signs everybody up on a server, and begins a group.
    pub async fn of(server: &Server) -> Self {
        let api = server.api();
        let mut cast = Self {
            owner: User::sign_up(api, "Owner").await,
            stranger: User::sign_up(api, "Stranger").await,
            member: User::sign_up(api, "Member").await,
            former: User::sign_up(api, "Former").await,
            admin: administrator(server).await,
            service_key: service_key(server).await,
            group: String::new(),
        };
        cast.group = cast.fresh_group().await;
        cast
    }

    /// Another group of theirs.
    pub async fn fresh_group(&self) -> String {
        let group = self.owner.group("Choir", &[&self.member, &self.former]).await;
        let path = format!("/v1/conversations/{group}/participants/{}", self.former.id);
        self.owner.delete(&path).expect(204).await;
        group
    }

    /// The token of whoever is in this role.
    pub fn token(&self, role: Role) -> Option<&str> {
        match role {
            Role::Nobody => None,
            Role::Service => Some(&self.service_key),
            Role::Stranger => Some(&self.stranger.token),
            Role::Member => Some(&self.member.token),
            Role::FormerMember => Some(&self.former.token),
            Role::Admin => Some(&self.admin.token),
        }
    }

    /// The user in this role, if it is one.
    pub fn user(&self, role: Role) -> Option<&User> {
        match role {
            Role::Nobody | Role::Service => None,
            Role::Stranger => Some(&self.stranger),
            Role::Member => Some(&self.member),
            Role::FormerMember => Some(&self.former),
            Role::Admin => Some(&self.admin),
        }
    }

    /// The same, to change them.
    pub fn user_mut(&mut self, role: Role) -> Option<&mut User> {
        match role {
            Role::Nobody | Role::Service => None,
            Role::Stranger => Some(&mut self.stranger),
            Role::Member => Some(&mut self.member),
            Role::FormerMember => Some(&mut self.former),
            Role::Admin => Some(&mut self.admin),
        }
    }

    /// Somebody is told something by the application; gives the notification's id.
    pub async fn notify(&self, user: &User) -> String {
        let body =
            json!({"userId": user.id, "kind": "order-shipped", "title": "On its way", "body": "No. 42"});
        let reply = user.api.post("/v1/notifications", &body).token(&self.service_key).expect(201).await;
        reply.text("id")
    }
}

/// An application's key, made by the operator.
pub async fn service_key(server: &Server) -> String {
    let printed = server.run_ok(&["service-key", "create", "application"]).await;
    printed.split_whitespace().max_by_key(|word| word.len()).expect("a key is printed").to_owned()
}

/// Somebody whom the operator made an administrator.
pub async fn administrator(server: &Server) -> User {
    let mut admin = User::sign_up(server.api(), "Administrator").await;
    server.run_ok(&["user", "promote", &admin.email]).await;
    admin.sign_in().await;
    admin
}
