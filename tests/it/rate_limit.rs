//! Limits that machines share, through a real Redis.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response};
use portcullis_rate_limit::{
    Cause, Limit, LimitPolicy, Mode, Quota, RateLimitLayer, Redis, Throttled, Wait, WhenAway,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};

use crate::peers::{installed, said};

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

/// In this case or the other: it depends on the version.
const READY: &str = "eady to accept connections";
