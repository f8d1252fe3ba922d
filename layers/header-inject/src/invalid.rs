use std::error::Error;
use std::fmt;

use http::header::HeaderName;

/// Why a rule is refused. It names headers and sources, and never prints a value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidRule {
    /// The header frames the message or belongs to one connection. Changing it is how requests are smuggled
    /// (RFC 9110 §7.6.1, RFC 9112 §11.2), so nothing allows it.
    Forbidden(HeaderName),
    /// The header is `authorization` or `host`, which other parts of a proxy rely on, and the rule does not say
    /// [`allow_protected`](crate::Rule::allow_protected).
    Protected(HeaderName),
    /// The header may stand only once (RFC 9110 §5.3), and the rule appends to it.
    Singleton(HeaderName),
    /// The value has bytes beyond visible ASCII, space and tab, which no two parties read alike (RFC 9110 §5.5).
    NotAscii(HeaderName),
    /// The header is renamed to itself, or copied.
    SameName(HeaderName),
    /// The value has a [name](crate::Value::named) that stands for nothing where the layer is made.
    UnknownSource {
        /// The header that the rule changes.
        header: HeaderName,
        /// The name of what its value comes from.
        source: Box<str>,
    },
    /// The value comes [from the request](crate::Value::from_request), or the condition asks for what a request has, and the
    /// rule is one for responses.
    NoRequest(HeaderName),
    /// The condition asks for a status, and the rule is one for requests.
    NoResponse(HeaderName),
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(name) => {
                write!(f, "`{name}` frames the message or belongs to one connection: leave it out")
            }
            Self::Protected(name) => {
                write!(f, "`{name}` is protected: say `allow_protected` to change it")
            }
            Self::Singleton(name) => {
                write!(
                    f,
                    "`{name}` may stand only once: say `set` or `set_if_absent`, not `append`"
                )
            }
            Self::NotAscii(name) => {
                write!(f, "the value of `{name}` may hold visible ASCII, spaces and tabs only")
            }
            Self::SameName(name) => {
                write!(f, "`{name}` is renamed or copied to itself: give another name")
            }
            Self::UnknownSource { header, source } => {
                write!(f, "`{header}` comes from {source:?}, and nothing here has this name")
            }
            Self::NoRequest(name) => {
                write!(
                    f,
                    "`{name}` is a response's, and its value or condition can only come from a request"
                )
            }
            Self::NoResponse(name) => {
                write!(
                    f,
                    "`{name}` is a request's, and its condition asks for the status of a response"
                )
            }
        }
    }
}

impl Error for InvalidRule {}
