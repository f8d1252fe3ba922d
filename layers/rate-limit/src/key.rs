use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose allowance it is.
///
/// A key is made of any bytes, and stands for nothing else. Up to 38 of them take no allocation. The memory store keeps
/// no more of it than a hash that nobody outside can predict; the shared store a SHA-256.
#[derive(Clone)]
#[must_use = "a key does nothing until a limit uses it"]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Key {
    /// The key of these bytes: a name, a tenant, the subject of a token; better not the token itself.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::tagged(b'=', &[bytes.as_ref()])
    }

    /// The key of a client's network: an IPv4 address, or the /64 of an IPv6 address, of which one client has all.
    ///
    /// An IPv4 address that is mapped into IPv6 is itself.
    pub fn address(address: IpAddr) -> Self {
        Self::network(address, 32, 64)
    }

    /// The key of the network that an address is of, by the lengths of its prefix; those that are too long are whole.
    pub fn network(address: IpAddr, v4_prefix: u8, v6_prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let rest = 32_u32.saturating_sub(v4_prefix.into());
                let network = address.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0);
                Self::short(b'4', network.to_be_bytes())
            }
            IpAddr::V6(address) => {
                let rest = 128_u32.saturating_sub(v6_prefix.into());
                let network = address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0);
                Self::short(b'6', network.to_be_bytes())
            }
        }
    }

    /// The key of both together.
    pub fn and(&self, other: &Self) -> Self {
        // With the length of the first, so that no two pairs are the same bytes.
        let length = self.as_bytes().len().to_be_bytes();
        Self::tagged(b'+', &[&length, self.as_bytes(), other.as_bytes()])
    }

    /// The key of all that have none.
    pub(crate) fn nobody() -> Self {
        Self::tagged(b'-', &[])
    }

    /// What it is made of, for people: control characters are escaped, and what is long is cut.
    pub(crate) fn in_words(&self) -> String {
        in_words(self.as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Repr::Long(bytes) => bytes,
        }
    }

    /// As [`tagged`](Self::tagged), of so few bytes that nobody has to count them.
    fn short<const N: usize>(tag: u8, rest: [u8; N]) -> Self {
        const { assert!(N < SHORT, "they fit") };
        let mut bytes = [0; SHORT];
        if let Some((first, places)) = bytes.split_first_mut() {
            *first = tag;
            if let Some(places) = places.first_chunk_mut() {
                *places = rest;
            }
        }
        Self(Repr::Short { length: u8::try_from(1 + N).unwrap_or(0), bytes })
    }

    fn tagged(tag: u8, parts: &[&[u8]]) -> Self {
        let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
        if length > SHORT {
            let all = [tag].into_iter().chain(parts.iter().flat_map(|part| part.iter().copied()));
            return Self(Repr::Long(all.collect()));
        }
        let mut bytes = [0; SHORT];
        let mut rest = bytes.as_mut_slice();
        for part in [[tag].as_slice()].iter().chain(parts) {
            let Some((start, end)) = mem::take(&mut rest).split_at_mut_checked(part.len()) else {
                break;
            };
            start.copy_from_slice(part);
            rest = end;
        }
        Self(Repr::Short { length: u8::try_from(length).unwrap_or(0), bytes })
    }
}

/// The words for bytes that [`Key::tagged`] has made.
fn in_words(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((b'4', rest)) => rest
            .try_into()
            .map_or_else(|_| String::new(), |bits: [u8; 4]| Ipv4Addr::from(bits).to_string()),
        Some((b'6', rest)) => rest
            .try_into()
            .map_or_else(|_| String::new(), |bits: [u8; 16]| Ipv6Addr::from(bits).to_string()),
        Some((b'+', rest)) => both(rest).unwrap_or_default(),
        Some((b'=', text)) => {
            let text = text.get(..LONGEST_WORD).unwrap_or(text);
            String::from_utf8_lossy(text).escape_debug().to_string()
        }
        _ => "none".to_owned(),
    }
}

fn both(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (one, other) = rest.split_at_checked(usize::from_be_bytes(*length))?;
    Some(format!("{}, {}", in_words(one), in_words(other)))
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

// Without what it is made of, which comes from clients.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("length", &self.as_bytes().len()).finish_non_exhaustive()
    }
}

impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Self {
        Self::address(address)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// As much of a text as is shown.
const LONGEST_WORD: usize = 128;

/// With its length a whole number of words.
const SHORT: usize = 39;
