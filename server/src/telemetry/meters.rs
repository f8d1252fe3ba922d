use std::sync::{Arc, OnceLock};
use std::time::Duration;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::lifecycle::State;
use crate::upstream::Phase;
use http::{Method, StatusCode};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram, with_local_recorder,
};

use super::Recorder;

/// What is counted of the gateway as a whole. The handles are made once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Meters {
    /// Requests from their first header to their last byte.
    pub in_flight: Gauge,
    /// Tunnels that are open.
    pub tunnels: Gauge,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were accepted.
    pub accepted: Counter,
    /// How often none could be accepted.
    pub accept_errors: Counter,
    /// What no route is found for.
    pub unrouted: RouteMeters,
    /// Where the gateway is in its life: one is 1, the others 0.
    state: [Gauge; State::NAMES.len()],
    /// What has come of reading the file again.
    pub reloads: ReloadMeters,
}

/// What is counted of configurations.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReloadMeters {
    generation: Gauge,
    success: Gauge,
    timestamp: Gauge,
    applied: Counter,
    rejected: Counter,
}

impl ReloadMeters {
    fn new() -> Self {
        let reloads = |outcome| counter!("portcullis_reloads_total", "outcome" => outcome);
        Self {
            generation: gauge!("portcullis_config_generation"),
            success: gauge!("portcullis_config_last_reload_success"),
            timestamp: gauge!("portcullis_config_last_reload_timestamp_seconds"),
            applied: reloads("applied"),
            rejected: reloads("rejected"),
        }
    }

    /// The configuration with this number is in use since a time.
    pub(crate) fn took(&self, generation: u64, time: SystemTime) {
        #[expect(clippy::cast_precision_loss, reason = "nobody reloads for 2^53 times")]
        self.generation.set(generation as f64);
        if generation > 1 {
            self.applied.increment(1);
        }
        self.tried(true, time);
    }

    /// A configuration could not be used at a time.
    pub(crate) fn rejected(&self, time: SystemTime) {
        self.rejected.increment(1);
        self.tried(false, time);
    }

    fn tried(&self, success: bool, time: SystemTime) {
        self.success.set(f64::from(u8::from(success)));
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.timestamp.set(time.as_secs_f64());
    }
}

impl Meters {
    /// Describes all that is measured, and makes the handles of what has no labels.
    #[must_use]
    pub fn new(recorder: &Arc<Recorder>) -> Self {
        with_local_recorder(&**recorder, || {
            describe();
            gauge!("portcullis_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            Self {
                in_flight: gauge!("portcullis_requests_in_flight"),
                tunnels: gauge!("portcullis_tunnels_open"),
                connections: gauge!("portcullis_connections_open"),
                accepted: counter!("portcullis_connections_total"),
                accept_errors: counter!("portcullis_accept_errors_total"),
                unrouted: RouteMeters::new("none", recorder),
                state: State::NAMES.map(|name| gauge!("portcullis_state", "state" => name)),
                reloads: ReloadMeters::new(),
            }
        })
    }

    /// Says where the gateway is in its life.
    pub(crate) fn is_in(&self, state: State) {
        for (name, gauge) in State::NAMES.iter().zip(&self.state) {
            gauge.set(f64::from(u8::from(*name == state.name())));
        }
    }
}

fn describe() {
    describe_gauge!("portcullis_info", "The version that runs, as a label.");
    describe_gauge!("portcullis_requests_in_flight", "Requests whose last byte has not left yet.");
    describe_gauge!(
        "portcullis_tunnels_open",
        "Requests that have become tunnels, and whose tunnels are open."
    );
    describe_gauge!("portcullis_connections_open", "Client connections that are open.");
    describe_counter!("portcullis_connections_total", "Client connections that were accepted.");
    describe_counter!(
        "portcullis_connection_errors_total",
        "Client connections that ended in an error, by what it was."
    );
    describe_counter!(
        "portcullis_accept_errors_total",
        "How often no connection could be accepted, mostly for want of a descriptor."
    );
    describe_histogram!(
        "portcullis_worker_lag_seconds",
        Unit::Seconds,
        "How late a worker is for what is due, measured twice in a second."
    );
    describe_counter!(
        "portcullis_tls_reloads_total",
        "How often files of TLS changed, by whether they could be used."
    );
    describe_gauge!(
        "portcullis_tls_certificate_expiry_timestamp_seconds",
        Unit::Seconds,
        "When a certificate of a listener ends, since 1970, by its file."
    );
    describe_counter!("portcullis_requests_total", "Requests, by what was answered.");
    describe_histogram!(
        "portcullis_request_duration_seconds",
        Unit::Seconds,
        "From a request's arrival to the last byte of its response."
    );
    describe_histogram!(
        "portcullis_response_start_seconds",
        Unit::Seconds,
        "From a request's arrival to the headers of its response."
    );
    describe_counter!(
        "portcullis_request_body_bytes_total",
        Unit::Bytes,
        "Bytes of request bodies."
    );
    describe_counter!(
        "portcullis_response_body_bytes_total",
        Unit::Bytes,
        "Bytes of response bodies."
    );
    describe_counter!(
        "portcullis_refusals_total",
        "Requests that were refused, failed or cut off, by the reason."
    );
    describe_counter!(
        "portcullis_nominations_ignored_total",
        "Headers that `Connection` named and that were left alone, by direction and why."
    );
    describe_headers();
    describe_counter!(
        "portcullis_upstream_failures_total",
        "Attempts that gave no response, by how far they came."
    );
    describe_counter!(
        "portcullis_upstream_connections_total",
        "Connections that were opened to replicas."
    );
    describe_replicas();
    describe_failover();
    describe_signing();
    describe_limits();
    describe_ids();
    describe_counter!(
        "jwt_auth_key_set_refreshes_total",
        "How often an issuer was asked for its keys, by what came of it."
    );
    describe_counter!(
        "jwt_auth_unknown_keys_total",
        "Tokens that no key of their issuer's set is for."
    );
    describe_gauge!("jwt_auth_keys", "Keys of an issuer's set, usable and skipped.");
    describe_gauge!(
        "jwt_auth_key_set_timestamp_seconds",
        Unit::Seconds,
        "When an issuer last sent or confirmed its set, since 1970."
    );
    describe_gauge!("portcullis_state", "1 for the state that the gateway is in, as a label.");
    describe_gauge!(
        "portcullis_config_generation",
        "The number of the configuration in use: 1 at the start, and one more for each reload."
    );
    describe_gauge!(
        "portcullis_config_last_reload_success",
        "Whether the configuration could be used when it was last read."
    );
    describe_gauge!(
        "portcullis_config_last_reload_timestamp_seconds",
        Unit::Seconds,
        "When the configuration was last read, since 1970."
    );
    describe_counter!(
        "portcullis_reloads_total",
        "How often the configuration was read again, by what came of it."
    );
    describe_counter!(
        "portcullis_admin_changes_total",
        "Changes that were asked for at the admin listener, by what came of it."
    );
    describe_counter!(
        "portcullis_log_lines_dropped_total",
        "Lines of the log of this process that standard output did not take, or not in time."
    );
    describe_counter!(
        "portcullis_spans_total",
        "Spans of requests, by what became of them: `exported`, `rejected` by the collector, `failed` to be delivered, or `crowded` out, since there was no room."
    );
    describe_gauge!(
        "portcullis_drain_phase",
        "0 ready, 1 lingering, 2 draining, 3 forced, 4 done."
    );
}

fn describe_headers() {
    describe_counter!(
        "host_strip_headers_removed_total",
        "Headers that were taken off between two hops, by direction and why."
    );
    describe_counter!(
        "host_strip_rejected_total",
        "Messages that were refused for their host or their `Connection`, by the reason."
    );
    describe_counter!(
        "host_strip_ignored_total",
        "Requests that named no host or two, and went on as `client_host` has it."
    );
    describe_counter!("header_inject_applied_total", "Rules for headers that acted, by the verb.");
    describe_counter!(
        "header_inject_skipped_total",
        "Rules for headers that did not act, by the reason."
    );
}

fn describe_replicas() {
    describe_gauge!(
        "portcullis_replica_up",
        "Whether a replica is healthy, or takes connections where its health is not asked."
    );
    describe_gauge!("portcullis_replica_active", "Whether requests go to a replica now.");
    describe_histogram!(
        "portcullis_replica_response_start_seconds",
        Unit::Seconds,
        "From an attempt at a replica to the headers of its response."
    );
    describe_counter!("health_check_total", "Checks of a replica's health, by what they found.");
    describe_gauge!("health_state", "Whether a replica has requests, as far as its health goes.");
    describe_counter!(
        "portcullis_discoveries_total",
        "How often replicas were looked up by their name, by what came of it."
    );
    describe_gauge!("portcullis_replicas_discovered", "How many replicas a name stands for.");
}

fn describe_failover() {
    describe_counter!(
        "replica_failover_attempts_total",
        "Attempts at a replica, by what came of them: `ok`, or why it failed."
    );
    describe_counter!(
        "replica_failover_failovers_total",
        "Requests that went from one replica to another, by why."
    );
    describe_counter!(
        "replica_failover_unserved_total",
        "Requests that no replica's answer was passed on for, by why."
    );
    describe_counter!(
        "replica_failover_budget_exhausted_total",
        "Requests that would have gone to a replica that failed lately, if there had been budget."
    );
    describe_gauge!(
        "replica_failover_replay_buffer_bytes",
        Unit::Bytes,
        "What is kept of request bodies for another attempt."
    );
    describe_counter!(
        "replica_failover_resumes_total",
        "Requests for the rest of a response that broke off, by what came of them."
    );
    describe_counter!(
        "replica_failover_hedges_total",
        "Requests sent to a second replica while the first had not answered, by what came of it, or why they were not."
    );
    describe_gauge!(
        "circuit_breaker_state",
        "0 closed, 1 open, 2 half open, 3 ramping up, 4 forced open, 5 forced closed, 6 disabled, 7 only counting."
    );
    describe_counter!(
        "circuit_breaker_calls_total",
        "Calls of a circuit's replica, by outcome: `success`, `failure`, `neutral`, `rejected`, `stale`."
    );
    describe_counter!("circuit_breaker_transitions_total", "Changes of a circuit's state.");
    describe_gauge!("circuit_breaker_failure_rate", "The share of a circuit's calls that failed.");
    describe_gauge!("circuit_breaker_slow_rate", "The share of a circuit's calls that were slow.");
}

fn describe_limits() {
    describe_counter!(
        "rate_limit_decisions_total",
        "Requests under a limit: `allowed`, `delayed`, `refused`, `shadowed`, `exempt`, or `unavailable` where the store was away."
    );
    describe_counter!("rate_limit_missing_keys_total", "Requests without a key for a limit.");
    describe_counter!(
        "rate_limit_crowded_total",
        "Requests whose key found no place of its own among those of a limit, and shared one."
    );
    describe_counter!(
        "rate_limit_evictions_total",
        "Places of a limit that were given to another key, once the allowance was whole."
    );
    describe_counter!(
        "rate_limit_store_away_total",
        "Requests that the store of their limits was away for, by what was done instead."
    );
    describe_gauge!("rate_limit_keys", "Keys that have a place with a limit.");
    describe_gauge!("rate_limit_waiting", "Requests that wait for a limit.");
    describe_counter!(
        "concurrency_limit_requests_total",
        "Requests under a limit of how many: `admitted`, `full`, or `late`, which waited too long."
    );
    describe_gauge!(
        "concurrency_limit_under_way",
        "Requests of a limit whose last byte has not left yet, and its tunnels."
    );
    describe_gauge!("concurrency_limit_waiting", "Requests that wait for a place.");
    describe_gauge!("concurrency_limit_limit", "How many may be under way, as it is now.");
}

fn describe_ids() {
    describe_counter!(
        "request_id_total",
        "Ids of requests, by where they are from: `generated`, `accepted`, `invalid`, `untrusted`."
    );
}

fn describe_signing() {
    describe_counter!(
        "sigv4_sign_requests_total",
        "Requests to sign, by what was signed of the body and what became of them."
    );
    describe_counter!(
        "sigv4_credentials_refresh_total",
        "How often credentials were asked for, by what came of it."
    );
    describe_gauge!(
        "sigv4_credentials_expiry_seconds",
        Unit::Seconds,
        "When the credentials expire, since 1970."
    );
    describe_gauge!(
        "sigv4_clock_skew_seconds",
        Unit::Seconds,
        "What is added to this machine's time to have the service's."
    );
}

/// What is counted of one replica.
#[derive(Clone)]
pub struct ReplicaMeters {
    opened: Counter,
    failed: [Counter; Phase::ALL.len()],
    start: Histogram,
    up: Gauge,
    active: Gauge,
}

impl ReplicaMeters {
    /// Makes the handles of `replica`, one of those of `upstream`.
    #[must_use]
    pub fn new(upstream: &str, replica: &str, recorder: &Arc<Recorder>) -> Self {
        let labels = [("upstream", upstream.to_owned()), ("replica", replica.to_owned())];
        with_local_recorder(&**recorder, || Self {
            opened: counter!("portcullis_upstream_connections_total", &labels),
            failed: Phase::ALL.map(|phase| {
                let [upstream, replica] = labels.clone();
                let labels = [upstream, replica, ("phase", phase.name().to_owned())];
                counter!("portcullis_upstream_failures_total", &labels)
            }),
            start: histogram!("portcullis_replica_response_start_seconds", &labels),
            up: gauge!("portcullis_replica_up", &labels),
            active: gauge!("portcullis_replica_active", &labels),
        })
    }

    /// Counts nothing, for what is no replica.
    #[must_use]
    pub fn uncounted() -> Self {
        Self {
            opened: Counter::noop(),
            failed: std::array::from_fn(|_| Counter::noop()),
            start: Histogram::noop(),
            up: Gauge::noop(),
            active: Gauge::noop(),
        }
    }

    /// Counts a connection.
    pub fn opened(&self) {
        self.opened.increment(1);
    }

    /// Counts an attempt that gave no response.
    pub fn failed(&self, phase: Phase) {
        if let Some(counter) = self.failed.get(phase as usize) {
            counter.increment(1);
        }
    }

    /// Measures how long an attempt took to the headers of the response.
    pub fn started(&self, took: Duration) {
        self.start.record(took);
    }

    /// Says whether requests go there now.
    pub fn active(&self, active: bool) {
        self.active.set(f64::from(u8::from(active)));
    }

    /// Says what a probe found.
    pub fn up(&self, up: bool) {
        self.up.set(f64::from(u8::from(up)));
    }
}

impl std::fmt::Debug for ReplicaMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplicaMeters")
    }
}

/// What is counted of one route.
pub struct RouteMeters {
    name: String,
    path: Option<String>,
    recorder: Arc<Recorder>,
    duration: Histogram,
    start: Histogram,
    received: Counter,
    sent: Counter,
    /// Made when first needed, by method and status: the labels stay bounded, and no request looks a
    /// handle up by its labels twice.
    answered: [OnceLock<Box<Answered>>; METHODS.len() + 1],
}

type Answered = [OnceLock<Counter>; 500];

/// Any other method is `other`, since clients may invent them.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
    Method::CONNECT,
];

impl RouteMeters {
    /// Makes the handles of the route `name`.
    #[must_use]
    pub fn new(name: &str, recorder: &Arc<Recorder>) -> Self {
        let route = || name.to_owned();
        with_local_recorder(&**recorder, || Self {
            name: route(),
            path: None,
            recorder: recorder.clone(),
            duration: histogram!("portcullis_request_duration_seconds", "route" => route()),
            start: histogram!("portcullis_response_start_seconds", "route" => route()),
            received: counter!("portcullis_request_body_bytes_total", "route" => route()),
            sent: counter!("portcullis_response_body_bytes_total", "route" => route()),
            answered: std::array::from_fn(|_| OnceLock::new()),
        })
    }

    /// Says which path all its requests begin with.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub(super) const fn duration(&self) -> &Histogram {
        &self.duration
    }

    pub(super) const fn start(&self) -> &Histogram {
        &self.start
    }

    pub(super) const fn received(&self) -> &Counter {
        &self.received
    }

    pub(super) const fn sent(&self) -> &Counter {
        &self.sent
    }

    pub(super) fn answered(&self, method: &Method, status: StatusCode) {
        let row = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let cell = usize::from(status.as_u16()).checked_sub(100);
        let count = || {
            let method = METHODS.get(row).map_or("other", Method::as_str);
            with_local_recorder(&*self.recorder, || {
                counter!(
                    "portcullis_requests_total",
                    "route" => self.name.clone(), "method" => method.to_owned(), "status" => status.as_str().to_owned()
                )
            })
        };
        let row = self
            .answered
            .get(row)
            .map(|row| row.get_or_init(|| Box::new([const { OnceLock::new() }; 500])));
        match row.and_then(|row| row.get(cell?)) {
            Some(cell) => cell.get_or_init(count).increment(1),
            None => count().increment(1), // a status beyond 599, which no standard has
        }
    }

    pub(super) fn refused(&self, reason: &'static str) {
        with_local_recorder(&*self.recorder, || {
            counter!("portcullis_refusals_total", "route" => self.name.clone(), "reason" => reason)
                .increment(1);
        });
    }
}

impl std::fmt::Debug for RouteMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteMeters").field("name", &self.name).finish_non_exhaustive()
    }
}
