//! Web Push: notifications, sent to the browsers of those they are for, also while no page is open (RFC 8030).
//!
//! What is sent is encrypted for the browser ([`encryption`], RFC 8291): its push service learns that there is something, and
//! how long it is. The push service is shown who sends ([`vapid`], RFC 8292).

pub mod deliver;
pub mod encryption;
pub mod forget_push;
pub mod get_push_key;
pub mod get_push_subscriptions;
pub mod payload;
pub mod subscribe_to_push;
pub mod subscription;
#[cfg(test)]
mod tests;
pub mod unsubscribe_from_push;
pub mod vapid;
