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
        let (first, after) = rest.split_first()?;
        let escaped = after.split_at_checked(2).and_then(|(digits, after)| {
            let digits = str::from_utf8(digits).ok().filter(|_| *first == b'%')?;
            let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            Some((u8::from_str_radix(digits, 16).ok().filter(|_| hex)?, after))
        });
        let (byte, after) = escaped.unwrap_or((if *first == b'+' { b' ' } else { *first }, after));
        rest = after;
        Some(byte)
    })
}
