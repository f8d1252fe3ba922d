//! Where an issuer's keys are.

use std::net::IpAddr;

use http::Uri;
use serde_json::Value;

use crate::{ConfigError, RefreshError, json};

/// Where an issuer's keys are: at a place that was named, or that the issuer names.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Keys(Uri),
    Discovery { issuer: String, document: Uri },
}

impl Location {
    pub(crate) fn keys(url: &str) -> Result<Self, ConfigError> {
        safe(url).map(Self::Keys)
    }

    /// The document of an issuer (`OpenID` Connect Discovery 1.0 §4.1).
    pub(crate) fn discovery(issuer: String) -> Result<Self, ConfigError> {
        if issuer.contains('?') {
            return Err(ConfigError::InvalidUrl(issuer));
        }
        let base = issuer.strip_suffix('/').unwrap_or(&issuer);
        let document = safe(&format!("{base}/.well-known/openid-configuration"))?;
        Ok(Self::Discovery { issuer, document })
    }

    /// What is asked first.
    pub(crate) const fn uri(&self) -> &Uri {
        match self {
            Self::Keys(uri) | Self::Discovery { document: uri, .. } => uri,
        }
    }
}

/// Where the keys of `issuer` are, by its document from `source` (`OpenID` Connect Discovery 1.0 §4.3).
pub(crate) fn discovered(issuer: &str, source: &Uri, document: &[u8]) -> Result<Uri, RefreshError> {
    let document = json::object(document).ok_or(RefreshError::NotTheIssuer)?;
    let text = |name| document.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(RefreshError::NotTheIssuer);
    }
    let keys = text("jwks_uri").and_then(|url| safe(url).ok());
    // What was asked in secret does not send us to where others listen, or to ourselves.
    keys.filter(|keys| source.scheme_str() != Some("https") || keys.scheme_str() == Some("https"))
        .ok_or(RefreshError::NotTheIssuer)
}

/// A URL that keys may come from: https, or http within this machine.
fn safe(url: &str) -> Result<Uri, ConfigError> {
    let invalid = || ConfigError::InvalidUrl(url.to_owned());
    // The parser cuts off a fragment.
    let uri: Uri = url.parse().ok().filter(|_| !url.contains('#')).ok_or_else(invalid)?;
    let authority = uri.authority().ok_or_else(invalid)?;
    if authority.as_str().contains('@') {
        return Err(invalid());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_loopback(authority.host()) => Ok(uri),
        Some("http") => Err(ConfigError::InsecureUrl(url.to_owned())),
        _ => Err(invalid()),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        // The name is ours, whatever a resolver says of it (RFC 6761 §6.3).
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_secret_or_from_this_machine() {
        for url in [
            "https://id.example/keys?p=a",
            "http://127.0.0.1:8080/keys",
            "http://127.9.9.9/",
            "http://[::1]:80/keys",
            "http://LOCALHOST/keys",
        ] {
            assert!(Location::keys(url).is_ok(), "{url}");
        }
        for url in ["http://id.example/keys", "http://10.0.0.1/", "http://localhost.example/"] {
            let error = Location::keys(url).unwrap_err();
            assert_eq!(error, ConfigError::InsecureUrl(url.to_owned()));
        }
        for url in
            ["", "/keys", "id.example", "ftp://a/", "https://u@a/", "https://a/#b", "https://"]
        {
            let error = Location::keys(url).unwrap_err();
            assert_eq!(error, ConfigError::InvalidUrl(url.to_owned()));
        }
    }

    #[test]
    fn the_document_is_below_the_issuer() {
        let document = |issuer: &str| {
            Location::discovery(issuer.to_owned()).map(|location| location.uri().to_string())
        };

        let expected = "https://a.example/t/.well-known/openid-configuration";
        assert_eq!(document("https://a.example/t").unwrap(), expected);
        assert_eq!(document("https://a.example/t/").unwrap(), expected);
        assert!(document("https://a.example/?t").is_err());
    }

    #[test]
    fn only_the_issuers_own_document_counts() {
        let source: Uri = "https://a.example/x".parse().unwrap();
        let keys = |document: &str| discovered("https://a.example", &source, document.as_bytes());

        let good = r#"{"issuer":"https://a.example","jwks_uri":"https://b.example/k"}"#;
        assert_eq!(keys(good).unwrap(), "https://b.example/k");
        for bad in [
            r#"{"issuer":"https://a.example/","jwks_uri":"https://b.example/k"}"#,
            r#"{"issuer":"https://a.example","jwks_uri":"http://b.example/k"}"#,
            r#"{"issuer":"https://a.example","jwks_uri":"http://127.0.0.1/k"}"#,
            r#"{"issuer":"https://a.example","jwks_uri":7}"#,
            r#"{"issuer":"https://a.example"}"#,
            r#"{"issuer":"https://e.example","issuer":"https://a.example","jwks_uri":"https://b.example/k"}"#,
            r#"{"jwks_uri":"https://b.example/k"}"#,
            "[]",
            "",
        ] {
            assert_eq!(keys(bad), Err(RefreshError::NotTheIssuer), "{bad}");
        }
    }
}
