//! Spans of requests, and what upstreams and a collector are told of them.

use std::fs;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use portcullis::lifecycle::Outcome;
use portcullis_tests::{
    Collector, Connection, InProcess, Nowhere, Process, Told, Upstream, ask, exchange, gateway,
    get, hex, plan, read_request, says,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}")
}

/// A route `/a` to these replicas, named `a` and `b`; spans are sent to a collector at once, and `more` is said of that.
fn traced(collector: SocketAddr, replicas: &[SocketAddr], more: &str) -> String {
    let replicas = ["a", "b"].iter().zip(replicas);
    let replicas: Vec<_> = replicas
        .map(|(name, address)| format!("{{ name = '{name}', url = 'http://{address}' }}"))
        .collect();
    format!(
        "upstream.u = {{ replica = [{}] }}
         route = [{{ path = '/a', name = 'letters', upstream = 'u' }}]
         [trace]
         endpoint = 'http://{collector}'
         interval = '10ms'
         {more}\n",
        replicas.join(", ")
    )
}

fn spans(outcome: &str) -> String {
    format!("portcullis_spans_total{{outcome=\"{outcome}\"}}")
}

fn code(told: &Told) -> StatusCode {
    told.span.status.as_ref().map_or(StatusCode::Unset, Status::code)
}

#[tokio::test]
async fn a_request_is_a_span_in_the_trace_of_a_client_that_is_trusted_and_the_replica_is_told_of_the_next()
 {
    let (mut collector, mut upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let more = "trusted = ['127.0.0.0/8']
        service_name = 'front'
        attributes = { 'deployment.environment.name' = 'trial' }
        headers = { api-key = 'the-key-of-the-collector' }";
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], more));

    let headers = [&*traceparent("01"), "tracestate: a=1", "tracestate: b@c=2", "user-agent: me/1"];
    ask(gateway.address(), "GET /a/b?secret=c", &headers).await;
    let seen = upstream.seen().await;
    let (request, message) = collector.delivery().await;

    assert_eq!(request.line(), "POST /v1/traces HTTP/1.1");
    assert_eq!(request.header("content-type"), ["application/x-protobuf"]);
    assert_eq!(request.header("api-key"), ["the-key-of-the-collector"]);
    let of = &message.resource_spans[0];
    let resource = says(&of.resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "front");
    assert_eq!(resource["deployment.environment.name"], "trial");
    assert_eq!(resource["service.version"], "0.1.0");

    let mut told = of.scope_spans[0].spans.iter().cloned().map(Told::new).collect::<Vec<_>>();
    while told.len() < 2 {
        told.push(collector.span().await);
    }
    told.sort_by_key(|told| told.span.start_time_unix_nano);
    let [server, client] = &*told else { panic!("{told:#?}") };
    assert_eq!(server.span.name, "GET /a");
    assert_eq!(server.span.kind(), SpanKind::Server);
    assert_eq!(hex(&server.span.trace_id), TRACE);
    assert_eq!(hex(&server.span.parent_span_id), PARENT);
    assert_eq!((&*server.span.trace_state, server.span.flags), ("a=1,b@c=2", 0x301));
    assert!(server.span.links.is_empty());
    assert!(server.attribute("client.port").parse::<u16>().is_ok());
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/a/b"),
        ("url.scheme", "http"),
        ("http.route", "/a"),
        ("http.response.status_code", "200"),
        ("server.address", "gateway.test"),
        ("client.address", "127.0.0.1"),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "me/1"),
        ("http.response.body.size", "2"),
        ("portcullis.route", "letters"),
        ("portcullis.replica", "a"),
        ("portcullis.attempts", "1"),
        ("portcullis.reason", ""),
        ("error.type", ""),
    ] {
        assert_eq!(server.attribute(name), value, "{name} of {server:#?}");
    }
    assert!(!server.attribute("portcullis.request_id").is_empty());

    assert!(client.is_of(server));
    assert_eq!((&*client.span.name, client.span.kind()), ("GET", SpanKind::Client));
    assert_eq!((&*client.span.trace_state, client.span.flags), ("a=1,b@c=2", 0x101));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.full", &*format!("http://{}/a/b", upstream.address())),
        ("server.address", "127.0.0.1"),
        ("server.port", &*upstream.address().port().to_string()),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("portcullis.replica", "a"),
        ("http.request.resend_count", ""),
        ("error.type", ""),
    ] {
        assert_eq!(client.attribute(name), value, "{name} of {client:#?}");
    }
    for told in [server, client] {
        assert_eq!(code(told), StatusCode::Unset);
        assert!(told.span.start_time_unix_nano <= told.span.end_time_unix_nano);
        assert!(!format!("{told:?}").contains("secret"), "{told:#?}");
    }
    assert_eq!(seen.header("traceparent"), [client.context()]);
    assert_eq!(seen.header("tracestate"), ["a=1,b@c=2"]);
    gateway.until_metric(&spans("exported"), 2.0).await;
    let request = "GET /config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let config = exchange(gateway.admin(), request).await.body;
    assert!(config.contains("api-key") && !config.contains("the-key-of"), "{config}");
}

#[tokio::test]
async fn who_is_not_trusted_gets_a_trace_of_its_own_with_a_link() {
    let (mut collector, mut upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let more = "trusted = ['192.0.2.0/24']";
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], more));

    ask(gateway.address(), "GET /a", &[&traceparent("00"), "tracestate: a=1"]).await;
    let [server, client] = collector.told().await;
    let seen = upstream.seen().await;

    assert_ne!(hex(&server.span.trace_id), TRACE);
    assert!(server.span.parent_span_id.is_empty());
    let [link] = &*server.span.links else { panic!("{server:#?}") };
    assert_eq!((hex(&link.trace_id), hex(&link.span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert!(client.is_of(&server));
    assert_eq!(seen.header("traceparent"), [client.context()]);
    assert_eq!(seen.header("tracestate"), [""; 0]);
}

#[tokio::test]
async fn headers_that_make_no_sense_are_as_none_and_reach_nobody() {
    let (mut collector, mut upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], "trusted = 'all'"));
    let long = format!("traceparent: 00-{}", "a".repeat(20_000));
    let broken = traceparent("zz");
    let good = traceparent("01");

    for lines in [
        &[&*broken, "tracestate: a=1"][..],
        &[&long, "tracestate: a=1"],
        &[&good, &good, "tracestate: a=1"],
        &["tracestate: a=1"],
        &["traceparent: "],
    ] {
        ask(gateway.address(), "GET /a", lines).await;
        let [server, client] = collector.told().await;
        let seen = upstream.seen().await;

        assert_ne!(hex(&server.span.trace_id), TRACE, "{lines:?}");
        assert!(server.span.parent_span_id.is_empty() && server.span.links.is_empty());
        assert_eq!(seen.header("traceparent"), [client.context()]);
        assert_eq!(seen.header("tracestate"), [""; 0]);
    }
    let spoilt = ["tracestate: a=1", "tracestate: no member"];
    ask(gateway.address(), "GET /a", &[&good, spoilt[0], spoilt[1]]).await;
    let [server, _] = collector.told().await;
    let seen = upstream.seen().await;
    assert_eq!(hex(&server.span.trace_id), TRACE);
    assert_eq!(seen.header("tracestate"), [""; 0]);
}

#[tokio::test]
async fn what_is_not_sampled_is_told_to_the_replica_and_to_nobody_else() {
    let (mut collector, mut upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let more = "trusted = ['127.0.0.1']\nratio = 0";
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], more));

    ask(gateway.address(), "GET /a/none", &[]).await;
    ask(gateway.address(), "GET /a/unsampled", &[&traceparent("00"), "tracestate: a=1"]).await;
    ask(gateway.address(), "GET /a/sampled", &[&traceparent("01")]).await;
    let (none, unsampled) = (upstream.seen().await, upstream.seen().await);
    let [server, _] = collector.told().await;

    assert_eq!(server.attribute("url.path"), "/a/sampled");
    assert!(collector.is_idle());
    let none = none.header("traceparent")[0];
    assert!(none.starts_with("00-") && none.ends_with("-00") && !none.contains(TRACE), "{none}");
    let same = unsampled.header("traceparent")[0];
    assert!(same.starts_with(&format!("00-{TRACE}-")) && same.ends_with("-00"), "{same}");
    assert!(!same.contains(PARENT), "{same}");
    assert_eq!(unsampled.header("tracestate"), ["a=1"]);
}

#[tokio::test]
async fn each_attempt_is_a_span_of_its_own() {
    let (mut collector, nowhere) = (Collector::start().await, Nowhere::take());
    let mut upstream = Upstream::answering(OK).await;
    let replicas = [nowhere.address(), upstream.address()];
    let config = traced(collector.address(), &replicas, "")
        .replace("] }\n", "], failover = { order = 'round_robin' } }\n");
    let gateway = gateway(&config);

    ask(gateway.address(), "GET /a", &[]).await;
    let [server, first, second] = collector.told().await;

    assert_eq!(server.attribute("portcullis.attempts"), "2");
    assert_eq!(code(&server), StatusCode::Unset);
    assert!(first.is_of(&server) && second.is_of(&server));
    assert_eq!(first.attribute("portcullis.replica"), "a");
    assert_eq!((first.attribute("error.type"), code(&first)), ("connect", StatusCode::Error));
    assert_eq!(first.attribute("http.response.status_code"), "");
    assert_eq!(second.attribute("portcullis.replica"), "b");
    assert_eq!(second.attribute("http.request.resend_count"), "1");
    assert_eq!((second.attribute("error.type"), code(&second)), ("", StatusCode::Unset));
    assert_eq!(upstream.seen().await.header("traceparent"), [second.context()]);
}

#[tokio::test]
async fn refusals_and_failures_say_why() {
    let (mut collector, nowhere) = (Collector::start().await, Nowhere::take());
    let gateway = gateway(&traced(collector.address(), &[nowhere.address()], ""));

    get(gateway.address(), "/none").await;
    let [refused] = collector.told().await;
    get(gateway.address(), "/a").await;
    let [failed, attempt] = collector.told().await;

    assert_eq!((&*refused.span.name, code(&refused)), ("GET", StatusCode::Unset));
    assert_eq!(refused.attribute("http.response.status_code"), "404");
    assert_eq!(refused.attribute("portcullis.reason"), "no_route");
    assert_eq!((refused.attribute("http.route"), refused.attribute("error.type")), ("", ""));
    assert_eq!(code(&failed), StatusCode::Error);
    assert_eq!(failed.attribute("http.response.status_code"), "502");
    let reason = failed.attribute("portcullis.reason");
    assert_eq!((reason, failed.attribute("error.type")), ("upstream_connect", "upstream_connect"));
    assert!(attempt.is_of(&failed));
}

#[tokio::test]
async fn a_span_ends_with_the_last_byte_of_the_response() {
    let mut collector = Collector::start().await;
    let (go, gone) = watch::channel(false);
    let upstream = Upstream::serving(move |mut socket, _| {
        let mut gone = gone.clone();
        async move {
            read_request(&mut socket).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
            gone.wait_for(|gone| *gone).await.unwrap();
            socket.write_all(b"k").await.unwrap();
        }
    })
    .await;
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], ""));

    let asked = tokio::spawn(ask(gateway.address(), "GET /a", &[]));
    let client = collector.span().await;
    assert_eq!(client.span.kind(), SpanKind::Client);
    assert!(collector.is_idle());
    go.send_replace(true);
    let server = collector.span().await;

    assert_eq!(asked.await.unwrap().body, "ok");
    assert!(client.is_of(&server));
    assert!(server.span.end_time_unix_nano > client.span.end_time_unix_nano);
}

#[tokio::test]
async fn a_client_that_leaves_ends_both_spans() {
    let mut collector = Collector::start().await;
    let mut upstream = Upstream::serving(|mut socket, seen| async move {
        seen.send(read_request(&mut socket).await.unwrap()).ok();
        // Answers nothing, until it is closed.
        read_request(&mut socket).await;
    })
    .await;
    let gateway = gateway(&traced(collector.address(), &[upstream.address()], ""));

    let mut connection = Connection::open(gateway.address()).await;
    connection.write(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    upstream.seen().await;
    drop(connection);
    let [server, client] = collector.told().await;

    assert!(client.is_of(&server));
    assert_eq!((client.attribute("error.type"), code(&client)), ("cancelled", StatusCode::Error));
    assert_eq!(server.attribute("error.type"), "client_closed");
    assert_eq!(server.attribute("http.response.status_code"), "");
}

#[tokio::test]
async fn a_collector_that_is_away_keeps_nobody_from_being_served_and_what_is_lost_is_counted() {
    let (nowhere, upstream) = (Nowhere::take(), Upstream::answering(OK).await);
    let config = traced(nowhere.address(), &[upstream.address()], "queue = 4");
    let mut gateway = gateway(&config);

    while gateway.metric(&spans("crowded")).await < 10.0 {
        assert_eq!(get(gateway.address(), "/a").await.status, 200);
    }
    gateway.stop();

    // What waited is not waited for beyond one more attempt.
    assert_eq!(gateway.stopped().await, Outcome::Drained);
}

#[tokio::test]
async fn what_a_collector_could_not_take_is_delivered_again() {
    let upstream = Upstream::answering(OK).await;
    let answers = [
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ];
    let mut collector = Collector::over(Upstream::answering_in_turn(answers).await);
    let more = "interval = '1h'\nqueue = 2";
    let config =
        traced(collector.address(), &[upstream.address()], more).replace("interval = '10ms'\n", "");
    let gateway = gateway(&config);

    get(gateway.address(), "/a").await;
    let (first, again) = (collector.delivery().await.0, collector.delivery().await.0);

    assert_eq!(first.body, again.body);
    let spans = ["exported", "failed"].map(spans);
    let (exported, failed) = (&spans[0], &spans[1]);
    gateway.until_above(exported, 0.5).await;
    assert_eq!(gateway.metric(failed).await, 0.0);
}

#[tokio::test]
async fn what_a_collector_does_not_want_is_not_delivered_again() {
    let upstream = Upstream::answering(OK).await;
    // A partial success, of which one span was rejected: field 1, which has in its field 1 the number 1.
    let answers = [
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\x0a\x02\x08\x01",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ];
    let mut collector = Collector::over(Upstream::answering_in_turn(answers).await);
    let more = "interval = '1h'\nqueue = 4";
    let config =
        traced(collector.address(), &[upstream.address()], more).replace("interval = '10ms'\n", "");
    let gateway = gateway(&config);

    // Two spans are enough for a delivery where there is room for four.
    let mut bodies = Vec::new();
    for _ in 0..3 {
        get(gateway.address(), "/a").await;
        bodies.push(collector.delivery().await.0.body);
    }

    assert!(bodies[0] != bodies[1] && bodies[1] != bodies[2]);
    gateway.until_above(&spans("failed"), 0.5).await;
    gateway.until_metric(&spans("rejected"), 1.0).await;
}

#[tokio::test]
async fn what_was_told_before_the_end_is_delivered_before_the_end() {
    let (mut collector, upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let config = traced(collector.address(), &[upstream.address()], "")
        .replace("interval = '10ms'", "interval = '1h'");
    let mut gateway = gateway(&config);

    get(gateway.address(), "/a").await;
    gateway.stop();
    let outcome = gateway.stopped().await;

    assert_eq!(outcome, Outcome::Drained);
    let [server, client] = collector.told().await;
    assert!(client.is_of(&server));
}

#[tokio::test]
async fn the_access_log_says_which_trace_a_request_belongs_to() {
    let (mut collector, upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let config = traced(collector.address(), &[upstream.address()], "trusted = 'all'");
    let config = format!("workers = 1\nlistener = [{{ address = '127.0.0.1:0' }}]\n{config}");
    let (mut process, gateway, _) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;

    ask(gateway, "GET /a", &[&traceparent("01")]).await;
    let line = process.line(|line| line.contains("\"target\":\"access\"")).await;
    let [server, _] = collector.told().await;

    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"], hex(&server.span.span_id));
}

#[tokio::test]
async fn without_a_section_what_clients_say_of_traces_goes_on_as_it_is() {
    let mut upstream = Upstream::answering(OK).await;
    let config = traced(upstream.address(), &[upstream.address()], "");
    let (config, _) = config.split_once("[trace]").unwrap();
    let gateway = gateway(config);

    ask(gateway.address(), "GET /a", &["traceparent: what you like", "tracestate: a=1"]).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("traceparent"), ["what you like"]);
    assert_eq!(seen.header("tracestate"), ["a=1"]);
}

#[tokio::test]
async fn a_reload_changes_which_requests_are_traced_and_who_is_told() {
    let (mut first, mut second) = (Collector::start().await, Collector::start().await);
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let write = |collector: SocketAddr, more: &str| {
        let config = traced(collector, &[upstream.address()], more);
        let head = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n";
        fs::write(&file, format!("{head}{config}")).unwrap();
    };
    write(first.address(), "");
    let gateway = InProcess::reading(&file);
    get(gateway.address(), "/a/first").await;
    let [server, _] = first.told().await;
    assert_eq!(server.attribute("url.path"), "/a/first");

    write(second.address(), "");
    gateway.inner().reload().await.unwrap();
    get(gateway.address(), "/a/second").await;
    let [server, _] = second.told().await;
    assert_eq!(server.attribute("url.path"), "/a/second");
    assert!(first.is_idle());

    write(second.address(), "ratio = 0");
    gateway.inner().reload().await.unwrap();
    get(gateway.address(), "/a/third").await;
    write(second.address(), "ratio = 1");
    gateway.inner().reload().await.unwrap();
    get(gateway.address(), "/a/fourth").await;
    let [server, _] = second.told().await;
    assert_eq!(server.attribute("url.path"), "/a/fourth");
}

#[tokio::test]
async fn a_signature_does_not_cover_what_is_said_of_the_trace() {
    let (collector, mut upstream) = (Collector::start().await, Upstream::answering(OK).await);
    let sign = "], sigv4_sign = { service = 's3', region = 'r', credentials = 'c' } }\n";
    let config = traced(collector.address(), &[upstream.address()], "trusted = 'all'")
        .replace("] }\n", sign);
    let credentials = "credentials.c = { access_key = 'A', secret_key = 'B' }\n";
    let gateway = gateway(&format!("{credentials}{config}"));

    ask(gateway.address(), "GET /a", &[&traceparent("01"), "tracestate: a=1"]).await;
    let seen = upstream.seen().await;

    let authorization = seen.header("authorization")[0];
    assert!(authorization.contains("SignedHeaders="), "{authorization}");
    assert!(!authorization.contains("trace"), "{authorization}");
    assert_eq!(seen.header("traceparent").len(), 1);
}

#[test]
fn what_is_wrong_with_the_section_is_told_and_secrets_are_not() {
    let problems = |more: &str| {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let config = traced(address, &[address], more);
        plan(&format!("listener = [{{ address = '127.0.0.1:0' }}]\n{config}")).unwrap_err()
    };

    let ratio = problems("ratio = 1.5");
    assert!(ratio.contains("a number from 0 to 1 is needed here"), "{ratio}");
    let key = problems("ration = 1");
    assert!(key.contains("did you mean `ratio`?"), "{key}");
    let host = problems("headers = { host = 'a' }");
    assert!(host.contains("trace.headers.host: is no header"), "{host}");
    let value = problems("headers = { key = \"the\\u0000secret\" }");
    assert!(value.contains("trace.headers.key: is no value of a header"), "{value}");
    assert!(!value.contains("secret"), "{value}");
    let room = problems("queue = 9223372036854775807\nratio = 2");
    assert!(room.contains("ratio") && !room.contains("queue"), "{room}");
    let file = problems("ca_file = '/nowhere.pem'");
    assert!(file.contains("trace.ca_file: cannot read /nowhere.pem"), "{file}");
}
