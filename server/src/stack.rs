//! Requests read each function from top to bottom, responses from bottom to top. What a layer does
//! is its crate's business; why it stands where it stands is said here.

use std::sync::Arc;

use http::{Request, Response};
use portcullis_host_strip::HostStrip;
use portcullis_replica_failover::ReplicaFailover;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{Service, ServiceBuilder};

use crate::body::{Body, boxing, over_plain, plain};
use crate::limit::Stores;
use crate::plan::{DocumentPlan, EdgePlan, RoutePlan};
use crate::replicas::ReplicaPlan;
use crate::respond::{RefuseLayer, RespondLayer};
use crate::route::{Answer, Nothing, Routes};
use crate::seam::{Backend, Edge, OpenLayer, Replica, boxed, closing, maybe};
use crate::splice::{reading, unspliced};
use crate::telemetry::{Meters, TelemetryLayer};
use crate::tunnel::ExtendedConnectLayer;
use crate::upstream::{
    BrokenOffLayer, ByFault, Error, S3ErrorsLayer, TargetLayer, Targeted, Upstream,
};

/// In front of all routes.
#[must_use]
pub fn edge(plan: &EdgePlan, meters: Arc<Meters>, routes: Routes, stores: &Stores) -> Edge {
    Edge::new(
        ServiceBuilder::new()
            // The seam knows one type of body.
            .layer(MapResponseLayer::new(|response: Response<_>| response.map(Body::new)))
            // Who the client is: everybody below asks that, and what it says of itself is gone.
            .layer(plan.forwarded.clone())
            // The id by which all below speak of the request; it is on whatever they answer.
            .layer(plan.request_id.clone())
            // Sees everything, refused, failed and cancelled requests, too.
            .layer(TelemetryLayer::new(meters).traced_by(plan.tracer.clone()))
            // Below it nothing has words for clients; above it nothing fails.
            .layer(RespondLayer::new(routes.clone()))
            // Outside of all that takes time; below `respond`, since it may refuse, too.
            .layer(plan.drain.clone())
            // Before anything is done for a request that comes from where it may not.
            .layer(plan.let_in.clone())
            // Before anybody goes by the host: a request names one, and names the same to whoever asks.
            .layer(plan.client_host.clone())
            // What is below knows one way to ask for a tunnel, whatever the client speaks.
            .layer(ExtendedConnectLayer::default())
            // What `Connection` names is gone before anything is injected.
            .layer(plan.hop_by_hop.clone())
            // Before routing: what is too large is too large for any route, and a path is judged by what it has become.
            .layer(plan.request_guard.clone())
            .layer(MapRequestLayer::new(plain))
            // Adds a line to what a client may send, and ends what goes round in circles.
            .layer(maybe(plan.via.clone()))
            // Before routing, too: who looks for paths that are not there pays for it.
            .layer(maybe(plan.rate_limit.as_ref().map(|limits| limits.layer(stores))))
            .service(Backend::of_routes(routes)),
    )
}

/// Behind one route.
#[must_use]
pub fn backend(
    plan: &RoutePlan,
    replicas: ReplicaFailover<Replica, ByFault>,
    stores: &Stores,
) -> Backend {
    let speaks_of_failures = plan.security_headers.is_some() || plan.cors.is_some();
    ServiceBuilder::new()
        // With whatever is answered, refusals and failures included.
        .layer(maybe(plan.security_headers.clone()))
        // Before authentication: a preflight carries no credential, and a page may read why it was refused.
        .layer(maybe(plan.cors.clone()))
        // Above it, what is said of responses is said of failures, too.
        .layer(maybe(speaks_of_failures.then(RefuseLayer::default)))
        // Around all that can take time.
        .layer(maybe(plan.deadline))
        // Costs least of all that refuses.
        .layer(maybe(plan.let_in.clone()))
        // Of the tunnels that some route makes, those that this one does.
        .layer(maybe(plan.upgrade.clone()))
        // Before anyone asks who it is: what is unfit is unfit from anybody.
        .layer(closing(over_plain(plan.request_guard.clone())))
        // Before anything acts on the request; it takes off the credential that it consumed.
        .layer(maybe(plan.auth.as_ref().map(|auth| auth.layer())))
        .layer(maybe(plan.verifier.as_ref().map(|verifier| reading(verifier.layer()))))
        // After authentication: nobody takes of an allowance that is not its own.
        .layer(maybe(plan.rate_limit.as_ref().map(|limits| limits.layer(stores))))
        // Who is refused by then has no place: it is for those that the upstream works for.
        .layer(maybe(plan.concurrency_limit.clone().map(boxing)))
        // What is below sees a body as it is, not in the coding of S3's clients.
        .layer(maybe(plan.aws_chunked.map(reading)))
        // Once for a response, whichever replica it comes from, and after all that reads it on the way.
        .layer(maybe(plan.compression.clone()))
        // It reads bodies, which otherwise need not be read at all.
        .layer(maybe(plan.compression.is_some().then(|| MapRequestLayer::new(unspliced))))
        // After authentication: a client signs the path that it sends.
        .layer(maybe(plan.rewrite.clone()))
        .layer(OpenLayer)
        // Who the client is: for upstreams alone, and not counted among what it may send.
        .layer(plan.tell.clone())
        // What the upstream may trust: set or removed by the last who knows the client.
        .option_layer(plan.header_inject.clone())
        .layer(MapResponseLayer::new(|response: Response<_>| response.map(Body::new)))
        // After all that is done once for a request: the failover, below which it is done for each attempt.
        .service(replicas)
}

/// Behind a route that answers itself.
#[must_use]
pub fn answer(plan: &RoutePlan, answer: Answer, stores: &Stores) -> Backend {
    ServiceBuilder::new()
        // With whatever is answered, refusals included.
        .layer(maybe(plan.security_headers.clone()))
        // Before authentication: a preflight carries no credential.
        .layer(maybe(plan.cors.clone()))
        // Who may not pass is not told where to go, either.
        .layer(maybe(plan.let_in.clone()))
        .layer(closing(over_plain(plan.request_guard.clone())))
        .layer(maybe(plan.auth.as_ref().map(|auth| auth.layer())))
        .layer(maybe(plan.verifier.as_ref().map(|verifier| over_plain(verifier.layer()))))
        // After authentication, as in front of an upstream.
        .layer(maybe(plan.rate_limit.as_ref().map(|limits| limits.layer(stores))))
        .layer(maybe(plan.concurrency_limit.clone().map(boxing)))
        .layer(maybe(plan.compression.clone()))
        // A redirect keeps the path that an upstream would see.
        .layer(maybe(plan.rewrite.clone()))
        // What is said of a response holds for any.
        .layer(maybe(plan.header_inject.clone()))
        .layer(OpenLayer)
        .layer(MapResponseLayer::new(|response: Response<_>| response.map(Body::new)))
        .service(answer)
}

/// In place of a route: what clients read before they have a token, answered without an upstream.
#[must_use]
pub fn document(plan: &DocumentPlan) -> Backend {
    Backend::new(
        ServiceBuilder::new()
            // Leaves all but its own path to the service below, which has nothing.
            .layer(plan.metadata.clone())
            .service(Nothing::default()),
    )
}

/// In front of one replica; each attempt passes it anew.
#[must_use]
pub fn replica(plan: &ReplicaPlan) -> Replica {
    let upstream = Upstream::new(plan.connect.clone(), plan.pool, plan.timeouts, plan.large);
    if plan.signer.is_none() && !plan.is_s3 {
        return around(plan, addressed(plan, upstream));
    }
    let signed = ServiceBuilder::new()
        // Around the signer, which reads small bodies and cannot tell why one breaks off.
        .option_layer(plan.signer.is_some().then(BrokenOffLayer::default))
        // Last to touch the request: it signs what is sent.
        .option_layer(plan.signer.clone().map(|layer| boxed(over_plain(layer))))
        .service(upstream);
    let spoken = ServiceBuilder::new()
        // Around the signer, whose credentials it is that an S3 server may not know.
        .option_layer(plan.is_s3.then(|| boxed(S3ErrorsLayer::default())))
        .service(addressed(plan, signed));
    around(plan, spoken)
}

/// What counts all that becomes of an attempt.
fn around<S>(plan: &ReplicaPlan, service: S) -> Replica
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    Replica::new(
        ServiceBuilder::new()
            // The seam knows one type of body.
            .layer(MapResponseLayer::new(|response: Response<_>| response.map(Body::new)))
            // Around all that can fail, time limits included: it counts what it sees.
            .layer(plan.breaker.clone())
            .layer(MapRequestLayer::new(plain))
            .service(service),
    )
}

/// What gives a request the address of the replica.
fn addressed<S: Clone>(plan: &ReplicaPlan, service: S) -> Targeted<HostStrip<S>> {
    ServiceBuilder::new()
        // The path and the authority are the replica's from here on.
        .layer(TargetLayer::new(plan.target.clone()))
        // `Host` is derived from them, never from what the client said.
        .layer(plan.host.clone())
        .service(service)
}
