//! `GET /.well-known/jwks.json`: the public keys with which other services check access tokens.

use async_trait::async_trait;
use cqrs_core::{Context, Failure, Query, QueryHandler};

use crate::service::Auth;
use crate::tokens::verify::Jwks;

/// Asks for the public keys.
#[derive(Debug, Clone, Copy)]
pub struct GetSigningKeys;

impl Query for GetSigningKeys {
    const NAME: &'static str = "auth.get-signing-keys";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = Jwks;
}

#[async_trait]
impl QueryHandler<GetSigningKeys> for Auth {
    async fn handle(&self, _: &Context, _: GetSigningKeys) -> Result<Jwks, Failure> {
        Ok(self.jwks())
    }
}
