//! Where a route leads: to an upstream by another path, elsewhere, or nowhere.

use portcullis_tests::{
    ISSUER, InProcess, Response, Upstream, ask, exchange, gateway, in_an_hour, plan, token,
};
use serde_json::json;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn routes(routes: &str) -> InProcess {
    gateway(&format!("{ISSUER}\nroute = [{routes}]"))
}

fn with_upstream(upstream: &Upstream, routes: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}\nroute = [{routes}]",
        upstream.address()
    ))
}

/// The one problem of these routes.
fn problem(routes: &str) -> String {
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}
         route = [{routes}]"
    );
    let said = plan(&config).unwrap_err();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn location(response: &Response) -> &str {
    let locations = response.header("location");
    assert_eq!(locations.len(), 1, "{}", response.head);
    locations[0]
}

#[tokio::test]
async fn a_redirect_keeps_what_it_does_not_replace() {
    for (redirect, expected) in [
        ("scheme = 'https'", "https://gateway.test/a%20b//c?d=%2F"),
        ("scheme = 'https', port = 8443", "https://gateway.test:8443/a%20b//c?d=%2F"),
        ("host = 'other.test:8080'", "//other.test:8080/a%20b//c?d=%2F"),
        ("scheme = 'http', host = 'other.test', path = '/new'", "http://other.test/new?d=%2F"),
        ("path = '/new', query = ''", "/new"),
        ("path = '/new', query = 'e=f'", "/new?e=f"),
    ] {
        let gateway = routes(&format!("{{ path = '/', redirect = {{ {redirect} }} }}"));

        let response = ask(gateway.address(), "GET /a%20b//c?d=%2F", &[]).await;

        assert_eq!(location(&response), expected, "{redirect}");
        assert_eq!(response.status, 308);
        assert_eq!(response.header("content-length"), ["0"]);
    }
}

#[tokio::test]
async fn the_status_of_a_redirect_is_the_one_that_is_asked_for() {
    for status in [301, 302, 303, 307, 308] {
        let redirect = format!("{{ scheme = 'https', status = {status} }}");
        let gateway = routes(&format!("{{ path = '/', redirect = {redirect} }}"));

        let response = ask(gateway.address(), "POST /", &["content-length: 0"]).await;

        assert_eq!(response.status, status);
    }
}

#[tokio::test]
async fn a_redirect_to_another_scheme_leaves_the_port_behind() {
    let gateway = routes("{ path = '/', redirect = { scheme = 'https' } }");

    let request = "GET /a HTTP/1.1\r\nhost: a.test:8080\r\nconnection: close\r\n\r\n";
    let response = exchange(gateway.address(), request).await;

    assert_eq!(location(&response), "https://a.test/a");
}

#[tokio::test]
async fn no_path_leads_to_another_host_than_the_redirect_says() {
    let gateway = routes("{ path = '/', strip_prefix = true, redirect = { } }");

    for path in
        ["//evil.test/", "/\\evil.test", "/./%2e//evil.test", "//\\/evil.test", "/%5cevil.test"]
    {
        let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;

        let location = location(&response);
        assert!(location.starts_with('/') && !location.starts_with("//"), "{location}");
        assert!(!location.contains('\\'), "{location}");
    }
}

#[tokio::test]
async fn a_request_that_names_no_host_is_not_sent_to_one() {
    let gateway = routes("{ path = '/', redirect = { scheme = 'https' } }");

    let response = exchange(gateway.address(), "GET /a HTTP/1.0\r\n\r\n").await;

    assert_eq!(response.status, 400);
    assert!(response.body.contains("\"bad_host\""), "{}", response.body);
}

#[tokio::test]
async fn a_redirect_leads_to_the_path_that_an_upstream_would_see() {
    let gateway = routes(
        "{ path = '/old', rewrite = { prefix = '/new' }, redirect = { host = 'b.test' } },
         { path = '/v1', rewrite = { regex = '^/v1/(.*)$', replacement = '/$1' }, redirect = { host = 'b.test' } }",
    );

    let old = ask(gateway.address(), "GET /old/a?b", &[]).await;
    let versioned = ask(gateway.address(), "GET /v1/a?b", &[]).await;

    assert_eq!(location(&old), "//b.test/new/a?b");
    assert_eq!(location(&versioned), "//b.test/a?b");
}

#[tokio::test]
async fn a_fixed_response_is_what_the_file_says() {
    let gateway = routes(
        "{ path = '/', respond = { status = 503, body = '<p>soon</p>', content_type = 'text/html', headers = { \
         retry-after = '120' } } },
         { path = '/robots.txt', respond = { status = 200, body = 'User-agent: *' } },
         { path = '/gone', respond = { status = 410 } },
         { path = '/nothing', respond = { status = 204 } }",
    );

    let response = ask(gateway.address(), "GET /a", &[]).await;
    assert_eq!((response.status, response.body.as_str()), (503, "<p>soon</p>"));
    assert_eq!(response.header("content-type"), ["text/html"]);
    assert_eq!(response.header("retry-after"), ["120"]);

    let response = ask(gateway.address(), "GET /robots.txt", &[]).await;
    assert_eq!((response.status, response.body.as_str()), (200, "User-agent: *"));
    assert_eq!(response.header("content-type"), ["text/plain; charset=utf-8"]);

    let response = ask(gateway.address(), "GET /gone", &[]).await;
    assert_eq!((response.status, response.body.as_str()), (410, ""));
    assert_eq!(response.header("content-length"), ["0"]);

    let response = ask(gateway.address(), "GET /nothing", &[]).await;
    assert_eq!((response.status, response.body.as_str()), (204, ""));
    assert!(response.header("content-length").is_empty(), "{}", response.head);
}

#[tokio::test]
async fn head_is_told_the_length_of_a_fixed_response_and_no_more() {
    let gateway = routes("{ path = '/', respond = { status = 200, body = 'twelve bytes' } }");

    let response = ask(gateway.address(), "HEAD /", &[]).await;

    assert_eq!(response.header("content-length"), ["12"]);
    assert_eq!(response.body, "");
}

#[tokio::test]
async fn who_may_not_pass_a_route_is_not_answered_by_it() {
    let gateway = routes(
        "{ path = '/', jwt_auth = { issuers = ['test'] }, respond = { status = 200, body = 'in' }, header_inject = \
         { response = [{ set = 'x-served-by', value = 'us' }] } }",
    );
    let bearer = format!("authorization: Bearer {}", token(&json!({ "exp": in_an_hour() })));

    let refused = ask(gateway.address(), "GET /", &[]).await;
    let served = ask(gateway.address(), "GET /", &[&bearer]).await;

    assert_eq!(refused.status, 401);
    assert_eq!((served.status, served.body.as_str()), (200, "in"));
    assert_eq!(served.header("x-served-by"), ["us"]);
}

#[tokio::test]
async fn a_route_that_answers_itself_is_counted_by_its_name() {
    let gateway = routes("{ path = '/', name = 'to-https', redirect = { scheme = 'https' } }");

    ask(gateway.address(), "GET /", &[]).await;
    let metrics = ask(gateway.admin(), "GET /metrics", &[]).await;

    let counted = |line: &str| line.contains("requests_total") && line.contains("to-https");
    assert!(metrics.body.lines().any(counted), "{}", metrics.body);
    let ready = ask(gateway.admin(), "GET /readyz", &[]).await;
    assert!(ready.body.contains("\"to-https\":\"ready\""), "{}", ready.body);
}

#[tokio::test]
async fn a_path_is_rewritten_for_the_upstream_and_its_query_is_not() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with_upstream(
        &upstream,
        "{ path = '/old', upstream = 'a', rewrite = { prefix = '/new/v2/' } },
         { path = '/v1', upstream = 'a', rewrite = { regex = '^/v1/([^/]+)/(.*)$', replacement = '/$2/$${1}' } }",
    );

    for (path, expected) in [
        ("/old/a%20b//c?d=/old/", "GET /new/v2/a%20b//c?d=/old/ HTTP/1.1"),
        ("/old", "GET /new/v2 HTTP/1.1"),
        ("/v1/a/b%2Fc?v1=/v1/", "GET /b%2Fc/a?v1=/v1/ HTTP/1.1"),
        ("/v1", "GET /v1 HTTP/1.1"),
    ] {
        ask(gateway.address(), &format!("GET {path}"), &[]).await;

        assert_eq!(upstream.seen().await.line(), expected);
    }
}

#[tokio::test]
async fn a_path_that_would_be_rewritten_to_none_is_refused() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with_upstream(
        &upstream,
        "{ path = '/', upstream = 'a', rewrite = { regex = '^/up-(.*)$', replacement = '/.$1' } }",
    );

    for path in ["/up-./secret", "/up-%2e/secret", "/up-.%2fsecret"] {
        let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;

        assert_eq!(response.status, 400, "{path}");
        assert!(response.body.contains("\"bad_path\""), "{}", response.body);
    }
    assert!(upstream.saw_nothing());
}

#[test]
fn a_route_leads_to_one_end() {
    for ends in ["", ", upstream = 'a', respond = { status = 200 }"] {
        let said = problem(&format!("{{ path = '/'{ends} }}"));

        let expected = "route[0]: exactly one of `upstream`, `redirect` and `respond` is needed";
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn an_answer_that_could_not_be_given_is_a_mistake_in_the_file() {
    for (answer, expected) in [
        ("redirect = { }", "redirect: this leads back to itself"),
        ("redirect = { query = 'a' }", "redirect: this leads back to itself"),
        ("redirect = { path = 'new' }", "redirect.path: a path is written as it is sent"),
        ("redirect = { path = '//evil.test' }", "redirect.path: a path is written as it is sent"),
        ("redirect = { path = '/a b' }", "redirect.path: a path is written as it is sent"),
        ("redirect = { path = '/a?b' }", "redirect.path: a path is written as it is sent"),
        ("redirect = { host = 'user@a' }", "redirect.host: a host like"),
        ("redirect = { host = 'a/b' }", "redirect.host: a host like"),
        ("redirect = { host = 'a', port = 1 }", "redirect.port: the port of another host"),
        ("redirect = { path = '/', query = 'a b' }", "redirect.query: a query is written"),
        ("redirect = { path = '/', status = 304 }", "redirect.status: the status of a redirect is"),
        ("redirect = { scheme = 'ftp' }", "redirect.scheme: expected one of `http`, `https`"),
        ("respond = { }", "respond: missing key `status`"),
        ("respond = { status = 101 }", "respond.status: a status from 200 to 599"),
        (
            "respond = { status = 204, body = 'a' }",
            "respond.body: a response of status 204 has no body",
        ),
        (
            "respond = { status = 200, content_type = 'a' }",
            "respond.content_type: there is no `body`",
        ),
        (
            "respond = { status = 200, headers = { content-length = '1' } }",
            "respond.headers.content-length: the gateway says this itself",
        ),
        (
            "respond = { status = 200, headers = { content-type = 'a' } }",
            "respond.headers.content-type: this stands in `content_type`",
        ),
        (
            "respond = { status = 200, headers = { x-a = \"b\\r\\nx-c: d\" } }",
            "respond.headers.x-a: the value of a header may hold visible ASCII",
        ),
        (
            "respond = { status = 200, headers = { 'x a' = 'b' } }",
            "respond.headers.x a: the name of a header has letters",
        ),
    ] {
        let said = problem(&format!("{{ path = '/', {answer} }}"));

        assert!(said.contains(&format!("route[0].{expected}")), "{answer}: {said}");
    }
}

#[test]
fn a_rewrite_that_makes_no_sense_is_a_mistake_in_the_file() {
    for (rewrite, expected) in [
        ("", "rewrite: either `prefix` is needed, or `regex` and `replacement`"),
        ("regex = 'a'", "rewrite: either `prefix` is needed"),
        ("prefix = '/', regex = 'a', replacement = 'b'", "rewrite: either `prefix` is needed"),
        ("prefix = 'new'", "rewrite.prefix: a path begins with `/`"),
        ("prefix = '/a/../b'", "rewrite.prefix: a path has no empty segment"),
        ("regex = '(', replacement = ''", "rewrite.regex: regex parse error"),
        ("regex = '[a-z]{1000}{1000}', replacement = ''", "rewrite.regex: Compiled regex exceeds"),
        (
            "regex = '(a)', replacement = '/$2'",
            "rewrite.replacement: the expression has no group `2`",
        ),
        (
            "regex = '(a)', replacement = '/$1x'",
            "rewrite.replacement: the expression has no group `1x`",
        ),
    ] {
        let said = problem(&format!("{{ path = '/', upstream = 'a', rewrite = {{ {rewrite} }} }}"));

        assert!(said.contains(&format!("route[0].{expected}")), "{rewrite}: {said}");
    }
    let said = problem(
        "{ path = '/b', upstream = 'a', strip_prefix = true, rewrite = { prefix = '/c' } }",
    );
    assert!(
        said.contains("route[0].rewrite: `prefix` stands in place of the route's path"),
        "{said}"
    );
}
