//! Replicas are the addresses of a name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portcullis_tests::{
    Answer, InProcess, NameServer, Process, Upstream, exchange, gateway, get, plan, read_request,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{A_WHILE, reason};

const GET: &str = "GET /thing HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n";

fn address(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

fn addresses(last: &[u8], ttl: u32) -> Answer {
    Answer::Addresses(last.iter().map(|last| address(*last)).collect(), ttl)
}

/// Servers at 127.0.0.1, 127.0.0.2 and so on, all at one port: each says the last number of its address, once it is let.
struct Pool {
    servers: Vec<Upstream>,
    gates: Vec<Arc<Semaphore>>,
}

impl Pool {
    async fn of(count: u8) -> Self {
        let (mut servers, mut gates) = (Vec::new(), Vec::new());
        let mut port = 0;
        for last in 1..=count {
            let listener = TcpListener::bind(SocketAddr::new(address(last), port)).await.unwrap();
            port = listener.local_addr().unwrap().port();
            let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
            gates.push(gate.clone());
            servers.push(Upstream::listening(listener, move |mut socket, seen| {
                let gate = gate.clone();
                async move {
                    while let Some(request) = read_request(&mut socket).await {
                        seen.send(request).ok();
                        let _permit = gate.acquire().await;
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{last}");
                        if socket.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            }));
        }
        Self { servers, gates }
    }

    fn port(&self) -> u16 {
        self.servers[0].address().port()
    }

    /// An upstream `u` whose replicas `names` knows.
    fn config(&self, names: &NameServer, more: &str) -> String {
        format!(
            "[upstream.u]\n\
             discover = {{ dns = 'http://pool.test:{}/base', resolver = '{}', {more} }}\n\
             [[route]]\npath = '/'\nname = 'all'\nupstream = 'u'\n",
            self.port(),
            names.address()
        )
    }
}

const COUNT: &str = "portcullis_replicas_discovered{upstream=\"u\"}";

fn looked_up(outcome: &str) -> String {
    format!("portcullis_discoveries_total{{upstream=\"u\",outcome=\"{outcome}\"}}")
}

/// Asks until a server says this.
async fn until_said(gateway: &InProcess, last: &str) {
    let said = async { while get(gateway.address(), "/").await.body != last {} };
    timeout(A_WHILE, said).await.expect("its turn");
}

async fn standings(gateway: &InProcess) -> serde_json::Value {
    let response = get(gateway.admin(), "/readyz").await;
    let mut body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    body["upstreams"]["u"].take()
}

#[tokio::test]
async fn each_address_of_a_name_is_a_replica_and_they_take_turns() {
    let mut pool = Pool::of(2).await;
    let names = NameServer::saying(addresses(&[2, 1, 2], 3600)).await;
    let gateway = gateway(&pool.config(&names, ""));
    until_said(&gateway, "2").await;

    let mut said = String::new();
    for _ in 0..4 {
        said += &get(gateway.address(), "/thing").await.body;
    }

    assert_eq!(said, "1212");
    assert_eq!(gateway.metric(COUNT).await, 2.0);
    let known: Vec<_> = standings(&gateway).await.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, ["dns-1", "dns-2"]);
    for name in ["u/dns-1", "u/dns-2"] {
        let calls = format!("circuit_breaker_calls_total{{name=\"{name}\",outcome=\"success\"}}");
        assert!(gateway.metric(&calls).await >= 2.0, "{name}");
    }
    let mut seen = pool.servers[0].seen().await;
    while seen.line() != "GET /base/thing HTTP/1.1" {
        seen = pool.servers[0].seen().await;
    }
    assert_eq!(seen.header("host"), [format!("pool.test:{}", pool.port())]);
    assert_eq!(names.asked(), 1, "the answer is good for an hour");
}

#[tokio::test]
async fn an_address_that_goes_finishes_what_it_has_and_one_that_comes_is_asked() {
    let pool = Pool::of(3).await;
    let names = NameServer::saying(addresses(&[2], 0)).await;
    let gateway = gateway(&pool.config(&names, ""));
    until_said(&gateway, "2").await;
    pool.gates[1].forget_permits(Semaphore::MAX_PERMITS);
    let held = tokio::spawn(exchange(gateway.address(), GET));
    gateway.until_metric("portcullis_requests_in_flight", 1.0).await;

    names.say(addresses(&[1, 3], 0));
    gateway.until_metric(COUNT, 2.0).await;
    until_said(&gateway, "1").await;
    let mut said = String::new();
    for _ in 0..4 {
        said += &get(gateway.address(), "/").await.body;
    }
    let gone = standings(&gateway).await;
    pool.gates[1].add_permits(1);
    let held = held.await.unwrap();

    assert_eq!(said, "3131");
    assert_eq!((held.status, held.body.as_str()), (200, "2"));
    let known: Vec<_> = gone.as_object().unwrap().keys().collect();
    assert_eq!(known, ["dns-2", "dns-3"], "a name is not given to another at once");
}

#[tokio::test]
async fn the_last_good_replicas_stay_when_the_name_server_fails_and_log_and_metric_say_so() {
    let pool = Pool::of(1).await;
    let names = NameServer::saying(addresses(&[1], 0)).await;
    let config = format!(
        "workers = 1\nlistener = [{{ address = '127.0.0.1:0' }}]\n\
         admin = {{ address = '127.0.0.1:0' }}\nlog = {{ format = 'json' }}\n{}",
        pool.config(&names, "")
    );
    let program = env!("CARGO_BIN_EXE_gateway");
    let (mut process, to, admin) = Process::serve(program, &config).await;
    let admin = admin.unwrap();
    let found = process.line(|line| line.contains("\"replica discovered\"")).await;
    assert!(
        found.contains("\"replica\":\"dns-1\"") && found.contains("\"address\":\"127.0.0.1\""),
        "{found}"
    );

    for answer in [Answer::Failure, Answer::NoSuchName, addresses(&[], 0)] {
        let failed = super::value(admin, &looked_up("failed")).await;
        names.say(answer);
        let fails = async { while super::value(admin, &looked_up("failed")).await <= failed {} };
        timeout(A_WHILE, fails).await.expect("a failure");
        assert_eq!(get(to, "/").await.body, "1");
    }
    let failed = process.line(|line| line.contains("\"replicas cannot be discovered\"")).await;
    assert!(failed.contains("\"WARN\"") && failed.contains("\"kept\":1"), "{failed}");
    names.say(addresses(&[1], 0));
    process.line(|line| line.contains("\"replicas can be discovered again\"")).await;
}

#[tokio::test]
async fn round_robin_over_nothing_is_an_error_answer() {
    let pool = Pool::of(1).await;
    let names = NameServer::saying(Answer::NoSuchName).await;
    let gateway = gateway(&pool.config(&names, ""));
    gateway.until_above(&looked_up("failed"), 0.0).await;

    let response = get(gateway.address(), "/").await;
    let readiness = get(gateway.admin(), "/readyz").await;

    assert_eq!((response.status, reason(&response).as_str()), (503, "no_replica_available"));
    assert_eq!(readiness.status, 503);
    names.say(addresses(&[1], 3600));
    until_said(&gateway, "1").await;
}

#[tokio::test]
async fn more_addresses_than_may_be_are_not_used() {
    let pool = Pool::of(1).await;
    let names = NameServer::saying(addresses(&[1, 2, 3, 4, 5], 3600)).await;
    let gateway = gateway(&pool.config(&names, "max_replicas = 2"));

    gateway.until_metric(COUNT, 2.0).await;
}

#[tokio::test]
async fn a_replica_that_is_discovered_is_checked_and_a_gone_one_is_not() {
    let pool = Pool::of(2).await;
    let names = NameServer::saying(addresses(&[1, 2], 0)).await;
    let check = "health_check = { probe = { http = { path = '/' } }, interval = '2s', fast_interval = '20ms', time_limit = '1900ms', rise = 99 }\n";
    let config = pool.config(&names, "").replacen("discover", &format!("{check}discover"), 1);
    let gateway = gateway(&config);
    let checked = |name: &str| {
        format!("health_check_total{{upstream=\"u\",replica=\"{name}\",outcome=\"ok\"}}")
    };
    gateway.until_above(&checked("dns-2"), 0.0).await;

    names.say(addresses(&[1], 0));
    gateway.until_metric(COUNT, 1.0).await;
    let connections = async || {
        let before = gateway.metric(&checked("dns-1")).await;
        gateway.until_above(&checked("dns-1"), before + 5.0).await;
        pool.servers[1].connections()
    };
    // One that had begun may still come.
    connections().await;
    let before = connections().await;
    assert_eq!(connections().await, before);
}

#[test]
fn what_cannot_be_discovered_is_refused_with_its_place() {
    for (lines, expected) in [
        ("", "upstream.u: `replica`, or `discover`, is needed"),
        (
            "replica = [{ name = 'a', url = 'http://a' }]\ndiscover = { dns = 'http://a' }",
            "gateway.toml:3:12: upstream.u.discover: replicas are listed, or discovered, but not both",
        ),
        (
            "discover = { dns = 'http://127.0.0.1:80' }",
            "gateway.toml:2:12: upstream.u.discover: `127.0.0.1` is an address, and not a name",
        ),
        (
            "discover = { dns = 'a.example' }",
            "gateway.toml:2:20: upstream.u.discover.dns: a URL like",
        ),
        ("discover = { dns = 'http://a', resolver = '1.1.1.1' }", "an address with its port"),
        ("discover = { dns = 'http://a', max_replicas = 0 }", "upstream.u.discover.max_replicas"),
        ("discover = { srv = 'a' }", "upstream.u.discover"),
    ] {
        let listener = "\n[[listener]]\naddress = '127.0.0.1:0'\n";
        let problems = plan(&format!("[upstream.u]\n{lines}{listener}")).unwrap_err();

        assert!(problems.contains(expected), "{problems}");
    }
}

#[test]
fn a_list_that_is_discovered_has_others_to_go_to() {
    let listener = "\n[[listener]]\naddress = '127.0.0.1:0'\n";
    let upstream = "[upstream.u]\ndiscover = { dns = 'http://a' }\nfailover = { max_attempts = 2 }";

    let plan = plan(&format!("{upstream}{listener}")).unwrap();

    assert!(!plan.upstreams["u"].is_ordered);
}
