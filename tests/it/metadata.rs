//! How clients without a token learn whom to ask for one (RFC 9728).

use portcullis_tests::{
    ISSUER, InProcess, Response, Upstream, ask, gateway, in_an_hour, plan, token,
};
use serde_json::{Value, json};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const AT: &str = "/.well-known/oauth-protected-resource";

/// These routes, in front of `upstream`.
fn routes(upstream: &Upstream, routes: &str) -> InProcess {
    gateway(&format!(
        "{ISSUER}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{routes}]",
        upstream.address()
    ))
}

/// A route that says this of itself.
fn guarded(what: &str, resource: &str) -> String {
    format!(
        "{{ {what}, upstream = 'a', jwt_auth = {{ issuers = ['test'], resource_metadata = {{ \
         resource = '{resource}', authorization_servers = ['https://id.example'] }} }} }}"
    )
}

fn document(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.head);
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn who_is_refused_finds_whom_to_ask() {
    let upstream = Upstream::answering(OK).await;
    let gateway = routes(&upstream, &guarded("path = '/mcp'", "https://api.example/mcp"));

    let refused = ask(gateway.address(), "GET /mcp/tools", &[]).await;
    let [challenge] = refused.header("www-authenticate")[..] else { panic!("{}", refused.head) };
    let url = challenge.strip_prefix("Bearer resource_metadata=\"").unwrap();
    let path = url.strip_prefix("https://api.example").unwrap().strip_suffix('"').unwrap();
    let found = ask(gateway.address(), &format!("GET {path}"), &[]).await;

    let expected = json!({
        "resource": "https://api.example/mcp",
        "authorization_servers": ["https://id.example"],
    });
    assert_eq!(refused.status, 401);
    assert_eq!(path, format!("{AT}/mcp"));
    assert_eq!(document(&found), expected);
    assert_eq!(found.header("content-type"), ["application/json"]);
}

#[tokio::test]
async fn an_invalid_token_is_told_it_too() {
    let upstream = Upstream::answering(OK).await;
    let gateway = routes(&upstream, &guarded("path = '/'", "https://api.example"));

    let refused = ask(gateway.address(), "GET /", &["authorization: Bearer nothing"]).await;

    let [challenge] = refused.header("www-authenticate")[..] else { panic!("{}", refused.head) };
    let expected = format!("resource_metadata=\"https://api.example{AT}\"");
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.ends_with(&expected));
}

#[tokio::test]
async fn a_client_in_a_browser_may_read_it() {
    let upstream = Upstream::answering(OK).await;
    let gateway = routes(&upstream, &guarded("path = '/'", "https://api.example"));
    let origin = "origin: https://client.example";

    let asked = ["access-control-request-method: GET", "access-control-request-headers: mcp"];
    let preflight =
        ask(gateway.address(), &format!("OPTIONS {AT}"), &[origin, asked[0], asked[1]]).await;
    let found = ask(gateway.address(), &format!("GET {AT}"), &[origin]).await;

    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-headers"), ["*"]);
    for response in [&preflight, &found] {
        assert_eq!(response.header("access-control-allow-origin"), ["*"]);
    }
}

#[tokio::test]
async fn no_upstream_is_asked_for_it_and_its_place_is_nobody_elses() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = routes(&upstream, &guarded("path = '/'", "https://api.example"));
    let bearer = format!("authorization: Bearer {}", token(&json!({ "exp": in_an_hour() })));

    for (what, status) in [("GET", 200), ("HEAD", 200), ("POST", 405)] {
        assert_eq!(
            ask(gateway.address(), &format!("{what} {AT}?a"), &[&bearer]).await.status,
            status
        );
    }
    let below = ask(gateway.address(), &format!("GET {AT}/mcp"), &[&bearer]).await;

    assert_eq!(below.status, 404);
    assert!(below.body.contains("\"no_route\""), "{}", below.body);
    assert!(upstream.saw_nothing());
    let other = ask(gateway.address(), "GET /.well-known/other", &[&bearer]).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn each_host_has_its_own() {
    let upstream = Upstream::answering(OK).await;
    let one = guarded("path = '/', hosts = ['One.example']", "https://one.example");
    let other = guarded("path = '/', hosts = ['two.example']", "https://two.example");
    let gateway = routes(&upstream, &format!("{one}, {other}"));
    let get = async |host: &str| {
        let request = format!("GET {AT} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        portcullis_tests::exchange(gateway.address(), request).await
    };

    assert_eq!(document(&get("one.example").await)["resource"], "https://one.example");
    assert_eq!(document(&get("two.example:8080").await)["resource"], "https://two.example");
    assert_eq!(get("three.example").await.status, 404);
}

#[tokio::test]
async fn routes_of_one_resource_share_it() {
    let upstream = Upstream::answering(OK).await;
    let resource = "https://api.example/a%20b";
    let all = [
        guarded("path = '/a b', methods = ['GET']", resource),
        guarded("path = '/a b', methods = ['PUT']", resource),
        guarded("path = '/a b', hosts = ['api.example', 'b.example']", resource),
        guarded("path = '/a b', hosts = ['API.example'], methods = ['GET']", resource),
    ];
    let gateway = routes(&upstream, &all.join(","));

    for host in ["api.example", "b.example", "elsewhere.example"] {
        let request =
            format!("GET {AT}/a%20b HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let found = portcullis_tests::exchange(gateway.address(), request).await;

        assert_eq!(document(&found)["resource"], resource, "{host}");
    }
}

#[tokio::test]
async fn it_is_counted_by_its_path() {
    let upstream = Upstream::answering(OK).await;
    let gateway = routes(&upstream, &guarded("path = '/mcp'", "https://api.example/mcp"));

    ask(gateway.address(), &format!("GET {AT}/mcp"), &[]).await;

    let series =
        format!("portcullis_requests_total{{route=\"{AT}/mcp\",method=\"GET\",status=\"200\"}}");
    gateway.until_metric(&series, 1.0).await;
}

#[test]
fn a_resource_that_cannot_be_served_is_a_mistake_in_the_file() {
    let problem = |routes: &str| {
        let config = format!(
            "listener = [{{ address = '127.0.0.1:0' }}]\n{ISSUER}\
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}\n\
             route = [\n{routes}\n]"
        );
        plan(&config).unwrap_err()
    };
    let one = guarded("path = '/a'", "https://api.example/a");
    let other = one.replace("https://id.example", "https://id2.example").replace("'/a'", "'/b'");
    let key = "jwt_auth.resource_metadata";

    for (routes, expected) in [
        (
            format!("{one},\n{other}"),
            format!("6:85: route[1].{key}: matches the same requests as route[0].{key}"),
        ),
        (
            format!("{one},\n{{ path = '{AT}/a', upstream = 'a' }}"),
            format!("5:85: route[0].{key}: matches the same requests as route[1]"),
        ),
        (
            one.replace("https://api", "http://api"),
            format!("5:98: route[0].{key}.resource: not the URI of a protected resource"),
        ),
        (
            one.replace("example/a", "example/a/%2e%2e/b"),
            format!("5:85: route[0].{key}: the path has a `..` segment"),
        ),
    ] {
        let said = problem(&routes);
        assert!(said.contains(&expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
