//! The contract: who the client is taken for, what the next hop is told, and who is not let in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr};

use http::header::{CONTENT_TYPE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request::Parts;
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Version};
use ipnet::IpNet;
use portcullis_forwarded::{
    Addresses, Client, Forwarded, ForwardedLayer, ForwardedPolicy, InvalidPseudonym, LetIn,
    LetInLayer, NextHop, NotLetIn, Peer, PeerOf, Proxy, Pseudonym, ResponseFuture, Source, Tell,
    TellLayer, Via, ViaLayer,
};
use portcullis_refusal::Refused;
use proptest::prelude::*;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock};

fn trusting() -> ForwardedPolicy {
    ForwardedPolicy::new().trusted(["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap()))
}

fn network(text: &str) -> IpNet {
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
    let layer = ForwardedLayer::new(policy, peer);
    let service = layer.layer(layer.tell().layer(inner));
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
        ("x_forwarded_for", "203.0.113.1"),
        ("x-forwarded_host", "evil.example"),
        ("x-real-ip", "203.0.113.3"),
        ("x_real_ip", "203.0.113.3"),
        ("forwarded", "for=203.0.113.4"),
        ("true-client-ip", "203.0.113.5"),
        ("true_client_ip", "203.0.113.5"),
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
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let written =
        ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"];
    assert_eq!(names, written);
}

// RFC 9110 §4.2.4: it is deprecated, and may be a password.
#[test]
fn userinfo_in_a_target_is_told_to_nobody() {
    let mut request = from("192.0.2.7", [("host", "app.example")]);
    *request.uri_mut() = "http://me:secret@app.example:8080/".parse().unwrap();
    let policy = trusting().forwarded(NextHop::Write);

    let seen = seen(policy, request);

    let client = seen.extensions().get::<Client>().unwrap();
    assert_eq!(client.host().unwrap(), "app.example:8080");
    assert_eq!(lines(seen.headers(), "x-forwarded-host"), ["app.example:8080"]);
    assert!(!format!("{:?}", seen.headers()).contains("secret"));
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
    assert_eq!(client.peer().unwrap().to_string(), "10.0.0.1");
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
fn without_the_layer_that_tells_it_the_next_hop_is_told_nothing() {
    let request = from("10.0.0.1", [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=a")]);

    let seen = answered(&ForwardedLayer::new(trusting(), peer), request).into_body().unwrap();

    assert!(seen.headers().is_empty(), "{seen:?}");
    assert_eq!(seen.extensions().get::<Client>().unwrap().address().to_string(), "192.0.2.7");
}

#[test]
fn the_next_hop_is_told_once_however_often_that_layer_is_there() {
    let layer = ForwardedLayer::new(trusting(), peer);
    let layers =
        tower::ServiceBuilder::new().layer(layer.clone()).layer(layer.tell()).layer(layer.tell());

    let request = from("10.0.0.1", [("x-forwarded-for", "192.0.2.7")]);
    let seen = answered(&layers.into_inner(), request).into_body().unwrap();

    assert_eq!(lines(seen.headers(), "x-forwarded-for"), ["192.0.2.7, 10.0.0.1"]);
}

#[test]
fn a_port_that_a_trusted_proxy_names_is_passed_on_and_what_is_none_is_not() {
    for (port, host, expected) in [
        ("8443", "shop.example", "8443"),
        ("8443", "shop.example:9443", "8443"),
        ("none", "shop.example:9443", "9443"),
        ("65536", "shop.example", "443"),
        ("443, 8443", "shop.example", "8443"),
    ] {
        let headers = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", host),
            ("x-forwarded-port", port),
        ];
        let seen = seen(trusting(), from("10.0.0.1", headers));
        assert_eq!(lines(seen.headers(), "x-forwarded-port"), [expected], "{port} {host}");
    }
}

/// From who has no address.
fn unix<const N: usize>(headers: [(&'static str, &str); N]) -> Request<()> {
    let mut request = from("192.0.2.7", headers);
    request.extensions_mut().remove::<SocketAddr>();
    // What nobody but the layer says.
    let forged = client(ForwardedPolicy::new(), from("203.0.113.1", []));
    request.extensions_mut().insert(forged);
    request
}

/// What the next hop sees of who comes by a Unix socket.
fn seen_by_unix(policy: ForwardedPolicy, request: Request<()>) -> Request<()> {
    let inner = service_fn(|request: Request<()>| {
        std::future::ready(Ok::<_, ()>(Response::new(Some(request))))
    });
    let layer = ForwardedLayer::new(policy, |_: &Parts| Some(Peer::unix()));
    let service = layer.layer(layer.tell().layer(inner));
    assert_ready_ok!(spawn(service.oneshot(request)).poll()).into_body().unwrap()
}

#[test]
fn a_peer_that_nobody_knows_makes_no_client_and_what_it_sends_is_removed() {
    let seen = seen(trusting(), unix([("x-forwarded-for", "203.0.113.1")]));

    assert!(seen.extensions().get::<Client>().is_none());
    assert!(seen.headers().is_empty(), "{seen:?}");
}

#[test]
fn who_comes_by_a_unix_socket_is_believed_where_that_is_trusted_and_has_no_address_of_its_own() {
    let headers = || [("x-forwarded-for", "203.0.113.1, 192.0.2.7"), ("host", "a.example")];
    let policy = || trusting().forwarded(NextHop::Write);

    let untrusted = seen_by_unix(policy(), unix(headers()));
    assert!(untrusted.extensions().get::<Client>().is_none());
    assert!(!untrusted.headers().contains_key("x-forwarded-for"));
    assert_eq!(lines(untrusted.headers(), "x-forwarded-host"), ["a.example"]);
    let told = "for=unknown;host=a.example;proto=http";
    assert_eq!(lines(untrusted.headers(), "forwarded"), [told]);

    let trusted = seen_by_unix(policy().trusted([Proxy::Unix]), unix(headers()));
    let client = trusted.extensions().get::<Client>().unwrap();
    assert_eq!((client.address().to_string().as_str(), client.peer()), ("192.0.2.7", None));
    assert_eq!(lines(trusted.headers(), "x-forwarded-for"), ["192.0.2.7"]);
    let told = "for=192.0.2.7;host=a.example;proto=http, for=unknown";
    assert_eq!(lines(trusted.headers(), "forwarded"), [told]);

    let silent = seen_by_unix(policy().trusted([Proxy::Unix]), unix([]));
    assert!(silent.extensions().get::<Client>().is_none());
}

fn via() -> ViaLayer {
    ViaLayer::new("gateway-1".parse().unwrap())
}

#[test]
fn it_adds_itself_to_via_with_the_version_it_was_asked_in() {
    for (version, expected) in [
        (Version::HTTP_10, "1.0 gateway-1"),
        (Version::HTTP_11, "1.1 gateway-1"),
        (Version::HTTP_2, "2 gateway-1"),
        (Version::HTTP_3, "3 gateway-1"),
    ] {
        let mut request = from("192.0.2.7", [("via", "1.1 other")]);
        *request.version_mut() = version;

        let seen = answered(&via(), request).into_body().unwrap();

        assert_eq!(lines(seen.headers(), VIA.as_str()), ["1.1 other", expected]);
    }
    for name in ["", "no token", "a,b"] {
        let wrong: InvalidPseudonym = name.parse::<Pseudonym>().unwrap_err();
        assert!(wrong.to_string().contains("no space"), "{name}");
    }
}

type Echo = tower::util::BoxCloneService<Request<()>, Response<Option<Request<()>>>, ()>;

/// The answer of a layer whose inner service answers with what it was asked.
fn answered<L>(layer: &L, request: Request<()>) -> Response<Option<Request<()>>>
where
    L: Layer<Echo>,
    L::Service: Service<Request<()>, Response = Response<Option<Request<()>>>, Error = ()>,
{
    let echo = service_fn(|request| std::future::ready(Ok(Response::new(Some(request)))));
    let service = layer.layer(Echo::new(echo));
    assert_ready_ok!(spawn(service.oneshot(request)).poll())
}

#[test]
fn what_has_been_here_before_is_refused() {
    for line in ["1.1 gateway-1", "1.1 a, 2 Gateway-1 (comment) , 1.1 b", "HTTP/1.1  gateway-1"] {
        let request = from("192.0.2.7", [("via", "1.0 x"), ("via", line)]);
        let response = answered(&via(), request);

        assert_eq!(response.status(), StatusCode::LOOP_DETECTED, "{line}");
        assert_eq!(response.extensions().get(), Some(&NotLetIn::Loop));
        assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "loop_detected");
        assert!(response.body().is_none());
    }
    for line in ["1.1 gateway-10", "gateway-1", "1.1 other (gateway-1)"] {
        assert!(answered(&via(), from("192.0.2.7", [("via", line)])).body().is_some(), "{line}");
    }
}

#[test]
fn a_map_that_is_full_is_passed_on_without_this_hop_and_still_shows_a_loop() {
    let full = |line| {
        let mut request = from("192.0.2.7", [("via", line)]);
        for i in 0.. {
            let name = HeaderName::try_from(format!("x-{i}")).unwrap();
            if request.headers_mut().try_insert(name, HeaderValue::from_static("")).is_err() {
                break;
            }
        }
        request
    };

    assert!(answered(&via(), full("1.1 gateway-1")).body().is_none());
    let seen = answered(&via(), full("1.1 other")).into_body().unwrap();
    assert_eq!(lines(seen.headers(), VIA.as_str()), ["1.1 other"]);
}

#[test]
fn of_two_layers_the_inner_one_says_who_the_client_is() {
    let unix = ForwardedLayer::new(ForwardedPolicy::new(), |_: &Parts| Some(Peer::unix()));
    let named = ForwardedLayer::new(ForwardedPolicy::new(), peer);

    let layers = tower::ServiceBuilder::new().layer(&unix).layer(&named).layer(named.tell());
    let seen = answered(&layers.into_inner(), from("192.0.2.7", [])).into_body().unwrap();
    assert_eq!(seen.headers()["x-forwarded-for"], "192.0.2.7");

    let layers = tower::ServiceBuilder::new().layer(&named).layer(&unix).layer(unix.tell());
    let seen = answered(&layers.into_inner(), from("192.0.2.7", [])).into_body().unwrap();
    assert!(seen.extensions().get::<Client>().is_none());
    assert!(!seen.headers().contains_key("x-forwarded-for"));
}

/// The answer to a request of a client that has been found by the way.
fn let_in(addresses: Addresses, request: Request<()>) -> Response<Option<Request<()>>> {
    let layers = tower::ServiceBuilder::new()
        .layer(ForwardedLayer::new(trusting(), peer))
        .layer(LetInLayer::new(addresses));
    answered(&layers.into_inner(), request)
}

#[test]
fn clients_are_let_in_by_address_and_denied_before_they_are_allowed() {
    let some =
        || Addresses::all().allow([network("192.0.2.0/24")]).deny([network("192.0.2.66/32")]);
    for request in
        [from("192.0.2.7", []), from("10.0.0.1", [("x-forwarded-for", "::ffff:192.0.2.7")])]
    {
        assert!(let_in(some(), request).body().is_some());
    }
    for request in [
        from("192.0.2.66", []),
        from("::ffff:192.0.2.66", []),
        from("203.0.113.1", []),
        from("203.0.113.1", [("x-forwarded-for", "192.0.2.7")]),
        from("10.0.0.1", [("x-forwarded-for", "192.0.2.66")]),
        from("10.0.0.1", [("x-forwarded-for", "192.0.2.7, unknown")]),
        unix([]),
    ] {
        let response = let_in(some(), request);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.extensions().get(), Some(&NotLetIn::Address));
        assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "address_denied");
    }
    let grpc = from("192.0.2.66", [(CONTENT_TYPE.as_str(), "application/grpc")]);
    assert_eq!(let_in(some(), grpc).headers()["grpc-status"], "7");
}

#[test]
fn without_a_list_all_are_let_in_and_an_empty_list_lets_in_nobody() {
    for request in [from("192.0.2.7", []), unix([])] {
        assert!(let_in(Addresses::all(), request).body().is_some());
    }
    let denied = Addresses::all().deny([network("0.0.0.0/0"), network("::/0")]);
    assert!(let_in(denied, unix([])).body().is_some(), "who has no address is not denied by one");
    for request in [from("192.0.2.7", []), unix([])] {
        let response = let_in(Addresses::all().allow([]), request);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}

#[test]
fn a_refusal_lets_go_of_what_the_inner_service_had_reserved() {
    fn check<L>(layer: &L, refused: Request<()>)
    where
        L: Layer<ConcurrencyLimit<Echo>>,
        L::Service:
            Service<Request<()>, Response = Response<Option<Request<()>>>, Error = ()> + Clone,
    {
        let echo = service_fn(|request| std::future::ready(Ok(Response::new(Some(request)))));
        let mut service = layer.layer(ConcurrencyLimit::new(Echo::new(echo), 1));
        let mut other = service.clone();
        assert_ready_ok!(spawn(service.ready()).poll());

        let response = assert_ready_ok!(spawn(service.call(refused)).poll());

        assert!(response.body().is_none());
        assert_ready_ok!(spawn(other.ready()).poll());
    }
    check(&LetInLayer::new(Addresses::all().allow([])), from("192.0.2.66", []));
    check(&via(), from("192.0.2.66", [("via", "1.1 gateway-1")]));
}

#[test]
fn each_is_ready_when_the_inner_service_is() {
    fn check<L>(layer: L)
    where
        L: Layer<Mock<Request<()>, Response<()>>>,
        L::Service: Service<Request<()>, Response = Response<()>, Error = tower::BoxError>,
    {
        let (mut service, mut upstream) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
        upstream.allow(0);
        assert_pending!(service.poll_ready());
        upstream.allow(1);
        assert_ready_ok!(service.poll_ready());

        let mut response = spawn(service.call(from("192.0.2.7", [])));
        assert_pending!(response.poll());
    }
    check(ForwardedLayer::new(ForwardedPolicy::new(), peer));
    check(ForwardedLayer::new(ForwardedPolicy::new(), peer).tell());
    check(LetInLayer::new(Addresses::all()));
    check(via());
}

#[test]
fn its_parts_can_be_sent_and_bodies_without_a_default_are_made_by_a_closure() {
    struct NoDefault;
    let inner =
        || service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(Response::new(NoDefault))));
    let let_in = LetInLayer::new(Addresses::all().allow([])).refuse_with(|| NoDefault);
    let service = let_in.layer(inner());
    let response = assert_ready_ok!(spawn(service.oneshot(from("192.0.2.7", []))).poll());
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let service = via().refuse_with(|| NoDefault).layer(inner());
    let request = from("192.0.2.7", [("via", "1.1 gateway-1")]);
    assert_eq!(assert_ready_ok!(spawn(service.oneshot(request)).poll()).status(), 508);

    fn sent<T: Send + Sync + 'static>() {}
    fn asked(_: impl PeerOf + Send + Sync + 'static) {}
    sent::<ForwardedLayer<fn(&Parts) -> Option<Peer>>>();
    sent::<TellLayer>();
    sent::<LetInLayer>();
    sent::<ViaLayer>();
    sent::<Client>();
    sent::<ResponseFuture<()>>();
    fn only_sent<S: Send>() {}
    only_sent::<Forwarded<Mock<Request<()>, Response<()>>, ()>>();
    only_sent::<Tell<Mock<Request<()>, Response<()>>>>();
    only_sent::<LetIn<Mock<Request<()>, Response<()>>>>();
    only_sent::<Via<Mock<Request<()>, Response<()>>>>();
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
        let policy = trusting().source(source).forwarded(NextHop::Write);

        let seen = seen(policy, request);

        prop_assert_eq!(lines(seen.headers(), "x-forwarded-for").len(), 1);
        answered(&via(), seen);
    }
}

fn line_of(client: &str, proxies: usize) -> String {
    let proxies = (0..proxies).map(|proxy| format!("10.0.0.{}", proxy + 2));
    std::iter::once(client.to_owned()).chain(proxies).collect::<Vec<_>>().join(", ")
}
