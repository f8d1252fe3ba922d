//! Whose limit a request counts towards, and which requests count towards none.

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN};
use http::request::Parts;
use portcullis_jwt_auth::{ClaimPath, Claims};
use portcullis_rate_limit::Key;
use portcullis_sigv4_sign::Verified;
use serde_json::Value as Claim;

use crate::certificate::Certificate;
use crate::config::{Config, Exempt, Route};
use crate::facts::{Facts, client_address, client_certificate};
use crate::route::Judged;
use crate::telemetry::RouteMeters;

use super::headers::{asks_clients, certificate_part, claim_path};

/// What the key of a request is made of, in order.
#[derive(Clone, Debug)]
pub(super) struct KeyOf(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Address,
    Header(HeaderName),
    Claim(ClaimPath),
    Certificate(fn(&Certificate) -> Claim),
    AccessKey,
    Route,
}

/// Where a limit is applied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'c> {
    Edge,
    Route(&'c Route),
}

impl KeyOf {
    /// By these sources, as `claim:sub`; without any all requests have one key.
    ///
    /// # Errors
    ///
    /// Why one of them is none.
    pub(super) fn new(sources: &[String]) -> Result<Self, String> {
        sources.iter().map(|source| part(source)).collect::<Result<_, _>>().map(Self)
    }

    /// The key of a request; none if it lacks a part.
    pub(super) fn key(&self, parts: &Parts) -> Option<Key> {
        let mut each = self.0.iter();
        let Some(first) = each.next() else { return Some(Key::new(b"")) };
        each.try_fold(first.key(parts)?, |key, part| Some(key.and(&part.key(parts)?)))
    }

    /// Why requests never have such a key there.
    pub(super) fn never_at(&self, place: Place<'_>, config: &Config) -> Option<&'static str> {
        self.0.iter().find_map(|part| match (part, place) {
            (Part::Claim(_) | Part::AccessKey | Part::Route, Place::Edge) => {
                Some("in front of the routes neither the route is known nor who has signed or has a token")
            }
            (Part::Claim(_), Place::Route(route)) if route.jwt_auth.is_none() => {
                Some("the route has no `jwt_auth`, and so no claims")
            }
            (Part::AccessKey, Place::Route(route)) if route.sigv4_verify.is_none() => {
                Some("the route has no `sigv4_verify`, and so no access keys")
            }
            (Part::Certificate(_), _) if !asks_clients(config) => {
                Some("no listener asks for certificates: `tls.client_certificates`")
            }
            _ => None,
        })
    }
}

impl Part {
    fn key(&self, parts: &Parts) -> Option<Key> {
        match self {
            Self::Address => client_address(parts).map(Key::address),
            Self::Header(name) => parts.headers.get(name).map(Key::new),
            Self::Claim(path) => scalar(parts.extensions.get::<Claims>()?.at(path)?),
            Self::Certificate(read) => {
                Some(Key::new(read(&*client_certificate(parts)?).to_string()))
            }
            Self::AccessKey => Some(Key::new(parts.extensions.get::<Verified>()?.access_key_id())),
            Self::Route => {
                let facts = parts.extensions.get::<Facts>()?;
                facts.known().route.as_deref().map(|route| Key::new(RouteMeters::name(route)))
            }
        }
    }
}

fn part(source: &str) -> Result<Part, String> {
    match source.split_once(':') {
        None if source == "address" => Ok(Part::Address),
        None if source == "access_key" => Ok(Part::AccessKey),
        None if source == "route" => Ok(Part::Route),
        Some(("header", name)) => {
            let header = HeaderName::try_from(name).map(Part::Header);
            header.map_err(|_| format!("`{name}` is no name of a header"))
        }
        Some(("claim", path)) => {
            claim_path(path).map(Part::Claim).map_err(|error| error.to_string())
        }
        Some(("client_certificate", part)) => certificate_part(part).map(Part::Certificate),
        _ => Err("a key is made of \"address\", \"header:NAME\", \"claim:PATH\", \"access_key\", \
            \"client_certificate:PART\" and \"route\""
            .to_owned()),
    }
}

/// A claim that is one value.
fn scalar(claim: &Claim) -> Option<Key> {
    match claim {
        Claim::String(text) => Some(Key::new(text)),
        Claim::Number(_) | Claim::Bool(_) => Some(Key::new(claim.to_string())),
        Claim::Null | Claim::Array(_) | Claim::Object(_) => None,
    }
}

/// Whether a limit has nothing to do with a request.
pub(super) fn is_exempt(exempt: &Exempt, parts: &Parts) -> bool {
    exempt.methods.contains(&parts.method)
        || exempt.preflight && is_preflight(parts)
        || !exempt.paths.is_empty() && is_below_any(exempt, parts.uri.path())
        || exempt.addresses.iter().any(|at| at.is_at(client_address(parts)))
}

/// Fetch, §4.8: what asks whether another request may be sent.
fn is_preflight(parts: &Parts) -> bool {
    let has = |name: &HeaderName| parts.headers.contains_key(name);
    parts.method == Method::OPTIONS && has(&ORIGIN) && has(&ACCESS_CONTROL_REQUEST_METHOD)
}

fn is_below_any(exempt: &Exempt, path: &str) -> bool {
    let Ok(judged) = Judged::new(path) else { return false };
    exempt.paths.iter().any(|above| {
        let rest = judged.as_str().strip_prefix(above.get_ref().trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
