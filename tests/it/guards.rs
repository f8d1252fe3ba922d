//! What a request must be: for any route, and for one.

use portcullis_tests::{ISSUER, InProcess, Upstream, ask, exchange, gateway, plan};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway with the upstream `a`, and these lines.
fn with(upstream: &Upstream, lines: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}\n{lines}\n{ISSUER}",
        upstream.address()
    ))
}

/// One whose only route has this guard.
fn guarding(upstream: &Upstream, guard: &str) -> InProcess {
    let route = format!("{{ path = '/', upstream = 'a', request_guard = {{ {guard} }} }}");
    with(upstream, &format!("route = [{route}]"))
}

/// The one problem of a configuration.
fn problem(lines: &str) -> String {
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}
         credentials.k = {{ access_key = 'AKTEST', secret_key = 'a secret key' }}
         {lines}"
    );
    let said = plan(&config).unwrap_err();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn refusals(route: &str, reason: &str) -> String {
    format!("portcullis_refusals_total{{route=\"{route}\",reason=\"{reason}\"}}")
}

#[tokio::test]
async fn a_request_that_is_unfit_for_its_route_is_told_why_and_counted() {
    let mut upstream = Upstream::answering(OK).await;
    let json = ["content-type: application/json", "content-length: 2"];
    for (guard, what, headers, body, status, reason, says) in [
        ("methods = ['GET', 'HEAD']", "DELETE /", &[][..], "", 405, "method", "allow: GET, HEAD"),
        (
            "headers = ['x-version']",
            "GET /",
            &["x-other: 1"],
            "",
            400,
            "missing_header",
            "`x-version`",
        ),
        (
            "content_types = ['image/*']",
            "PUT /",
            &json,
            "{}",
            415,
            "content_type",
            "accept: image/*",
        ),
        ("hosts = ['*.other.test']", "GET /", &[], "", 421, "misdirected", "host"),
        ("paths = 'strict'", "GET /a%2fb", &[], "", 400, "bad_path", "encoded slash"),
        ("max_body = 1", "PUT /", &json, "{}", 413, "body_too_large", "1 bytes"),
        ("max_uri = 9", "GET /a/b/c/d/e", &[], "", 414, "uri_too_long", "9 bytes"),
    ] {
        let gateway = guarding(&upstream, guard);
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head =
            format!("{what} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n{headers}\r\n");
        let response = exchange(gateway.address(), head + body).await;

        assert_eq!(response.status, status, "{guard}");
        let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(problem["reason"], reason, "{guard}");
        let said = format!("{}\n{}", response.head, response.body);
        assert!(said.contains(says), "{guard}: {said}");
        gateway.until_metric(&refusals("/", reason), 1.0).await;
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_request_that_is_fit_passes_as_it_was_sent() {
    let mut upstream = Upstream::answering(OK).await;
    let guard = "methods = ['PUT'], headers = ['x-version'], content_types = ['application/*+json'], \
        hosts = ['gateway.test'], max_body = 2";
    let gateway = guarding(&upstream, guard);

    for path in ["/a//b/./c%2fd\\e?x=/../y", "/caf%C3%A9/100%25", "/a;b=c/d"] {
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: Gateway.test:80\r\nconnection: close\r\nx-version: 1\r\n\
             content-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(exchange(gateway.address(), request).await.status, 200, "{path}");
        assert_eq!(upstream.seen().await.line(), format!("PUT {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_finds_what_another_route_protects() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "route = [
           { path = '/public', upstream = 'a' },
           { path = '/admin', upstream = 'a', jwt_auth = { issuers = ['test'] } },
           { path = '/', upstream = 'a' },
         ]",
    );

    for path in [
        "/admin",
        "/%61dmin/x",
        "//admin",
        "/./admin",
        "/%2e/admin",
        "/\\admin",
        "/%2fadmin",
        "/%5Cadmin",
        "/admin%2fx",
        "/admin;x=1/y",
        "/admin%3bx/y",
        "/;/admin",
        "/public/../admin",
        "/public/..%2fadmin",
        "/public%2f..%2fadmin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public/..\\admin",
        "/public/..%5cadmin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public//../admin",
        "/public/x/../../admin",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%e0%80%ae./admin",
        "/public/%00/../admin",
        "/x/../admin",
    ] {
        let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;

        assert!(matches!(response.status, 400 | 401), "{path}: {}", response.status);
    }
    assert!(upstream.saw_nothing());
    assert_eq!(ask(gateway.address(), "GET /public/x;y=z", &[]).await.status, 200);
}

#[tokio::test]
async fn what_every_request_must_be_is_asked_before_there_is_a_route() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "request_guard = { hosts = ['gateway.test'], paths = 'strict', methods = ['GET'] }
         route = [{ path = '/', upstream = 'a' }]",
    );

    let elsewhere = "GET / HTTP/1.1\r\nhost: other.test\r\nconnection: close\r\n\r\n";
    for (request, status, reason) in [
        (elsewhere.to_owned(), 421, "misdirected"),
        (elsewhere.replace("/ ", "//a ").replace("other", "gateway"), 400, "bad_path"),
        (elsewhere.replace("GET", "TRACE").replace("other", "gateway"), 405, "method"),
    ] {
        assert_eq!(exchange(gateway.address(), request).await.status, status);
        gateway.until_metric(&refusals("none", reason), 1.0).await;
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_path_is_routed_as_what_it_was_normalised_to() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "request_guard.paths = { parent_segments = 'normalise', empty_segments = 'normalise' }
         route = [
           { path = '/public', upstream = 'a', strip_prefix = true },
           { path = '/admin', upstream = 'a', jwt_auth = { issuers = ['test'] } },
         ]",
    );

    assert_eq!(ask(gateway.address(), "GET /public/../admin", &[]).await.status, 401);
    assert_eq!(ask(gateway.address(), "GET /public/..%2fadmin", &[]).await.status, 400);
    assert_eq!(ask(gateway.address(), "GET /../admin", &[]).await.status, 400);
    assert!(upstream.saw_nothing());
    ask(gateway.address(), "GET /admin/..//public//a/%2e%2e/b%20c?d=//e", &[]).await;
    assert_eq!(upstream.seen().await.line(), "GET /b%20c?d=//e HTTP/1.1");
}

#[tokio::test]
async fn a_route_takes_larger_bodies_than_others_or_smaller_ones() {
    let upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "request_guard.max_body = 5
         route = [
           { path = '/', upstream = 'a' },
           { path = '/large', upstream = 'a', request_guard = { max_body = 9 } },
           { path = '/small', upstream = 'a', request_guard = { max_body = 2 } },
         ]",
    );

    for (path, most) in [("/", 5), ("/large", 9), ("/small", 2)] {
        for (length, status) in [(most, 200), (most + 1, 413)] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
            let body = "x".repeat(length);
            let whole = format!("{head}content-length: {length}\r\n\r\n{body}");
            let chunked = format!(
                "{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            );

            assert_eq!(exchange(gateway.address(), whole).await.status, status, "{path}");
            assert_eq!(exchange(gateway.address(), chunked).await.status, status, "{path}");
        }
    }
}

/// A gateway whose route to S3 has this path, to replicas with this base.
fn to_s3(upstream: &Upstream, route: &str, base: &str) -> InProcess {
    gateway(&format!(
        "credentials.k = {{ access_key = 'AKTEST', secret_key = 'a secret key' }}
         route = [{{ {route}, upstream = 's3' }}, {{ path = '/other', upstream = 's3' }}]
         [upstream.s3]
         replica = [{{ name = 'a', url = 'http://{}{base}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'k' }}",
        upstream.address()
    ))
}

#[tokio::test]
async fn a_route_to_s3_takes_the_keys_that_s3_has() {
    let mut upstream = Upstream::answering(OK).await;
    let fixed = to_s3(&upstream, "path = '/photos', strip_prefix = true", "/bucket");
    let named = to_s3(&upstream, "path = '/'", "");

    // What is signed is how S3 spells a key, whatever the client's spelling.
    for (key, seen) in [
        ("a//b", "a//b"),
        ("a/./b", "a/./b"),
        ("a%2Fb", "a/b"),
        ("a/b/../c", "a/b/../c"),
        ("a/%2e%2e/b", "a/../b"),
        ("100%25", "100%25"),
        ("a%252e", "a%252e"),
        ("a%0a", "a%0A"),
        ("%5C", "%5C"),
    ] {
        let paths = [(&fixed, format!("/photos/{key}")), (&named, format!("/bucket/{key}"))];
        for (gateway, path) in paths {
            let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;

            assert_eq!(response.status, 200, "{path}: {}", response.body);
            assert_eq!(upstream.seen().await.line(), format!("GET /bucket/{seen} HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn no_key_leads_out_of_its_bucket_or_its_route() {
    let mut upstream = Upstream::answering(OK).await;
    let fixed = to_s3(&upstream, "path = '/photos', strip_prefix = true", "/bucket");
    let named = to_s3(&upstream, "path = '/'", "");

    for (gateway, path) in [
        (&fixed, "/photos/../photos/a"),
        (&fixed, "/photos/../other/a"),
        (&fixed, "/photos/a/../../other"),
        (&fixed, "/photos/..%2fother"),
        (&fixed, "/photos/a//../b"),
        (&fixed, "/x/../photos/a"),
        (&named, "/bucket/../secret/a"),
        (&named, "/bucket/a/../../secret"),
        (&named, "/bucket/a/%2e%2e/%2e%2e/secret"),
        (&named, "/bucket/x/../../other/a"),
        (&named, "/bucket/a%00"),
        (&named, "/bucket/%ff"),
    ] {
        let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;

        assert_eq!(response.status, 400, "{path}");
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_guard_that_cannot_be_meant_is_a_problem_with_its_place() {
    let to = "path = '/', upstream = 'a'";
    for (lines, expected) in [
        (
            format!("route = [{{ {to}, request_guard = {{ max_uri = '9KiB' }} }}]"),
            "route[0].request_guard.max_uri: at most 8192, which is the `max_uri` in `[request_guard]`",
        ),
        (
            format!("route = [{{ {to}, request_guard = {{ methods = ['get'] }} }}]"),
            "route[0].request_guard.methods: a method is needed, like \"GET\"",
        ),
        (
            format!("route = [{{ {to}, request_guard = {{ method = ['GET'] }} }}]"),
            "unknown key `method`; did you mean `methods`?",
        ),
        (
            format!(
                "route = [{{ {to}, request_guard = {{ paths = {{ dot_segment = 'allow' }} }} }}]"
            ),
            "unknown key `dot_segment`; did you mean `dot_segments`?",
        ),
        (format!("route = [{{ {to}, request_guard = {{ paths = 'lax' }} }}]"), "\"strict\""),
        (
            format!(
                "request_guard.paths = {{ empty_segments = 'normalise' }}
                 route = [{{ {to}, sigv4_verify = {{ service = 's3', credentials = ['k'] }} }}]"
            ),
            "request_guard.paths: no path can be normalised here, since clients of route[0] sign theirs",
        ),
        (
            format!(
                "route = [{{ {to}, sigv4_verify = {{ service = 's3', credentials = ['k'] }}, \
                 request_guard.paths = {{ dot_segments = 'normalise' }} }}]"
            ),
            "route[0].request_guard.paths: clients sign the path that they send",
        ),
    ] {
        let problem = problem(&lines);
        assert!(problem.contains(expected), "{problem}");
    }
}
