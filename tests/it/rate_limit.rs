//! Limits that machines share, through a real Redis.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response};
use portcullis_rate_limit::{
    Cause, Limit, LimitPolicy, Mode, Quota, RateLimitLayer, Redis, Throttled, Wait, WhenAway,
};
use portcullis_tests::{InProcess, Response as Answer, Upstream, get};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};

use crate::peers::{installed, said};
use crate::reload::File;

/// A server on a socket of its own, without a port. Dropped, it is killed.
struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path()).await;
        Self { child, folder }
    }

    async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn start_again(&mut self) {
        self.child = start(self.folder.path()).await;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn redis(&self) -> Redis {
        Redis::new(&self.url()).unwrap().time_limit(Duration::from_secs(5))
    }

    /// What `redis-cli` says.
    async fn cli(&self, arguments: &[&str]) -> String {
        let socket = self.socket();
        let arguments = [&["-s", socket.to_str().unwrap()], arguments].concat();
        said("redis-cli", &arguments, "").await
    }
}

async fn start(folder: &Path) -> Child {
    let own = installed("redis-server");
    let program = if own.exists() { own } else { "redis-server".into() };
    let mut child = Command::new(program)
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(folder.join("socket"))
        .current_dir(folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`redis-server` is not here: `tests/run` installs it");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it goes on").contains(READY) {}
    // Read on, so that it can write on.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

fn limit(name: &str, quota: &str) -> Limit {
    Limit::new(name, quota.parse::<Quota>().unwrap())
}

fn machine<const N: usize>(limits: [Limit; N], redis: Redis) -> RateLimitLayer<Redis> {
    RateLimitLayer::new(limits).unwrap().store(redis)
}

async fn ask(machine: &RateLimitLayer<Redis>) -> Response<()> {
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    machine.layer(inner).oneshot(Request::new(())).await.unwrap()
}

async fn status(machine: &RateLimitLayer<Redis>) -> u16 {
    ask(machine).await.status().as_u16()
}

#[tokio::test]
async fn machines_share_one_allowance() {
    let server = Server::start().await;
    let machines = [0, 1].map(|_| machine([limit("all", "10/h burst 10")], server.redis()));

    for request in 0..10 {
        assert_eq!(status(&machines[request % 2]).await, 200, "{request}");
    }

    for machine in &machines {
        let refused = ask(machine).await;
        assert_eq!(refused.status(), 429);
        let seconds: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=360).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers()["ratelimit"], format!("\"all\";r=0;t={seconds}"));
    }
}

#[tokio::test]
async fn a_thousand_requests_at_once_get_what_there_is_and_no_more() {
    let server = Server::start().await;
    let machines = [0, 1].map(|_| machine([limit("all", "100/h burst 100")], server.redis()));
    let requests = (0..1000).map(|request| {
        let machine = machines[request % 2].clone();
        tokio::spawn(async move { status(&machine).await })
    });
    let requests: Vec<_> = requests.collect();

    let mut admitted = 0;
    for request in requests {
        admitted += usize::from(request.await.unwrap() == 200);
    }

    assert_eq!(admitted, 100);
    // Both with a connection of their own, on which all of it went, and the one that asks.
    let clients = server.cli(&["client", "list"]).await;
    assert_eq!(clients.lines().count(), 3, "{clients}");
}

#[tokio::test]
async fn a_refusal_takes_nothing_of_the_other_limits_and_a_shadow_holds_up_nobody() {
    let server = Server::start().await;
    let shadow = LimitPolicy::new("1/h".parse().unwrap()).mode(Mode::Shadow);
    let limits = || [limit("wide", "3/h"), Limit::new("shadow", shadow.clone())];
    let wide = machine(limits(), server.redis());
    let [first, second] = limits();
    let narrow = machine([first, second, limit("narrow", "1/h")], server.redis());
    assert_eq!(status(&narrow).await, 200);

    for _ in 0..10 {
        let refused = ask(&narrow).await;
        assert_eq!(refused.extensions().get::<Throttled>().unwrap().limit(), "narrow");
    }

    assert_eq!([status(&wide).await, status(&wide).await, status(&wide).await], [200, 200, 429]);
}

#[tokio::test]
async fn names_are_of_a_fixed_size_and_go_when_the_allowance_is_whole() {
    let server = Server::start().await;
    let secret = |_: &http::request::Parts| Some("secret".into());
    let limits = [limit("client", "1/m burst 2").key(secret)];
    let machine = machine(limits, server.redis().prefix("mine"));
    assert_eq!(status(&machine).await, 200);

    let keys = server.cli(&["keys", "*"]).await;
    let key = keys.trim();

    assert!(key.starts_with("{mine}:client:") && key.len() == "{mine}:client:".len() + 32, "{key}");
    let left: u64 = server.cli(&["pttl", key]).await.trim().parse().unwrap();
    assert!((50_000..=60_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn who_is_early_by_little_waits() {
    let server = Server::start().await;
    let wait = Wait::new(Duration::from_secs(5), std::num::NonZeroUsize::new(10).unwrap());
    let policy = LimitPolicy::new("10/s burst 1".parse().unwrap()).wait(wait);
    let machine = machine([Limit::new("all", policy)], server.redis());
    let begin = Instant::now();

    for _ in 0..4 {
        assert_eq!(status(&machine).await, 200);
    }

    assert!(begin.elapsed() >= Duration::from_millis(290), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn while_it_is_away_what_is_let_through_is_what_was_configured_and_it_comes_back() {
    let mut server = Server::start().await;
    let quota = || [limit("all", "1/h")];
    let local = machine(quota(), server.redis());
    let open = machine(quota(), server.redis().when_away(WhenAway::Open));
    let closed = machine(quota(), server.redis().when_away(WhenAway::Closed));
    assert_eq!(status(&local).await, 200);
    for machine in [&local, &open, &closed] {
        assert_eq!(status(machine).await, 429, "it is one allowance");
    }

    server.stop().await;
    let statuses = async |machine| [status(machine).await, status(machine).await];
    assert_eq!(statuses(&local).await, [200, 429], "the memory of the process has one, too");
    assert_eq!(statuses(&open).await, [200, 200]);
    assert_eq!(statuses(&closed).await, [503, 503]);
    let refused = ask(&closed).await;
    assert_eq!(refused.extensions().get::<Throttled>().unwrap().cause(), Cause::StoreAway);

    // It has forgotten what it knew, which shows that it is asked again.
    server.start_again().await;
    let back = async {
        while status(&local).await != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), back).await.expect("it is asked again");
    assert_eq!(status(&local).await, 429);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let silent = UnixListener::bind(&socket).unwrap();
    let url = format!("redis+unix://{}", socket.display());
    let redis = Redis::new(&url).unwrap().time_limit(Duration::from_millis(50));
    let machine = machine([limit("all", "1/h")], redis);

    let answers = async { [status(&machine).await, status(&machine).await] };
    let answers = timeout(Duration::from_secs(60), answers).await.expect("an answer");

    assert_eq!(answers, [200, 429]);
    drop(silent);
}

/// A gateway of two workers, all of whose limits are kept at `server`.
fn sharing(server: &Server, store: &str, upstream: SocketAddr) -> InProcess {
    InProcess::start(&format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0' }}
         store.shared = {{ redis = '{}', time_limit = '10s', {store} }}
         limit.all = {{ rate = {{ quota = '6/h' }}, store = 'shared' }}
         limit.some = {{ rate = {{ quota = '1000/h' }}, store = 'shared' }}
         edge = {{ rate_limit = ['some'] }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [
           {{ path = '/a', upstream = 'a', rate_limit = ['all'] }},
           {{ path = '/b', upstream = 'a', rate_limit = ['some'] }},
         ]",
        server.url()
    ))
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn asked(gateway: &InProcess) -> u16 {
    get(gateway.address(), "/a").await.status
}

#[tokio::test]
async fn two_gateways_share_a_quota_over_one_connection_for_each_worker() {
    let server = Server::start().await;
    let upstream = Upstream::answering(OK).await;
    let gateways = [0, 1].map(|_| sharing(&server, "prefix = 'p'", upstream.address()));

    for request in 0..6 {
        assert_eq!(asked(&gateways[request % 2]).await, 200, "{request}");
    }
    for gateway in &gateways {
        let refused = get(gateway.address(), "/a").await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("ratelimit-policy"), ["\"all\";q=6;w=3600"]);
    }

    for gateway in &gateways {
        let all = (0..20).map(|_| get(gateway.address(), "/b"));
        for answer in statuses(all).await {
            assert_eq!(answer, 200);
        }
    }
    let clients = server.cli(&["client", "list"]).await;
    let count = clients.lines().count() - 1; // but for the one that asks
    assert!((2..=4).contains(&count), "{clients}");
    let keys = server.cli(&["keys", "{p}:*"]).await;
    assert_eq!(keys.lines().count(), 2, "{keys}");
}

/// The statuses of all of these, which are under way at once.
async fn statuses(
    all: impl Iterator<Item = impl Future<Output = Answer> + Send + 'static>,
) -> Vec<u16> {
    let all: Vec<_> = all.map(tokio::spawn).collect();
    let mut statuses = Vec::new();
    for one in all {
        statuses.push(one.await.unwrap().status);
    }
    statuses
}

#[tokio::test]
async fn a_gateway_whose_store_is_gone_does_as_configured_and_comes_back_by_itself() {
    let mut server = Server::start().await;
    let upstream = Upstream::answering(OK).await;
    let gateways = ["local", "open", "closed"].map(|when| {
        let store = format!("when_away = '{when}', prefix = '{when}'");
        (when, sharing(&server, &store, upstream.address()))
    });
    for (when, gateway) in &gateways {
        assert_eq!(asked(gateway).await, 200, "{when}");
    }

    server.stop().await;
    for (when, gateway) in &gateways {
        let mut statuses = Vec::new();
        for _ in 0..8 {
            statuses.push(asked(gateway).await);
        }
        let expected = match *when {
            "local" => [vec![200; 6], vec![429; 2]].concat(),
            "open" => vec![200; 8],
            _ => vec![503; 8],
        };
        assert_eq!(statuses, expected, "{when}");
        let away = format!("rate_limit_store_away_total{{answer=\"{when}\"}}");
        assert!(gateway.metric(&away).await >= 8.0, "{when}");
    }
    let (_, closed) = &gateways[2];
    let refused = r#"portcullis_refusals_total{route="none",reason="rate_limit_store_away"}"#;
    assert_eq!(closed.metric(refused).await, 8.0);

    server.start_again().await;
    for (when, gateway) in &gateways {
        let away = format!("rate_limit_store_away_total{{answer=\"{when}\"}}");
        let back = async {
            // Until a request passes without it counting as away.
            loop {
                let before = gateway.metric(&away).await;
                let status = asked(gateway).await;
                if gateway.metric(&away).await == before {
                    return status;
                }
            }
        };
        let status = timeout(Duration::from_secs(60), back).await.expect("it is asked again");
        assert!([200, 429].contains(&status), "{when}: {status}");
    }
}

#[tokio::test]
async fn a_reload_keeps_the_connections_to_a_store() {
    let server = Server::start().await;
    let upstream = Upstream::answering(OK).await;
    let config = |route: &str| {
        format!(
            "store.shared = {{ redis = '{}', time_limit = '10s' }}
             limit.all = {{ rate = {{ quota = '1000/h' }}, store = 'shared' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/a', upstream = 'a', rate_limit = ['all'], {route} }}]",
            server.url(),
            upstream.address()
        )
    };
    let file = File::new(&config(""));
    let gateway = file.gateway();
    let connections = async || {
        for _ in 0..20 {
            assert_eq!(asked(&gateway).await, 200);
        }
        let info = server.cli(&["info", "stats"]).await;
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    let before = connections().await;

    for name in ["one", "two", "three"] {
        file.write(&config(&format!("name = '{name}'")));
        gateway.inner().reload().await.unwrap();
    }

    // This question is one, too; and the second worker may have had none to ask before.
    let after = connections().await;
    assert!(after - before <= 2, "{before} {after}");
}

/// In this case or the other: it depends on the version.
const READY: &str = "eady to accept connections";
