//! The contract: who the client is taken for, what the next hop is told, and who is not let in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr};

use http::header::{CONTENT_TYPE, FORWARDED, HOST, HeaderMap, HeaderName, VIA};
use http::request::Parts;
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Version};
use portcullis_forwarded::{
    Client, Forwarded, ForwardedLayer, ForwardedPolicy, InvalidPolicy, Networks, NextHop, NotLetIn,
    Peer, PeerOf, ResponseFuture, Source,
};
use portcullis_refusal::Refused;
use proptest::prelude::*;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock};

fn trusting() -> ForwardedPolicy {
    ForwardedPolicy::new().trusted(networks("10.0.0.0/8, fd00::/8"))
}

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get::<SocketAddr>().copied().map(Peer::from)
}

/// From this address, with these header lines.
fn from<const N: usize>(address: &str, headers: [(&'static str, &str); N]) -> Request<()> {
    let address: IpAddr = address.parse().unwrap();
    let mut request = Request::new(());
    request.extensions_mut().insert(SocketAddr::new(address, 4711));
    for (name, value) in headers {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

/// What the next hop sees.
fn seen(policy: ForwardedPolicy, request: Request<()>) -> Request<()> {
    let inner = service_fn(|request: Request<()>| {
        std::future::ready(Ok::<_, ()>(Response::new(Some(request))))
    });
    let service = ForwardedLayer::new(policy, peer).layer(inner);
    let response = assert_ready_ok!(spawn(service.oneshot(request)).poll());
    response.into_body().unwrap()
}

fn client(policy: ForwardedPolicy, request: Request<()>) -> Client {
    seen(policy, request).extensions().get::<Client>().unwrap().clone()
}

fn address(policy: ForwardedPolicy, request: Request<()>) -> String {
    client(policy, request).address().to_string()
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_an_untrusted_peer_says_of_itself_is_neither_believed_nor_passed_on() {
    let forged = [
        ("x-forwarded-for", "203.0.113.1"),
        ("x-forwarded-for", "203.0.113.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-user", "root"),
        ("x-real-ip", "203.0.113.3"),
        ("forwarded", "for=203.0.113.4"),
        ("true-client-ip", "203.0.113.5"),
        ("host", "app.example:8080"),
    ];
    let policy = trusting().remove(HeaderName::from_static("true-client-ip"));

    let seen = seen(policy, from("192.0.2.7", forged));

    let client = seen.extensions().get::<Client>().unwrap();
    assert_eq!(client.address().to_string(), "192.0.2.7");
    assert_eq!((client.port(), client.is_known()), (Some(4711), true));
    let headers = seen.headers();
    assert_eq!(lines(headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(lines(headers, "x-forwarded-proto"), ["http"]);
    assert_eq!(lines(headers, "x-forwarded-host"), ["app.example:8080"]);
    assert_eq!(lines(headers, "x-forwarded-port"), ["8080"]);
    for gone in ["x-forwarded-user", "x-real-ip", "forwarded", "true-client-ip"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn the_client_is_the_right_most_that_is_not_trusted() {
    for (lines, expected) in [
        (["192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (["203.0.113.1, 192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (["10.6.6.6, 192.0.2.7, 10.0.0.3", "10.0.0.2"], "192.0.2.7"),
        (["2001:db8::1", "fd00::2"], "2001:db8::1"),
        (["[2001:db8::1]:80", "::ffff:10.0.0.2"], "2001:db8::1"),
        (["::ffff:192.0.2.7", "10.0.0.2:80"], "192.0.2.7"),
        (["192.0.2.7,", " , 10.0.0.2,,"], "192.0.2.7"),
    ] {
        let headers = lines.map(|line| ("x-forwarded-for", line));
        assert_eq!(address(trusting(), from("10.0.0.1", headers)), expected, "{lines:?}");
    }
}

#[test]
fn if_all_are_trusted_it_is_the_left_most() {
    let client = client(trusting(), from("10.0.0.1", [("x-forwarded-for", "10.0.0.3, 10.0.0.2")]));

    assert_eq!(client.address().to_string(), "10.0.0.3");
    assert!(client.is_known());
}

#[test]
fn nothing_to_the_left_of_what_makes_no_sense_is_believed() {
    for line in [
        "192.0.2.7, unknown",
        "192.0.2.7, _x",
        "192.0.2.7, a.b.c.d, 10.0.0.2",
        "192.0.2.7 10.0.0.2",
    ] {
        let client = client(trusting(), from("10.0.0.1", [("x-forwarded-for", line)]));

        let expected = if line.ends_with(", 10.0.0.2") { "10.0.0.2" } else { "10.0.0.1" };
        assert_eq!(client.address().to_string(), expected, "{line}");
        assert!(!client.is_known());
    }
    let silent = client(trusting(), from("10.0.0.1", []));
    assert_eq!((silent.address().to_string().as_str(), silent.is_known()), ("10.0.0.1", false));
}

#[test]
fn what_a_trusted_proxy_says_is_passed_on_without_what_was_made_up() {
    let headers = [
        ("x-forwarded-for", "203.0.113.1, 192.0.2.7, 10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("host", "internal"),
    ];

    let seen = seen(trusting(), from("10.0.0.1", headers));

    let client = seen.extensions().get::<Client>().unwrap();
    assert_eq!(client.scheme(), &Scheme::HTTPS);
    assert_eq!(client.host().unwrap(), "shop.example");
    assert_eq!(client.peer().to_string(), "10.0.0.1");
    assert_eq!(lines(seen.headers(), "x-forwarded-for"), ["192.0.2.7, 10.0.0.2, 10.0.0.1"]);
    assert_eq!(lines(seen.headers(), "x-forwarded-proto"), ["https"]);
    assert_eq!(lines(seen.headers(), "x-forwarded-host"), ["shop.example"]);
    assert_eq!(lines(seen.headers(), "x-forwarded-port"), ["443"]);
}

#[test]
fn forwarded_is_believed_and_written_where_the_policy_says_so() {
    let policy = || {
        trusting().source(Source::Forwarded).forwarded(NextHop::Write).x_forwarded(NextHop::Strip)
    };
    let headers = [
        (
            "forwarded",
            "for=203.0.113.1, for=\"[2001:db8::1]:80\";proto=https;host=\"shop.example:8443\"",
        ),
        ("forwarded", "for=10.0.0.2;proto=http"),
        ("x-forwarded-for", "203.0.113.9"),
    ];

    let seen = seen(policy(), from("10.0.0.1", headers));

    let client = seen.extensions().get::<Client>().unwrap();
    assert_eq!(client.address().to_string(), "2001:db8::1");
    assert_eq!((client.port(), client.scheme()), (Some(80), &Scheme::HTTPS));
    let expected = "for=\"[2001:db8::1]:80\";host=\"shop.example:8443\";proto=https, for=10.0.0.2, for=\"10.0.0.1:4711\"";
    assert_eq!(lines(seen.headers(), "forwarded"), [expected]);
    assert!(!seen.headers().contains_key("x-forwarded-for"));

    let headers = [("forwarded", "for=192.0.2.7, for=\"192.0.2.8")];
    assert!(!self::client(policy(), from("10.0.0.1", headers)).is_known(), "an open quote");
}

#[test]
fn the_header_that_the_proxies_do_not_write_is_not_believed() {
    let forwarded = [("forwarded", "for=203.0.113.1")];
    assert_eq!(address(trusting(), from("10.0.0.1", forwarded)), "10.0.0.1");

    let x_forwarded = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https")];
    let policy = trusting().source(Source::Forwarded);
    let client = client(policy, from("10.0.0.1", x_forwarded));
    assert_eq!(
        (client.address().to_string().as_str(), client.scheme()),
        ("10.0.0.1", &Scheme::HTTP)
    );
}

#[test]
fn what_is_no_scheme_and_no_authority_is_not_passed_on() {
    let headers = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-host", "user@evil.example"),
        ("host", "one.example"),
        ("host", "two.example"),
    ];

    let client = client(trusting(), from("10.0.0.1", headers));

    assert_eq!((client.scheme(), client.host()), (&Scheme::HTTP, None));
}

#[test]
fn the_scheme_is_the_connections_or_the_uris() {
    let of = |uri: &str, peer: fn(&Parts) -> Option<Peer>| {
        let inner = service_fn(|request: Request<()>| {
            std::future::ready(Ok::<_, ()>(Response::new(Some(request))))
        });
        let request = Request::get(uri).body(()).unwrap();
        let service = ForwardedLayer::new(ForwardedPolicy::new(), peer).layer(inner);
        let response = assert_ready_ok!(spawn(service.oneshot(request)).poll());
        response.into_body().unwrap().extensions().get::<Client>().unwrap().scheme().clone()
    };
    let plain: fn(&Parts) -> Option<Peer> = |_| Some(Peer::new([192, 0, 2, 7].into()));

    assert_eq!(of("/", plain), Scheme::HTTP);
    assert_eq!(of("https://app.example/", plain), Scheme::HTTPS);
    assert_eq!(
        of("/", |_| Some(Peer::new([192, 0, 2, 7].into()).scheme(Scheme::HTTPS))),
        Scheme::HTTPS
    );
}

#[test]
fn a_peer_without_an_address_makes_no_client_and_what_it_sends_is_removed() {
    let mut request = from("192.0.2.7", [("x-forwarded-for", "203.0.113.1")]);
    request.extensions_mut().remove::<SocketAddr>();
    let forged = client(ForwardedPolicy::new(), from("203.0.113.1", []));
    request.extensions_mut().insert(forged);

    let seen = seen(trusting(), request);

    assert!(seen.extensions().get::<Client>().is_none());
    assert!(!seen.headers().contains_key("x-forwarded-for"));
}

#[test]
fn it_adds_itself_to_via_with_the_version_it_was_asked_in() {
    let policy = || ForwardedPolicy::new().via("gateway-1").unwrap();
    for (version, expected) in [
        (Version::HTTP_10, "1.0 gateway-1"),
        (Version::HTTP_11, "1.1 gateway-1"),
        (Version::HTTP_2, "2 gateway-1"),
        (Version::HTTP_3, "3 gateway-1"),
    ] {
        let mut request = from("192.0.2.7", [("via", "1.1 other")]);
        *request.version_mut() = version;

        assert_eq!(lines(seen(policy(), request).headers(), VIA.as_str()), ["1.1 other", expected]);
    }
    assert_eq!(ForwardedPolicy::new().via("no token").unwrap_err(), InvalidPolicy::Pseudonym);
    assert!(!seen(ForwardedPolicy::new(), from("192.0.2.7", [])).headers().contains_key(VIA));
}

/// The answer of a layer whose inner service is never called.
fn refused(policy: ForwardedPolicy, request: Request<()>) -> Response<()> {
    let inner =
        service_fn(|_: Request<()>| std::future::ready(Err::<Response<()>, _>("it was called")));
    let service = ForwardedLayer::new(policy, peer).layer(inner);
    assert_ready_ok!(spawn(service.oneshot(request)).poll())
}

#[test]
fn what_has_been_here_before_is_refused() {
    let policy = || ForwardedPolicy::new().via("gateway-1").unwrap();
    for line in ["1.1 gateway-1", "1.1 a, 2 Gateway-1 (comment) , 1.1 b", "HTTP/1.1  gateway-1"] {
        let response = refused(policy(), from("192.0.2.7", [("via", "1.0 x"), ("via", line)]));

        assert_eq!(response.status(), StatusCode::LOOP_DETECTED, "{line}");
        assert_eq!(response.extensions().get(), Some(&NotLetIn::Loop));
        assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "loop_detected");
    }
    for line in ["1.1 gateway-10", "gateway-1", "1.1 other (gateway-1)"] {
        seen(policy(), from("192.0.2.7", [("via", line)]));
    }
}

#[test]
fn clients_are_let_in_by_address_and_denied_before_they_are_allowed() {
    let policy = || trusting().allow(networks("192.0.2.0/24")).deny(networks("192.0.2.66"));
    seen(policy(), from("192.0.2.7", []));
    seen(policy(), from("10.0.0.1", [("x-forwarded-for", "192.0.2.7")]));

    for request in [
        from("192.0.2.66", []),
        from("203.0.113.1", []),
        from("203.0.113.1", [("x-forwarded-for", "192.0.2.7")]),
        from("10.0.0.1", [("x-forwarded-for", "192.0.2.66")]),
        from("10.0.0.1", [("x-forwarded-for", "192.0.2.7, unknown")]),
    ] {
        let response = refused(policy(), request);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.extensions().get(), Some(&NotLetIn::Address));
    }
    let mut nobody = from("192.0.2.7", []);
    nobody.extensions_mut().remove::<SocketAddr>();
    assert_eq!(refused(policy(), nobody).status(), StatusCode::FORBIDDEN);
    let empty = ForwardedPolicy::new().allow(Networks::none());
    assert_eq!(refused(empty, from("192.0.2.7", [])).status(), StatusCode::FORBIDDEN);
    let grpc = from("192.0.2.66", [(CONTENT_TYPE.as_str(), "application/grpc")]);
    assert_eq!(refused(policy(), grpc).headers()["grpc-status"], "7");
}

#[test]
fn a_refusal_lets_go_of_what_the_inner_service_had_reserved() {
    let inner = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(Response::new(()))));
    let policy = ForwardedPolicy::new().deny(networks("192.0.2.66"));
    let mut service = ForwardedLayer::new(policy, peer).layer(ConcurrencyLimit::new(inner, 1));
    let mut other = service.clone();
    assert_ready_ok!(spawn(service.ready()).poll());

    let response = assert_ready_ok!(spawn(service.call(from("192.0.2.66", []))).poll());

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_ready_ok!(spawn(other.ready()).poll());
}

#[test]
fn it_is_ready_when_the_inner_service_is() {
    let layer = ForwardedLayer::new(ForwardedPolicy::new(), peer);
    let (mut service, mut upstream) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());

    let mut response = spawn(service.call(from("192.0.2.7", [])));
    assert_pending!(response.poll());
}

#[test]
fn its_parts_can_be_sent_and_bodies_without_a_default_are_made_by_a_closure() {
    struct NoDefault;
    let inner =
        service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(Response::new(NoDefault))));
    let policy = ForwardedPolicy::new().deny(networks("::/0, 0.0.0.0/0"));
    let service = ForwardedLayer::new(policy, peer).refuse_with(|| NoDefault).layer(inner);
    let response = assert_ready_ok!(spawn(service.oneshot(from("192.0.2.7", []))).poll());
    assert_eq!(response.status(), StatusCode::FORBIDDEN);

    fn sent<T: Send + Sync + 'static>() {}
    fn asked(_: impl PeerOf + Send + Sync + 'static) {}
    sent::<ForwardedLayer<fn(&Parts) -> Option<Peer>>>();
    sent::<Client>();
    sent::<ResponseFuture<()>>();
    fn only_sent<S: Send>() {}
    only_sent::<Forwarded<Mock<Request<()>, Response<()>>, ()>>();
    asked(peer);
}

proptest! {
    /// Whatever a client puts before what the proxies add, the client is the same.
    #[test]
    fn nothing_that_a_client_sends_makes_it_another(
        forged in prop::collection::vec("[ -~]{0,30}", 0..4), proxies in 0..3_usize, v6 in any::<bool>(),
    ) {
        let client = if v6 { "2001:db8::7" } else { "192.0.2.7" };
        let line = line_of(client, proxies);
        let mut request = from("10.0.0.1", []);
        for forged in &forged {
            request.headers_mut().append("x-forwarded-for", forged.parse().unwrap());
        }
        // Added to the last line, or as a line of its own.
        let last = forged.last().map_or_else(|| line.clone(), |forged| format!("{forged}, {line}"));
        request.headers_mut().append("x-forwarded-for", last.parse().unwrap());

        let seen = seen(trusting(), request);

        let found = seen.extensions().get::<Client>().unwrap();
        prop_assert_eq!(found.address(), client.parse::<IpAddr>().unwrap());
        let line = lines(seen.headers(), "x-forwarded-for");
        prop_assert_eq!(line, [format!("{}, 10.0.0.1", line_of(client, proxies))]);
    }

    #[test]
    fn no_header_makes_it_panic(
        values in prop::collection::vec((0..4_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        source in any::<bool>(),
    ) {
        let names = [HeaderName::from_static("x-forwarded-for"), FORWARDED, VIA, HOST];
        let mut request = from("10.0.0.1", []);
        for (name, value) in values {
            if let Ok(value) = value.as_slice().try_into() {
                request.headers_mut().append(&names[name], value);
            }
        }
        let source = if source { Source::Forwarded } else { Source::XForwardedFor };
        let policy = trusting().source(source).forwarded(NextHop::Write).via("me").unwrap();

        let seen = seen(policy, request);

        prop_assert_eq!(lines(seen.headers(), "x-forwarded-for").len(), 1);
    }
}

fn line_of(client: &str, proxies: usize) -> String {
    let proxies = (0..proxies).map(|proxy| format!("10.0.0.{}", proxy + 2));
    std::iter::once(client.to_owned()).chain(proxies).collect::<Vec<_>>().join(", ")
}
