use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body::{Body, SizeHint};

use crate::ReplayBody;
use crate::kept::Kept;
use crate::meters::Gauge;
use crate::replay_body::{Reader, Reading};
use crate::wakers::Wakers;

/// What is kept of a request body between attempts.
///
/// Dropping it says that no attempt will follow: what is kept is let go once it is read.
pub(crate) enum Replay<B> {
    Empty,
    /// For the one attempt there is.
    Once(Option<B>),
    Shared(Arc<Shared<B>>),
}

/// What the attempts share: one allocation.
pub(crate) struct Shared<B> {
    state: Mutex<State<B>>,
    pub(crate) hint: SizeHint,
}

pub(crate) struct State<B> {
    pub(crate) source: Source<B>,
    pub(crate) kept: Kept,
    /// The id of the next reader.
    pub(crate) next: u64,
    /// Readers before this one are cut off, and those after that one.
    oldest: u64,
    newest: u64,
    pub(crate) readers: usize,
    pub(crate) wakers: Wakers,
}

/// The client's own body.
pub(crate) enum Source<B> {
    Here(B),
    /// A reader polls it this very moment.
    Away,
    Ended,
    Broken,
}

impl<B: Body<Data = Bytes>> Replay<B> {
    /// Keeps up to `cap` bytes of `body` once they are read.
    pub(crate) fn new(body: B, cap: u64, gauge: Gauge) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let hint = body.size_hint();
        // What cannot be kept whole is not kept at all.
        let cap = if hint.lower() > cap { 0 } else { cap };
        let state = State {
            source: Source::Here(body),
            kept: Kept::new(usize::try_from(cap).unwrap_or(usize::MAX), gauge),
            next: 0,
            oldest: 0,
            newest: u64::MAX,
            readers: 0,
            wakers: Wakers::default(),
        };
        Self::Shared(Arc::new(Shared { state: Mutex::new(state), hint }))
    }
}

impl<B> Replay<B> {
    /// The body for one more attempt, from its first byte.
    ///
    /// Earlier attempts may go on reading it, until they are cut off.
    pub(crate) fn attempt(&mut self) -> ReplayBody<B> {
        ReplayBody::new(match self {
            Self::Empty => Reading::Empty,
            Self::Once(body) => body.take().map_or(Reading::Cut, Reading::Whole),
            Self::Shared(shared) => Reading::Shared(Reader::new(shared.clone())),
        })
    }

    /// Takes the body away from all attempts so far, and tells whether another can have the whole of it.
    pub(crate) fn cut_off(&self) -> bool {
        if let Self::Shared(shared) = self {
            let mut state = shared.lock();
            state.oldest = state.next;
            wake(state);
        }
        self.is_whole()
    }

    /// Takes the body away from all attempts but one: no other will follow.
    pub(crate) fn leave_to(&self, reader: u64) {
        if let Self::Shared(shared) = self {
            let mut state = shared.lock();
            (state.oldest, state.newest) = (reader, reader);
            wake(state);
        }
    }

    /// Whether another attempt can have the whole of the body.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(body) => body.is_some(),
            Self::Shared(shared) => {
                let state = shared.lock();
                state.kept.is_whole() && !matches!(state.source, Source::Broken)
            }
        }
    }

    /// Whether the client's body broke off: no replica is to blame for what follows.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Empty | Self::Once(_) => false,
            Self::Shared(shared) => matches!(shared.lock().source, Source::Broken),
        }
    }
}

impl<B> Drop for Replay<B> {
    fn drop(&mut self) {
        if let Self::Shared(shared) = self {
            shared.lock().kept.close();
        }
    }
}

impl<B> State<B> {
    pub(crate) fn is_cut_off(&self, reader: u64) -> bool {
        !(self.oldest..=self.newest).contains(&reader)
    }
}

impl<B> Shared<B> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<B>> {
        // Nothing panics halfway through a change here, so a poisoned lock guards nothing broken.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes all who wait, without the lock: a waker may drop what it wakes, and that a reader of the same body.
pub(crate) fn wake<B>(mut state: MutexGuard<'_, State<B>>) {
    let wakers = mem::take(&mut state.wakers);
    drop(state);
    wakers.wake();
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use http::{HeaderMap, HeaderValue};
    use http_body::Frame;
    use proptest::prelude::*;
    use tokio_test::task::{Spawn, spawn};
    use tokio_test::{assert_pending, assert_ready};

    use super::*;
    use crate::replay_body::Polled;
    use crate::shared::{Settings, Shared};
    use crate::{FailoverPolicy, ReplayBodyError};

    /// A client's body: frames, pauses, errors.
    #[derive(Debug, Default)]
    struct Upload {
        steps: VecDeque<Step>,
        hint: SizeHint,
        waker: Arc<Mutex<Option<Waker>>>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Data(Vec<u8>),
        Trailers,
        Pause,
        Break,
    }

    impl Upload {
        fn of(steps: impl IntoIterator<Item = Step>) -> Self {
            Self { steps: steps.into_iter().collect(), ..Self::default() }
        }

        fn exactly(mut self, bytes: u64) -> Self {
            self.hint = SizeHint::with_exact(bytes);
            self
        }
    }

    impl Body for Upload {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<&'static str> {
            let frame = match self.steps.pop_front() {
                Some(Step::Data(data)) => Frame::data(Bytes::from(data)),
                Some(Step::Trailers) => Frame::trailers(trailers()),
                Some(Step::Break) => return Poll::Ready(Some(Err("broken"))),
                Some(Step::Pause) => {
                    *self.waker.lock().unwrap() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                None => return Poll::Ready(None),
            };
            Poll::Ready(Some(Ok(frame)))
        }

        fn is_end_stream(&self) -> bool {
            self.steps.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            self.hint
        }
    }

    fn trailers() -> HeaderMap {
        HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("7"))])
    }

    fn data(text: &str) -> Step {
        Step::Data(text.into())
    }

    fn replay(upload: Upload, cap: u64) -> Replay<Upload> {
        let shared = Shared::new(Settings::new(FailoverPolicy::default()));
        Replay::new(upload, cap, shared.meters.kept())
    }

    type Attempt = Spawn<ReplayBody<Upload>>;

    fn attempt(replay: &mut Replay<Upload>) -> Attempt {
        spawn(replay.attempt())
    }

    fn poll(attempt: &mut Attempt) -> Polled<ReplayBodyError<&'static str>> {
        attempt.enter(|cx, body| body.poll_frame(cx))
    }

    fn text(attempt: &mut Attempt) -> String {
        let frame = assert_ready!(poll(attempt)).unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    fn error(attempt: &mut Attempt) -> ReplayBodyError<&'static str> {
        assert_ready!(poll(attempt)).unwrap().unwrap_err()
    }

    /// What is left of a body, its trailers included; pauses are passed over.
    fn rest(
        attempt: &mut Attempt,
    ) -> Result<(Vec<u8>, Option<HeaderMap>), ReplayBodyError<&'static str>> {
        let (mut bytes, mut trailers) = (Vec::new(), None);
        loop {
            match poll(attempt) {
                Poll::Pending => {}
                Poll::Ready(None) => return Ok((bytes, trailers)),
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => bytes.extend(data),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
            }
        }
    }

    #[test]
    fn a_body_that_was_not_read_is_handed_on_whole_whatever_its_size() {
        let mut replay = replay(Upload::of([data("large"), Step::Trailers]).exactly(5), 0);

        drop(attempt(&mut replay));

        assert!(replay.cut_off());
        assert_eq!(rest(&mut attempt(&mut replay)), Ok((b"large".to_vec(), Some(trailers()))));
    }

    #[test]
    fn an_empty_body_can_be_sent_again_and_again() {
        let mut replay = replay(Upload::default(), 0);

        assert!(attempt(&mut replay).is_end_stream());
        assert!(replay.cut_off());
        assert!(attempt(&mut replay).is_end_stream());
    }

    #[test]
    fn a_body_within_the_cap_is_read_again_and_goes_on_where_the_client_is() {
        let mut replay = replay(Upload::of([data("ab"), data("cd"), data("ef")]), 6);

        assert_eq!(text(&mut attempt(&mut replay)), "ab");
        assert!(replay.cut_off());
        let mut second = attempt(&mut replay);

        assert_eq!((text(&mut second), text(&mut second)), ("ab".into(), "cd".into()));
        assert_eq!(text(&mut second), "ef");
        assert!(second.is_end_stream());
    }

    #[test]
    fn a_body_beyond_the_cap_cannot_be_sent_again_once_read_past() {
        let mut replay = replay(Upload::of([data("abc"), data("de"), data("f")]), 4);
        let mut only = attempt(&mut replay);

        assert_eq!(text(&mut only), "abc");
        assert!(replay.is_whole());
        assert_eq!(text(&mut only), "de");

        assert!(!replay.is_whole());
        assert_eq!(text(&mut only), "f");
        assert!(!replay.cut_off());
    }

    #[test]
    fn a_declared_length_beyond_the_cap_keeps_nothing_from_the_start() {
        let mut replay = replay(Upload::of([data("a"), data("bcde")]).exactly(5), 4);

        assert_eq!(text(&mut attempt(&mut replay)), "a");

        assert!(!replay.is_whole());
    }

    #[test]
    fn a_body_of_exactly_the_cap_can_be_sent_again() {
        let mut replay = replay(Upload::of([data("ab"), data("cd")]).exactly(4), 4);

        assert_eq!(rest(&mut attempt(&mut replay)).unwrap().0, b"abcd");

        assert!(replay.cut_off());
        assert_eq!(rest(&mut attempt(&mut replay)).unwrap().0, b"abcd");
    }

    #[test]
    fn an_attempt_that_was_cut_off_reads_no_more_and_does_not_end_cleanly() {
        let mut replay = replay(Upload::of([data("ab"), data("cd")]), 9);
        let mut first = attempt(&mut replay);
        assert_eq!(text(&mut first), "ab");

        assert!(replay.cut_off());

        assert_eq!(error(&mut first), ReplayBodyError::Cut);
        assert!(!first.is_end_stream());
    }

    #[test]
    fn cutting_off_wakes_an_attempt_that_waits_for_the_client() {
        let mut replay = replay(Upload::of([Step::Pause, data("ab")]), 9);
        let mut first = attempt(&mut replay);
        assert_pending!(poll(&mut first));

        assert!(replay.cut_off());

        assert!(first.is_woken());
        assert_eq!(error(&mut first), ReplayBodyError::Cut);
    }

    #[test]
    fn a_stalled_attempt_does_not_starve_another() {
        let upload = Upload::of([Step::Pause, Step::Pause, data("ab"), Step::Pause, data("cd")]);
        let waker = upload.waker.clone();
        let mut replay = replay(upload, 9);
        let (mut first, mut second) = (attempt(&mut replay), attempt(&mut replay));
        assert_pending!(poll(&mut first));
        assert_pending!(poll(&mut second));

        waker.lock().unwrap().take().unwrap().wake();
        assert!(first.is_woken() && second.is_woken(), "either may be the one that goes on");
        assert_eq!(text(&mut first), "ab");
        assert_pending!(poll(&mut first));
        assert_eq!(text(&mut second), "ab");
        drop(first);
        assert_eq!(text(&mut second), "cd");
    }

    #[test]
    fn an_attempt_that_falls_behind_what_is_kept_breaks_off_and_never_skips() {
        let mut replay = replay(Upload::of([data("ab"), data("cd"), data("ef")]), 2);
        let (mut fast, mut slow) = (attempt(&mut replay), attempt(&mut replay));
        assert_eq!((text(&mut fast), text(&mut fast)), ("ab".into(), "cd".into()));

        assert_eq!(text(&mut slow), "ab");
        assert_eq!(error(&mut slow), ReplayBodyError::Cut);
        assert_eq!(text(&mut fast), "ef");
    }

    #[test]
    fn a_body_the_client_broke_off_is_not_sent_again() {
        let mut replay = replay(Upload::of([data("ab"), Step::Break]), 9);
        let mut first = attempt(&mut replay);
        assert_eq!(text(&mut first), "ab");

        assert_eq!(error(&mut first), ReplayBodyError::Inner("broken"));

        assert!(replay.is_broken() && !replay.cut_off());
        assert_eq!(text(&mut attempt(&mut replay)), "ab");
    }

    #[test]
    fn what_is_kept_is_let_go_once_no_attempt_will_follow() {
        let mut replay = replay(Upload::of([data("ab"), data("cd"), data("ef")]), 9);
        let mut only = attempt(&mut replay);
        assert_eq!(text(&mut only), "ab");
        let Replay::Shared(shared) = &replay else { panic!("not shared") };
        let shared = shared.clone();
        assert_eq!(shared.lock().kept.held(), 2);

        drop(replay);
        assert_eq!(text(&mut only), "cd");

        assert_eq!(shared.lock().kept.held(), 0);
        assert_eq!(rest(&mut only).unwrap().0, b"ef");
    }

    #[test]
    fn what_cannot_be_sent_again_is_not_kept() {
        let mut replay = replay(Upload::of([data("abc"), data("de"), data("f")]), 4);
        let mut only = attempt(&mut replay);

        for held in [3, 0, 0] {
            text(&mut only);
            let Replay::Shared(shared) = &replay else { panic!("not shared") };
            assert_eq!(shared.lock().kept.held(), held);
        }
    }

    #[test]
    fn an_attempt_that_reads_from_memory_still_may_when_none_will_follow() {
        let mut replay = replay(Upload::of([data("ab"), data("cd")]), 9);
        assert_eq!(text(&mut attempt(&mut replay)), "ab");
        let mut second = attempt(&mut replay);

        drop(replay);

        assert_eq!(rest(&mut second).unwrap().0, b"abcd");
    }

    #[test]
    fn the_size_that_is_told_is_what_is_left_for_each_attempt() {
        let mut replay = replay(Upload::of([data("ab"), data("cd")]).exactly(4), 9);
        let mut first = attempt(&mut replay);
        assert_eq!(text(&mut first), "ab");

        assert_eq!(first.size_hint().exact(), Some(2));
        assert_eq!(attempt(&mut replay).size_hint().exact(), Some(4));
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Data),
            1 => Just(Step::Pause),
        ];
        (prop::collection::vec(step, 0..12), any::<bool>()).prop_map(|(mut steps, trailers)| {
            steps.extend(trailers.then_some(Step::Trailers));
            steps
        })
    }

    proptest! {
        #[test]
        fn every_attempt_reads_the_original_or_breaks_off(
            steps in steps(),
            cap in 0_u64..300,
            order in prop::collection::vec((0_usize..4, any::<bool>()), 0..60),
        ) {
            let original: Vec<u8> = steps.iter().flat_map(|step| match step {
                Step::Data(data) => data.clone(),
                _ => Vec::new(),
            }).collect();
            let with_trailers = matches!(steps.last(), Some(Step::Trailers));
            let mut replay = replay(Upload::of(steps), cap);
            let mut attempts: Vec<(Attempt, Vec<u8>)> =
                (0..4).map(|_| (attempt(&mut replay), Vec::new())).collect();

            for (index, cut_off) in order {
                if cut_off && index == 0 && replay.cut_off() {
                    attempts = (0..4).map(|_| (attempt(&mut replay), Vec::new())).collect();
                }
                let (body, read) = &mut attempts[index];
                if let Poll::Ready(Some(Ok(frame))) = poll(body) {
                    read.extend(frame.into_data().unwrap_or_default());
                }
                prop_assert!(original.starts_with(read));
            }

            let whole = replay.is_whole();
            let mut complete = 0;
            for (body, read) in &mut attempts {
                if let Ok((more, trailers)) = rest(body) {
                    read.extend(more);
                    complete += 1;
                    prop_assert_eq!(&*read, &original);
                    prop_assert!(trailers.is_none() || with_trailers);
                }
            }
            let fits = original.len() as u64 <= cap;
            prop_assert!(if whole && fits { complete == 4 } else { true }, "{complete}");
            if fits {
                let (bytes, trailers) = rest(&mut attempt(&mut replay)).unwrap();
                prop_assert_eq!((bytes, trailers.is_some()), (original, with_trailers));
            }
        }
    }
}
