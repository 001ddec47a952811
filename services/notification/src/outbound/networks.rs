//! Which addresses may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The public networks, and those that an operator allows besides.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    allowed: Vec<IpNet>,
}

/// IPv4 networks that aren't anybody's on the Internet: the IANA's registry of special-purpose addresses (RFC 6890), with
/// multicast (RFC 5771).
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

/// Those within IPv6's global unicast range, `2000::/3`, outside of which everything is special: IETF protocols (Teredo among
/// them), documentation twice, and 6to4, which has an IPv4 address inside.
const SPECIAL_V6: [([u16; 8], u8); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

impl Networks {
    /// The public ones and `allowed`.
    pub fn and(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether anything but the public networks may be reached.
    pub fn allow_any(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether an operator allowed this address. One of IPv4 may be written as one of IPv6.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Whether this address may be reached.
    pub fn permit(&self, address: IpAddr) -> bool {
        self.allow(address)
            || match address.to_canonical() {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let within = |(network, length): &([u8; 4], u8)| {
        let shift = 32 - u32::from(*length);
        bits >> shift == Ipv4Addr::from(*network).to_bits() >> shift
    };
    !SPECIAL_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |network: [u16; 8], length: u8| {
        let shift = 128 - u32::from(length);
        bits >> shift == Ipv6Addr::from(network).to_bits() >> shift
    };
    within([0x2000, 0, 0, 0, 0, 0, 0, 0], 3)
        && !SPECIAL_V6.iter().any(|(network, length)| within(*network, *length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_in_whatever_form_they_are_written() {
        let networks = Networks::default();
        for private in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!networks.permit(private.parse().expect("an address")), "{private}");
        }
        for public in ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:9.9.9.9"] {
            assert!(networks.permit(public.parse().expect("an address")), "{public}");
        }
    }

    #[test]
    fn what_an_operator_allows_is_reached_and_its_neighbours_are_not() {
        let networks = Networks::and(vec!["10.20.0.0/16".parse().expect("a network")]);
        assert!(networks.permit("10.20.3.4".parse().expect("an address")));
        assert!(networks.permit("::ffff:10.20.3.4".parse().expect("an address")));
        assert!(!networks.permit("10.21.3.4".parse().expect("an address")));
        assert!(!networks.allow("1.1.1.1".parse().expect("an address")));
    }
}
