use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A set of networks: addresses, or prefixes in CIDR notation.
///
/// ```
/// use portcullis_request_id::Networks;
///
/// let private: Networks = "10.0.0.0/8, fd00::/8, 192.0.2.7".parse()?;
///
/// assert!(private.contains("10.1.2.3".parse().unwrap()));
/// assert!(private.contains("::ffff:10.1.2.3".parse().unwrap()), "the same, mapped");
/// assert!(!private.contains("192.0.2.8".parse().unwrap()));
/// # Ok::<(), portcullis_request_id::InvalidNetwork>(())
/// ```
///
/// With the `serde` feature it is read from a list of texts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Vec<String>"))]
pub struct Networks(Vec<Network>);

/// An IPv4 network is that of the addresses mapped into IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Network {
    bits: u128,
    mask: u128,
}

/// Says that text is no network: which.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidNetwork(String);

impl Networks {
    /// No network at all.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether it contains no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it contains an address; an IPv4 address that is mapped into IPv6 is itself.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|network| bits & network.mask == network.bits)
    }
}

/// With commas between them, and spaces where one likes.
impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        texts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidNetwork> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let whole = if address.is_ipv4() { 32 } else { 128_u32 };
        let prefix = match prefix {
            None => whole,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) => {
                return Err(invalid());
            }
            Some(digits) => digits.parse().map_err(|_| invalid())?,
        };
        let rest = whole.checked_sub(prefix).ok_or_else(invalid)?;
        let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
        let bits = bits(address);
        // One bit beyond the prefix, and the network is not the one that was meant.
        if bits & mask == bits { Ok(Self { bits, mask }) } else { Err(invalid()) }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no network like \"10.0.0.0/8\" or \"fd00::/8\"", self.0)
    }
}

impl Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn all_of_ipv4_is_not_all_of_ipv6() {
        assert!(networks("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!networks("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(networks("::/0").contains(address("2001:db8::1")));
        assert!(!Networks::none().contains(address("127.0.0.1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let wrong = [
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "a.b",
            "/8",
        ];
        for text in wrong {
            assert!(text.parse::<Networks>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_what_begins_as_it_does(
            bits in any::<u32>(), other in any::<u32>(), prefix in 0..=32_u32,
        ) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let v4 = |bits: u32| IpAddr::V4(bits.into());
            let network = networks(&format!("{}/{prefix}", v4(bits & mask)));

            prop_assert!(network.contains(v4(bits)));
            prop_assert_eq!(network.contains(v4(other)), bits & mask == other & mask);
        }
    }
}
