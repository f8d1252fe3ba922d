use http::header::{AUTHORIZATION, HeaderName};

use crate::ConfigError;

/// Where a request carries its token.
///
/// # Configuration
///
/// With the `serde` feature a source is read from a configuration file:
///
/// ```toml
/// sources = [
///     "bearer",                                 # Authorization: Bearer <token>
///     { header = "x-token" },                   # x-token: <token>
///     { header = "x-auth", prefix = "Token " }, # x-auth: Token <token>
///     { cookie = "session" },                   # Cookie: session=<token>
///     { query = "token" },                      # ?token=<token>
/// ]
/// ```
///
/// A token in a URL ends up in histories and logs (RFC 6750 §5.3), and one in a cookie is sent by whatever site makes
/// the browser ask: it needs a defence against cross-site requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenSource(pub(crate) Place);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Bearer,
    Header { name: HeaderName, prefix: String },
    Cookie(String),
    Query(String),
}

impl TokenSource {
    /// `Authorization: Bearer <token>` (RFC 6750 §2.1); the scheme in any case. Other schemes carry no token.
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Place::Bearer)
    }

    /// A header that is the token.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self(Place::Header { name, prefix: String::new() })
    }

    /// A header that has the token after `prefix`, in any case; a value without it carries no token.
    #[must_use]
    pub fn prefixed_header(name: HeaderName, prefix: impl Into<String>) -> Self {
        Self(Place::Header { name, prefix: prefix.into() })
    }

    /// The cookie of that name.
    ///
    /// # Errors
    ///
    /// When it cannot be the name of a cookie (RFC 6265 §4.1.1).
    pub fn cookie(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        let separator = |byte| b"()<>@,;:\\\"/[]?={}".contains(&byte);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && !separator(byte))
        {
            return Err(ConfigError::InvalidSource(name));
        }
        Ok(Self(Place::Cookie(name)))
    }

    /// The parameter of that name in the URI's query.
    ///
    /// # Errors
    ///
    /// When it is empty.
    pub fn query(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() {
            return Err(ConfigError::InvalidSource(name));
        }
        Ok(Self(Place::Query(name)))
    }

    /// Whether both read the same header, cookie or parameter.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.0.header(), other.0.header()) {
            (Some(one), Some(other)) => one == other,
            _ => self == other,
        }
    }
}

impl Place {
    fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Bearer => Some(AUTHORIZATION),
            Self::Header { name, .. } => Some(name.clone()),
            Self::Cookie(_) | Self::Query(_) => None,
        }
    }
}
