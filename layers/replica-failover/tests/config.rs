//! What a configuration file may say.
#![cfg(feature = "serde")]

use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode};
use portcullis_replica_failover::{
    Backoff, FailoverPolicy, GrpcProbe, HealthCheck, Hedge, HttpProbe, InitialHealth, Order, Probe,
    Resume, RetryBudget, SlowStart,
};

fn read(file: &str) -> Result<FailoverPolicy, toml::de::Error> {
    toml::from_str(file)
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(FailoverPolicy::new()));
    assert_eq!(read("budget = {}\nbackoff = {}"), Ok(FailoverPolicy::default()));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let section = r#"
        order = "priority"
        failback_after = "10s"
        max_attempts = 3
        per_try = "20s"
        ready_within = "1s"
        statuses = [500, 502, 503, 504]
        lagging = false
        max_replay = "64KiB"
        max_drain = "64KiB"
        max_retry_after = "1s"
        backoff = { base = "25ms", max = "250ms" }
        budget = { share = 20, per_second = 10 }
        resume = "if_range"
        max_resumes = 3
    "#;

    assert_eq!(read(section), Ok(FailoverPolicy::new()));
}

#[test]
fn every_key_is_the_verb_of_its_name() {
    let section = r#"
        order = "peak_ewma"
        failback_after = "1m"
        max_attempts = 2
        per_try = "5s"
        within = "8s"
        ready_within = "0s"
        statuses = [503, 429]
        lagging = true
        idempotency_key = "Idempotency-Key"
        max_replay = 0
        max_drain = "1 MiB"
        max_retry_after = "3s"
        backoff = { base = "1ms", max = "2ms" }
        budget = { share = 0, per_second = 0 }
        limit_header = "X-Envoy-Expected-Rq-Timeout-Ms"
        hedge = { after = "50ms", percentile = 95, samples = 20, max = 2 }
        resume = "if_match"
        max_resumes = 0
    "#;
    let hedge = Hedge::after(Duration::from_millis(50))
        .percentile(95)
        .samples(NonZeroU32::new(20).unwrap())
        .max(NonZeroU32::new(2).unwrap());
    let policy = FailoverPolicy::new()
        .order(Order::PeakEwma)
        .failback_after(Duration::from_secs(60))
        .max_attempts(NonZeroU32::new(2).unwrap())
        .per_try(Duration::from_secs(5))
        .within(Duration::from_secs(8))
        .ready_within(Duration::ZERO)
        .statuses([StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS])
        .lagging()
        .idempotency_key(HeaderName::from_static("idempotency-key"))
        .max_replay(0)
        .max_drain(1 << 20)
        .max_retry_after(Duration::from_secs(3))
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(2)))
        .budget(RetryBudget::new(0, 0))
        .limit_header(HeaderName::from_static("x-envoy-expected-rq-timeout-ms"))
        .hedge(hedge)
        .resume(Resume::IfMatch)
        .max_resumes(0);

    assert_eq!(read(section), Ok(policy));
}

#[test]
fn a_hedge_needs_a_time_or_a_percentile_and_no_more() {
    let hedge = |section| read(&format!("hedge = {section}")).unwrap();
    let policy = |hedge| FailoverPolicy::new().hedge(hedge);

    let after = Hedge::after(Duration::from_millis(50));
    assert_eq!(hedge("{ after = '50ms' }"), policy(after));
    let shown = "{ percentile = 95, after = '10ms', samples = 100, max = 1 }";
    assert_eq!(hedge("{ percentile = 95 }"), hedge(shown));
    assert_eq!(hedge(shown), policy(Hedge::after(Duration::from_millis(10)).percentile(95)));
    assert_eq!(after.percentile(0), after.percentile(1));
    assert_eq!(after.percentile(255), after.percentile(99));
}

#[test]
fn every_order_has_its_name() {
    for (name, order) in [
        ("priority", Order::Priority),
        ("round_robin", Order::RoundRobin),
        ("weighted", Order::Weighted),
        ("least_request", Order::LeastRequest),
        ("peak_ewma", Order::PeakEwma),
        ("hash", Order::Hash),
    ] {
        assert_eq!(read(&format!("order = '{name}'")), Ok(FailoverPolicy::new().order(order)));
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    for (line, words) in [
        ("max_attempts = 0", "nonzero"),
        ("max_attempts = -1", "nonzero"),
        ("statuses = [200]", "a status from 400 to 599 is needed, not 200"),
        ("statuses = [600]", "a status from 400 to 599 is needed, not 600"),
        ("per_try = 20", "string"),
        ("per_try = '20'", "a duration like \"250ms\" or \"20s\" is needed here"),
        ("within = '-1s'", "a duration like"),
        ("max_replay = '64KB'", "as in \"64KiB\""),
        ("max_drain = -1", "as in \"64KiB\""),
        ("idempotency_key = 'no name'", "\"no name\" is no header name"),
        ("order = 'random'", "round_robin"),
        ("budget = { share = 256 }", "256"),
        ("budget = { percent = 20 }", "percent"),
        ("backoff = { factor = 2 }", "factor"),
        ("resume = 'always'", "if_match"),
        ("max_resumes = -1", "-1"),
        ("hedge = {}", "a hedge needs `after`, or `percentile`"),
        ("hedge = { max = 2 }", "a hedge needs `after`, or `percentile`"),
        ("hedge = { percentile = 100 }", "from 1 to 99"),
        ("hedge = { percentile = 0, after = '1s' }", "from 1 to 99"),
        ("hedge = { after = '1s', samples = 9 }", "`samples` of a hedge are of a `percentile`"),
        ("hedge = { after = 50 }", "string"),
        ("hedge = { after = '1s', max = 0 }", "nonzero"),
        ("hedge = { after = '1s', budget = 2 }", "budget"),
        ("limit_header = ''", "is no header name"),
        ("retries = 3", "retries"),
    ] {
        let error = read(line).unwrap_err();

        assert!(error.message().contains(words), "{line}: {}", error.message());
    }
}

fn health(file: &str) -> Result<HealthCheck, toml::de::Error> {
    toml::from_str(file)
}

#[test]
fn the_defaults_of_health_checks_are_those_of_the_documentation() {
    let section = r#"
        probe = "tcp"
        interval = "10s"
        fast_interval = "1s"
        time_limit = "2s"
        jitter = 10
        rise = 2
        fall = 3
        initial = "healthy"
        panic_below = 0
    "#;
    let slow = HealthCheck::default().slow_start(SlowStart::new(Duration::from_secs(30), 10));

    assert_eq!(health(""), Ok(HealthCheck::default()));
    assert_eq!(health(section), Ok(HealthCheck::default()));
    assert_eq!(health("slow_start = { over = '30s', from = 10 }"), Ok(slow.clone()));
    assert_eq!(health("slow_start = {}"), Ok(slow));
}

#[test]
fn every_key_of_health_checks_is_the_verb_of_its_name() {
    let section = r#"
        probe = { grpc = { service = "photos.v1.Photos", unimplemented_is_up = false } }
        interval = "1m"
        fast_interval = "100ms"
        time_limit = "59s"
        jitter = 100
        rise = 1
        fall = 5
        initial = "first_check"
        panic_below = 50
        slow_start = { over = "1m", from = 0 }
    "#;
    let probe = GrpcProbe::new().service("photos.v1.Photos").unimplemented_is_down();
    let check = HealthCheck::new(Probe::Grpc(probe))
        .timing(Duration::from_secs(60), Duration::from_millis(100), Duration::from_secs(59))
        .unwrap()
        .jitter(100)
        .rise(NonZeroU32::MIN)
        .fall(NonZeroU32::new(5).unwrap())
        .initial(InitialHealth::FirstCheck)
        .panic_below(50)
        .slow_start(SlowStart::new(Duration::from_secs(60), 0));

    assert_eq!(health(section), Ok(check));
}

#[test]
fn every_probe_has_its_section() {
    let path = || HttpProbe::new(PathAndQuery::from_static("/healthz?deep"));
    let full = path()
        .host(HeaderValue::from_static("photos.internal"))
        .statuses([StatusCode::OK, StatusCode::UNAUTHORIZED]);
    for (section, probe) in [
        ("'tcp'", Probe::Tcp),
        ("{ http = { path = '/healthz?deep' } }", Probe::Http(path())),
        (
            "{ http = { path = '/healthz?deep', host = 'photos.internal', statuses = [200, 401] } }",
            Probe::Http(full),
        ),
        ("{ grpc = {} }", Probe::Grpc(GrpcProbe::new())),
    ] {
        assert_eq!(health(&format!("probe = {section}")), Ok(HealthCheck::new(probe)));
    }
    let unhealthy = HealthCheck::default().initial(InitialHealth::Unhealthy);
    assert_eq!(health("initial = 'unhealthy'"), Ok(unhealthy));
}

#[test]
fn what_makes_no_sense_in_health_checks_is_refused_with_what_would() {
    for (lines, words) in [
        ("time_limit = '10s'", "more than zero and less than its interval"),
        ("time_limit = '0s'", "more than zero and less than its interval"),
        ("interval = '2s'", "more than zero and less than its interval"),
        ("fast_interval = '11s'", "no longer than the interval"),
        ("fast_interval = '9ms'", "10 ms or more"),
        ("interval = 10", "string"),
        ("jitter = 101", "at most 100, not 101"),
        ("panic_below = 101", "at most 100, not 101"),
        ("slow_start = { from = 101 }", "at most 100, not 101"),
        ("slow_start = { to = 1 }", "to"),
        ("rise = 0", "nonzero"),
        ("fall = 0", "nonzero"),
        ("initial = 'up'", "first_check"),
        ("probe = 'udp'", "udp"),
        ("probe = { http = {} }", "path"),
        ("probe = { http = { path = 'healthz' } }", "like \"/healthz\" is needed"),
        ("probe = { http = { path = '/a b' } }", "like \"/healthz\" is needed"),
        ("probe = { http = { path = '/', host = \"a\\nb\" } }", "no host"),
        ("probe = { http = { path = '/', statuses = [] } }", "at least one status"),
        ("probe = { http = { path = '/', statuses = [600] } }", "from 200 to 599"),
        ("probe = { http = { path = '/', method = 'HEAD' } }", "method"),
        ("probe = { grpc = { authority = 'a' } }", "authority"),
        ("timeout = '1s'", "timeout"),
    ] {
        let error = health(lines).unwrap_err();

        assert!(error.message().contains(words), "{lines}: {}", error.message());
    }
}
