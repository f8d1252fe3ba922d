use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_held_body::HeldBody;
use tokio::time::Instant;
use tower_service::Service;

use crate::rest::{Read, Rest};
use crate::resuming::Resuming;
use crate::{ByCause, Classify, InFlight, ReplayBody};

pin_project! {
    /// The body of a response, which goes on at another replica if it breaks off.
    ///
    /// That is for the response to a `GET` without a body, with a strong `ETag` and a known length, and only if the other
    /// replica has the very same: see [`FailoverPolicy::resume`](crate::FailoverPolicy::resume). Others are passed on as they
    /// are.
    ///
    /// What the client has been told stays true: the bytes are those of one representation, as many as the headers say, or
    /// the body ends with the error that broke it. If it ended before its time without an error, which no HTTP connection
    /// does, and is not resumed, it ends so. Trailers are passed on unless it was resumed: those of a part are not those of
    /// the whole. An error after the last byte is left out.
    ///
    /// A body that can be resumed takes one allocation, with the head of the request. Dropping it ends an attempt in hand.
    ///
    /// # Panics
    ///
    /// When polled outside of a Tokio runtime with its timer enabled, if it broke off.
    pub struct ResumeBody<S, B, P, C = ByCause>
    where
        S: Service<Request<ReplayBody<B>>>,
        P: Body,
    {
        // None while the next one is sought, and after the end.
        #[pin]
        inner: Option<HeldBody<P, InFlight>>,
        resuming: Option<Pin<Box<Resuming<S, S::Future, C>>>>,
        // What broke it last.
        error: Option<P::Error>,
    }
}

impl<S, B, P, C> ResumeBody<S, B, P, C>
where
    S: Service<Request<ReplayBody<B>>>,
    P: Body,
{
    pub(crate) const fn plain(inner: HeldBody<P, InFlight>) -> Self {
        Self { inner: Some(inner), resuming: None, error: None }
    }

    pub(crate) fn resumable(inner: HeldBody<P, InFlight>, rest: Rest<S, C>) -> Self {
        let resuming = Some(Box::pin(Resuming::new(rest)));
        Self { resuming, ..Self::plain(inner) }
    }
}

impl<S, B, P, C> Body for ResumeBody<S, B, P, C>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<P>> + Clone,
    P: Body,
    C: Classify<S::Error>,
{
    type Data = P::Data;
    type Error = P::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<P::Data>, P::Error>>> {
        let mut this = self.project();
        loop {
            let inner = this.inner.as_mut().as_pin_mut();
            let Some(resuming) = this.resuming else {
                return inner.map_or(Poll::Ready(None), |inner| inner.poll_frame(cx));
            };
            let Some(inner) = inner else {
                match ready!(resuming.as_mut().poll_body(cx)) {
                    Some((body, in_flight)) => this.inner.set(Some(held(body, in_flight))),
                    None => {
                        *this.resuming = None;
                        return Poll::Ready(this.error.take().map(Err));
                    }
                }
                continue;
            };
            let frame = ready!(inner.poll_frame(cx));
            let rest = resuming.as_mut().rest();
            let read = match &frame {
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(data) => rest.data(data.remaining()),
                    None => rest.end(false),
                },
                Some(Err(_)) => rest.end(true),
                None => rest.end(false),
            };
            match read {
                Read::Pass => return Poll::Ready(frame),
                Read::Unknown => {
                    *this.resuming = None;
                    return Poll::Ready(frame);
                }
                Read::End => {
                    this.inner.set(None);
                    *this.resuming = None;
                    return Poll::Ready(None);
                }
                Read::Broken => {
                    this.inner.set(None);
                    rest.broke(Instant::now());
                    if let Some(Err(error)) = frame {
                        *this.error = Some(error);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.resuming.as_ref().is_none_or(|resuming| resuming.left() == 0)
            && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.resuming, &self.inner) {
            (Some(resuming), _) => SizeHint::with_exact(resuming.left()),
            (None, Some(inner)) => inner.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

/// Cannot be resumed.
impl<S, B, P, C> Default for ResumeBody<S, B, P, C>
where
    S: Service<Request<ReplayBody<B>>>,
    P: Body + Default,
{
    fn default() -> Self {
        Self::plain(HeldBody::default())
    }
}

impl<S, B, P, C> fmt::Debug for ResumeBody<S, B, P, C>
where
    S: Service<Request<ReplayBody<B>>>,
    P: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.resuming.as_ref().map(|resuming| resuming.left());
        f.debug_struct("ResumeBody").field("left", &left).finish_non_exhaustive()
    }
}

fn held<P: Body>(body: P, in_flight: Option<InFlight>) -> HeldBody<P, InFlight> {
    match in_flight {
        Some(in_flight) => HeldBody::new(body, in_flight),
        None => HeldBody::free(body),
    }
}
