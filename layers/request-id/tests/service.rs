//! The contract: whose ids are believed, and who gets to see them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::future::ready;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use portcullis_request_id::{
    Format, Generator, MakeRequestId, RequestId, RequestIdLayer, RequestIdPolicy, RequestIdService,
    ResponseFuture, Trust,
};
use proptest::prelude::*;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn policy() -> RequestIdPolicy {
    RequestIdPolicy::new()
}

fn trusting() -> RequestIdPolicy {
    policy().trusted(Trust::All)
}

fn sending<const N: usize>(lines: [(&'static str, &[u8]); N]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in lines {
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request
}

/// What the inner service sees, and what the client does.
fn serve<G: MakeRequestId + Clone>(
    layer: &RequestIdLayer<G>,
    request: Request<()>,
) -> (Request<()>, HeaderMap) {
    let inner = service_fn(|request| ready(Ok::<_, ()>(Response::new(request))));
    let response = assert_ready_ok!(spawn(layer.layer(inner).oneshot(request)).poll());
    let (parts, seen) = response.into_parts();
    assert_eq!(parts.extensions.get::<RequestId>(), seen.extensions().get());
    (seen, parts.headers)
}

/// The one id that all of them see.
fn id(policy: RequestIdPolicy, request: Request<()>) -> String {
    let (seen, answered) = serve(&RequestIdLayer::new(policy), request);
    let id = seen.extensions().get::<RequestId>().unwrap().to_string();
    let lines =
        |headers: &HeaderMap| -> Vec<_> { headers.get_all(X_REQUEST_ID).iter().cloned().collect() };
    assert_eq!(lines(seen.headers()), [id.as_str()]);
    assert_eq!(lines(&answered), [id.as_str()]);
    id
}

#[test]
fn who_is_not_trusted_is_not_believed() {
    assert_eq!(id(policy(), sending([("x-request-id", b"mine")])).len(), 36);
}

#[test]
fn a_harmless_id_of_who_is_trusted_is_kept() {
    for sent in
        ["a", "0190b2c4-7f3e-7000-8000-000000000000", "Root=1-67891233-abcdef", &"x".repeat(128)]
    {
        assert_eq!(id(trusting(), sending([("x-request-id", sent.as_bytes())])), sent);
    }
}

#[test]
fn what_could_forge_a_line_of_a_log_or_fill_it_is_replaced_whoever_sends_it() {
    let long = [b'a'; 129];
    for sent in
        [&b""[..], b"a b", b"a\"b", b"a\xff", b"a\tb", b"{}", b"a,b", &long, &[b'a'; 16_000]]
    {
        assert_eq!(id(trusting(), sending([("x-request-id", sent)])).len(), 36, "{sent:?}");
    }
    let twice = sending([("x-request-id", b"a"), ("x-request-id", b"b")]);
    assert_eq!(id(trusting(), twice).len(), 36);
}

#[test]
fn what_some_servers_take_for_the_header_is_taken_off_with_it() {
    let correlation = HeaderName::from_static("x-correlation-id");
    let policy = policy().accept([correlation]).header(HeaderName::from_static("x_own-id"));
    let lines = [
        ("x_correlation_id", b"a".as_slice()),
        ("x-correlation_id", b"a"),
        ("x_own_id", b"a"),
        ("x-own-id", b"kept"),
        ("x_other", b"kept"),
    ];

    let (seen, _) = serve(&RequestIdLayer::new(policy), sending(lines));

    let mut names: Vec<_> = seen.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-own-id", "x_other", "x_own-id"]);
}

#[test]
fn clones_make_ids_that_differ() {
    let one = Generator::new(Format::Hex);
    let (parts, ()) = Request::new(()).into_parts();
    let other = one.clone();

    let ids: HashSet<_> = (0..1000).flat_map(|_| [one.make(&parts), other.make(&parts)]).collect();

    assert_eq!(ids.len(), 2000);
}

#[test]
fn peers_are_trusted_by_their_network() {
    let layer =
        RequestIdLayer::new(policy().trusted(Trust::Networks(
            ["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap()).into(),
        )));
    let with_peer = layer.clone().peer(|parts| parts.extensions.get::<IpAddr>().copied());
    let from = |address: &str| {
        let mut request = sending([("x-request-id", b"theirs")]);
        request.extensions_mut().insert(address.parse::<IpAddr>().unwrap());
        request
    };
    let is_kept = |layer: &RequestIdLayer, request| {
        serve(layer, request).0.extensions().get::<RequestId>().unwrap().as_str() == "theirs"
    };

    assert!(is_kept(&with_peer, from("10.1.2.3")));
    assert!(is_kept(&with_peer, from("::ffff:10.1.2.3")));
    assert!(is_kept(&with_peer, from("fd00::1")));
    assert!(!is_kept(&with_peer, from("192.0.2.1")));
    assert!(!is_kept(&with_peer, sending([("x-request-id", b"theirs")])));
    assert!(!is_kept(&layer, from("10.1.2.3")), "nobody says who the peer is");
}

#[test]
fn requests_are_trusted_if_a_closure_says_so() {
    let layer =
        RequestIdLayer::new(policy()).trusted_if(|parts| parts.headers.contains_key("x-internal"));
    let of =
        |request| serve(&layer, request).0.extensions().get::<RequestId>().unwrap().to_string();

    assert_eq!(of(sending([("x-request-id", b"a"), ("x-internal", b"1")])), "a");
    assert_ne!(of(sending([("x-request-id", b"a")])), "a");
}

#[test]
fn the_first_header_that_is_there_counts_and_all_of_them_are_taken_off() {
    let correlation = HeaderName::from_static("x-correlation-id");
    let answer = HeaderName::from_static("x-answer-id");
    let policy = trusting().accept([X_REQUEST_ID, correlation]).response_header(answer);
    let layer = RequestIdLayer::new(policy);
    for (request, expected) in [
        (sending([("x-correlation-id", b"c"), ("x-request-id", b"r")]), "r"),
        (sending([("x-correlation-id", b"c")]), "c"),
    ] {
        let (seen, answered) = serve(&layer, request);

        assert_eq!(seen.headers()["x-request-id"], expected);
        assert!(!seen.headers().contains_key("x-correlation-id"));
        assert_eq!(answered["x-answer-id"], expected);
        assert!(!answered.contains_key("x-request-id"));
    }
    let spoilt = sending([("x-correlation-id", b"c"), ("x-request-id", b"a b")]);
    assert_eq!(serve(&layer, spoilt).1["x-answer-id"].len(), 36);
}

#[test]
fn the_header_that_is_written_is_taken_off_even_if_ids_do_not_come_in_it() {
    let policy = trusting().accept([HeaderName::from_static("x-correlation-id")]);

    let forged = sending([("x-request-id", b"a"), ("x-request-id", b"b")]);

    assert_eq!(id(policy, forged).len(), 36);
}

#[test]
fn a_trace_id_will_do_if_it_is_asked_for_and_trusted() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let line = format!("00-{trace}-b7ad6b7169203331-01");
    let traced = || sending([("traceparent", line.as_bytes())]);
    let both = || sending([("traceparent", line.as_bytes()), ("x-request-id", b"mine")]);

    assert_eq!(id(trusting().trace_parent(), traced()), trace);
    assert_eq!(id(trusting().trace_parent(), both()), "mine");
    assert_ne!(id(trusting(), traced()), trace);
    assert_ne!(id(policy().trace_parent(), traced()), trace);
    let (seen, _) = serve(&RequestIdLayer::new(trusting().trace_parent()), traced());
    assert_eq!(seen.headers()["traceparent"], line, "it is not this layer's");
}

#[test]
fn the_response_gets_the_id_whatever_the_inner_service_says() {
    let stored = service_fn(|_: Request<()>| {
        let response = Response::builder().header("x-request-id", "a").header("x-request-id", "b");
        ready(Ok::<_, ()>(response.body(()).unwrap()))
    });
    let service = RequestIdLayer::new(trusting()).layer(stored);

    let request = sending([("x-request-id", b"mine"), ("content-type", b"application/grpc")]);
    let response = assert_ready_ok!(spawn(service.oneshot(request)).poll());

    let lines: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
    assert_eq!(lines, ["mine"]);
}

#[test]
fn ids_are_of_the_form_that_is_asked_for_and_differ() {
    for (format, length) in
        [(Format::UuidV7, 36), (Format::UuidV4, 36), (Format::Ulid, 26), (Format::Hex, 32)]
    {
        let layer = RequestIdLayer::new(policy().format(format));
        let next = || {
            serve(&layer.clone(), Request::new(()))
                .0
                .extensions()
                .get::<RequestId>()
                .unwrap()
                .clone()
        };

        let ids: HashSet<_> = (0..1000).map(|_| next()).collect();

        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.as_str().len() == length), "{format:?}");
    }
    let (one, other) = (Generator::new(Format::Hex), Generator::new(Format::Hex));
    let (parts, ()) = Request::new(()).into_parts();
    assert_ne!(one.make(&parts), other.make(&parts));
}

#[test]
fn ids_can_be_made_by_a_closure() {
    let layer = RequestIdLayer::new(policy())
        .generate_with(|parts: &Parts| parts.uri.path().parse().unwrap());

    let (seen, answered) = serve(&layer, Request::get("/a").body(()).unwrap());

    assert_eq!(seen.extensions().get::<RequestId>().unwrap().as_str(), "/a");
    assert_eq!(answered["x-request-id"], "/a");
}

#[test]
fn the_current_id_is_at_hand_while_the_inner_service_is_at_work_and_not_longer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let inner = service_fn(move |_: Request<()>| {
        let sees = sees.clone();
        sees.lock().unwrap().push(RequestId::current());
        async move {
            sees.lock().unwrap().push(RequestId::current());
            Ok::<_, ()>(Response::new(()))
        }
    });
    let layer = RequestIdLayer::new(trusting());
    let ask = |layer: RequestIdLayer| {
        let request = sending([("x-request-id", b"mine")]);
        assert_ready_ok!(spawn(layer.layer(inner.clone()).oneshot(request)).poll());
        std::mem::take(&mut *seen.lock().unwrap())
    };

    let mine: Option<RequestId> = Some("mine".parse().unwrap());
    assert_eq!(ask(layer.clone().keep_current()), [mine.clone(), mine]);
    assert_eq!(RequestId::current(), None);
    assert_eq!(ask(layer), [None, None]);
}

#[test]
fn one_request_within_another_leaves_the_outer_id_in_place() {
    let layer = RequestIdLayer::new(trusting()).keep_current();
    let within = layer.clone();
    let outer = service_fn(move |_: Request<()>| {
        let inner =
            service_fn(|_: Request<()>| ready(Ok::<_, ()>(Response::new(RequestId::current()))));
        let request = sending([("x-request-id", b"inner")]);
        let inner = assert_ready_ok!(spawn(within.layer(inner).oneshot(request)).poll());
        ready(Ok::<_, ()>(Response::new((inner.into_body(), RequestId::current()))))
    });

    let request = sending([("x-request-id", b"outer")]);
    let response = assert_ready_ok!(spawn(layer.layer(outer).oneshot(request)).poll());

    let expected = (Some("inner".parse().unwrap()), Some("outer".parse().unwrap()));
    assert_eq!(response.into_body(), expected);
}

#[test]
fn a_response_whose_extensions_are_spared_has_the_id_in_its_header_alone() {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(Response::new(()))));
    let service = RequestIdLayer::new(trusting()).spare_response_extensions().layer(inner);

    let request = sending([("x-request-id", b"mine")]);
    let response = assert_ready_ok!(spawn(service.oneshot(request)).poll());

    assert_eq!(response.headers()["x-request-id"], "mine");
    assert!(response.extensions().is_empty());
}

#[test]
fn an_id_that_is_not_indexed_is_sensitive_wherever_it_is_a_header() {
    for unindexed in [false, true] {
        for spared in [false, true] {
            let inner = service_fn(|request| ready(Ok::<_, ()>(Response::new(request))));
            let mut layer = RequestIdLayer::new(trusting());
            if unindexed {
                layer = layer.unindexed();
            }
            if spared {
                layer = layer.spare_response_extensions();
            }

            let request = sending([("x-request-id", b"mine")]);
            let response = assert_ready_ok!(spawn(layer.layer(inner).oneshot(request)).poll());

            for headers in [response.headers(), response.body().headers()] {
                assert_eq!(headers["x-request-id"], "mine");
                assert_eq!(headers["x-request-id"].is_sensitive(), unindexed, "{spared}");
            }
        }
    }
}

#[test]
fn a_map_that_is_full_loses_the_header_rather_than_keep_a_forged_one() {
    let inner = service_fn(|request| ready(Ok::<_, ()>(Response::new(request))));
    let mut request = sending([("x-request-id", b"forged")]);
    let names = (0..).map(|number| HeaderName::try_from(format!("x-{number}")).unwrap());
    for name in names {
        if request.headers_mut().try_insert(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }

    let service = RequestIdLayer::default().layer(inner);
    let response = assert_ready_ok!(spawn(service.oneshot(request)).poll());

    let sent = response.into_body();
    assert!(sent.headers().get_all("x-request-id").iter().all(|value| value != "forged"));
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_inner_service_works_in_a_span_that_has_the_id_and_what_was_sent_made_harmless() {
    let log = Log::default();
    let writes = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let subscriber = subscriber.with_writer(move || writes.clone()).with_ansi(false).finish();
    let inner = service_fn(async |_: Request<()>| {
        tracing::info!("at work");
        Ok::<_, ()>(Response::new(()))
    });
    let layer = RequestIdLayer::new(trusting());
    let ask = |layer: RequestIdLayer, sent: &[u8]| {
        let request = sending([("x-request-id", sent)]);
        assert_ready_ok!(spawn(layer.layer(inner).oneshot(request)).poll());
        String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap()
    };

    tracing::subscriber::with_default(subscriber, || {
        let kept = ask(layer.clone().in_span(), b"mine");
        assert!(
            kept.contains("request{http.request.id=mine}: ") && kept.contains("at work"),
            "{kept}"
        );
        let forged = ask(layer.clone().in_span(), b"a\xff\" level=error\tmsg=x");
        assert!(forged.contains("http.request.id.sent=a???level=error?msg=x}"), "{forged}");
        assert!(!ask(layer, b"mine").contains("http.request.id"));
    });
}

#[test]
fn readiness_errors_and_calls_are_those_of_the_inner_service() {
    let (mut service, mut upstream) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(RequestIdLayer::default());
    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut failed = spawn(service.call(Request::new(())));
    assert_pending!(failed.poll());
    let (request, answer) = assert_ready!(upstream.poll_request()).unwrap();
    assert!(request.headers().contains_key("x-request-id"));
    answer.send_error("broken");
    assert_ready_err!(failed.poll());

    upstream.send_error("gone");
    assert_ready_err!(service.poll_ready());
}

#[test]
fn it_calls_the_service_that_was_ready() {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(Response::new(()))));
    let mut service = RequestIdLayer::default().layer(ConcurrencyLimit::new(inner, 1));

    for _ in 0..3 {
        assert_ready_ok!(spawn(service.ready()).poll());
        assert_ready_ok!(spawn(service.call(Request::new(()))).poll());
    }
}

#[test]
fn its_parts_can_be_sent() {
    fn sent<T: Send + Sync + 'static>() {}
    sent::<RequestIdLayer>();
    sent::<RequestId>();
    sent::<ResponseFuture<()>>();
    sent::<RequestIdService<()>>();
    fn send<T: Send>() {}
    send::<RequestIdService<Mock<Request<()>, Response<()>>>>();
}

proptest! {
    #[test]
    fn whatever_is_sent_the_id_is_harmless(sent in prop::collection::vec(any::<u8>(), 0..200)) {
        let Ok(value) = HeaderValue::from_bytes(&sent) else { return Ok(()) };
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        let is_one = (1..=128).contains(&sent.len()) && sent.iter().all(harmless);
        let mut request = Request::new(());
        request.headers_mut().insert(X_REQUEST_ID, value.clone());

        let id = id(trusting(), request);

        prop_assert_eq!(id.as_bytes() == sent, is_one);
        prop_assert!(id.bytes().all(|byte| harmless(&byte)));
        prop_assert_eq!(RequestId::parse(&value).is_ok(), is_one);
    }
}
