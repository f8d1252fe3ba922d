use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::Body;
use tower_service::Service;

use crate::collect::Collect;
use crate::credential_store::Landing;
use crate::plan::{Plan, Settled};
use crate::signer::Signer;
use crate::{NotSigned, SignedBody};

/// The way to a signature that has to wait: for the body, for credentials, then for the inner service.
///
/// The service comes last, so that no slow client holds a place in it, and the signature is made when it is ready: the
/// time that is signed is the time of sending.
pub(crate) struct Preparation<S, B> {
    inner: S,
    signer: Arc<Signer>,
    parts: Option<Parts>,
    body: Reading<B>,
    credentials: Obtaining,
}

enum Reading<B> {
    Running(Collect<B>),
    Done(Option<(SignedBody<B>, Settled)>),
}

enum Obtaining {
    Wanted,
    Asked(Landing),
    Done,
}

/// Why the inner service was not called.
pub(crate) enum Stopped<E> {
    Refused(NotSigned),
    Failed(E),
}

impl<E> From<NotSigned> for Stopped<E> {
    fn from(reason: NotSigned) -> Self {
        Self::Refused(reason)
    }
}

impl<S, B> Preparation<S, B>
where
    S: Service<Request<SignedBody<B>>>,
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(inner: S, signer: Arc<Signer>, parts: Parts, body: B, plan: Plan) -> Self {
        let body = match plan {
            Plan::Known(settled) => Reading::Done(Some((SignedBody::passing(body), settled))),
            Plan::Read(limits) => Reading::Running(Collect::new(body, limits)),
        };
        Self { inner, signer, parts: Some(parts), body, credentials: Obtaining::Wanted }
    }

    /// Calls the inner service. Not to be polled again after that, nor after it has stopped.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Future, Stopped<S::Error>>> {
        ready!(self.poll_body(cx))?;
        ready!(self.poll_credentials(cx))?;
        ready!(self.inner.poll_ready(cx)).map_err(Stopped::Failed)?;

        #[expect(clippy::expect_used, reason = "taken once: the response future moves on")]
        let (mut parts, (body, settled)) = self.take_request().expect("a request to send");
        // They may have expired while the service was not ready.
        let signed = self.signer.sign(&mut parts, &settled);
        let encoder = signed.unwrap_or_else(|| Err(self.signer.lacks_credentials(None)))?;
        Poll::Ready(Ok(self.inner.call(Request::from_parts(parts, body.encoded(encoder)))))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSigned>> {
        if let Reading::Running(collect) = &mut self.body {
            self.body = Reading::Done(Some(ready!(collect.poll(cx))?));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_credentials(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSigned>> {
        loop {
            self.credentials = match &mut self.credentials {
                Obtaining::Wanted if self.signer.has_credentials_at_hand() => Obtaining::Done,
                Obtaining::Wanted => match self.signer.source().ask() {
                    Ok(landing) => Obtaining::Asked(landing),
                    Err(_) => return Poll::Ready(Err(self.signer.lacks_credentials(None))),
                },
                // One answer is waited for, and no more.
                Obtaining::Asked(landing) => {
                    ready!(landing.as_mut().poll(cx));
                    if !self.signer.has_credentials_at_hand() {
                        return Poll::Ready(Err(self.signer.lacks_credentials(None)));
                    }
                    Obtaining::Done
                }
                Obtaining::Done => return Poll::Ready(Ok(())),
            };
        }
    }

    fn take_request(&mut self) -> Option<(Parts, (SignedBody<B>, Settled))> {
        let Reading::Done(body) = &mut self.body else { return None };
        self.parts.take().zip(body.take())
    }
}
