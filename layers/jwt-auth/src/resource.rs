//! The URI of a protected resource (RFC 9728 §1.2).

use http::Uri;
use http::uri::Authority;

use crate::ConfigError;

/// The URI, if it is absolute and of `https`, or of `http` where nothing leaves the machine. It has neither a query, which
/// RFC 9728 advises against, nor a fragment, nor a user.
pub(crate) fn parse(text: &str) -> Result<Uri, ConfigError> {
    let invalid = || ConfigError::InvalidResource(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let host = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let allowed = match (uri.scheme_str(), host) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_loopback(host),
        _ => false,
    };
    // Printable, so that it can stand in a header. The parser drops a fragment in silence.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#?\"\\".contains(&byte));
    (allowed && plain).then_some(uri).ok_or_else(invalid)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_reached_in_safety() {
        for uri in [
            "https://api.example",
            "https://api.example:8443/mcp/",
            "http://localhost:3000/mcp",
            "http://127.0.0.1",
            "http://[::1]:3000",
        ] {
            assert!(parse(uri).is_ok(), "{uri}");
        }
        for uri in [
            "",
            "/mcp",
            "api.example",
            "api.example:443",
            "http://api.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ftp://api.example",
            "https://api.example/#a",
            "https://api.example/?a=1",
            "https://me@api.example/",
            "https://api.example/é",
            "https://api.example/\n",
            "https://api.example/\"",
        ] {
            assert_eq!(parse(uri), Err(ConfigError::InvalidResource(uri.to_owned())), "{uri}");
        }
    }
}
