//! What is within a ceiling passes unchanged, and what exceeds it does not pass.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::{collections::VecDeque, pin::Pin};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use portcullis_request_guard::{
    GuardedBody, GuardedBodyError, Part, Policy, RequestGuardLayer, TooLarge,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

struct Chunks(VecDeque<String>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk.into()))))
    }
}

/// Reads a body to its end or error: what came before, and whether it was cut.
async fn read(mut body: GuardedBody<Chunks>) -> (Vec<Bytes>, bool) {
    let mut chunks = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => chunks.push(frame.into_data().unwrap()),
            Err(error) => return (chunks, error == GuardedBodyError::TooLarge),
        }
    }
    (chunks, false)
}

proptest! {
    #[test]
    fn a_body_passes_whole_or_is_cut_before_the_frame_that_exceeds(
        chunks in vec("[a-z]{0,4}", 0..6),
        limit in 0_u64..16,
    ) {
        let inner = service_fn(async |request: Request<GuardedBody<Chunks>>| {
            Ok::<_, ()>(Response::new(read(request.into_body()).await))
        });
        let layer = RequestGuardLayer::new(Policy::ceilings().max_body(limit))
            .refuse_with(|| (Vec::new(), true));
        let request = Request::new(Chunks(chunks.clone().into()));
        let response = tokio_test::block_on(layer.layer(inner).oneshot(request)).unwrap();

        let fits = chunks.concat().len() as u64 <= limit;
        prop_assert_eq!(response.status() == StatusCode::OK, fits);
        if fits {
            prop_assert_eq!(response.into_body(), (chunks.into_iter().map(Bytes::from).collect(), false));
        }
    }

    #[test]
    fn the_reader_sees_no_byte_beyond_the_ceiling(
        chunks in vec("[a-z]{0,4}", 0..6),
        limit in 0_u64..16,
    ) {
        let (mut service, mut upstream) = tower_test::mock::spawn_layer::<_, Response<()>, _>(
            RequestGuardLayer::new(Policy::ceilings().max_body(limit)),
        );
        tokio_test::assert_ready_ok!(service.poll_ready());
        drop(service.call(Request::new(Chunks(chunks.clone().into()))));
        drop(service); // or a request that is refused would be awaited for ever
        let (seen, cut) = tokio_test::block_on(async {
            let (request, _): (Request<GuardedBody<Chunks>>, _) = upstream.next_request().await.unwrap();
            read(request.into_body()).await
        });

        let mut sum = 0;
        let within = chunks.iter().take_while(|chunk| {
            sum += chunk.len() as u64;
            sum <= limit
        });
        let within: Vec<_> = within.cloned().map(Bytes::from).collect();
        prop_assert_eq!(cut, within.len() < chunks.len());
        prop_assert_eq!(seen, within);
    }

    #[test]
    fn headers_are_weighed_as_http_2_does(
        lines in vec(("[a-z]{1,8}", "[ -~]{0,8}"), 0..8),
        limit in 0_u64..400,
        count in 0_u64..8,
    ) {
        let mut request = Request::new(Chunks(VecDeque::new()));
        for (name, value) in &lines {
            let name = HeaderName::try_from(name).unwrap();
            request.headers_mut().append(name, HeaderValue::try_from(value).unwrap());
        }
        let ceilings = Policy::ceilings().max_header_block(limit).max_header_count(count);
        let inner = service_fn(async |_: Request<GuardedBody<Chunks>>| Ok::<_, ()>(Response::new(())));
        let service = RequestGuardLayer::new(ceilings).layer(inner);
        let response = tokio_test::block_on(service.oneshot(request)).unwrap();

        let weight: usize = lines.iter().map(|(name, value)| format!("{name}{value}").len() + 32).sum();
        let expected = if lines.len() as u64 > count {
            Some(Part::HeaderCount)
        } else {
            (weight as u64 > limit).then_some(Part::HeaderBlock)
        };
        prop_assert_eq!(response.extensions().get().map(TooLarge::part), expected);
    }
}
