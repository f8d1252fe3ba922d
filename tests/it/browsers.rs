//! What browsers are told: which pages may read what, and what to be careful about.

use std::sync::Arc;

use portcullis_tests::{
    Connection, ISSUER, Identity, InProcess, Response, Upstream, ask, exchange, gateway,
    in_an_hour, plan, token,
};
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const APP: &str = "origin: https://app.test";

fn with(upstream: &Upstream, routes: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         upstream.dead = {{ replica = [{{ name = 'gone', url = 'http://127.0.0.1:1' }}] }}
         route = [{routes}]\n{ISSUER}",
        upstream.address()
    ))
}

/// The one problem of a route with this.
fn problem(section: &str) -> String {
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}
         route = [{{ path = '/', upstream = 'a', {section} }}]"
    );
    let said = plan(&config).unwrap_err();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

async fn preflight(gateway: &InProcess, path: &str, origin: &str, method: &str) -> Response {
    let method = format!("access-control-request-method: {method}");
    let headers = [origin, &method, "access-control-request-headers: authorization"];
    ask(gateway.address(), &format!("OPTIONS {path}"), &headers).await
}

fn allowed(response: &Response) -> Vec<&str> {
    response.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential_and_the_request_is_not() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', jwt_auth = { issuers = ['test'] }, request_guard = { methods = ['GET', 'PUT'] }, \
         cors = { origins = ['https://app.test'], methods = ['GET', 'PUT'], headers = ['authorization'], expose = ['etag'], \
         credentials = true, max_age = '10m' } }",
    );

    let response = preflight(&gateway, "/a", APP, "PUT").await;
    assert_eq!((response.status, allowed(&response)), (200, vec!["https://app.test"]));
    for (name, value) in [
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
    ] {
        assert_eq!(response.header(name), [value], "{name}");
    }
    let response = ask(gateway.address(), "GET /a", &[APP]).await;
    assert_eq!((response.status, allowed(&response)), (401, vec!["https://app.test"]));
    assert!(upstream.saw_nothing());

    let bearer = format!("authorization: Bearer {}", token(&json!({ "exp": in_an_hour() })));
    let response = ask(gateway.address(), "GET /a", &[APP, &bearer]).await;
    assert_eq!((response.status, allowed(&response)), (200, vec!["https://app.test"]));
    assert_eq!(response.header("access-control-expose-headers"), ["etag"]);
    assert_eq!(response.header("vary"), ["origin"]);
    let bearer = ask(gateway.address(), "GET /a", &[&bearer]).await;
    assert_eq!(
        (bearer.status, allowed(&bearer), bearer.header("vary")),
        (200, vec![], vec!["origin"])
    );
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_nothing_whatever_the_upstream_says() {
    let lax = "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\n\
        access-control-expose-headers: *\r\nvary: accept\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(lax).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', cors = { origins = ['https://app.test', 'https://*.app.test'] } }",
    );

    for origin in ["https://evil.test", "http://app.test", "https://app.test.evil.test", "null"] {
        let origin = format!("origin: {origin}");
        let answered = ask(gateway.address(), "GET /", &[&origin]).await;
        let asked = preflight(&gateway, "/", &origin, "GET").await;

        assert_eq!((allowed(&answered), allowed(&asked)), (vec![], vec![]), "{origin}");
        assert_eq!(answered.header("access-control-expose-headers"), [""; 0]);
        assert_eq!(answered.header("vary"), ["accept", "origin"]);
    }
    let below = ask(gateway.address(), "GET /", &["origin: https://a.app.test"]).await;
    assert_eq!(allowed(&below), ["https://a.app.test"]);
    assert_eq!(below.header("access-control-allow-credentials"), [""; 0]);
}

#[tokio::test]
async fn any_page_may_read_what_is_for_any() {
    let upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', cors = { origins = ['*'], headers = ['*'], expose = ['*'] } }",
    );

    let response = ask(gateway.address(), "GET /", &["origin: https://any.test"]).await;
    let asked = preflight(&gateway, "/", "origin: https://any.test", "POST").await;

    assert_eq!((allowed(&response), response.header("vary")), (vec!["*"], vec![]));
    assert_eq!(response.header("access-control-expose-headers"), ["*"]);
    assert_eq!(
        (allowed(&asked), asked.header("access-control-allow-headers")),
        (vec!["*"], vec!["*"])
    );
    assert_eq!(asked.header("access-control-allow-methods"), ["GET,HEAD,POST"]);
}

#[tokio::test]
async fn a_page_may_read_why_it_was_refused_and_that_the_upstream_failed() {
    let upstream = Upstream::answering(OK).await;
    let cors = "cors = { origins = ['https://app.test'] }, security_headers = {}";
    let gateway = with(
        &upstream,
        &format!(
            "{{ path = '/dead', upstream = 'dead', {cors} }},
             {{ path = '/guarded', upstream = 'a', {cors}, request_guard = {{ headers = ['x-a'] }} }},
             {{ path = '/fixed', respond = {{ status = 503 }}, {cors} }}"
        ),
    );

    for (path, status) in [("/dead", 502), ("/guarded", 400), ("/fixed", 503)] {
        let response = ask(gateway.address(), &format!("GET {path}"), &[APP]).await;

        assert_eq!(
            (response.status, allowed(&response)),
            (status, vec!["https://app.test"]),
            "{path}"
        );
        assert_eq!(response.header("x-content-type-options"), ["nosniff"], "{path}");
    }
    gateway
        .until_metric("portcullis_refusals_total{route=\"/dead\",reason=\"upstream_connect\"}", 1.0)
        .await;
}

#[tokio::test]
async fn options_that_is_no_preflight_is_the_applications() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', cors = { origins = ['https://app.test'] } }",
    );

    for headers in [&[][..], &[APP], &["access-control-request-method: PUT"]] {
        let response = ask(gateway.address(), "OPTIONS /a", headers).await;

        assert_eq!((response.status, response.body.as_str()), (200, "ok"));
        assert_eq!(upstream.seen().await.line(), "OPTIONS /a HTTP/1.1");
    }
    let response = ask(gateway.address(), "OPTIONS /a", &[APP]).await;
    assert_eq!(allowed(&response), ["https://app.test"]);
}

#[tokio::test]
async fn a_preflight_is_for_the_route_of_the_method_that_it_is_about() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "{ path = '/a', methods = ['GET'], upstream = 'a', cors = { origins = ['https://reads.test'] } },
         { path = '/a', methods = ['PUT'], upstream = 'a', cors = { origins = ['https://writes.test'] } },
         { path = '/a', methods = ['DELETE'], upstream = 'a' }",
    );

    for (method, origin) in [("GET", "https://reads.test"), ("PUT", "https://writes.test")] {
        let response = preflight(&gateway, "/a", &format!("origin: {origin}"), method).await;

        assert_eq!((response.status, allowed(&response)), (200, vec![origin]), "{method}");
        assert_eq!(response.header("access-control-allow-methods"), [method]);
    }
    assert_eq!(preflight(&gateway, "/a", APP, "DELETE").await.status, 405);
    assert_eq!(preflight(&gateway, "/b", APP, "GET").await.status, 404);
    assert_eq!(ask(gateway.address(), "OPTIONS /a", &[]).await.status, 405);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn what_browsers_are_told_by_default_leaves_the_upstreams_own_words() {
    let own = "HTTP/1.1 200 OK\r\ncontent-security-policy: default-src 'self'\r\nx-frame-options: SAMEORIGIN\r\n\
        content-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(own).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', security_headers = {} },
         { path = '/other', upstream = 'a', security_headers = { frame_options = false, content_type_options = false, \
           referrer_policy = 'no-referrer', content_security_policy = \"default-src 'none'\", permissions_policy = 'camera=()', \
           cross_origin_opener_policy = 'same-origin', cross_origin_resource_policy = 'same-site', \
           strict_transport_security = { max_age = '1day', include_subdomains = true, preload = true, always = true } } },
         { path = '/silent', respond = { status = 200 }, security_headers = { frame_options = false, \
           referrer_policy = false, content_type_options = false, strict_transport_security = false } }",
    );

    let response = ask(gateway.address(), "GET /", &[]).await;
    for (name, values) in [
        ("x-content-type-options", vec!["nosniff"]),
        ("referrer-policy", vec!["strict-origin-when-cross-origin"]),
        ("x-frame-options", vec!["SAMEORIGIN"]),
        ("content-security-policy", vec!["default-src 'self'"]),
        ("strict-transport-security", vec![]),
    ] {
        assert_eq!(response.header(name), values, "{name}");
    }
    let response = ask(gateway.address(), "GET /other", &[]).await;
    for (name, value) in [
        ("strict-transport-security", "max-age=86400; includeSubDomains; preload"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'self'"),
        ("permissions-policy", "camera=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-site"),
    ] {
        assert_eq!(response.header(name), [value], "{name}");
    }
    assert_eq!(response.header("x-content-type-options"), [""; 0]);
    let silent = ask(gateway.address(), "GET /silent", &[]).await.head.to_ascii_lowercase();
    for name in ["x-frame", "referrer", "nosniff", "strict-transport"] {
        assert!(!silent.contains(name), "{silent}");
    }
}

// RFC 6797 §7.2.
#[tokio::test]
async fn that_tls_alone_is_to_be_used_is_said_over_tls_alone() {
    let identity = Identity::new(&["gateway.test"]);
    let (certificate, key) = (identity.certificate(), identity.key());
    let gateway = InProcess::start(&format!(
        "workers = 1
         listener = [
           {{ address = '127.0.0.1:0', tls = {{ certificate = '{}', key = '{}' }} }},
         ]
         route = [{{ path = '/', respond = {{ status = 200 }}, security_headers = {{}} }}]",
        certificate.display(),
        key.display()
    ));
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let name = ServerName::try_from("gateway.test").unwrap();
    let connector = TlsConnector::from(Arc::new(identity.client(&[])));
    let mut client = Connection::over(connector.connect(name, socket).await.unwrap());

    client.write("GET / HTTP/1.1\r\nhost: gateway.test\r\n\r\n").await;
    let response = client.response().await;

    assert_eq!(response.header("strict-transport-security"), ["max-age=31536000"]);
}

#[tokio::test]
async fn who_came_over_tls_to_a_proxy_that_is_trusted_came_over_tls() {
    let route = "route = [{ path = '/', respond = { status = 200 }, security_headers = {} }]";
    let trusting = gateway(&format!("forwarded.trusted = ['127.0.0.1']\n{route}"));
    let other = gateway(route);
    let by = ["x-forwarded-for: 192.0.2.1", "x-forwarded-proto: https"];

    let said = ask(trusting.address(), "GET /", &by).await;
    let plain = ask(trusting.address(), "GET /", &[]).await;
    let forged = ask(other.address(), "GET /", &by).await;

    let said = said.header("strict-transport-security");
    assert_eq!(said, ["max-age=31536000"]);
    for response in [plain, forged] {
        assert_eq!(response.header("strict-transport-security"), [""; 0]);
    }
}

#[tokio::test]
async fn what_no_browser_understands_is_a_problem_with_its_place() {
    for (section, expected) in [
        (
            "cors = { origins = ['*'], credentials = true }",
            "route[0].cors.origins[0]: with `credentials` the origins are named",
        ),
        (
            "cors = { origins = ['https://a.test'], headers = ['*'], credentials = true }",
            "route[0].cors.headers[0]: with `credentials`",
        ),
        (
            "cors = { origins = ['https://a.test'], expose = ['*'], credentials = true }",
            "route[0].cors.expose[0]: with `credentials`",
        ),
        ("cors = { origins = [] }", "route[0].cors.origins: an origin is needed"),
        (
            "cors = { origins = ['a.test'] }",
            "route[0].cors.origins[0]: an origin like \"https://app.example.com\"",
        ),
        (
            "cors = { origins = ['*', 'https://a.test'] }",
            "route[0].cors.origins[0]: an origin like",
        ),
        ("cors = { origins = ['null'] }", "route[0].cors.origins[0]: an origin like"),
        ("cors = { origins = ['https://a.test:443'] }", "browsers leave out the port"),
        (
            "cors = { origins = ['*'], headers = ['a b'] }",
            "route[0].cors.headers[0]: the name of a header is needed",
        ),
        ("cors = { origins = ['*'], methods = ['get'] }", "`get` is no method like \"GET\""),
        ("cors = { origins = ['*'], header = ['*'] }", "did you mean `headers`?"),
        (
            "security_headers = { frame_options = 'ALLOW' }",
            "route[0].security_headers.frame_options: one of these is needed",
        ),
        ("security_headers = { referrer_policy = 'none' }", "no-referrer"),
        ("security_headers = { content_security_policy = true }", "or false for none"),
        (
            "security_headers = { strict_transport_security = { max_age = '0s' } }",
            "a duration above zero",
        ),
        ("compression = { encodings = [] }", "`encodings` has one at least"),
        ("compression = { encodings = ['deflate'] }", "route[0].compression.encodings[0]"),
        (
            "compression = { content_types = ['json'] }",
            "route[0].compression.content_types[0]: a media type is needed",
        ),
    ] {
        let problem = problem(section);
        assert!(problem.contains(expected), "{section}: {problem}");
    }
}

#[tokio::test]
async fn a_request_of_http_1_0_is_told_the_same() {
    let upstream = Upstream::answering(OK).await;
    let gateway = with(
        &upstream,
        "{ path = '/', upstream = 'a', cors = { origins = ['https://app.test'] } }",
    );

    let response = exchange(gateway.address(), format!("GET / HTTP/1.0\r\n{APP}\r\n\r\n")).await;

    assert_eq!(allowed(&response), ["https://app.test"]);
}
