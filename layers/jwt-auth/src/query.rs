//! A parameter of a query (RFC 6750 §2.3).

use std::iter;

use http::Uri;
use http::uri::PathAndQuery;

use crate::Unauthorized;

/// The value of the parameter, which must not be there twice; an empty one is none.
pub(crate) fn find<'a>(uri: &'a Uri, name: &str) -> Result<Option<&'a [u8]>, Unauthorized> {
    let mut values = uri.query().into_iter().flat_map(parameters).filter(|it| is(it, name));
    let found = values.next();
    if values.next().is_some() {
        return Err(Unauthorized::AmbiguousToken);
    }
    let value = found.and_then(|parameter| parameter.split_once('='));
    Ok(value.map(|(_, value)| value.as_bytes()).filter(|value| !value.is_empty()))
}

/// Takes the parameter out; the rest stays as it is, to the byte.
///
/// # Errors
///
/// When what is left is no URI. None that does it is known; a token that stays is not an option.
pub(crate) fn remove(uri: &mut Uri, name: &str) -> Result<(), Unauthorized> {
    let Some(query) = uri.query().filter(|query| parameters(query).any(|it| is(it, name))) else {
        return Ok(());
    };
    let rest: Vec<_> = parameters(query).filter(|it| !is(it, name)).collect();
    let path = uri.path();
    let rest = match rest.join("&") {
        query if rest.is_empty() => path.to_owned() + &query,
        query => format!("{path}?{query}"),
    };

    let mut parts = uri.clone().into_parts();
    let rest = PathAndQuery::try_from(rest).map_err(|_| Unauthorized::MalformedCredential)?;
    parts.path_and_query = Some(rest);
    *uri = Uri::from_parts(parts).map_err(|_| Unauthorized::MalformedCredential)?;
    Ok(())
}

fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

fn is(parameter: &str, name: &str) -> bool {
    let (found, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    decoded(found).eq(name.bytes())
}

/// A name as the upstream may read it: `%74oken` is `token`, and would be a token that stays.
fn decoded(name: &str) -> impl Iterator<Item = u8> {
    let mut rest = name.as_bytes();
    iter::from_fn(move || {
        let escaped = match rest {
            [b'%', high, low, after @ ..] => hex(*high, *low).map(|byte| (byte, after)),
            [b'+', after @ ..] => Some((b' ', after)),
            _ => None,
        };
        let (byte, after) =
            escaped.or_else(|| rest.split_first().map(|(byte, after)| (*byte, after)))?;
        rest = after;
        Some(byte)
    })
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(uri: &str) -> String {
        let mut uri = uri.parse().unwrap();
        remove(&mut uri, "token").unwrap();
        uri.to_string()
    }

    fn found(uri: &str) -> Result<Option<Vec<u8>>, Unauthorized> {
        find(&uri.parse().unwrap(), "token").map(|value| value.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_parameter_is_found_by_its_decoded_name() {
        assert_eq!(found("/?token=a"), Ok(Some(b"a".to_vec())));
        assert_eq!(found("/?x=1&%74o%6Ben=a=b&y"), Ok(Some(b"a=b".to_vec())));
        let plus = "/?my+token=a".parse().unwrap();
        assert_eq!(find(&plus, "my token"), Ok(Some(&b"a"[..])));
        for none in ["/", "/?", "/?token", "/?token=", "/token=a", "/?Token=a", "/?x=token=a"] {
            assert_eq!(found(none), Ok(None), "{none}");
        }
        for twice in ["/?token=a&token=b", "/?token&token=a", "/?token=a&%74oken=a"] {
            assert_eq!(found(twice), Err(Unauthorized::AmbiguousToken), "{twice}");
        }
    }

    #[test]
    fn what_is_not_the_parameter_stays_to_the_byte() {
        for (before, after) in [
            ("/p?token=a", "/p"),
            ("/p?token=a&token=b", "/p"),
            ("/p?a=1&token=x&b=%20+", "/p?a=1&b=%20+"),
            ("/p?token=x&&a", "/p?&a"),
            ("/p?&token=x", "/p?"),
            ("/p?", "/p?"),
            ("/p?Token=x&xtoken=y", "/p?Token=x&xtoken=y"),
            ("http://me@h.example:81/p?token=x", "http://me@h.example:81/p"),
            ("http://h.example?token=x", "http://h.example/"),
            ("*", "*"),
            ("h.example:443", "h.example:443"),
        ] {
            assert_eq!(left(before), after, "{before}");
        }
    }

    /// How a parameter may be written, and whether a decoder takes its name for `token`.
    const NAMES: [(&str, bool); 12] = [
        ("token", true),
        ("%74oken", true),
        ("t%6Fken", true),
        ("t%6fke%6E", true),
        ("Token", false),
        ("%54oken", false),
        ("token%", false),
        ("%7token", false),
        ("%+4oken", false),
        ("to+ken", false),
        ("%2574oken", false),
        ("", false),
    ];

    proptest! {
        #[test]
        fn removal_is_filtering(
            parameters in prop::collection::vec((0..NAMES.len(), "(=[a-c%=?/]{0,3})?"), 1..6),
            start in "(https://h\\.example)?/[a-c]{0,3}",
        ) {
            let written = |wanted: fn(bool) -> bool| -> Vec<String> {
                let named = parameters.iter().map(|(name, value)| (NAMES[*name], value));
                named.filter(|((_, is), _)| wanted(*is)).map(|((name, _), value)| format!("{name}{value}")).collect()
            };
            let all = format!("{start}?{}", written(|_| true).join("&"));
            let expected = match written(|is| !is) {
                rest if rest.is_empty() => start,
                rest => format!("{start}?{}", rest.join("&")),
            };

            prop_assert_eq!(left(&all), expected);
        }
    }
}
