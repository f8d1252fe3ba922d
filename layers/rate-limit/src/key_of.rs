use std::net::IpAddr;

use http::header::HeaderName;
use http::request::Parts;

use crate::Key;

/// Says whose allowance a request is taken of.
///
/// Closures over the parts of a request do: `|parts: &Parts| parts.extensions.get::<User>().map(|user| Key::new(&user.id))`.
pub trait KeyOf: Send + Sync {
    /// The key of a request; for one without see [`MissingKey`](crate::MissingKey).
    fn key(&self, parts: &Parts) -> Option<Key>;
}

impl<F: Fn(&Parts) -> Option<Key> + Send + Sync> KeyOf for F {
    fn key(&self, parts: &Parts) -> Option<Key> {
        self(parts)
    }
}

/// One allowance for all.
#[must_use]
pub fn everyone() -> impl KeyOf + Clone {
    |_: &Parts| Some(Key::new(b""))
}

/// An allowance for each client, by what a closure knows of its address: [`Key::address`].
///
/// What a client sends of itself is no address of its own. Ask what the connection says, or what found out whom to trust.
#[must_use]
pub fn by_address(
    address: impl Fn(&Parts) -> Option<IpAddr> + Clone + Send + Sync,
) -> impl KeyOf + Clone {
    move |parts: &Parts| address(parts).map(Key::address)
}

/// An allowance for each value of a header, of which the first line counts.
///
/// Who chooses the value chooses the allowance: this is for headers that somebody else sets, or checks.
#[must_use]
pub fn by_header(name: HeaderName) -> impl KeyOf + Clone {
    move |parts: &Parts| parts.headers.get(&name).map(Key::new)
}

/// An allowance for each pair of what two others say; none if either says nothing.
#[must_use]
pub fn by_both(one: impl KeyOf + Clone, other: impl KeyOf + Clone) -> impl KeyOf + Clone {
    move |parts: &Parts| Some(one.key(parts)?.and(&other.key(parts)?))
}
