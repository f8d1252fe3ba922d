//! When the value is let go.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use portcullis_held_body::HeldBody;
use proptest::prelude::*;

/// A body that follows a script, and may or may not announce its end.
#[derive(Debug)]
struct Script {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    announces: bool,
}

impl Script {
    fn new(frames: impl IntoIterator<Item = Result<Frame<Bytes>, &'static str>>) -> Self {
        Self { frames: frames.into_iter().collect(), announces: false }
    }

    fn announcing(self) -> Self {
        Self { announces: true, ..self }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.announces && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frames.len() as u64)
    }
}

fn data(bytes: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

fn trailers() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::trailers(http::HeaderMap::new()))
}

fn held(body: &HeldBody<Script, Rc<()>>, value: &Rc<()>) -> bool {
    assert_eq!(body.held().is_some(), Rc::strong_count(value) == 2);
    body.held().is_some()
}

#[tokio::test]
async fn the_value_is_held_between_frames_and_let_go_at_the_end() {
    let value = Rc::new(());
    let mut body = HeldBody::new(Script::new([data("a"), data("b")]), value.clone());

    body.frame().await;
    body.frame().await;
    assert!(held(&body, &value));

    assert!(body.frame().await.is_none());
    assert!(!held(&body, &value));
}

#[tokio::test]
async fn an_announced_end_is_enough() {
    let value = Rc::new(());
    let mut body = HeldBody::new(Script::new([data("a"), data("b")]).announcing(), value.clone());

    body.frame().await;
    assert!(held(&body, &value));
    body.frame().await;
    assert!(!held(&body, &value));
}

#[tokio::test]
async fn trailers_and_errors_are_the_end() {
    for last in [trailers(), Err("broken")] {
        let value = Rc::new(());
        let mut body = HeldBody::new(Script::new([last]), value.clone());

        assert!(held(&body, &value));
        body.frame().await;
        assert!(!held(&body, &value));
    }
}

#[test]
fn a_body_that_is_never_polled_lets_go_when_it_is_empty_or_dropped() {
    let value = Rc::new(());
    let empty = HeldBody::new(Empty::<Bytes>::new(), value.clone());
    assert!(empty.held().is_none());

    let body = HeldBody::new(Script::new([data("a")]), value.clone());
    assert!(held(&body, &value));
    drop(body);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_free_body_holds_nothing() {
    assert!(HeldBody::<_, ()>::free(Script::new([data("a")])).held().is_none());
    assert!(HeldBody::<Empty<Bytes>, ()>::default().held().is_none());
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<HeldBody<Empty<Bytes>, ()>>();
}

fn frames() -> impl Strategy<Value = Vec<Result<Frame<Bytes>, &'static str>>> {
    let frame = prop_oneof![
        8 => "[a-z]{0,8}".prop_map(Ok),
        1 => Just(Err("broken")),
    ];
    (proptest::collection::vec(frame, 0..8), any::<bool>()).prop_map(|(frames, trailing)| {
        let mut frames: Vec<_> =
            frames.into_iter().map(|frame| frame.map(|text| Frame::data(text.into()))).collect();
        if trailing {
            frames.push(trailers());
        }
        frames
    })
}

fn copy(frame: &Result<Frame<Bytes>, &'static str>) -> Result<Frame<Bytes>, &'static str> {
    match frame {
        Ok(frame) if frame.is_data() => Ok(Frame::data(frame.data_ref().unwrap().clone())),
        Ok(_) => trailers(),
        Err(error) => Err(error),
    }
}

proptest! {
    #[test]
    fn nothing_of_the_inner_body_is_changed(frames in frames(), announces: bool) {
        let script = || Script { frames: frames.iter().map(copy).collect(), announces };
        let (mut plain, mut body) = (script(), HeldBody::new(script(), ()));
        tokio_test::block_on(async {
            loop {
                prop_assert_eq!(plain.is_end_stream(), body.is_end_stream());
                prop_assert_eq!(plain.size_hint().exact(), body.size_hint().exact());
                let (expected, seen) = (plain.frame().await, body.frame().await);
                prop_assert_eq!(format!("{expected:?}"), format!("{seen:?}"));
                if expected.is_none() {
                    return Ok(());
                }
            }
        })?;
    }
}
