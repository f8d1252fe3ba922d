//! What a route tells browsers, and how its responses are compressed.

use http::Method;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use portcullis_request_guard::MediaRange;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer, ExposeHeaders};

use crate::compression::CompressionLayer;
use crate::config::{Cors, Problem, Route, Said, Spanned};
use crate::cors::{CrossOriginLayer, Origins};
use crate::security_headers::SecurityHeadersLayer;

use super::problem;

/// What pages of other origins may do.
pub(super) fn cors(
    route: &Route,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<CrossOriginLayer> {
    let section = route.cors.as_ref()?;
    let (cors, key) = (section.get_ref(), format!("{key}.cors"));
    let before = problems.len();
    let origins = origins(section, &key, problems);
    let headers = names(&cors.headers, cors, &format!("{key}.headers"), problems);
    let expose = names(&cors.expose, cors, &format!("{key}.expose"), problems);
    if problems.len() > before {
        return None;
    }
    let mut layer = CorsLayer::new()
        .allow_methods(methods(route, cors))
        .allow_credentials(cors.credentials)
        .allow_headers(headers.map_or_else(|| AllowHeaders::from(Any), AllowHeaders::list))
        .expose_headers(expose.map_or_else(|| ExposeHeaders::from(Any), ExposeHeaders::list));
    layer = match origins {
        Some(origins) => {
            let has = move |origin: &HeaderValue, _: &Parts| origins.has(origin);
            layer.allow_origin(AllowOrigin::predicate(has))
        }
        None => layer.allow_origin(Any),
    };
    if let Some(max_age) = cors.max_age {
        layer = layer.max_age(max_age);
    }
    Some(CrossOriginLayer::new(layer))
}

fn methods(route: &Route, cors: &Cors) -> Vec<Method> {
    let lists = [&cors.methods, &route.methods].into_iter().find(|list| !list.is_empty());
    lists.cloned().unwrap_or_else(|| vec![Method::GET, Method::HEAD, Method::POST])
}

/// The origins that are named; none where any will do.
fn origins(section: &Spanned<Cors>, key: &str, problems: &mut Vec<Problem>) -> Option<Origins> {
    let cors = section.get_ref();
    if let Some(any) = lone_star(&cors.origins) {
        if cors.credentials {
            let message =
                "with `credentials` the origins are named: any page could act as whoever reads it";
            problems.push(problem(&format!("{key}.origins[0]"), any, message));
        }
        return None;
    }
    if cors.origins.is_empty() {
        let message = "an origin is needed, like \"https://app.example.com\", or \"*\" for any";
        problems.push(problem(&format!("{key}.origins"), section, message));
    }
    let mut origins = Origins::default();
    for (index, origin) in cors.origins.iter().enumerate() {
        if let Err(message) = origins.add(origin.get_ref()) {
            problems.push(problem(&format!("{key}.origins[{index}]"), origin, message));
        }
    }
    Some(origins)
}

/// The headers that are named; none where any will do.
fn names(
    list: &[Spanned<String>],
    cors: &Cors,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<HeaderName>> {
    if let Some(any) = lone_star(list) {
        if cors.credentials {
            let message = "with `credentials` browsers take `*` for a name: the headers are named";
            problems.push(problem(&format!("{key}[0]"), any, message));
        }
        return None;
    }
    let mut names = Vec::new();
    for (index, name) in list.iter().enumerate() {
        match HeaderName::try_from(name.get_ref()) {
            Ok(known) if known != "*" => names.push(known),
            _ => {
                let message = "the name of a header is needed, like \"x-api-version\", or \"*\" alone for any";
                problems.push(problem(&format!("{key}[{index}]"), name, message));
            }
        }
    }
    Some(names)
}

fn lone_star(list: &[Spanned<String>]) -> Option<&Spanned<String>> {
    match list {
        [any] if any.get_ref() == "*" => Some(any),
        _ => None,
    }
}

/// What browsers are told to be careful about.
pub(super) fn security_headers(
    route: &Route,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<SecurityHeadersLayer> {
    let section = route.security_headers.as_ref()?;
    let known: [(&str, &Said, &[&str]); 5] = [
        ("frame_options", &section.get_ref().frame_options, &["DENY", "SAMEORIGIN"]),
        ("referrer_policy", &section.get_ref().referrer_policy, &REFERRER_POLICIES),
        (
            "cross_origin_opener_policy",
            &section.get_ref().cross_origin_opener_policy,
            &["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"],
        ),
        (
            "cross_origin_embedder_policy",
            &section.get_ref().cross_origin_embedder_policy,
            &["require-corp", "credentialless", "unsafe-none"],
        ),
        (
            "cross_origin_resource_policy",
            &section.get_ref().cross_origin_resource_policy,
            &["same-origin", "same-site", "cross-origin"],
        ),
    ];
    for (name, Said(value), words) in known {
        let text = value.as_ref().and_then(|value| value.to_str().ok());
        // A browser that does not know a word does as if nothing had been said.
        let is_known = |word: &str| words.contains(&word.trim());
        if text.is_some_and(|text| !text.split(',').all(is_known)) {
            let message = format!("one of these is needed, or false: {}", words.join(", "));
            problems.push(problem(&format!("{key}.security_headers.{name}"), section, message));
        }
    }
    Some(SecurityHeadersLayer::new(section.get_ref()))
}

const REFERRER_POLICIES: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

/// Which responses are compressed, if any are.
pub(super) fn compression(
    route: &Route,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<CompressionLayer> {
    let section = route.compression.as_ref()?;
    let (compression, key) = (section.get_ref(), format!("{key}.compression"));
    if compression.encodings.as_ref().is_some_and(Vec::is_empty) {
        let message = "`encodings` has one at least: \"zstd\", \"br\", \"gzip\"";
        problems.push(problem(&format!("{key}.encodings"), section, message));
    }
    let mut types = Vec::new();
    for (index, text) in compression.content_types.iter().flatten().enumerate() {
        match text.get_ref().parse::<MediaRange>() {
            Ok(range) => types.push(range),
            Err(error) => {
                let key = format!("{key}.content_types[{index}]");
                problems.push(problem(&key, text, error.to_string()));
            }
        }
    }
    if compression.content_types.is_none() {
        types.extend(TEXTS.iter().filter_map(|text| text.parse::<MediaRange>().ok()));
    }
    Some(CompressionLayer::new(compression, types))
}

/// What is text, whatever it is called. What is compressed already does not get smaller.
const TEXTS: [&str; 12] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/xml",
    "application/*+xml",
    "application/javascript",
    "application/x-javascript",
    "application/x-ndjson",
    "application/yaml",
    "application/wasm",
    "image/svg+xml",
    "font/ttf",
];
