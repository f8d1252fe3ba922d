use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Where a proxy is that is trusted to say whom it had a request from.
///
/// It is read from a text: a network as `10.0.0.0/8`, an address, or `unix`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[expect(clippy::exhaustive_enums, reason = "who connects has an address or none")]
pub enum Proxy {
    /// At an address in this network. One of IPv4 has its addresses in IPv6, too.
    Network(IpNet),
    /// At the other end of a Unix socket: whoever can open it.
    Unix,
}

/// Says that a text is no network: which.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidNetwork(String);

impl Proxy {
    /// Whether this is where a peer is, which has no address at the other end of a Unix socket.
    #[must_use]
    pub fn is_at(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(peer)) => network.contains(&peer.to_canonical()),
            (Self::Unix, None) => true,
            (Self::Network(_), None) | (Self::Unix, Some(_)) => false,
        }
    }
}

impl FromStr for Proxy {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text == "unix" { Ok(Self::Unix) } else { network(text).map(Self::Network) }
    }
}

impl TryFrom<String> for Proxy {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

/// A network in CIDR notation, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let address = |text: &str| text.parse().map(|address: IpAddr| address.to_canonical().into());
    let network = text.parse::<IpNet>().or_else(|_| address(text)).ok();
    // One bit beyond the prefix, and the network is not the one that was meant. One of addresses that are mapped into IPv6
    // would contain none, since these are taken for what they are.
    let is_mapped = |network: &IpNet| matches!(network, IpNet::V6(it) if it.prefix_len() >= 96 && it.addr().to_ipv4_mapped().is_some());
    let meant = network.filter(|network| network.trunc() == *network && !is_mapped(network));
    meant.ok_or_else(|| InvalidNetwork(text.to_owned()))
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no network like \"10.0.0.0/8\" or \"fd00::/8\", and no address", self.0)
    }
}

impl Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_at(proxy: &str, peer: &str) -> bool {
        proxy.parse::<Proxy>().unwrap().is_at(Some(peer.parse().unwrap()))
    }

    #[test]
    fn all_of_ipv4_is_not_all_of_ipv6() {
        assert!(is_at("0.0.0.0/0", "255.255.255.255"));
        assert!(is_at("0.0.0.0/0", "::ffff:192.0.2.7"));
        assert!(!is_at("0.0.0.0/0", "2001:db8::1"));
        assert!(is_at("::/0", "2001:db8::1"));
        assert!(is_at("::ffff:192.0.2.7", "192.0.2.7"));
    }

    #[test]
    fn who_has_no_address_is_at_no_network_and_the_other_way_round() {
        assert!(Proxy::Unix.is_at(None));
        assert!(!Proxy::Unix.is_at(Some(IpAddr::from([127, 0, 0, 1]))));
        assert!(!"0.0.0.0/0".parse::<Proxy>().unwrap().is_at(None));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let wrong = [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::ffff:10.0.0.0/104",
            "a.b",
            "/8",
            "Unix",
        ];
        for text in wrong {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_what_begins_as_it_does(
            bits in any::<u32>(), other in any::<u32>(), prefix in 0..=32_u32,
        ) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let v4 = |bits: u32| IpAddr::V4(bits.into());
            let proxy: Proxy = format!("{}/{prefix}", v4(bits & mask)).parse().unwrap();

            prop_assert!(proxy.is_at(Some(v4(bits))));
            prop_assert_eq!(proxy.is_at(Some(v4(other))), bits & mask == other & mask);
        }
    }
}
