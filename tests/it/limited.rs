//! How much of whom, and how many at once.

use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use portcullis::facts::{Facts, Peer};
use portcullis::limit::Stores;
use portcullis_tests::{
    Connection, ISSUER, InProcess, Process, Upstream, ask, echoing, gateway, get, in_an_hour, plan,
    read_request, token, upgrade,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};

use crate::reload::File;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// These limits, an upstream, and a route `/a` to it, which also says `route`.
fn config(upstream: SocketAddr, limits: &str, route: &str) -> String {
    format!(
        "{ISSUER}
         {limits}
         upstream.a = {{ replica = [{{ name = 'one', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/a', upstream = 'a', {route} }}]"
    )
}

fn bearer(subject: &str) -> String {
    format!("authorization: Bearer {}", token(&json!({ "sub": subject, "exp": in_an_hour() })))
}

async fn statuses<const N: usize>(gateway: &InProcess, paths: [&str; N]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in paths {
        statuses.push(get(gateway.address(), path).await.status);
    }
    statuses
}

const FEW: &str = "limit.few = { rate = { quota = '2/h' } }";

#[tokio::test]
async fn who_exceeds_a_limit_is_told_so_and_when_to_come_again() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&config(upstream.address(), FEW, "rate_limit = ['few']"));
    assert_eq!(statuses(&gateway, ["/a", "/a"]).await, [200, 200]);

    let refused = get(gateway.address(), "/a").await;

    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after")[0].parse().unwrap();
    assert!((1700..=1800).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("ratelimit"), [format!("\"few\";r=0;t={seconds}")]);
    assert_eq!(refused.header("ratelimit-policy"), ["\"few\";q=2;w=3600"]);
    assert_eq!(refused.header("content-type"), ["application/problem+json"]);
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["reason"], "rate_limited");
    for (series, value) in [
        (r#"portcullis_refusals_total{route="/a",reason="rate_limited"}"#, 1.0),
        (r#"rate_limit_decisions_total{limit="few",outcome="allowed"}"#, 2.0),
        (r#"rate_limit_decisions_total{limit="few",outcome="refused"}"#, 1.0),
        (r#"rate_limit_keys{limit="few"}"#, 1.0),
    ] {
        gateway.until_metric(series, value).await;
    }
}

#[tokio::test]
async fn a_client_of_s3_is_told_to_slow_down_and_one_of_grpc_when_to_come_again() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&format!(
        "limit.none = {{ rate = {{ quota = '1/h' }}, cost = {{ GET = 1 }} }}
         credentials.k = {{ access_key = 'AK', secret_key = 's' }}
         upstream.a = {{ replica = [{{ name = 'one', url = 'http://{0}' }}] }}
         [upstream.s3]
         replica = [{{ name = 'one', url = 'http://{0}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'k' }}
         [[route]]
         path = '/s3'
         upstream = 's3'
         rate_limit = ['none']
         [[route]]
         path = '/grpc'
         upstream = 'a'
         rate_limit = ['none']",
        upstream.address()
    ));
    assert_eq!(statuses(&gateway, ["/grpc"]).await, [200]);

    let s3 = get(gateway.address(), "/s3/key").await;
    let grpc = ["content-type: application/grpc", "content-length: 0"];
    let grpc = ask(gateway.address(), "POST /grpc", &grpc).await;

    assert_eq!(s3.status, 503);
    assert!(s3.body.contains("<Code>SlowDown</Code>"), "{}", s3.body);
    assert_eq!(s3.header("retry-after").len(), 1);
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, vec!["8"]));
    let pushback: u32 = grpc.header("grpc-retry-pushback-ms")[0].parse().unwrap();
    assert!(pushback > 3_000_000, "{pushback}");
}

#[tokio::test]
async fn each_principal_has_an_allowance_of_its_own() {
    let upstream = Upstream::answering(OK).await;
    let limits = "limit.who = { rate = { quota = '1/h' }, key = 'claim:sub' }";
    let route = "jwt_auth = { issuers = ['test'] }, rate_limit = ['who']";
    let gateway = gateway(&config(upstream.address(), limits, route));
    let status = async |who| ask(gateway.address(), "GET /a", &[&bearer(who)]).await.status;

    assert_eq!([status("alice").await, status("alice").await], [200, 429]);
    assert_eq!([status("bob").await, status("bob").await], [200, 429]);
}

#[tokio::test]
async fn routes_share_a_limit_that_both_name_unless_its_key_has_the_route() {
    let upstream = Upstream::answering(OK).await;
    let with = |key: &str| {
        gateway(&format!(
            "limit.l = {{ rate = {{ quota = '2/h' }}, {key} }}
             limit.more = {{ rate = {{ quota = '100/h' }} }}
             upstream.a = {{ replica = [{{ name = 'one', url = 'http://{}' }}] }}
             route = [
               {{ path = '/a', upstream = 'a', rate_limit = ['l'] }},
               {{ path = '/b', upstream = 'a', rate_limit = ['more', 'l'] }},
               {{ path = '/c', respond = {{ status = 204 }}, rate_limit = ['l'] }},
             ]",
            upstream.address()
        ))
    };

    let shared = with("key = []");
    let apart = with("key = ['route', 'address']");

    let paths = ["/a", "/b", "/c", "/b", "/a", "/c", "/b"];
    assert_eq!(statuses(&shared, paths).await, [200, 200, 429, 429, 429, 429, 429]);
    assert_eq!(statuses(&apart, paths).await, [200, 200, 204, 200, 200, 204, 429]);
    let more = r#"rate_limit_decisions_total{limit="more",outcome="allowed"}"#;
    assert_eq!((shared.metric(more).await, apart.metric(more).await), (1.0, 2.0));
}

#[tokio::test]
async fn dear_methods_cost_more_and_what_is_exempt_nothing() {
    let upstream = Upstream::answering(OK).await;
    let limits = "limit.l = { rate = { quota = '10/h', headers = 'always' }, cost = { PUT = 6 }, \
        exempt = { preflight = true, paths = ['/a/health'], methods = ['HEAD'] } }";
    let gateway = gateway(&config(upstream.address(), limits, "rate_limit = ['l']"));
    let put = async || ask(gateway.address(), "PUT /a", &["content-length: 0"]).await;

    let first = put().await;
    assert_eq!(first.status, 200);
    assert!(first.header("ratelimit")[0].starts_with("\"l\";r=4;"), "{}", first.head);
    assert_eq!(put().await.status, 429);
    assert_eq!(statuses(&gateway, ["/a", "/a/healthy", "/a", "/a", "/a"]).await[3..], [200, 429]);

    let origin = ["origin: http://b", "access-control-request-method: PUT"];
    for (what, headers) in [("OPTIONS /a", &origin[..]), ("GET /a/health/x", &[]), ("HEAD /a", &[])]
    {
        assert_eq!(ask(gateway.address(), what, headers).await.status, 200, "{what}");
    }
    assert_eq!(ask(gateway.address(), "OPTIONS /a", &origin[..1]).await.status, 429);
}

#[tokio::test]
async fn only_failed_logins_count_where_the_limit_says_so() {
    let failed = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::answering_in_turn([OK, OK, OK, failed, OK, failed, OK]).await;
    let limits =
        "limit.logins = { rate = { quota = '2/h' }, key = 'address', charge = [401, 403] }";
    let gateway = gateway(&config(upstream.address(), limits, "rate_limit = ['logins']"));

    let statuses = statuses(&gateway, ["/a"; 7]).await;

    assert_eq!(statuses, [200, 200, 200, 401, 200, 401, 429]);
}

#[tokio::test]
async fn a_shadowed_limit_shows_what_it_would_refuse() {
    let upstream = Upstream::answering(OK).await;
    let limits = "limit.l = { rate = { quota = '1/h', mode = 'shadow' } }";
    let gateway = gateway(&config(upstream.address(), limits, "rate_limit = ['l']"));

    assert_eq!(statuses(&gateway, ["/a", "/a", "/a"]).await, [200, 200, 200]);

    let shadowed = r#"rate_limit_decisions_total{limit="l",outcome="shadowed"}"#;
    gateway.until_metric(shadowed, 2.0).await;
}

#[tokio::test]
async fn who_is_early_by_little_waits_and_no_more_than_may() {
    let upstream = Upstream::answering(OK).await;
    let limits = "limit.l = { rate = { quota = '1/h', wait = { longest = '2h', waiters = 1 } } }";
    let gateway = gateway(&config(upstream.address(), limits, "rate_limit = ['l']"));
    assert_eq!(statuses(&gateway, ["/a"]).await, [200]);
    let mut waiting = Connection::open(gateway.address()).await;
    waiting.write("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    gateway.until_metric(r#"rate_limit_waiting{limit="l"}"#, 1.0).await;

    assert_eq!(statuses(&gateway, ["/a"]).await, [429]);

    drop(waiting);
    gateway.until_metric(r#"rate_limit_waiting{limit="l"}"#, 0.0).await;
}

/// An upstream whose answers end one by one, whenever the test says so.
async fn slow() -> (Upstream, mpsc::UnboundedSender<()>) {
    let (end, ends) = mpsc::unbounded_channel();
    let ends = Arc::new(Mutex::new(ends));
    let upstream = Upstream::serving(move |mut socket, seen| {
        let ends = ends.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nfirs").await.ok();
                ends.lock().await.recv().await;
                socket.write_all(b"last").await.ok();
            }
        }
    })
    .await;
    (upstream, end)
}

/// Asks for `/a`, and reads the half of the answer that comes at once.
async fn half(gateway: &InProcess, more: &str) -> Connection {
    let mut client = Connection::open(gateway.address()).await;
    client.write(format!("GET /a HTTP/1.1\r\nhost: a\r\n{more}\r\n")).await;
    let head = client.head().await;
    assert_eq!((head.status, client.take(4).await.as_slice()), (200, &b"firs"[..]));
    client
}

const UNDER_WAY: &str = r#"concurrency_limit_under_way{name="places"}"#;

#[tokio::test]
async fn n_is_n_until_the_last_byte_of_each() {
    let (upstream, end) = slow().await;
    let limits = "limit.places = { concurrency = { limit = 2 } }";
    let gateway = gateway(&config(upstream.address(), limits, "concurrency_limit = 'places'"));
    let (mut one, _other) = (half(&gateway, "").await, half(&gateway, "").await);

    let refused = get(gateway.address(), "/a").await;

    assert_eq!((refused.status, refused.header("retry-after")), (503, vec!["1"]));
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["reason"], "overloaded");
    for (series, value) in [
        (UNDER_WAY, 2.0),
        (r#"concurrency_limit_limit{name="places"}"#, 2.0),
        (r#"concurrency_limit_requests_total{name="places",outcome="full"}"#, 1.0),
        (r#"portcullis_refusals_total{route="/a",reason="overloaded"}"#, 1.0),
    ] {
        gateway.until_metric(series, value).await;
    }

    // Which of the two ends first is the upstream's business.
    end.send(()).unwrap();
    tokio::select! {
        _ = one.take(4) => {}
        () = gateway.until_metric(UNDER_WAY, 1.0) => {}
    }
    gateway.until_metric(UNDER_WAY, 1.0).await;
    let _third = half(&gateway, "").await;
    assert_eq!(gateway.metric(UNDER_WAY).await, 2.0);
}

#[tokio::test]
async fn who_leaves_in_the_middle_frees_the_place() {
    let (upstream, _end) = slow().await;
    let limits = "limit.places = { concurrency = { limit = 1 } }";
    let gateway = gateway(&config(upstream.address(), limits, "concurrency_limit = 'places'"));

    drop(half(&gateway, "").await);

    gateway.until_metric(UNDER_WAY, 0.0).await;
    drop(half(&gateway, "").await);
}

#[tokio::test]
async fn a_tunnel_has_its_place_until_it_ends() {
    let upstream = echoing("websocket").await;
    let limits = "limit.places = { concurrency = { limit = 1 } }";
    let route = "concurrency_limit = 'places', upgrade = 'websocket'";
    let gateway = gateway(&config(upstream.address(), limits, route));
    let mut tunnel = Connection::open(gateway.address()).await;
    tunnel.write(upgrade("/a", "websocket", "")).await;
    assert_eq!(tunnel.head().await.status, 101);
    tunnel.write("to and fro").await;
    assert_eq!(tunnel.take(10).await, b"to and fro");

    assert_eq!(statuses(&gateway, ["/a"]).await, [503]);
    assert_eq!(gateway.metric(UNDER_WAY).await, 1.0);

    drop(tunnel);
    gateway.until_metric(UNDER_WAY, 0.0).await;
    assert_eq!(statuses(&gateway, ["/a"]).await, [200]);
}

#[tokio::test]
async fn one_waits_for_a_place_and_the_next_is_refused() {
    let (upstream, end) = slow().await;
    let limits =
        "limit.places = { concurrency = { limit = 1, queue = { most = 1, longest = '1h' } } }";
    let gateway = gateway(&config(upstream.address(), limits, "concurrency_limit = 'places'"));
    let mut first = half(&gateway, "").await;
    let address = gateway.address();
    let second = tokio::spawn(async move { get(address, "/a").await });
    gateway.until_metric(r#"concurrency_limit_waiting{name="places"}"#, 1.0).await;

    assert_eq!(statuses(&gateway, ["/a"]).await, [503]);
    end.send(()).unwrap();
    assert_eq!(first.take(4).await, b"last");
    end.send(()).unwrap();

    assert_eq!(second.await.unwrap().body, "firslast");
}

#[tokio::test]
async fn who_waits_for_too_long_is_told_so() {
    let (upstream, _end) = slow().await;
    let limits =
        "limit.places = { concurrency = { limit = 1, queue = { most = 1, longest = '10ms' } } }";
    let gateway = gateway(&config(upstream.address(), limits, "concurrency_limit = 'places'"));
    let _first = half(&gateway, "").await;

    let late = get(gateway.address(), "/a").await;

    let problem: Value = serde_json::from_str(&late.body).unwrap();
    assert_eq!((late.status, &problem["reason"]), (503, &json!("overloaded_late")));
}

#[tokio::test]
async fn each_principal_has_places_of_its_own() {
    let (upstream, _end) = slow().await;
    let limits = "limit.places = { concurrency = { limit = 1 }, key = 'claim:sub' }";
    let route = "jwt_auth = { issuers = ['test'] }, concurrency_limit = 'places'";
    let gateway = gateway(&config(upstream.address(), limits, route));
    let _alice = half(&gateway, &format!("{}\r\n", bearer("alice"))).await;

    assert_eq!(ask(gateway.address(), "GET /a", &[&bearer("alice")]).await.status, 503);

    let _bob = half(&gateway, &format!("{}\r\n", bearer("bob"))).await;
}

#[tokio::test]
async fn a_reload_keeps_what_was_used_and_takes_the_new_quota() {
    let upstream = Upstream::answering(OK).await;
    let config = |quota: &str, route: &str| {
        let limits = format!("limit.few = {{ rate = {{ quota = '{quota}' }} }}");
        config(upstream.address(), &limits, &format!("rate_limit = ['few'], {route}"))
    };
    let file = File::new(&config("3/h", ""));
    let gateway = file.gateway();
    assert_eq!(statuses(&gateway, ["/a", "/a"]).await, [200, 200]);

    file.write(&config("3/h", "name = 'other'"));
    gateway.inner().reload().await.unwrap();
    assert_eq!(statuses(&gateway, ["/a", "/a"]).await, [200, 429]);

    file.write(&config("5/h", ""));
    gateway.inner().reload().await.unwrap();
    assert_eq!(statuses(&gateway, ["/a", "/a"]).await, [200, 200]);
    let refused = get(gateway.address(), "/a").await;
    assert_eq!(
        (refused.status, refused.header("ratelimit-policy")),
        (429, vec!["\"few\";q=5;w=3600"])
    );

    file.write(
        "limit.few = { rate = { quota = '100/h' } }\nroute = [{ path = '/', upstream = 'gone' }]",
    );
    gateway.inner().reload().await.unwrap_err();
    assert_eq!(statuses(&gateway, ["/a"]).await, [429], "what is rejected changes nothing");
}

#[test]
fn what_is_wrong_with_limits_is_said_with_its_place() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let limits = "listener = [{ address = '127.0.0.1:0' }]
         limit.few = { rate = { quota = '2/h' } }
         limit.places = { concurrency = { limit = 1 } }
         limit.who = { rate = { quota = '1/s' }, key = 'claim:sub' }
         limit.far = { rate = { quota = '1/s' }, store = 'shared' }
         store.shared = { redis = 'redis://127.0.0.1/' }";
    let told =
        |limits: &str, route: &str| plan(&config(address, limits, route)).expect_err("a mistake");
    for (route, expected) in [
        (
            "rate_limit = ['fwe']",
            "route[0].rate_limit[0]: there is no section `[limit.fwe]`; did you mean `few`?",
        ),
        ("rate_limit = ['places']", "route[0].rate_limit[0]: `[limit.places]` has no `rate`"),
        (
            "concurrency_limit = 'few'",
            "route[0].concurrency_limit: `[limit.few]` has no `concurrency`",
        ),
        (
            "concurrency_limit = 'place'",
            "there is no section `[limit.place]`; did you mean `places`?",
        ),
        (
            "rate_limit = ['who']",
            "route[0].rate_limit[0]: `who`: the route has no `jwt_auth`, and so no claims",
        ),
        ("rate_limit = ['few', 'far']", "kept in one `store`"),
        ("rate_limit = ['few', 'few']", "two limits have the same name"),
    ] {
        let told = told(limits, route);
        assert!(told.contains(expected), "{expected} in: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    for (section, expected) in [
        ("few = {}", "limit.few: exactly one of `rate` and `concurrency` is needed"),
        (
            "few = { rate = { quota = '2' } }",
            "limit.few.rate.quota: a quota like \"100/s\" or \"100/s burst 20\" is needed here",
        ),
        (
            "few = { rate = { quota = '2/s', moed = 'shadow' } }",
            "limit.few.rate.moed: unknown key `moed`; did you mean `mode`?",
        ),
        ("few = { rate = { quota = '2/s' }, key = 'addres' }", "limit.few.key: a key is made of"),
        (
            "few = { rate = { quota = '2/s' }, cost = 3 }",
            "limit.few.cost: there are never more than 2 units",
        ),
        (
            "few = { rate = { quota = '2/s' }, cost = { put = 1 } }",
            "limit.few.cost: `put` is no method",
        ),
        (
            "few = { rate = { quota = '2/s' }, store = 'shred' }",
            "there is no section `[store.shred]`; did you mean `shared`?",
        ),
        (
            "few = { rate = { quota = '2/s' }, exempt = { paths = ['a'] } }",
            "limit.few.exempt.paths: a path begins with `/`",
        ),
        (
            "few = { rate = { quota = '2/s' }, charge = [401], store = 'shared' }",
            "limit.few.charge: what is shared",
        ),
        (
            "few = { rate = { quota = '2/s' }, charge = [4010] }",
            "limit.few.charge: `4010` is no status like 401",
        ),
        (
            "few = { concurrency = { limit = 1 }, cost = 1 }",
            "`cost`, `exempt`, `charge` and `store` go with `rate`",
        ),
        (
            "few = { concurrency = { limit = 0 } }",
            "limit.few.concurrency.limit: a number of requests, or a table with min, max and latency, is needed here",
        ),
    ] {
        let told = told(&limits.replace("few = { rate = { quota = '2/h' } }", section), "");
        assert!(told.contains(expected), "{expected} in: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let edge = |name: &str| format!("{limits}\nedge.rate_limit = ['{name}']");
    let told_of_edge = told(&edge("who"), "");
    assert!(
        told_of_edge.contains("edge.rate_limit[0]: `who`: in front of the routes"),
        "{told_of_edge}"
    );
    let secret = limits.replace("redis://127.0.0.1/", "http://user:hidden@host/");
    let told = told(&secret, "");
    assert!(told.contains("store.shared.redis: a URL like") && !told.contains("hidden"), "{told}");
}

/// How many clients come, unless `PORTCULLIS_CROWD` says otherwise.
const CROWD: u64 = 100_000;

/// A client of its own network for each number.
fn address_of(number: u64) -> IpAddr {
    Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(number) << 64)).into()
}

#[tokio::test]
async fn a_crowd_of_clients_takes_no_more_memory_than_one_and_nobody_is_forgotten() {
    let crowd = std::env::var("PORTCULLIS_CROWD");
    let crowd = crowd.map_or(CROWD, |number| number.parse().expect("a number"));
    let plan = plan(
        "listener = [{ address = '127.0.0.1:0' }]
         limit.address = { rate = { quota = '3/h', keys = 8192 }, key = 'address' }
         edge.rate_limit = ['address']",
    )
    .unwrap();
    let answer = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let limits = plan.edge.rate_limit.as_ref().unwrap().layer(&Stores::default());
    let mut service = plan.edge.forwarded.layer(limits.layer(answer));
    let mut ask = async |client| {
        let mut request = Request::new(());
        let mut peer = Peer::default();
        peer.address = Some(SocketAddr::new(client, 1));
        Facts::begin(&mut request, Arc::new(peer));
        service.call(request).await.unwrap().status().as_u16()
    };
    let handle = plan.limits.rates().next().unwrap();
    let before = handle.bytes();
    assert!(before <= 8_192 * 18, "{before}");
    let spent = address_of(1 << 31);
    assert_eq!([ask(spent).await, ask(spent).await], [200, 200]);

    let mut admitted = 0_u64;
    for client in 0..crowd {
        admitted += u64::from(ask(address_of(client)).await == 200);
    }

    assert_eq!(handle.bytes(), before);
    assert_eq!((handle.keys(), handle.capacity()), (8_192, 8_192));
    // A place each, and three for each eight that have none: what any number of clients make of it, and no more.
    assert!(admitted <= 8_192 + 1_024 * 3, "{admitted}");
    assert_eq!([ask(spent).await, ask(spent).await], [200, 429], "no more and no less than before");
}

/// The last hundredth of these is slower.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// Asks on behalf of one made-up client after the other, so many at a time, and tells how many have been answered.
async fn flood(to: SocketAddr, first: u64, asked: Arc<watch::Sender<u64>>) {
    const WAVE: u64 = 64;
    let mut client = Connection::open(to).await;
    for wave in 0.. {
        let numbers = first + wave * WAVE..first + (wave + 1) * WAVE;
        let request = |number| {
            let client = address_of(number);
            format!("GET /{number} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {client}\r\n\r\n")
        };
        client.write(numbers.map(request).collect::<String>()).await;
        for _ in 0..WAVE {
            assert!([404, 429].contains(&client.response().await.status));
        }
        asked.send_modify(|asked| *asked += WAVE);
    }
}

#[tokio::test]
async fn a_flood_of_made_up_clients_takes_no_memory_and_leaves_others_served() {
    let upstream = Upstream::answering(OK).await;
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0' }}
         log.level = 'info,access=off'
         forwarded.trusted = ['127.0.0.1']
         limit.address = {{ key = 'address', rate = {{ quota = '3600/h', keys = 1024 }} }}
         edge.rate_limit = ['address']
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/a', upstream = 'a' }}]",
        upstream.address()
    );
    let (process, address, admin) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;
    let mut client = Connection::open(address).await;
    let mut ask = async || {
        let mut times = Vec::new();
        for _ in 0..200 {
            let begin = Instant::now();
            let told = "GET /a HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.1\r\n\r\n";
            client.write(told).await;
            assert_eq!(client.response().await.status, 200);
            times.push(begin.elapsed());
        }
        p99(times)
    };
    let asked = Arc::new(watch::Sender::new(0));
    let mut answered = asked.subscribe();

    let quiet = ask().await;
    let mut floods = JoinSet::new();
    for number in 0..4 {
        floods.spawn(flood(address, number << 24, asked.clone()));
    }
    answered.wait_for(|asked| *asked > 4 * 1024).await.unwrap();
    let before = process.peak_memory();
    let flooded = ask().await;
    let many = *answered.wait_for(|asked| *asked > 8 * 1024).await.unwrap();
    floods.abort_all();
    let after = process.peak_memory();
    let scrape = get(admin.unwrap(), "/metrics").await.body;

    println!(
        "p99 {quiet:?} quiet, {flooded:?} in a flood of {many} clients; {before} KiB, then {after} KiB"
    );
    let keys = "rate_limit_keys{limit=\"address\"} 1024";
    assert!(scrape.lines().any(|line| line == keys), "{scrape}");
    assert!(after < before + 4096, "{before} KiB, then {after} KiB");
}
