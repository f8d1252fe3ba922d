//! What is removed from a message, without tower: the traps one by one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Version};
use portcullis_host_strip::{Asked, HopByHop, OnViolation, Protocol, Stripped, Upgrade, Violation};

type Lines<'a> = &'a [(&'a str, &'a str)];

fn map(lines: Lines<'_>) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(parse) {
        headers.append(name, value);
    }
    headers
}

/// What is left of a request with `lines`.
fn strip(policy: &HopByHop, lines: Lines<'_>) -> (HeaderMap, Result<Stripped, Violation>) {
    let mut request = Request::new(());
    *request.headers_mut() = map(lines);
    let result = policy.strip_request(&mut request);
    (request.into_parts().0.headers, result)
}

fn left(lines: Lines<'_>) -> HeaderMap {
    strip(&HopByHop::default(), lines).0
}

/// What is left of a response with `lines`, to a request that asked for nothing.
fn left_of_response(policy: &HopByHop, lines: Lines<'_>) -> HeaderMap {
    let mut response = Response::new(());
    *response.headers_mut() = map(lines);
    policy.strip_response(&mut response, &Asked::default()).unwrap();
    response.into_parts().0.headers
}

fn strict() -> HopByHop {
    HopByHop::strict()
}

/// The `Connection` and `Upgrade` that a request with `upgrade` leaves with.
fn upgraded(policy: Upgrade, upgrade: &str) -> HeaderMap {
    let lines = [("connection", "keep-alive, upgrade"), ("upgrade", upgrade)];
    strip(&HopByHop::default().upgrade(policy), &lines).0
}

const FIELDS: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "upgrade",
    "http2-settings",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "expect",
];

#[test]
fn fields_of_the_connection_do_not_get_through() {
    for field in FIELDS {
        assert!(left(&[(field, "x"), (field, "y")]).is_empty(), "{field}");
    }
    // Of codings there is one that the server has taken off.
    assert!(left(&[("transfer-encoding", "chunked")]).is_empty());
}

#[test]
fn every_line_nominates_in_any_letter_case() {
    let lines = [
        ("connection", "X-A , ,x-b"),
        ("x-a", "1"),
        ("connection", "close"),
        ("x-c", "1"),
        ("x-c", "2"),
        ("connection", "\tX-c\t"),
        ("x-b", "1"),
        ("x-d", "1"),
    ];

    assert_eq!(left(&lines), map(&[("x-d", "1")]));
}

#[test]
fn a_long_name_can_be_nominated() {
    let name = "x".repeat(200);

    assert!(left(&[("connection", &name), (&name, "1")]).is_empty());
}

#[test]
fn nobody_nominates_what_others_stand_on() {
    let protected = [
        "authorization",
        "cache-control",
        "Content-Length",
        "content-type",
        "cookie",
        "forwarded",
        "Host",
        "set-cookie",
        "traceparent",
        "tracestate",
        "via",
        "x-forwarded-for",
        "X-Forwarded-Anything",
        "x-real-ip",
        "x-request-id",
        "x-mine",
    ];
    for name in protected {
        let lines = [("connection", name), (name, "1")];
        let policy = HopByHop::default().protect(HeaderName::from_static("x-mine"));

        let (headers, stripped) = strip(&policy, &lines);
        assert_eq!(headers, map(&[(name, "1")]), "{name}");
        assert_eq!(stripped.unwrap().ignored().protected(), 1);

        let (headers, stripped) = strip(&policy.on_violation(OnViolation::Reject), &lines);
        assert_eq!(headers, map(&lines), "{name}");
        assert_eq!(stripped, Err(Violation::ProtectedNomination));
    }
}

#[test]
fn odd_elements_nominate_nothing() {
    for odd in ["\"x-a\"", ":authority", ":path", "x a", "x-a;q=1", "(x-a)", "x-a\u{e9}"] {
        let lines = [("connection", odd), ("x-a", "1")];

        let (headers, stripped) = strip(&HopByHop::default(), &lines);
        assert_eq!(headers, map(&[("x-a", "1")]), "{odd}");
        assert_eq!(stripped.unwrap().ignored().malformed(), 1);

        assert_eq!(strip(&strict(), &lines).1, Err(Violation::MalformedNomination));
    }
}

#[test]
fn nominations_beyond_the_bound_are_not_obeyed() {
    let names: Vec<_> = (0..17).map(|n| format!("x-{n}")).collect();
    let connection = format!("close, keep-alive, te, {}", names.join(","));
    let mut lines = vec![("connection", connection.as_str())];
    lines.extend(names.iter().map(|name| (name.as_str(), "1")));

    let (headers, stripped) = strip(&HopByHop::default(), &lines);
    assert_eq!(headers, map(&[("x-16", "1")]));
    assert_eq!(stripped.unwrap().ignored().excess(), 1);

    assert_eq!(strip(&strict(), &lines).1, Err(Violation::TooManyNominations));
    assert!(strip(&strict().max_nominations(17), &lines).1.is_ok());
}

#[test]
fn the_first_of_several_violations_is_the_reason() {
    let first = |connection| strip(&strict(), &[("connection", connection)]).1.unwrap_err();

    assert_eq!(first("x-a, @, host"), Violation::MalformedNomination);
    assert_eq!(first("host, @"), Violation::ProtectedNomination);
}

#[test]
fn where_no_nomination_is_obeyed_ordinary_connections_are_in_order() {
    let none = strict().max_nominations(0);

    for field in FIELDS.iter().chain(&["close", "Keep-Alive"]) {
        assert!(strip(&none, &[("connection", field)]).1.is_ok(), "{field}");
    }
    assert!(strip(&none, &[("connection", "x-a")]).1.is_err());
}

#[test]
fn trailers_are_still_asked_for() {
    let trailers = map(&[("te", "trailers")]);
    for te in ["trailers", "Trailers", "gzip;q=0.5, trailers", "deflate,trailers ,x"] {
        assert_eq!(left(&[("connection", "te"), ("te", te)]), trailers, "{te}");
    }
    assert_eq!(left(&[("te", "gzip"), ("te", "trailers")]), trailers);
    for te in ["", "gzip", "trailers;q=0.5", "xtrailers"] {
        assert!(left(&[("te", te)]).is_empty(), "{te}");
    }
}

#[test]
fn trailers_are_still_announced() {
    let lines = [("connection", "close"), ("trailer", "x-sum")];
    let announced = map(&[("trailer", "x-sum")]);

    assert_eq!(left(&lines), announced);
    assert_eq!(left_of_response(&HopByHop::default(), &lines), announced);
}

#[test]
fn two_lengths_for_one_body_are_refused_both_ways() {
    let lines = [("transfer-encoding", "chunked"), ("content-length", "5")];
    assert_eq!(strip(&HopByHop::default(), &lines).1, Err(Violation::AmbiguousFraming));

    let mut response = Response::new(());
    *response.headers_mut() = map(&lines);
    let stripped = HopByHop::default().strip_response(&mut response, &Asked::default());
    assert_eq!(stripped, Err(Violation::AmbiguousFraming));
}

#[test]
fn a_body_in_any_coding_but_chunks_is_refused_both_ways() {
    for lines in [
        &[("transfer-encoding", "gzip, chunked")][..],
        &[("transfer-encoding", "chunked, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("transfer-encoding", "")],
    ] {
        assert_eq!(strip(&HopByHop::default(), lines).1, Err(Violation::UnknownCoding));

        let mut response = Response::new(());
        *response.headers_mut() = map(lines);
        let stripped = HopByHop::default().strip_response(&mut response, &Asked::default());
        assert_eq!(stripped, Err(Violation::UnknownCoding));
    }
    assert!(strip(&HopByHop::default(), &[("transfer-encoding", " Chunked\t")]).1.is_ok());
}

#[test]
fn a_length_alone_stays() {
    let lines = [("content-length", "5"), ("connection", "content-length")];

    assert_eq!(left(&lines), map(&lines[..1]));
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let expect = [("expect", "100-continue")];
    assert_eq!(strip(&HopByHop::default().keep_expect(), &expect).0, map(&expect));

    let auth = [
        ("proxy-authorization", "a"),
        ("proxy-authenticate", "b"),
        ("proxy-authentication-info", "c"),
    ];
    assert_eq!(strip(&HopByHop::default().keep_proxy_auth(), &auth).0, map(&auth));
}

#[test]
fn no_upgrade_passes_by_default() {
    let (headers, stripped) = strip(
        &HopByHop::default(),
        &[("connection", "upgrade"), ("upgrade", "websocket"), ("x-a", "1")],
    );

    assert_eq!(headers, map(&[("x-a", "1")]));
    assert_eq!(stripped.unwrap().upgrade(), None);
}

// https://github.com/golang/go/issues/80416
#[test]
fn no_policy_upgrades_to_http() {
    for http in ["h2c", "H2C", "h2", "h3", "HTTP/2.0", "h2c/1"] {
        assert!(http.parse::<Protocol>().is_err(), "{http}");
        for policy in [Upgrade::WebSocket, Upgrade::Preserve] {
            assert!(upgraded(policy, http).is_empty(), "{http}");
        }
    }
}

#[test]
fn the_first_protocol_that_may_pass_is_the_only_one_asked_for() {
    let only = |protocol| map(&[("connection", "upgrade"), ("upgrade", protocol)]);
    let mqtt = || Upgrade::Tokens(vec!["mqtt/5".parse().unwrap(), Protocol::WEBSOCKET]);

    assert_eq!(upgraded(Upgrade::WebSocket, "mqtt, WebSocket"), only("websocket"));
    assert_eq!(upgraded(mqtt(), "mqtt, MQTT/5, websocket"), only("mqtt/5"));
    assert!(upgraded(mqtt(), "mqtt").is_empty());
    assert_eq!(upgraded(Upgrade::Preserve, "h2c, b@d, Foo/1, bar"), only("Foo/1"));
    assert_eq!(upgraded(Upgrade::Preserve, "Foo"), only("Foo"));
}

#[test]
fn an_upgrade_takes_both_headers_and_http_1_1() {
    let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
    assert!(strip(&policy, &[("upgrade", "websocket")]).0.is_empty());
    assert!(strip(&policy, &[("connection", "upgrade")]).0.is_empty());

    for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
        let mut request = Request::new(());
        *request.version_mut() = version;
        *request.headers_mut() = map(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        policy.strip_request(&mut request).unwrap();
        assert!(request.headers().is_empty(), "{version:?}");
    }
}

#[test]
fn an_upstream_switches_to_what_was_asked_for_alone() {
    let lines = [("connection", "upgrade"), ("upgrade", "websocket")];
    let (_, stripped) = strip(&HopByHop::default().upgrade(Upgrade::WebSocket), &lines);
    let asked = stripped.unwrap().into_asked();
    let switch = |lines: Lines<'_>| {
        let mut response = Response::builder().status(101).body(()).unwrap();
        *response.headers_mut() = map(lines);
        let stripped = HopByHop::default().strip_response(&mut response, &asked);
        stripped.map(|_| response.into_parts().0.headers)
    };
    let connection = ("connection", "upgrade, x-its");

    let agreed = switch(&[connection, ("upgrade", "WebSocket"), ("x-its", "1"), ("x-a", "1")]);
    let left = map(&[("connection", "upgrade"), ("upgrade", "websocket"), ("x-a", "1")]);
    assert_eq!(agreed, Ok(left));

    assert_eq!(switch(&[]), Err(Violation::UnaskedUpgrade));
    for other in ["h2c", "websocket, h2c", ""] {
        assert_eq!(switch(&[connection, ("upgrade", other)]), Err(Violation::UnaskedUpgrade));
    }
}

#[test]
fn an_expectation_is_none_in_a_response() {
    assert_eq!(left_of_response(&HopByHop::default(), &[("expect", "1")]).len(), 1);
}

#[test]
fn a_response_is_not_refused_for_its_nominations() {
    let mut response = Response::new(());
    *response.headers_mut() = map(&[
        ("connection", "cache-control, @, x-a"),
        ("cache-control", "no-store"),
        ("x-a", "1"),
    ]);

    let stripped = strict().strip_response(&mut response, &Asked::default()).unwrap();

    assert_eq!(*response.headers(), map(&[("cache-control", "no-store")]));
    assert_eq!((stripped.ignored().protected(), stripped.ignored().malformed()), (1, 1));
}

#[test]
fn a_message_without_hop_by_hop_fields_keeps_its_order() {
    let names = ["x-c", "x-a", "content-length", "x-b"];
    let lines: Vec<_> = names.iter().map(|name| (*name, "1")).collect();

    assert!(left(&lines).keys().eq(names));
}

#[test]
fn what_is_to_go_besides_goes_both_ways_and_no_other() {
    let policy = HopByHop::default()
        .remove(HeaderName::from_static("x-debug"))
        .remove_prefix("X-Internal-".parse().unwrap());
    let lines = [
        ("x-debug", "1"),
        ("x-debug", "2"),
        ("X-Internal-User", "1"),
        ("x-internal-", "1"),
        ("x-internal", "kept"),
        ("x-debugger", "kept"),
        ("te", "trailers"),
    ];
    let kept = [("x-internal", "kept"), ("x-debugger", "kept")];
    let with_te = [&kept[..], &[("te", "trailers")]].concat();

    let (headers, stripped) = strip(&policy, &lines);
    assert_eq!(headers, map(&with_te));
    let removed = stripped.unwrap().removed();
    assert_eq!((removed.fixed(), removed.nominated(), removed.extra()), (0, 0, 3));
    assert_eq!(left_of_response(&policy, &lines), map(&kept));
}

#[test]
fn no_policy_removes_the_length_of_a_body() {
    let policy = HopByHop::default()
        .remove(http::header::CONTENT_LENGTH)
        .remove_prefix("content-".parse().unwrap());
    let lines = [("content-length", "5"), ("content-type", "a/b")];

    assert_eq!(strip(&policy, &lines).0, map(&lines[..1]));
    assert_eq!(left_of_response(&policy, &lines), map(&lines[..1]));
}

#[test]
fn a_prefix_begins_a_name() {
    for text in ["", " ", "x y", "x:", "caf\u{e9}"] {
        assert!(text.parse::<portcullis_host_strip::HeaderPrefix>().is_err(), "{text}");
    }
}

#[test]
fn what_was_removed_is_counted_by_name() {
    let lines = [
        ("connection", "x-a, x-gone, upgrade"),
        ("upgrade", "websocket"),
        ("keep-alive", "5"),
        ("keep-alive", "6"),
        ("te", "trailers, gzip"),
        ("x-a", "1"),
        ("x-a", "2"),
    ];

    let counts = |policy: HopByHop| {
        let removed = strip(&policy, &lines).1.unwrap().removed();
        (removed.fixed(), removed.nominated(), removed.extra())
    };
    assert_eq!(counts(HopByHop::default()), (3, 1, 0));
    assert_eq!(counts(HopByHop::default().upgrade(Upgrade::WebSocket)), (1, 1, 0));
}

// RFC 9110 §9.3.6.
#[test]
fn what_makes_a_tunnel_has_no_length_and_another_answer_has() {
    let mut request = Request::builder().method(Method::CONNECT).uri("a:443").body(()).unwrap();
    let asked = HopByHop::default().strip_request(&mut request).unwrap().into_asked();
    assert_eq!(request.uri(), "a:443");

    let answer = |status: u16, asked: &Asked, lines: Lines<'_>| {
        let mut response = Response::builder().status(status).body(()).unwrap();
        *response.headers_mut() = map(lines);
        let stripped = HopByHop::default().strip_response(&mut response, asked);
        stripped.map(|_| response.into_parts().0.headers)
    };
    let length = [("content-length", "5")];
    let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
    assert_eq!(answer(200, &asked, &length), Ok(HeaderMap::new()));
    assert_eq!(answer(200, &asked, &both), Ok(HeaderMap::new()));
    assert_eq!(answer(403, &asked, &length), Ok(map(&length)));
    assert_eq!(answer(403, &asked, &both), Err(Violation::AmbiguousFraming));
    assert_eq!(answer(200, &Asked::default(), &length), Ok(map(&length)));
}

/// What HTTP/2 says of a tunnel (RFC 8441) is no header, and stays.
#[test]
fn an_extended_connect_keeps_its_protocol_its_method_and_its_target() {
    #[derive(Clone, Debug, PartialEq)]
    struct Protocol(&'static str);
    let mut request = Request::builder().method(Method::CONNECT).version(Version::HTTP_2);
    request = request.uri("https://a/chat").extension(Protocol("websocket"));
    let mut request = request.header("te", "trailers").body(()).unwrap();

    HopByHop::default().upgrade(Upgrade::WebSocket).strip_request(&mut request).unwrap();

    assert_eq!(
        (request.method(), request.uri()),
        (&Method::CONNECT, &"https://a/chat".parse().unwrap())
    );
    assert_eq!(request.extensions().get(), Some(&Protocol("websocket")));
    assert_eq!(*request.headers(), map(&[("te", "trailers")]));
}
