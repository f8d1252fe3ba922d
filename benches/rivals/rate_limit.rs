//! One client among many, and a flood of clients that come once: by our layer, by tower_governor's, and by governor's keyed
//! limiter alone.

use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use axum_8::body::Body;
use criterion::{Criterion, criterion_group, criterion_main};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use http::Request;
use http::request::Parts;
use portcullis_benches::{NoOp, call, measure};
use portcullis_rate_limit::{Limit, LimitPolicy, Quota, RateLimitLayer, by_address};
use portcullis_rivals::threads;
use tower_governor::GovernorLayer;
use tower_governor::errors::GovernorError;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_layer::Layer;
use tower_service::Service;

/// What both go by: an address in the extensions.
#[derive(Clone, Debug)]
struct Address;

impl KeyExtractor for Address {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        request.extensions().get().copied().ok_or(GovernorError::UnableToExtractKey)
    }
}

/// A network of its own for each number.
fn address(number: u64) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(u128::from(number) << 64))
}

fn request(number: u64) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(address(number));
    request
}

const fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

/// A unit each nanosecond, and more of them than a bench needs.
const PLENTY: u32 = 1_000_000_000;
const KNOWN: u64 = 10_000;

fn ours(quota: Quota) -> RateLimitLayer {
    let policy = LimitPolicy::new(quota).keys(NonZeroUsize::new(1 << 16).expect("not zero"));
    let client = by_address(|parts: &Parts| parts.extensions.get().copied());
    RateLimitLayer::new([Limit::new("client", policy).key(client)]).expect("a limit")
}

/// Measures one client after ten thousand have been there, on one thread and on two with a client each.
fn compare<S>(criterion: &mut Criterion, name: &str, allocations: u64, mut service: S)
where
    S: Service<Request<()>, Error = std::convert::Infallible> + Clone + Send,
{
    for client in 0..KNOWN {
        let _ = call(&mut service, request(client));
    }
    let both = service.clone();
    let one = || request(7);
    measure(criterion, &format!("rate_limit/{name}"), allocations, one, |it| call(&mut service, it));
    criterion.bench_function(&format!("rate_limit/{name}/threads_2"), |bencher| {
        bencher.iter_custom(|rounds| threads(&both, &[|| request(7), || request(8)], rounds));
    });
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

/// Has ten million clients come once each, and says what memory that took, and what the slowest took.
fn flood(name: &str, mut take: impl FnMut(u64) -> bool) {
    let (before, begin) = (resident(), tokio::time::Instant::now());
    let mut slowest = Duration::ZERO;
    let mut admitted = 0_u64;
    for client in 0..FLOOD {
        let begin = tokio::time::Instant::now();
        admitted += u64::from(black_box(take(black_box(client))));
        slowest = slowest.max(begin.elapsed());
    }
    let grown = resident().saturating_sub(before);
    let each = begin.elapsed().as_nanos() / u128::from(FLOOD);
    eprintln!("{name}: {FLOOD} clients, {grown} KiB, {each} ns each, the slowest {slowest:?}, {admitted} admitted");
}

fn run(criterion: &mut Criterion) {
    let quota = || Quota::per_second(number(PLENTY));
    let bare: DefaultKeyedRateLimiter<IpAddr> =
        RateLimiter::keyed(governor::Quota::per_second(number(PLENTY)));
    for client in 0..KNOWN {
        let _ = bare.check_key(&address(client));
    }
    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(PLENTY)
        .key_extractor(Address)
        .finish()
        .expect("a config");

    let nothing = NoOp::<Body>::new();
    compare(criterion, "no_layer", 0, nothing);
    compare(criterion, "ours", 0, ours(quota()).layer(nothing));
    compare(criterion, "tower_governor", 0, GovernorLayer::new(config).layer(nothing));
    measure(criterion, "rate_limit/governor", 0, || address(7), |it| bare.check_key(&it).is_ok());

    let hour = governor::Quota::per_hour(number(1));
    let bare: DefaultKeyedRateLimiter<IpAddr> = RateLimiter::keyed(hour);
    let mut service = ours(Quota::per_hour(number(1))).layer(nothing);
    flood("ours", |client| {
        let Ok(response) = call(&mut service, request(client));
        response.status() == 200
    });
    flood("governor", |client| bare.check_key(&address(client)).is_ok());
}

/// Few of them when it is only run to see that it does.
const FLOOD: u64 = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };

criterion_group!(benches, run);
criterion_main!(benches);
