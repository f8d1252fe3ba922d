use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::Body;
use tower_service::Service;

use crate::collect::Collect;
use crate::plan::{Plan, Settled};
use crate::signer::Signer;
use crate::source::{Asking, Source};
use crate::{NotSigned, SignedBody};

/// The way to a signature that has to wait: for the body, for credentials, then for the inner service.
///
/// The service comes last, so that no slow client holds a place in it, and the signature is made when it is ready: the
/// time that is signed is the time of sending.
pub(crate) struct Preparation<S, B> {
    inner: S,
    signer: Arc<Signer>,
    clock: fn() -> SystemTime,
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
    Asked(Asking),
    Done(Credentials),
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
    pub(crate) fn new(
        inner: S,
        signer: Arc<Signer>,
        clock: fn() -> SystemTime,
        parts: Parts,
        body: B,
        plan: Plan,
    ) -> Self {
        let body = match plan {
            Plan::Known(settled) => Reading::Done(Some((SignedBody::passing(body), settled))),
            Plan::Read(limits) => Reading::Running(Collect::new(body, limits)),
        };
        Self { inner, signer, clock, parts: Some(parts), body, credentials: Obtaining::Wanted }
    }

    /// Calls the inner service. Not to be polled again after that, nor after it has stopped.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Future, Stopped<S::Error>>> {
        ready!(self.poll_body(cx))?;
        let credentials = ready!(self.poll_credentials(cx))?;
        ready!(self.inner.poll_ready(cx)).map_err(Stopped::Failed)?;

        #[expect(clippy::expect_used, reason = "taken once: the response future moves on")]
        let (mut parts, (body, settled)) = self.take_request().expect("a request to send");
        let encoder = self.signer.sign(&mut parts, &settled, &credentials, (self.clock)())?;
        Poll::Ready(Ok(self.inner.call(Request::from_parts(parts, body.encoded(encoder)))))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSigned>> {
        if let Reading::Running(collect) = &mut self.body {
            self.body = Reading::Done(Some(ready!(collect.poll(cx))?));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_credentials(&mut self, cx: &mut Context<'_>) -> Poll<Result<Credentials, NotSigned>> {
        loop {
            self.credentials = match &mut self.credentials {
                Obtaining::Wanted => match self.signer.source() {
                    Source::Fixed(credentials) => Obtaining::Done(credentials.clone()),
                    Source::Asked(provider) => {
                        let provider = Arc::clone(provider);
                        Obtaining::Asked(Box::pin(
                            async move { provider.provide_credentials().await },
                        ))
                    }
                },
                Obtaining::Asked(asking) => match ready!(asking.as_mut().poll(cx)) {
                    Ok(credentials) => Obtaining::Done(credentials),
                    Err(error) => return Poll::Ready(Err(self.signer.lacks_credentials(&error))),
                },
                Obtaining::Done(credentials) => return Poll::Ready(Ok(credentials.clone())),
            };
        }
    }

    fn take_request(&mut self) -> Option<(Parts, (SignedBody<B>, Settled))> {
        let Reading::Done(body) = &mut self.body else { return None };
        self.parts.take().zip(body.take())
    }
}
