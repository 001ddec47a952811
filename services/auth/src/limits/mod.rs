//! How often somebody may try: rates by address and account ([`Rates`]), and what follows on failed sign-ins
//! ([`FailureGuard`]). All of it is bounded state in memory, never an event.

mod failures;
mod rates;
pub mod telling;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

pub use failures::{Attempt, FailureGuard};
pub use rates::{Action, Rate, RateSettings, Rates, Standing};

/// Where a request comes from, as far as one holder of an address can't change it at will: an IPv4 address, or the /64 of
/// an IPv6 one (RFC 6177 §2: a site gets at least that).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4)),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

/// An account by the e-mail that was typed, whether or not there is one: a hash, so that no address is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountKey([u8; 16]);

impl AccountKey {
    /// Of the address in its normalised form.
    pub fn of(email: &crate::email::Email) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(email.normalised().as_bytes()).as_bytes()[..16]);
        Self(key)
    }
}

/// Too often: answered with 429, `Retry-After` and the `RateLimit` fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; again in {} s", retry_after.as_secs())]
pub struct TooMany {
    /// When it's worth trying again; whole seconds, at least one.
    pub retry_after: Duration,
    /// The limit that was met, for the header fields; none for failed sign-ins, which tell no figures.
    pub standing: Option<Standing>,
}

fn whole_seconds(wait: Duration) -> Duration {
    let up = u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs((wait.as_secs() + up).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_ipv6_site_are_one_origin_and_mapped_ipv4_is_ipv4() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    #[test]
    fn waits_are_told_in_whole_seconds_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), Duration::from_secs(2));
        assert_eq!(whole_seconds(Duration::from_secs(3)), Duration::from_secs(3));
    }
}
