//! What becomes of a request that names no host, or more than one: the traps one by one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use portcullis_host_strip::{
    AmbiguousHost, ClientHost, ClientHostHandle, ClientHostLayer, ClientHostService, OnAmbiguity,
    OriginalHost,
};
use portcullis_refusal::Refused;
use proptest::prelude::*;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use AmbiguousHost::{Differs, Empty, Malformed, Missing, Repeated, Userinfo};

fn request(version: Version, uri: &str, hosts: &[&[u8]]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(uri);
    for host in hosts {
        request = request.header(HOST, HeaderValue::from_bytes(host).unwrap());
    }
    request.body(()).unwrap()
}

/// What the strictest policy says of a request.
fn judged(version: Version, uri: &str, hosts: &[&str]) -> Result<(), AmbiguousHost> {
    let hosts: Vec<_> = hosts.iter().map(|host| host.as_bytes()).collect();
    ClientHost::default().apply(&mut request(version, uri, &hosts)).map(drop)
}

fn policy(reaction: OnAmbiguity) -> ClientHost {
    ClientHost::default().on_ambiguity(reaction)
}

#[test]
fn one_host_is_one_however_it_is_written() {
    for host in [
        "a",
        "A.Example",
        "a.example.",
        "a:80",
        "a:",
        "my_host-1~.example:8443",
        "127.0.0.1:80",
        "[::1]",
        "[2001:DB8::1]:8080",
        "[::ffff:192.0.2.1]",
    ] {
        assert_eq!(judged(Version::HTTP_11, "/", &[host]), Ok(()), "{host}");
        assert_eq!(judged(Version::HTTP_2, "/", &[host]), Ok(()), "{host}");
    }
}

#[test]
fn what_could_be_read_as_two_hosts_is_none() {
    for (host, why) in [
        ("", Empty),
        (".", Empty),
        (":80", Empty),
        ("me@a", Userinfo),
        ("me:secret@a:80", Userinfo),
        ("@", Userinfo),
        ("a, b", Malformed),
        ("a,b", Malformed),
        ("a b", Malformed),
        (" a", Malformed),
        ("a\tb", Malformed),
        ("a/b", Malformed),
        ("a?b", Malformed),
        ("a#b", Malformed),
        ("a\\b", Malformed),
        ("a%2eb", Malformed),
        ("http://a", Malformed),
        ("a..b", Malformed),
        ("a..", Malformed),
        (".a", Malformed),
        ("a:b", Malformed),
        ("a:-1", Malformed),
        ("a:+1", Malformed),
        ("a:65536", Malformed),
        ("a:80:81", Malformed),
        ("::1", Empty),
        ("2001:db8::1", Malformed),
        ("[]", Malformed),
        ("[::1", Malformed),
        ("[::1]x", Malformed),
        ("[::1]:x", Malformed),
        ("[::g]", Malformed),
        ("[fe80::1%eth0]", Malformed),
        ("[127.0.0.1]", Malformed),
        ("caf\u{e9}", Malformed),
    ] {
        assert_eq!(judged(Version::HTTP_11, "/", &[host]), Err(why), "{host:?}");
    }
    for byte in (0x80..=0xff).chain([b'\t']) {
        let mut odd = request(Version::HTTP_11, "/", &[&[b'a', byte]]);
        assert_eq!(ClientHost::default().apply(&mut odd), Err(Malformed), "{byte}");
    }
}

#[test]
fn two_lines_are_two_hosts_even_if_they_are_the_same() {
    for hosts in [&["a", "a"][..], &["a", "b"], &["", ""]] {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(judged(version, "http://a/", hosts), Err(Repeated), "{hosts:?}");
        }
    }
}

#[test]
fn a_host_that_is_not_that_of_the_target_is_a_second_one() {
    for (uri, host, agrees) in [
        ("http://a.example/", "A.Example.", true),
        ("http://a.example./", "a.example", true),
        ("http://a/", "a:80", true),
        ("http://a:80/", "a", true),
        ("https://a/", "a:443", true),
        ("http://a:8080/", "a:8080", true),
        ("http://[::1]/", "[0:0:0:0:0:0:0:1]:80", true),
        ("http://a/", "b", false),
        ("http://a/", "a:81", false),
        ("http://a/", "a:443", false),
        ("https://a/", "a:80", false),
        ("http://a:8080/", "a", false),
        ("http://[::1]/", "[::2]", false),
        ("http://127.0.0.1/", "[::ffff:127.0.0.1]", false),
    ] {
        let expected = if agrees { Ok(()) } else { Err(Differs) };
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3] {
            assert_eq!(judged(version, uri, &[host]), expected, "{uri} {host}");
        }
    }
}

#[test]
fn a_target_that_is_no_host_is_as_bad_as_a_header() {
    for (uri, why) in [
        ("http://me:secret@a/", Userinfo),
        ("http://me@a/", Userinfo),
        ("http://a,b/", Malformed),
        ("http://a;b/", Malformed),
    ] {
        assert_eq!(judged(Version::HTTP_11, uri, &["a"]), Err(why), "{uri}");
        assert_eq!(judged(Version::HTTP_2, uri, &[]), Err(why), "{uri}");
    }
    let mut nowhere = request(Version::HTTP_2, "/", &[]);
    let uri = Uri::builder().scheme("http").authority(":80").path_and_query("/").build().unwrap();
    *nowhere.uri_mut() = uri;
    assert_eq!(ClientHost::default().apply(&mut nowhere), Err(Empty));
}

#[test]
fn http_1_0_alone_needs_no_host() {
    assert_eq!(judged(Version::HTTP_10, "/", &[]), Ok(()));
    // RFC 9112 §3.2: even if the target says it.
    for uri in ["/", "*", "http://a/"] {
        assert_eq!(judged(Version::HTTP_11, uri, &[]), Err(Missing), "{uri}");
    }
    for version in [Version::HTTP_2, Version::HTTP_3] {
        assert_eq!(judged(version, "/", &[]), Err(Missing));
        assert_eq!(judged(version, "https://a/", &[]), Ok(()));
    }
}

#[test]
fn a_tunnel_is_to_the_host_that_it_names() {
    let tunnel = |host| {
        let mut request = request(Version::HTTP_11, "a:443", &[host]);
        *request.method_mut() = Method::CONNECT;
        ClientHost::default().apply(&mut request)
    };

    for host in [&b"a:443"[..], b"a", b"A."] {
        assert_eq!(tunnel(host), Ok(None), "{host:?}");
    }
    for host in [&b"b:443"[..], b"a:444"] {
        assert_eq!(tunnel(host), Err(Differs), "{host:?}");
    }
}

#[test]
fn a_refused_request_is_unchanged() {
    for reaction in [OnAmbiguity::Reject, OnAmbiguity::PreferAuthority] {
        let mut refused = request(Version::HTTP_11, "/", &[b"a", b"b"]);
        assert_eq!(policy(reaction).apply(&mut refused), Err(Repeated));
        assert_eq!(refused.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}

// RFC 9112 §3.2.2.
#[test]
fn a_preferred_authority_is_all_that_is_left() {
    let prefer = policy(OnAmbiguity::PreferAuthority);
    for (uri, hosts, left, why) in [
        ("http://a/x?y", &[&b"b"[..]][..], "http://a/x?y", Differs),
        ("http://a/", &[b"b", b"c"], "http://a/", Repeated),
        ("http://a/", &[], "http://a/", Missing),
        ("http://a/", &[b""], "http://a/", Empty),
        ("http://a/", &[b"b c"], "http://a/", Malformed),
        ("http://a/", &[b"me@a"], "http://a/", Userinfo),
        ("http://me:secret@a/x", &[b"a"], "http://a/x", Userinfo),
        ("http://me@a/", &[b"me@a"], "http://a/", Userinfo),
    ] {
        let mut request = request(Version::HTTP_11, uri, hosts);

        assert_eq!(prefer.apply(&mut request), Ok(Some(why)), "{uri}");
        assert_eq!(request.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["a"], "{uri}");
        assert_eq!(request.uri(), left);
    }
    for (uri, hosts, why) in [
        ("/", &[&b"a"[..], b"b"][..], Repeated),
        ("/", &[b"a b"], Malformed),
        ("/", &[], Missing),
        ("http://a,b/", &[b"a"], Malformed),
        ("http://me@a,b/", &[b"a"], Malformed),
    ] {
        let mut request = request(Version::HTTP_11, uri, hosts);
        assert_eq!(prefer.apply(&mut request), Err(why), "{uri}");
    }
}

#[test]
fn what_is_not_ambiguous_is_left_alone_whatever_the_policy() {
    for reaction in [OnAmbiguity::Reject, OnAmbiguity::PreferAuthority, OnAmbiguity::Ignore] {
        let mut request = request(Version::HTTP_11, "http://a/", &[b"A.:80"]);
        assert_eq!(policy(reaction).apply(&mut request), Ok(None));
        assert_eq!(request.headers()[HOST], "A.:80");
    }
}

#[test]
fn an_ignored_ambiguity_is_told_and_goes_on() {
    let mut two = request(Version::HTTP_11, "http://me@c/", &[b"a", b"b"]);

    assert_eq!(policy(OnAmbiguity::Ignore).apply(&mut two), Ok(Some(Userinfo)));

    assert_eq!(two.headers().get_all(HOST).iter().count(), 2);
    assert_eq!(two.uri(), "http://me@c/");
}

#[tokio::test]
async fn a_refusal_says_why_and_never_reaches_the_inner_service() {
    let (mut service, mut inner) = mock::spawn_layer::<Request<()>, Response<()>, _>(
        ClientHostLayer::new(ClientHost::default()),
    );
    assert_ready_ok!(service.poll_ready());

    let refused = service.call(request(Version::HTTP_11, "/", &[b"a", b"b"])).await.unwrap();

    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refused.extensions().get(), Some(&Repeated));
    assert_eq!(refused.extensions().get::<Refused>().unwrap().reason(), "host_repeated");
    assert_pending!(tokio_test::task::spawn(inner.next_request()).poll());
}

/// The request that arrives below `layer`, and what was answered.
async fn below(layer: ClientHostLayer, request: Request<()>) -> (Option<String>, Response<()>) {
    let (seen, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let service = layer.layer(service_fn(move |request: Request<()>| {
        let host = request.extensions().get::<OriginalHost>();
        seen.send(host.map(|host| host.authority().to_string())).unwrap();
        std::future::ready(Ok::<_, ()>(Response::new(())))
    }));
    let response = service.oneshot(request).await.unwrap();
    (arrived.try_recv().ok().flatten(), response)
}

#[tokio::test]
async fn the_one_host_is_remembered_if_that_is_asked_for() {
    let layer = || ClientHostLayer::new(ClientHost::default());
    let ask = |uri, hosts: &[&[u8]]| request(Version::HTTP_11, uri, hosts);

    let (host, _) = below(layer().remember(), ask("/", &[b"A.example:8080"])).await;
    assert_eq!(host.as_deref(), Some("A.example:8080"));
    let (host, _) = below(layer().remember(), ask("http://a/", &[b"a"])).await;
    assert_eq!(host.as_deref(), Some("a"));
    let (host, _) = below(layer(), ask("/", &[b"a"])).await;
    assert_eq!(host, None);
    let no_host = request(Version::HTTP_10, "/", &[]);
    assert_eq!(below(layer().remember(), no_host).await.0, None);
}

#[tokio::test]
async fn the_handle_counts_what_passed_all_the_same() {
    let layer = ClientHostLayer::new(policy(OnAmbiguity::PreferAuthority));
    let handle = layer.clone().handle();

    for (uri, hosts) in [("http://a/", &[&b"b"[..]][..]), ("http://a/", &[b"a"]), ("/", &[])] {
        below(layer.clone(), request(Version::HTTP_11, uri, hosts)).await;
    }

    assert_eq!(handle.passed(), 1);
}

#[tokio::test]
async fn grpc_clients_and_bodies_without_a_default_are_refused_in_their_own_way() {
    struct NoDefault;
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(NoDefault)));
    let service = ClientHostLayer::new(ClientHost::default()).refuse_with(|| NoDefault);
    let mut grpc = request(Version::HTTP_2, "/", &[]);
    grpc.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));

    let refused = service.layer(inner).oneshot(grpc).await.unwrap();

    assert_eq!(
        (refused.status(), &refused.headers()["grpc-status"]),
        (StatusCode::OK, &"13".parse().unwrap())
    );
}

#[tokio::test]
async fn neither_a_refusal_nor_a_dropped_future_keeps_the_only_slot() {
    let inner = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(Response::new(()))));
    let inner = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut service = ClientHostLayer::new(ClientHost::default()).layer(inner);
    let good = || request(Version::HTTP_11, "/", &[b"a"]);

    let bad = request(Version::HTTP_11, "/", &[]);
    assert_eq!(service.ready().await.unwrap().call(bad).await.unwrap().status(), 400);
    drop(service.ready().await.unwrap().call(good()));
    assert_eq!(service.ready().await.unwrap().call(good()).await.unwrap().status(), 200);
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(AmbiguousHost, ClientHost, ClientHostHandle, ClientHostLayer, OnAmbiguity)>();
    check::<ClientHostService<()>>();
}

/// Whether the text is a host by the standard library's own URL-like rules, told apart slowly.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let port_is = port.is_empty()
        || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let host = host.strip_suffix('.').unwrap_or(host);
            host.split('.').all(|label| {
                !label.is_empty()
                    && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_~".contains(c))
            })
        }
    };
    port_is && host_is
}

proptest! {
    #[test]
    fn a_header_is_a_host_as_the_model_says(text in "[aB1.:@\\[\\], _%-]{0,12}") {
        let expected = is_host(&text) && !text.contains('@');
        prop_assert_eq!(judged(Version::HTTP_11, "/", &[&text]).is_ok(), expected, "{:?}", text);
    }

    /// Whatever is sent: what passes has one line of `Host`, and it is the target's where that has one.
    #[test]
    fn whatever_passes_has_one_host(
        target in prop::option::of("(me@)?[ab](:80|:81)?"),
        hosts in prop::collection::vec("(me@)?[abA](:80)?\\.?|[, ]", 0..3),
        prefers in any::<bool>(),
    ) {
        let uri = target.map_or_else(|| "/".to_owned(), |target| format!("http://{target}/"));
        let hosts: Vec<_> = hosts.iter().map(String::as_bytes).collect();
        let mut request = request(Version::HTTP_11, &uri, &hosts);
        let reaction = if prefers { OnAmbiguity::PreferAuthority } else { OnAmbiguity::Reject };

        if policy(reaction).apply(&mut request).is_ok() {
            let lines: Vec<_> = request.headers().get_all(HOST).iter().collect();
            prop_assert_eq!(lines.len(), 1);
            let host = lines[0].to_str().unwrap().trim_end_matches('.').trim_end_matches(":80").trim_end_matches('.').to_lowercase();
            prop_assert!(!host.contains(['@', ',', ' ']), "{}", host);
            if let Some(authority) = request.uri().authority() {
                prop_assert_eq!(authority.as_str().trim_end_matches(":80").to_lowercase(), host);
            }
        }
    }
}
