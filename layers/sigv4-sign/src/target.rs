//! The request target as it goes on the wire: what is signed is what is sent.

use std::borrow::Cow;
use std::mem;

use http::Uri;
use http::uri::PathAndQuery;

use crate::NotSigned;
use crate::percent::{self, unreserved, unreserved_or_slash};

/// How a service reads a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathRules {
    /// Dot segments and empty segments are taken out.
    pub(crate) normalised: bool,
    /// The path is encoded once more where it is signed.
    pub(crate) encoded_twice: bool,
}

impl PathRules {
    /// A key is any text, `//` and `..` included.
    pub(crate) const S3: Self = Self { normalised: false, encoded_twice: false };
    pub(crate) const OTHERS: Self = Self { normalised: true, encoded_twice: true };
}

/// Rewrites the path and the query of `uri` to the form that is signed; does nothing if they have it.
pub(crate) fn settle(uri: &mut Uri, rules: PathRules) -> Result<(), NotSigned> {
    let path = uri.path();
    let query = uri.query();
    if !path.starts_with('/') || !percent::is_well_formed(path) {
        return Err(NotSigned::BadTarget);
    }
    if !query.is_none_or(percent::is_well_formed) {
        return Err(NotSigned::BadTarget);
    }
    if is_settled_path(path, rules) && query.is_none_or(is_settled_query) {
        return Ok(());
    }

    let query = query.unwrap_or_default();
    let mut target = String::with_capacity(path.len() + query.len() + ROOM_FOR_ESCAPES);
    settled_path(path, rules, &mut target);
    settled_query(query, &mut target);
    set(uri, target)
}

/// Replaces the query, which is encoded.
pub(crate) fn set_query(uri: &mut Uri, query: &str) -> Result<(), NotSigned> {
    let target = [uri.path(), "?", query].concat();
    set(uri, target)
}

fn set(uri: &mut Uri, target: String) -> Result<(), NotSigned> {
    if target.len() > MAX_TARGET {
        return Err(NotSigned::BadTarget);
    }
    let mut parts = mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| NotSigned::BadTarget)?);
    *uri = Uri::from_parts(parts).map_err(|_| NotSigned::BadTarget)?;
    Ok(())
}

/// `path` without what a service does not tell apart from nothing: dot segments and empty ones.
pub(crate) fn without_dots(path: &str, rules: PathRules) -> Cow<'_, str> {
    if !rules.normalised || !(path.contains("//") || path.contains("/.")) {
        return path.into();
    }
    let mut out = String::with_capacity(path.len());
    normalised(path, &mut out);
    out.into()
}

fn is_settled_path(path: &str, rules: PathRules) -> bool {
    let encoded = if rules.encoded_twice {
        path.bytes().all(percent::of_a_path)
    } else {
        percent::is_canonical(path, unreserved_or_slash)
    };
    encoded && !(rules.normalised && (path.contains("//") || path.contains("/.")))
}

fn settled_path(path: &str, rules: PathRules, out: &mut String) {
    if rules.encoded_twice {
        // The service encodes what it receives, whether a byte was escaped or not: that difference has to stay.
        percent::encode(path.bytes(), percent::of_a_path, out);
    } else {
        percent::encode(percent::decoded(path), unreserved_or_slash, out);
    }
    if rules.normalised {
        let encoded = mem::take(out);
        normalised(&encoded, out);
    }
}

/// Without `.`, `..` and empty segments (RFC 3986 §5.2.4, and AWS on the empty ones).
fn normalised(path: &str, out: &mut String) {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    let is_folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    if segments.is_empty() || is_folder {
        out.push('/');
    }
}

fn is_settled_query(query: &str) -> bool {
    query.split('&').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !parameter.is_empty()
            && percent::is_canonical(name, unreserved)
            && percent::is_canonical(value, unreserved)
            && !is_of_a_signature(name)
    })
}

/// Adds `?` and what is left of `query`: its parameters in their order, each encoded once, `name` and `name=` told
/// apart, a `+` read as the space that servers take it for.
fn settled_query(query: &str, out: &mut String) {
    let mut separator = '?';
    for parameter in query.split('&') {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        if parameter.is_empty() || is_of_a_signature(name) {
            continue;
        }
        out.push(mem::replace(&mut separator, '&'));
        encode_parameter(name, out);
        if let Some(value) = value {
            out.push('=');
            encode_parameter(value, out);
        }
    }
}

fn encode_parameter(text: &str, out: &mut String) {
    for (index, part) in text.split('+').enumerate() {
        if index > 0 {
            out.push_str("%20");
        }
        percent::encode(percent::decoded(part), unreserved, out);
    }
}

/// Whether a parameter belongs to a signature made by the client, or is a header that was put into one.
fn is_of_a_signature(name: &str) -> bool {
    percent::decoded(name).map(|byte| byte.to_ascii_lowercase()).take(X_AMZ.len()).eq(X_AMZ.bytes())
}

const X_AMZ: &str = "x-amz-";

/// Eight bytes that are escaped; more make the text grow.
const ROOM_FOR_ESCAPES: usize = 16;

/// `http` counts a target with 16 bits, and before 1.5 did not check that it fits.
const MAX_TARGET: usize = u16::MAX as usize - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settled(uri: &str, rules: PathRules) -> Result<String, NotSigned> {
        let mut uri: Uri = uri.parse().unwrap();
        settle(&mut uri, rules)?;
        Ok(uri.to_string())
    }

    #[test]
    fn a_key_is_encoded_once_and_not_normalised() {
        let cases = [
            ("/a b".replace(' ', "%20"), "/a%20b"),
            ("/a+b=c@d:e".into(), "/a%2Bb%3Dc%40d%3Ae"),
            ("/a//b/./../c".into(), "/a//b/./../c"),
            ("/%c3%a9/é/%7e%41".into(), "/%C3%A9/%C3%A9/~A"),
            ("/a%2fb%2520".into(), "/a/b%2520"),
            ("/{\"x\"}|".into(), "/%7B%22x%22%7D%7C"),
        ];
        for (given, sent) in cases {
            assert_eq!(settled(&given, PathRules::S3).as_deref(), Ok(sent), "{given}");
        }
    }

    #[test]
    fn other_paths_keep_their_escapes_and_lose_their_dots() {
        let cases = [
            ("/a%2fb/@c:d+e", "/a%2fb/@c:d+e"),
            ("/a//b/./c/../d", "/a/b/d"),
            ("/../..", "/"),
            ("/a/.", "/a/"),
            ("/a/..b/.c", "/a/..b/.c"),
            ("/é|", "/%C3%A9%7C"),
        ];
        for (given, sent) in cases {
            assert_eq!(settled(given, PathRules::OTHERS).as_deref(), Ok(sent), "{given}");
        }
    }

    #[test]
    fn a_query_keeps_its_order_and_its_meaning() {
        let cases = [
            ("/?b=2&a=1&b=1", "/?b=2&a=1&b=1"),
            ("/?acl", "/?acl"),
            ("/?acl=", "/?acl="),
            ("/?=v&=", "/?=v&="),
            ("/?&a&&b&", "/?a&b"),
            ("/?", "/"),
            ("/?p=a+b%2Bc%20d", "/?p=a%20b%2Bc%20d"),
            ("/?p=a/b=c*~%7E'", "/?p=a%2Fb%3Dc%2A~~%27"),
        ];
        for (given, sent) in cases {
            assert_eq!(settled(given, PathRules::S3).as_deref(), Ok(sent), "{given}");
        }
    }

    #[test]
    fn a_presigned_query_loses_its_signature() {
        let given = "/k?X-Amz-Algorithm=A&x=1&X%2DAmz-Signature=f00&x-amz-acl=public-read&x-id=Get";

        assert_eq!(settled(given, PathRules::S3).as_deref(), Ok("/k?x=1&x-id=Get"));
    }

    #[test]
    fn what_is_no_path_or_no_escape_is_refused() {
        for given in ["*", "example.com:443", "/%", "/%zz", "/?a=%4", "/a?%"] {
            assert_eq!(settled(given, PathRules::S3), Err(NotSigned::BadTarget), "{given}");
        }
    }

    #[test]
    fn a_target_that_grows_too_long_is_refused() {
        let given = format!("/{}", "+".repeat(30_000));

        assert_eq!(settled(&given, PathRules::S3), Err(NotSigned::BadTarget));
        assert_eq!(settled(&given, PathRules::OTHERS), Ok(given));
    }

    #[test]
    fn the_authority_stays() {
        let sent = settled("https://me@host:8443/a+b?c+d", PathRules::S3);

        assert_eq!(sent.as_deref(), Ok("https://me@host:8443/a%2Bb?c%20d"));
    }

    proptest! {
        #[test]
        fn what_is_settled_stays(given in "/([a-zé/.+~@]|%[0-9a-fA-F]{2}){0,24}(\\?([a-z=&+é]|%[0-9A-Fa-f]{2}){0,16})?") {
            for rules in [PathRules::S3, PathRules::OTHERS] {
                let once = settled(&given, rules).unwrap();
                prop_assert_eq!(settled(&once, rules).unwrap(), once);
            }
        }

        #[test]
        fn no_target_panics(given in "/[ -~é%]{0,40}") {
            if let Ok(mut uri) = given.parse::<Uri>() {
                let _ = settle(&mut uri, PathRules::S3);
                let _ = settle(&mut uri, PathRules::OTHERS);
            }
        }
    }
}
