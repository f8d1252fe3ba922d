use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, EmptyBody};
use tower_service::Service;

use crate::live::Live;
use crate::{ByCause, Classify, ReplayBody, Replicas, ResponseFuture, ResumeBody};

/// Sends each request to a replica, and to the next one when that fails; see [`ReplicaFailoverLayer`](crate::ReplicaFailoverLayer).
///
/// It is always ready: which replica is asked depends on the request. Each attempt readies a clone of its replica's service
/// first, and holds no other. Cloning it costs one count.
pub struct ReplicaFailover<S, C = ByCause, R = DefaultBody> {
    live: Arc<Live<S>>,
    classify: C,
    empty: R,
}

impl<S, C, R> ReplicaFailover<S, C, R> {
    pub(crate) const fn new(live: Arc<Live<S>>, classify: C, empty: R) -> Self {
        Self { live, classify, empty }
    }

    /// Its list of replicas, to be replaced.
    #[must_use]
    pub fn replicas(&self) -> Replicas<S> {
        Replicas::new(self.live.clone())
    }
}

impl<S, C, R, ReqBody, ResBody> Service<Request<ReqBody>> for ReplicaFailover<S, C, R>
where
    S: Service<Request<ReplayBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    C: Classify<S::Error> + Clone,
    R: EmptyBody<ResBody> + Clone,
    ReqBody: Body<Data = Bytes>,
    ResBody: Body,
{
    type Response = Response<ResumeBody<S, ReqBody, ResBody, C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody, C, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let set = self.live.current();
        ResponseFuture::new(set, self.classify.clone(), self.empty.clone(), request)
    }
}

impl<S, C: Clone, R: Clone> Clone for ReplicaFailover<S, C, R> {
    fn clone(&self) -> Self {
        Self::new(self.live.clone(), self.classify.clone(), self.empty.clone())
    }
}

impl<S, C, R> fmt::Debug for ReplicaFailover<S, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaFailover").field("replicas", &self.live).finish_non_exhaustive()
    }
}
