//! What becomes of the host, without tower where the policy alone decides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use portcullis_host_strip::{HostPolicy, HostStripLayer, OriginalHost};
use tower::{Layer, ServiceExt, service_fn};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-host");

fn request(uri: &str, hosts: &[&str]) -> Request<()> {
    let mut request = Request::builder().uri(uri);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    request.body(()).unwrap()
}

/// The `Host` lines that `policy` makes of `hosts` and `uri`; none when it has nothing to make one of.
fn host(policy: &HostPolicy, uri: &str, hosts: &[&str]) -> Option<Vec<String>> {
    let mut request = request(uri, hosts);
    policy.apply(&mut request).ok()?;
    let lines = request.headers().get_all(HOST).iter();
    Some(lines.map(|line| line.to_str().unwrap().to_owned()).collect())
}

/// The request as it arrives below `layer`.
async fn below(layer: HostStripLayer, request: Request<()>) -> Request<()> {
    let (seen, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let service = layer.layer(service_fn(move |request: Request<()>| {
        seen.send(request).unwrap();
        std::future::ready(Ok::<_, ()>(Response::new(())))
    }));
    service.oneshot(request).await.unwrap();
    arrived.recv().await.unwrap()
}

async fn forwarded(policy: HostPolicy, request: Request<()>) -> HeaderMap {
    let layer = HostStripLayer::new(policy).preserve_as(FORWARDED);
    below(layer, request).await.into_parts().0.headers
}

async fn remembered(policy: HostPolicy, request: Request<()>) -> Option<String> {
    let request = below(HostStripLayer::new(policy).remember(), request).await;
    request.extensions().get().map(|host: &OriginalHost| host.authority().to_string())
}

#[test]
fn a_stripped_request_has_no_host_however_many_it_had() {
    for hosts in [&[][..], &["a"], &["a", "b"]] {
        assert_eq!(host(&HostPolicy::default(), "/", hosts).unwrap(), [""; 0]);
    }
}

#[test]
fn a_set_host_is_the_only_one() {
    let set = HostPolicy::Set(HeaderValue::from_static("internal"));
    for hosts in [&[][..], &["a"], &["a", "b"]] {
        assert_eq!(host(&set, "http://c/", hosts).unwrap(), ["internal"]);
    }
}

#[test]
fn a_preserved_host_is_the_clients() {
    let preserve = HostPolicy::Preserve;
    assert_eq!(host(&preserve, "/", &["A:80"]).unwrap(), ["A:80"]);
    assert_eq!(host(&preserve, "/", &["a", "b"]).unwrap(), ["a", "b"]);
    assert_eq!(host(&preserve, "/", &[]).unwrap(), [""; 0]);
}

// RFC 9112 §3.2.2; and HTTP/2 sends `:authority` alone (RFC 9113 §8.3.1).
#[test]
fn the_authority_of_the_target_outranks_a_preserved_host() {
    let preserve = HostPolicy::Preserve;
    assert_eq!(host(&preserve, "http://target/", &["a", "b"]).unwrap(), ["target"]);
    assert_eq!(host(&preserve, "http://me:secret@target:81/", &[]).unwrap(), ["target:81"]);
}

// RFC 9112 §3.2: identical to the authority, excluding userinfo and its `@`.
#[test]
fn the_host_from_the_uri_is_its_authority_to_the_letter() {
    let cases = [
        ("http://upstream/", "upstream"),
        ("http://upstream:8080/x", "upstream:8080"),
        ("http://upstream:80/", "upstream:80"),
        ("https://upstream:443/", "upstream:443"),
        ("http://Upstream.Example./", "Upstream.Example."),
        ("http://[::1]/", "[::1]"),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080"),
        ("http://me:secret@upstream:81/", "upstream:81"),
        ("http://me@[::1]:81/", "[::1]:81"),
        ("http://me@home:secret@upstream/", "upstream"),
    ];
    for (uri, expected) in cases {
        for hosts in [&[][..], &["client"], &["client", "other"], &[expected, "other"], &[expected]]
        {
            assert_eq!(host(&HostPolicy::FromUri, uri, hosts).unwrap(), [expected], "{uri}");
        }
    }
}

#[test]
fn a_uri_without_a_host_is_refused_and_the_request_unchanged() {
    for uri in ["/", "*"] {
        assert_eq!(host(&HostPolicy::FromUri, uri, &["client"]), None, "{uri}");
    }

    let mut request = request("/", &["client"]);
    *request.uri_mut() =
        http::Uri::builder().scheme("http").authority(":80").path_and_query("/").build().unwrap();
    HostPolicy::FromUri.apply(&mut request).unwrap_err();
    assert_eq!(request.headers()[HOST], "client");
}

#[test]
fn a_tunnel_keeps_its_target_and_an_extended_connect_does_not() {
    let mut tunnel = request("target:443", &["target:443"]);
    let mut extended = request("https://target/chat", &["target"]);
    *tunnel.method_mut() = Method::CONNECT;
    *extended.method_mut() = Method::CONNECT;

    for policy in [HostPolicy::Strip, HostPolicy::FromUri, HostPolicy::Preserve] {
        policy.apply(&mut tunnel).unwrap();
        assert_eq!(tunnel.headers()[HOST], "target:443");
    }
    HostPolicy::Strip.apply(&mut extended).unwrap();
    assert!(extended.headers().is_empty());
}

#[tokio::test]
async fn a_forged_header_does_not_survive() {
    for hosts in [&[][..], &["client"]] {
        let mut request = request("/", hosts);
        request.headers_mut().append(FORWARDED, HeaderValue::from_static("evil"));
        request.headers_mut().append(FORWARDED, HeaderValue::from_static("worse"));
        let seen = forwarded(HostPolicy::Strip, request).await;

        assert_eq!(seen.get_all(FORWARDED).iter().collect::<Vec<_>>(), hosts);
    }
}

#[tokio::test]
async fn the_clients_host_is_what_it_named_first_and_best() {
    let cases: [(&str, &[&str], Option<&str>); 16] = [
        ("/", &["client:8443"], Some("client:8443")),
        ("/", &["first", "second"], Some("first")),
        ("/", &["Client.Example."], Some("Client.Example.")),
        ("/", &["[::1]:80"], Some("[::1]:80")),
        ("http://target/", &["header"], Some("target")),
        ("http://me:secret@target:81/", &["header"], Some("target:81")),
        ("/", &[""], None),
        ("/", &[":80"], None),
        ("/", &["me@client"], None),
        ("/", &["one, two"], None),
        ("/", &["a:b"], None),
        ("/", &["[::1"], None),
        ("/", &["[]"], None),
        ("/", &["[me@::1]"], None),
        ("/", &["[::1]x"], None),
        ("/", &["[::1]:x"], None),
    ];
    for (uri, hosts, expected) in cases {
        let seen = forwarded(HostPolicy::Strip, request(uri, hosts)).await;
        assert_eq!(seen.get(FORWARDED).map(|host| host.to_str().unwrap()), expected, "{hosts:?}");

        let seen = remembered(HostPolicy::Strip, request(uri, hosts)).await;
        assert_eq!(seen.as_deref(), expected, "{hosts:?}");
    }
}

#[tokio::test]
async fn the_uri_names_the_client_no_longer_where_it_names_the_upstream() {
    let there = || request("http://upstream/", &["client"]);

    let seen = forwarded(HostPolicy::FromUri, there()).await;
    assert_eq!(
        (&seen[HOST], &seen[FORWARDED]),
        (&"upstream".parse().unwrap(), &"client".parse().unwrap())
    );
    assert_eq!(remembered(HostPolicy::FromUri, there()).await.unwrap(), "client");
}

#[tokio::test]
async fn what_was_remembered_outranks_what_came_later() {
    let edge = HostStripLayer::new(HostPolicy::Strip).remember();
    let mut request = below(edge, request("http://client/", &[])).await;
    *request.uri_mut() = "http://upstream/".parse().unwrap();

    let replica = HostStripLayer::new(HostPolicy::FromUri).preserve_as(FORWARDED).remember();
    let request = below(replica, request).await;
    assert_eq!(
        (&request.headers()[HOST], &request.headers()[FORWARDED]),
        (&"upstream".parse().unwrap(), &"client".parse().unwrap())
    );
    assert_eq!(request.extensions().get::<OriginalHost>().unwrap().authority(), "client");

    let mut request = request;
    HostPolicy::Preserve.apply(&mut request).unwrap();
    assert_eq!(request.headers()[HOST], "client");
}
