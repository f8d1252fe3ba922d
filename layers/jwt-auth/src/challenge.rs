use http::header::{AUTHORIZATION, HeaderValue};

use crate::source::Place;
use crate::{Policy, TokenSource, Unauthorized};

/// What a refused client is told to come with (RFC 9110 §11.6.1), but for the reason.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    scheme: String,
    realm: Option<String>,
    scope: Option<String>,
    resource_metadata: Option<String>,
}

impl Challenge {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            scheme: policy.token_sources().iter().find_map(scheme).unwrap_or("Bearer").to_owned(),
            realm: policy.realm_name().map(str::to_owned),
            scope: policy.wanted_scopes(),
            resource_metadata: policy.metadata_url().map(str::to_owned),
        }
    }

    /// The header's value. Nothing is none that a checked policy has: a challenge lost is better than a panic.
    pub(crate) fn header(&self, reason: Unauthorized) -> Option<HeaderValue> {
        let error = reason.error();
        let parameters = [
            ("realm", self.realm.as_deref()),
            ("error", error),
            ("error_description", error.map(|_| reason.detail())),
            ("scope", self.scope.as_deref().filter(|_| reason.is_cured_by_scope())),
            ("resource_metadata", self.resource_metadata.as_deref()),
        ];

        let mut challenge = self.scheme.clone();
        let mut separator = " ";
        for (name, value) in parameters {
            let Some(value) = value else { continue };
            challenge.extend([separator, name, "=\""]);
            // A quoted-string (RFC 9110 §5.6.4).
            for character in value.chars() {
                if matches!(character, '"' | '\\') {
                    challenge.push('\\');
                }
                challenge.push(character);
            }
            challenge.push('"');
            separator = ", ";
        }
        HeaderValue::try_from(challenge).ok()
    }
}

/// How a client is asked to use the source: `Bearer` covers queries, too (RFC 6750 §2.3), and a prefix in `Authorization`
/// is a scheme. Cookies and headers of one's own have none.
fn scheme(source: &TokenSource) -> Option<&str> {
    match &source.0 {
        Place::Bearer | Place::Query(_) => Some("Bearer"),
        Place::Header { name, prefix } if name == AUTHORIZATION => {
            prefix.strip_suffix(' ').filter(|scheme| is_token(scheme))
        }
        Place::Header { .. } | Place::Cookie(_) => None,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
