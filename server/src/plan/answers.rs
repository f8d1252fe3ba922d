//! Routes that change the path, lead elsewhere, or nowhere.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{StatusCode, Uri};

use crate::config::{self, Problem, Respond, Route, Spanned};
use crate::route::{BadSubstitute, Fixed, Redirect, Rewrite, Substitute};

use super::problem;
use super::routes::bad_path;

/// What becomes of the path of a route's requests.
pub(super) fn rewrite(route: &Route, key: &str, problems: &mut Vec<Problem>) -> Option<Rewrite> {
    let segments = route.path.get_ref().split('/').filter(|segment| !segment.is_empty()).count();
    let mut rewrite = Rewrite {
        strip: if route.strip_prefix { segments } else { 0 },
        virtual_host: route.virtual_host.as_ref().map(|host| host.get_ref().to_ascii_lowercase()),
        ..Rewrite::default()
    };
    let Some(section) = &route.rewrite else { return Some(rewrite) };
    let key = format!("{key}.rewrite");
    let rewritten = section.get_ref();
    match (&rewritten.prefix, &rewritten.regex, &rewritten.replacement) {
        (Some(prefix), None, None) => {
            if route.strip_prefix {
                let message = "`prefix` stands in place of the route's path: `strip_prefix` would take it off twice";
                problems.push(problem(&key, section, message));
            }
            if let Some(message) = bad_path(prefix.get_ref()).or_else(|| odd_path(prefix.get_ref()))
            {
                problems.push(problem(&format!("{key}.prefix"), prefix, message));
                return None;
            }
            rewrite.strip = segments;
            rewrite.prefix = prefix.get_ref().trim_end_matches('/').to_owned();
        }
        (None, Some(regex), Some(replacement)) => {
            let substitute = Substitute::new(regex.get_ref(), replacement.get_ref());
            let failed = |bad: BadSubstitute| match bad {
                BadSubstitute::Regex(why) => {
                    // What is printed line by line has one line for each problem.
                    let why = why.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                    problems.push(problem(&format!("{key}.regex"), regex, why));
                }
                BadSubstitute::Replacement(name) => {
                    let message = format!(
                        "the expression has no group `{name}`; in a file `$${{1}}x` is the first one before an x"
                    );
                    problems.push(problem(&format!("{key}.replacement"), replacement, message));
                }
            };
            rewrite.substitute = Some(substitute.map_err(failed).ok()?);
        }
        _ => {
            let message = "either `prefix` is needed, or `regex` and `replacement`";
            problems.push(problem(&key, section, message));
            return None;
        }
    }
    Some(rewrite)
}

/// Where clients of a route are sent to.
pub(super) fn redirect(
    route: &Route,
    section: &Spanned<config::Redirect>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Redirect> {
    let redirect = section.get_ref();
    let before = problems.len();
    let mut check =
        |name: &str, part: &Option<Spanned<String>>, wrong: fn(&str) -> Option<&'static str>| {
            if let Some(part) = part
                && let Some(message) = wrong(part.get_ref())
            {
                problems.push(problem(&format!("{key}.{name}"), part, message));
            }
        };
    check("host", &redirect.host, odd_host);
    check("path", &redirect.path, odd_path);
    check("query", &redirect.query, odd_query);
    if let Some(port) = redirect.port.as_ref().filter(|_| redirect.host.is_some()) {
        let message = "the port of another host stands in `host`, as in \"www.example.com:8443\"";
        problems.push(problem(&format!("{key}.port"), port, message));
    }
    let leads_back = redirect.scheme.is_none()
        && redirect.host.is_none()
        && redirect.port.is_none()
        && redirect.path.is_none()
        && route.rewrite.is_none()
        && !route.strip_prefix;
    if leads_back {
        let message = "this leads back to itself: `scheme`, `host`, `port` or `path` is needed";
        problems.push(problem(key, section, message));
    }
    (problems.len() == before).then(|| Redirect {
        status: redirect.status,
        scheme: redirect.scheme.map(|scheme| match scheme {
            config::Scheme::Http => Scheme::HTTP,
            config::Scheme::Https => Scheme::HTTPS,
        }),
        authority: redirect.host.as_ref().map(|host| host.get_ref().clone()),
        port: redirect.port.as_ref().map(|port| port.get_ref().get()),
        path: redirect.path.as_ref().map(|path| path.get_ref().clone()),
        query: redirect.query.as_ref().map(|query| query.get_ref().clone()),
    })
}

/// What everybody is answered.
pub(super) fn fixed(
    section: &Spanned<Respond>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Fixed> {
    let Respond { status, headers, body, content_type } = section.get_ref();
    let before = problems.len();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        match header(name, value.get_ref()) {
            Ok((name, value)) => {
                map.insert(name, value);
            }
            Err(message) => {
                problems.push(problem(&format!("{key}.headers.{name}"), value, message));
            }
        }
    }
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    if let Some(body) = body.as_ref().filter(|_| bodiless.contains(status)) {
        let message = format!("a response of status {} has no body", status.as_u16());
        problems.push(problem(&format!("{key}.body"), body, message));
    }
    match (content_type, body) {
        (Some(kind), Some(_)) => match HeaderValue::try_from(kind.get_ref()) {
            Ok(value) => drop(map.insert(CONTENT_TYPE, value)),
            Err(_) => problems.push(problem(&format!("{key}.content_type"), kind, BAD_VALUE)),
        },
        (Some(kind), None) => {
            let message = "there is no `body` that could be of this type";
            problems.push(problem(&format!("{key}.content_type"), kind, message));
        }
        (None, Some(_)) => {
            map.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        (None, None) => {}
    }
    let body = body.as_ref().map(|body| Bytes::from(body.get_ref().clone())).unwrap_or_default();
    (problems.len() == before).then_some(Fixed { status: *status, headers: map, body })
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::try_from(name)
        .map_err(|_| "the name of a header has letters, digits and `-`, as in \"retry-after\"")?;
    if name == CONTENT_TYPE {
        return Err("this stands in `content_type`");
    }
    let others = [CONNECTION, CONTENT_LENGTH, DATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    if others.contains(&name) || matches!(name.as_str(), "keep-alive" | "proxy-connection") {
        return Err("the gateway says this itself, as it is");
    }
    Ok((name, HeaderValue::try_from(value).map_err(|_| BAD_VALUE)?))
}

const BAD_VALUE: &str = "the value of a header may hold visible ASCII, spaces and tabs only";

fn odd_host(host: &str) -> Option<&'static str> {
    let known = !host.contains('@') && host.parse::<Authority>().is_ok();
    (!known).then_some("a host like \"www.example.com\" or \"www.example.com:8443\" is needed here")
}

/// A path as it is sent.
fn odd_path(path: &str) -> Option<&'static str> {
    let sent = path.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.path() == path);
    let plain =
        path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '?', '#']);
    (!sent || !plain).then_some("a path is written as it is sent: it begins with one `/`, and has no space, `\\`, `?` and `#`")
}

fn odd_query(query: &str) -> Option<&'static str> {
    let sent = format!("/?{query}").parse::<Uri>().is_ok_and(|uri| uri.query() == Some(query));
    (!sent || query.contains('#')).then_some("a query is written as it is sent, without its `?`")
}
