//! One replica fails, and nobody downstream notices.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::{
    Connection, Flow, InProcess, Nowhere, Process, Relay, Response, Upstream, Way, ask, exchange,
    gateway, get, plan, read_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nFAIL";

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// For what comes by itself.
const A_WHILE: Duration = Duration::from_secs(30);

/// An upstream `u` with replicas named `a`, `b` and so on, and the route `/`.
fn over(replicas: &[SocketAddr], more: &str) -> String {
    let replicas: Vec<_> = replicas
        .iter()
        .zip(NAMES)
        .map(|(address, name)| format!("{{ name = '{name}', url = 'http://{address}' }}"))
        .collect();
    format!(
        "[upstream.u]\nreplica = [{}]\n{more}\n\
         [[route]]\npath = '/'\nname = 'all'\nupstream = 'u'\n",
        replicas.join(", ")
    )
}

fn reason(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

/// Gets a path over and over; each answer's status counts.
fn gets(to: SocketAddr, per_second: u32, path: &'static str) -> Flow {
    Flow::start(to, per_second, move || {
        format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n")
    })
}

fn only(status: u16, statuses: &BTreeMap<u16, usize>) -> bool {
    statuses.keys().all(|known| *known == status)
}

/// How often a replica was asked, whatever came of it.
async fn asked(gateway: &InProcess, replica: &str) -> f64 {
    let scrape = get(gateway.admin(), "/metrics").await.body;
    let label = format!("replica=\"{replica}\"");
    let of_it =
        |line: &&str| line.starts_with("replica_failover_attempts_total{") && line.contains(&label);
    let values = scrape.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

/// Three S3 servers, each a process with keys of its own.
struct Storages {
    processes: Vec<Process>,
    facts: Vec<BTreeMap<String, String>>,
}

impl Storages {
    async fn start() -> Self {
        let (mut processes, mut facts) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (process, known) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
            processes.push(process);
            facts.push(known);
        }
        Self { processes, facts }
    }

    fn address(&self, index: usize) -> SocketAddr {
        self.facts[index]["S3"].strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// An upstream `s3` over them, the first of them at `first`, and a route to their bucket.
    fn config(&self, first: SocketAddr, more: &str) -> String {
        let mut config = String::new();
        for (facts, name) in self.facts.iter().zip(NAMES) {
            let (access, secret) = (&facts["ACCESS_KEY"], &facts["SECRET_KEY"]);
            config += &format!(
                "credentials.{name} = {{ access_key = '{access}', secret_key = '{secret}' }}\n"
            );
        }
        config += "[upstream.s3]\n";
        config += more;
        for (index, name) in NAMES.iter().enumerate().take(self.facts.len()) {
            let address = if index == 0 { first } else { self.address(index) };
            let priority = index + 1;
            config += &format!(
                "\n[[upstream.s3.replica]]\nname = '{name}'\nurl = 'http://{address}/photos'\n\
                 priority = {priority}\n\
                 sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = '{name}' }}\n"
            );
        }
        config + "[[route]]\npath = '/photos'\nstrip_prefix = true\nupstream = 's3'\n"
    }
}

#[tokio::test]
async fn a_primary_that_is_killed_costs_not_one_get_and_is_not_asked_while_it_is_open() {
    let storages = Storages::start().await;
    let circuit = "circuit_breaker = { consecutive_failures = 3, open = { first = '1h', longest = '1h' } }\n\
        failover = { failback_after = '10ms' }";
    let gateway = gateway(&storages.config(storages.address(0), circuit));
    let mut flow = gets(gateway.address(), 300, "/photos/hello.txt");

    flow.answered(150).await;
    storages.processes[0].signal("KILL").await;
    gateway.until_metric(r#"circuit_breaker_state{name="s3/a"}"#, 1.0).await;
    flow.answered(20).await;
    let when_open = asked(&gateway, "a").await;
    flow.answered(300).await;
    let statuses = flow.end().await;

    assert!(only(200, &statuses), "{statuses:?}");
    assert!(when_open >= 100.0, "{when_open}");
    assert_eq!(asked(&gateway, "a").await, when_open);
    let gone_over =
        r#"replica_failover_failovers_total{upstream="s3",from="a",to="b",reason="connect"}"#;
    assert!(gateway.metric(gone_over).await >= 1.0);
}

#[tokio::test]
async fn a_primary_that_stops_hangs_fails_and_comes_back_costs_not_one_get() {
    let storages = Storages::start().await;
    let relay = Relay::to(storages.address(0)).await;
    let policy = "timeouts = { response_header = '1s' }\n\
        circuit_breaker = { consecutive_failures = 3, open = { first = '100ms', longest = '200ms' } }\n\
        failover = { failback_after = '50ms' }";
    let gateway = gateway(&storages.config(relay.address(), policy));
    let mut flow = gets(gateway.address(), 100, "/photos/hello.txt");
    let opened = |gateway: &InProcess| {
        let series = r#"circuit_breaker_transitions_total{name="s3/a",from="closed",to="open",reason="consecutive_failures"}"#;
        let admin = gateway.admin();
        async move { value(admin, series).await }
    };

    flow.answered(50).await;
    for breaking in ["STOP", "nowhere", "failing"] {
        let before = opened(&gateway).await;
        match breaking {
            "STOP" => storages.processes[0].signal("STOP").await,
            "nowhere" => relay.go(Way::Nowhere),
            _ => relay.go(Way::Failing),
        }
        let opens = async { while opened(&gateway).await <= before {} };
        timeout(A_WHILE, opens).await.expect(breaking);
        storages.processes[0].signal("CONT").await;
        relay.go(Way::Through);
        gateway.until_metric(r#"circuit_breaker_state{name="s3/a"}"#, 0.0).await;
        let back = asked(&gateway, "a").await;
        let returns = async { while asked(&gateway, "a").await < back + 10.0 {} };
        timeout(A_WHILE, returns).await.expect(breaking);
    }
    let statuses = flow.end().await;

    assert!(only(200, &statuses), "{statuses:?}");
}

async fn value(admin: SocketAddr, series: &str) -> f64 {
    let scrape = get(admin, "/metrics").await.body;
    let value = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// How many requests have arrived that were not told of.
fn arrivals(upstream: &mut Upstream) -> usize {
    std::iter::from_fn(|| (!upstream.saw_nothing()).then_some(())).count()
}

const POST: &str = "POST /order HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: 5\r\n\
    connection: close\r\n\r\nhello";

#[tokio::test]
async fn a_post_that_a_replica_may_have_seen_goes_nowhere_else() {
    for breaking in ["at once", "after the head", "after the body", "never", "with 500"] {
        let breaks = Upstream::serving(move |mut socket, seen| async move {
            match breaking {
                "at once" => return,
                "after the head" => {
                    let mut head = [0; 40];
                    socket.read_exact(&mut head).await.ok();
                    return;
                }
                _ => {}
            }
            let Some(request) = read_request(&mut socket).await else { return };
            seen.send(request).ok();
            match breaking {
                "never" => drop(socket.read_u8().await),
                "with 500" => socket.write_all(FAILED.as_bytes()).await.unwrap(),
                _ => {}
            }
        })
        .await;
        let mut other = Upstream::answering(OK).await;
        let limit = "timeouts = { response_header = '200ms' }";
        let gateway = gateway(&over(&[breaks.address(), other.address()], limit));

        let response = exchange(gateway.address(), POST).await;

        // Who closes at once may be found out before a byte is sent: then it is another's, once.
        let most = usize::from(breaking == "at once");
        assert!(response.status >= 500 || most == 1, "{breaking}: {response:?}");
        assert!(arrivals(&mut other) <= most, "{breaking}");
    }
}

#[tokio::test]
async fn a_post_that_no_replica_has_seen_arrives_once_and_whole() {
    let nowhere = Nowhere::take();
    let mut other = Upstream::answering(OK).await;
    let gateway = gateway(&over(&[nowhere.address(), other.address()], ""));

    let response = exchange(gateway.address(), POST).await;
    let seen = other.seen().await;

    assert_eq!((response.status, seen.body.as_slice()), (200, b"hello".as_slice()));
    assert!(other.saw_nothing());
}

#[tokio::test]
async fn a_put_that_failed_arrives_whole_at_the_next() {
    let failing = Upstream::answering(FAILED).await;
    let mut other = Upstream::answering(OK).await;
    let gateway = gateway(&over(&[failing.address(), other.address()], ""));

    let put = POST.replace("POST", "PUT");
    let response = exchange(gateway.address(), put).await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(other.seen().await.body, b"hello");
}

#[tokio::test]
async fn when_all_fail_the_upstream_has_little_more_to_bear_than_the_client_sends() {
    const SENT: usize = 200;
    let mut replicas = [Upstream::answering(FAILED).await, Upstream::answering(FAILED).await];
    let policy = "failover = { budget = { share = 20, per_second = 0 }, backoff = { base = '1ms', max = '1ms' } }\n\
        circuit_breaker = { mode = 'disabled' }";
    let addresses = [replicas[0].address(), replicas[1].address()];
    let gateway = gateway(&over(&addresses, policy));

    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..SENT {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(matches!(client.response().await.status, 500 | 502));
    }
    let borne: usize = replicas.iter_mut().map(arrivals).sum();

    assert!((SENT + 2..=SENT * 12 / 10 + 10).contains(&borne), "{borne} of {SENT}");
    let spent = r#"replica_failover_budget_exhausted_total{upstream="u"}"#;
    assert!(gateway.metric(spent).await > 0.0);
}

#[tokio::test]
async fn one_of_ten_that_fails_at_once_attracts_nothing() {
    for order in ["round_robin", "weighted", "least_request", "peak_ewma", "hash"] {
        let failing = Upstream::answering(FAILED).await;
        let mut all = vec![failing.address()];
        let mut good = Vec::new();
        for _ in 1..10 {
            good.push(Upstream::answering(OK).await);
        }
        all.extend(good.iter().map(Upstream::address));
        let gateway = gateway(&over(&all, &format!("failover = {{ order = '{order}' }}")));

        let mut client = Connection::open(gateway.address()).await;
        let mut failed = 0;
        let mut ask = async |path: usize| {
            client.write(format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            failed += usize::from(client.response().await.status != 200);
        };
        for path in 0..500 {
            ask(path).await;
        }
        let before = asked(&gateway, "a").await;
        for path in 500..1000 {
            ask(path).await;
        }
        let share = (asked(&gateway, "a").await - before) / 500.0;

        assert_eq!(failed, 0, "{order}");
        assert!(before >= 1.0, "{order}: it was never asked");
        assert!(share < 0.03, "{order}: {share}");
    }
}

/// The head of a response with bytes `from` to 9 of ten.
fn rest(from: usize, etag: &str) -> String {
    format!(
        "HTTP/1.1 206 Partial Content\r\netag: {etag}\r\ncontent-range: bytes {from}-9/10\r\n\
         content-length: {}\r\n\r\n",
        10 - from
    )
}

/// A replica that sends four of ten bytes, and then no more.
async fn breaking_off() -> Upstream {
    Upstream::serving(move |mut socket, seen| async move {
        if let Some(request) = read_request(&mut socket).await {
            seen.send(request).ok();
            let head = "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 10\r\n\r\n";
            socket.write_all(format!("{head}0123").as_bytes()).await.ok();
        }
    })
    .await
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_the_same_is() {
    let broken = breaking_off().await;
    let mut whole = Upstream::answering(rest(4, "\"x\"") + "456789").await;
    let gateway = gateway(&over(&[broken.address(), whole.address()], ""));

    let response = get(gateway.address(), "/object").await;

    assert_eq!((response.status, response.body.as_str()), (200, "0123456789"));
    let asked = whole.seen().await;
    assert_eq!(
        (asked.header("range"), asked.header("if-range")),
        (vec!["bytes=4-"], vec!["\"x\""])
    );
    let resumed = "replica_failover_resumes_total{upstream=\"u\",outcome=\"resumed\"}";
    gateway.until_metric(resumed, 1.0).await;
}

#[tokio::test]
async fn a_download_that_breaks_off_is_never_mixed_with_another() {
    let broken = breaking_off().await;
    let other = Upstream::answering(rest(4, "\"y\"") + "456789").await;
    let gateway = gateway(&over(&[broken.address(), other.address()], ""));

    let mut client = Connection::open(gateway.address()).await;
    client.write("GET /object HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let all = timeout(A_WHILE, client.rest()).await.expect("an end");

    let all = String::from_utf8(all).unwrap();
    assert!(all.ends_with("\r\n\r\n0123"), "{all}");
}

#[tokio::test]
async fn when_all_have_failed_it_is_502_and_metric_and_log_say_what_was_tried() {
    let (one, other) = (Nowhere::take(), Upstream::answering(FAILED).await);
    let config = over(&[one.address(), other.address()], "");
    let listeners = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0' }\nlog = { format = 'json' }\n";
    let program = env!("CARGO_BIN_EXE_gateway");
    let (mut process, address, admin) =
        Process::serve(program, &format!("{listeners}{config}")).await;

    let response = get(address, "/thing").await;
    let line = process.line(|line| line.contains("\"access\"")).await;

    assert_eq!(response.status, 502);
    assert_eq!(reason(&response), "all_replicas_failed");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let tried = line["tried"].as_str().unwrap();
    assert!(tried.starts_with("a: connect (") && tried.contains(", b: status 500 ("), "{tried}");
    assert_eq!(line["reason"], "all_replicas_failed");
    let admin = admin.unwrap();
    let unserved = r#"replica_failover_unserved_total{upstream="u",reason="all_replicas_failed"}"#;
    assert_eq!(value(admin, unserved).await, 1.0);
    let refused = r#"portcullis_refusals_total{route="all",reason="all_replicas_failed"}"#;
    assert_eq!(value(admin, refused).await, 1.0);
}

#[tokio::test]
async fn when_all_are_open_it_is_503_with_retry_after_in_each_voice_and_nobody_is_asked() {
    let upstreams = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let addresses = [upstreams[0].address(), upstreams[1].address()];
    let open = "circuit_breaker = { mode = 'forced_open' }";
    let keys = "credentials.k = { access_key = 'k', secret_key = 's' }\n";
    let signed = "sigv4_sign = { service = 's3', region = 'eu-west-1', credentials = 'k' }";
    let plain = gateway(&over(&addresses, open));
    let s3 = gateway(&format!("{keys}{}", over(&addresses, &format!("{open}\n{signed}"))));

    let problem = get(plain.address(), "/").await;
    let xml = get(s3.address(), "/").await;
    let grpc = ask(plain.address(), "POST /", &["content-type: application/grpc"]).await;

    assert_eq!((problem.status, problem.header("retry-after")), (503, vec!["1"]));
    assert_eq!(reason(&problem), "no_replica_available");
    assert_eq!((xml.status, xml.header("retry-after")), (503, vec!["1"]));
    assert!(xml.body.contains("<Code>ServiceUnavailable</Code>"), "{xml:?}");
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, vec!["14"]));
    for mut upstream in upstreams {
        assert!(upstream.saw_nothing());
    }
}

#[tokio::test]
async fn the_circuit_of_an_only_replica_counts_and_refuses_only_if_it_is_told_to() {
    let nowhere = Nowhere::take();
    let counting = gateway(&over(&[nowhere.address()], ""));
    let policy = "circuit_breaker = { consecutive_failures = 1, open = { first = '1h', longest = '1h', jitter = 0.0 } }";
    let refusing = gateway(&over(&[nowhere.address()], policy));

    for _ in 0..30 {
        assert_eq!(get(counting.address(), "/").await.status, 502);
    }
    let first = get(refusing.address(), "/").await;
    let second = get(refusing.address(), "/").await;

    assert_eq!(counting.metric(r#"circuit_breaker_state{name="u/a"}"#).await, 7.0);
    let failures = r#"circuit_breaker_calls_total{name="u/a",outcome="failure"}"#;
    assert_eq!(counting.metric(failures).await, 30.0);
    assert_eq!(counting.metric(r#"circuit_breaker_failure_rate{name="u/a"}"#).await, 1.0);
    assert_eq!((first.status, reason(&second).as_str()), (502, "circuit_open"));
    let wait: u32 = second.header("retry-after")[0].parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_lower_priority_is_asked_first_and_a_higher_one_when_it_fails() {
    let mut replicas = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let nowhere = Nowhere::take();
    let config = |first: SocketAddr| {
        format!(
            "[upstream.u]\nreplica = [\n\
             {{ name = 'spare', url = 'http://{}', priority = 2 }},\n\
             {{ name = 'first', url = 'http://{first}' }},\n]\n\
             [[route]]\npath = '/'\nupstream = 'u'\n",
            replicas[0].address()
        )
    };
    let (well, ill) = (config(replicas[1].address()), config(nowhere.address()));

    let asked_first = get(gateway(&well).address(), "/first").await;
    let asked_next = get(gateway(&ill).address(), "/next").await;

    assert_eq!((asked_first.status, asked_next.status), (200, 200));
    assert!(replicas[1].seen().await.line().starts_with("GET /first "));
    assert!(replicas[0].seen().await.line().starts_with("GET /next "));
}

#[tokio::test]
async fn readiness_tells_of_each_route_and_replica_by_its_circuit() {
    let (one, other) = (Upstream::answering(FAILED).await, Upstream::answering(OK).await);
    let open =
        "circuit_breaker = { consecutive_failures = 1, open = { first = '1h', longest = '1h' } }";
    let half = gateway(&over(&[one.address(), other.address()], open));
    let none = gateway(&over(&[one.address(), one.address()], open));
    let ready = async |gateway: &InProcess| {
        let response = get(gateway.admin(), "/readyz").await;
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        (response.status, body)
    };

    half.until_metric(r#"portcullis_replica_up{upstream="u",replica="b"}"#, 1.0).await;
    none.until_metric(r#"portcullis_replica_up{upstream="u",replica="b"}"#, 1.0).await;
    let (_, before) = ready(&half).await;
    get(half.address(), "/").await;
    get(none.address(), "/").await;
    let (status, degraded) = ready(&half).await;
    let (gone, unready) = ready(&none).await;

    assert_eq!(before["status"], "ready");
    assert_eq!(
        (status, &degraded["status"], &degraded["routes"]["all"]),
        (200, &"degraded".into(), &"degraded".into())
    );
    assert_eq!(degraded["upstreams"]["u"], serde_json::json!({ "a": "open", "b": "up" }));
    assert_eq!(
        (gone, &unready["status"], &unready["routes"]["all"]),
        (503, &"unready".into(), &"unready".into())
    );
}

#[test]
fn a_list_of_replicas_that_makes_no_sense_is_refused_with_its_place() {
    let a = "{ name = 'a', url = 'http://127.0.0.1:1' }";
    let b = "{ name = 'b', url = 'http://127.0.0.1:2' }";
    let heavy = "{ name = 'c', url = 'http://127.0.0.1:3', weight = 2 }";
    let upstream = |replicas: &[&str], more: &str| {
        format!("[upstream.u]\nreplica = [{}]\n{more}", replicas.join(", "))
    };
    for (config, expected) in [
        (
            upstream(&[], ""),
            "gateway.toml:2:11: upstream.u.replica: at least one replica is needed",
        ),
        (
            upstream(&[a, a], ""),
            "gateway.toml:2:65: upstream.u.replica[1].name: another replica of this upstream is named `a`, too",
        ),
        (
            upstream(&[a, heavy], ""),
            "gateway.toml:2:107: upstream.u.replica[1].weight: a weight counts only in an order that weighs: \
             \"weighted\", \"least_request\", \"peak_ewma\" or \"hash\"",
        ),
        (
            upstream(&[a], "failover = { max_attempts = 2 }"),
            "gateway.toml:3:12: upstream.u.failover: there is only one replica, so there is no other to go to",
        ),
        (
            upstream(&[a, b], "failover = { per_try = '1s' }"),
            "gateway.toml:3:12: upstream.u.failover.per_try: the time of an attempt is bounded by `timeouts`: \
             `connect`, `tls_handshake`, and `response_header`, which begins at the end of the request",
        ),
        (
            upstream(&[a, b], "circuit_breaker = { window = { calls = 5, minimum_calls = 9 } }"),
            "gateway.toml:3:30: upstream.u.circuit_breaker.window: ",
        ),
    ] {
        let listener = "\n[[listener]]\naddress = '127.0.0.1:0'\n";
        let problems = plan(&format!("{config}{listener}")).unwrap_err();

        assert!(problems.contains(expected), "{problems}");
    }
}
