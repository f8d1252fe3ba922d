use http::header::{HeaderMap, HeaderValue, UPGRADE};

use super::Protocol;
use super::list::elements;

/// Which upgrades of the connection get through to the upstream.
///
/// Upgrades exist in HTTP/1.1 alone, and an upgrade is asked for by `Upgrade` *and* `Connection: upgrade`; anything
/// else is removed like the rest. Of several protocols offered, the first that may pass does, as the only one. One to
/// HTTP itself (`h2c`) never passes, whatever the policy.
///
/// As text `"deny"`, `"websocket"` or `"preserve"`; in TOML a list of names is `{ tokens = ["websocket", "mqtt/5"] }`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Upgrade {
    /// None: the request goes on as a plain one.
    #[default]
    Deny,
    /// `websocket`.
    WebSocket,
    /// These, in the very same version; letter case does not matter.
    Tokens(Vec<Protocol>),
    /// Any but HTTP. Choosing one of several copies it: an allocation.
    Preserve,
}

impl Upgrade {
    /// The value of `Upgrade` to send on.
    pub(super) fn choose(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        headers
            .get_all(UPGRADE)
            .iter()
            .find_map(|line| elements(line).find_map(|offered| self.admit(offered, line)))
    }

    /// The value to send for `offered`, an element of `line`.
    fn admit(&self, offered: &[u8], line: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Deny => None,
            Self::WebSocket => Protocol::WEBSOCKET.is(offered).then(|| Protocol::WEBSOCKET.value()),
            Self::Tokens(allowed) => {
                allowed.iter().find(|protocol| protocol.is(offered)).map(Protocol::value)
            }
            Self::Preserve if !Protocol::may_be(offered) => None,
            Self::Preserve if offered.len() == line.len() => Some(line.clone()),
            Self::Preserve => HeaderValue::from_bytes(offered).ok(),
        }
    }
}

/// Whether `headers` name the protocol `asked`, and no other.
pub(super) fn agrees(headers: &HeaderMap, asked: &HeaderValue) -> bool {
    let mut named = headers.get_all(UPGRADE).iter().flat_map(elements);
    let agreed = named.next().is_some_and(|name| name.eq_ignore_ascii_case(asked.as_bytes()));
    agreed && named.next().is_none()
}
