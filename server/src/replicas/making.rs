use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;

use metrics::with_local_recorder;
use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy};
use portcullis_host_strip::{HostPolicy, HostStripLayer};
use portcullis_replica_failover::Replica;
use portcullis_sigv4_sign::SigV4SignLayer;
use rustls::pki_types::ServerName;

use crate::config::{HttpVersion, Pool, UpstreamTimeouts};
use crate::telemetry::{Recorder, ReplicaMeters};
use crate::upstream::{ByFault, CheckConnections, Connect, Probed, Target, check_client};

/// One replica, with the layers that belong to it alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaPlan {
    /// What it is among others, served by nobody yet.
    pub described: Replica<()>,
    /// Whether a probe found that it takes connections.
    pub probed: Arc<Probed>,
    /// Stops asking it when it fails.
    pub breaker: CircuitBreakerLayer<ByFault>,
    /// How it is addressed.
    pub target: Arc<Target>,
    /// How it is connected to.
    pub connect: Arc<Connect>,
    /// The `Host` that it sees.
    pub host: HostStripLayer,
    /// Signs, if it wants that.
    pub signer: Option<SigV4SignLayer>,
    /// Whether what it speaks is S3.
    pub is_s3: bool,
    /// How many connections are kept.
    pub pool: Pool,
    /// How long it may take.
    pub timeouts: UpstreamTimeouts,
    /// From which length on bodies of requests need not be read, as nobody looks at them or keeps any of them.
    pub large: u64,
}

/// How the replicas of one upstream are made: what they have in common.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    pub(crate) upstream: String,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// What all their certificates must say, in place of each URL's name.
    pub(crate) server_name: Option<ServerName<'static>>,
    pub(crate) host: HostPolicy,
    pub(crate) circuit: CircuitBreakerPolicy,
    pub(crate) pool: Pool,
    /// Whether others stand in for one that is left out.
    pub(crate) has_several: bool,
    /// Whether it is asked for its health.
    pub(crate) is_checked: bool,
    /// From which length on no body of a request is kept for another attempt.
    pub(crate) large: u64,
    pub(crate) recorder: Arc<Recorder>,
}

/// What a replica may have of its own.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) priority: NonZeroU8,
    pub(crate) weight: NonZeroU32,
    pub(crate) signing: Signing,
    pub(crate) http_version: HttpVersion,
    pub(crate) timeouts: UpstreamTimeouts,
}

/// How a replica's requests are signed, if they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signing {
    pub(crate) signer: Option<SigV4SignLayer>,
    pub(crate) is_s3: bool,
}

impl Making {
    pub(crate) fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The replica at this target, with a circuit that knows nothing yet.
    pub(crate) fn make(&self, target: Target, own: &Own) -> ReplicaPlan {
        let breaker = with_local_recorder(&*self.recorder, || {
            let name = format!("{}/{}", self.upstream, target.name());
            CircuitBreakerLayer::new(name, self.circuit.clone())
        });
        self.make_with(breaker.classify_with(ByFault::default()), target, own)
    }

    /// The replica at this target, with a circuit that may know it.
    pub(crate) fn make_with(
        &self,
        breaker: CircuitBreakerLayer<ByFault>,
        target: Target,
        own: &Own,
    ) -> ReplicaPlan {
        let target = Arc::new(match &self.server_name {
            Some(name) => target.certified_as(name),
            None => target,
        });
        let meters = ReplicaMeters::new(&self.upstream, &target.name(), &self.recorder);
        let host = match &self.host {
            // It says the same of each request, and need not be found out for each.
            HostPolicy::FromUri => target.host().map_or(HostPolicy::FromUri, HostPolicy::Set),
            host => host.clone(),
        };
        ReplicaPlan {
            described: self.describe(&target, &breaker, own),
            probed: Arc::new(Probed::default()),
            connect: Arc::new(Connect::new(target.clone(), own.http_version, &self.tls, meters)),
            target,
            breaker,
            host: HostStripLayer::new(host),
            signer: own.signing.signer.clone(),
            is_s3: own.signing.is_s3,
            pool: self.pool,
            timeouts: own.timeouts,
            // What is signed is read for that.
            large: if own.signing.signer.is_some() { u64::MAX } else { self.large },
        }
    }

    fn describe(
        &self,
        target: &Arc<Target>,
        breaker: &CircuitBreakerLayer<ByFault>,
        own: &Own,
    ) -> Replica<()> {
        let mut replica = Replica::new(target.name(), ());
        // The circuit of an only one says itself how long it stays open.
        if self.has_several {
            let (circuit, opened) = (breaker.handle(), breaker.handle());
            replica = replica
                .priority(own.priority.get())
                .weight(own.weight)
                .admits(move || circuit.admits())
                .admits_in(move || opened.admits_in());
        }
        if self.is_checked {
            let connect = |version| {
                let uncounted = ReplicaMeters::uncounted();
                Arc::new(Connect::new(target.clone(), version, &self.tls, uncounted))
            };
            let (usual, http2) = (connect(own.http_version), connect(HttpVersion::Http2));
            let connections = CheckConnections::new(usual, http2, own.timeouts);
            let (host, signer) = (self.host.clone(), own.signing.signer.clone());
            let client = check_client(connections.clone(), target, host, signer);
            replica = replica.probed_by(client).dialed_by(move || connections.clone().dial());
        }
        replica
    }
}
