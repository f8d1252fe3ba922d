use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{Dialect, EmptyBody};
use tokio::time::Instant;
use tower_service::Service;

use crate::candidates::Member;
use crate::course::{Course, Go, Terrain};
use crate::grpc_timeout::{self, GRPC_TIMEOUT};
use crate::head::Head;
use crate::hedging::Hedging;
use crate::part::Part;
use crate::replay::Replay;
use crate::rest::Rest;
use crate::set::Set;
use crate::state::ReplicaState;
use crate::{
    Attempt, Classify, FailoverPolicy, InFlight, Reason, ReplayBody, ResumeBody, Unserved, Verdict,
};

/// A request, and what it takes to send it again.
pub(crate) struct Trip<S, B, C, R> {
    pub(crate) set: Arc<Set<S>>,
    classify: C,
    empty: R,
    head: Head,
    pub(crate) replay: Replay<B>,
    course: Course,
    method: Method,
    dialect: Dialect,
    repeatable: bool,
    resumable: bool,
    /// The replica whose response is passed on.
    pub(crate) served_by: Option<usize>,
    deadline: Option<Instant>,
    /// Until when a gRPC client waits for the whole of its call.
    patience: Option<Instant>,
    /// Who has the request's body to itself, once its attempt has the response.
    pub(crate) reader: Option<u64>,
    /// How many times it may still be hedged; none, if it never may.
    pub(crate) hedges: Option<u32>,
}

/// What the future does next.
pub(crate) enum Turn<P, E> {
    Ready(Go),
    Wait(Go),
    Drain {
        body: P,
        in_flight: Option<InFlight>,
        go: Go,
    },
    /// It goes on with the attempts under way.
    Race,
    Answer(Result<Response<HeldBody<P, InFlight>>, E>),
}

impl<P, E> From<Go> for Turn<P, E> {
    fn from(go: Go) -> Self {
        if go.at.is_some() { Self::Wait(go) } else { Self::Ready(go) }
    }
}

/// What an attempt came to.
struct Outcome<P, E> {
    index: usize,
    verdict: Verdict,
    began: Instant,
    now: Instant,
    /// None, if it took too long.
    said: Option<Result<Response<P>, E>>,
    in_flight: Option<InFlight>,
    /// Whether others are under way.
    others: bool,
}

impl<S, B: Body<Data = Bytes>, C, R> Trip<S, B, C, R> {
    pub(crate) fn new(set: Arc<Set<S>>, classify: C, empty: R, request: Request<B>) -> Self {
        let (mut parts, body) = request.into_parts();
        let policy = set.shared.policy();
        let dialect = Dialect::of(&parts.headers);
        let said = if dialect == Dialect::Grpc { grpc_timeout::said(&parts.headers) } else { None };
        // What a client says in it is not what is meant by it.
        if let Some(header) = policy.limit_header.as_ref().filter(|name| **name != GRPC_TIMEOUT) {
            parts.headers.remove(header);
        }
        let after = |time: Duration| Instant::now().checked_add(time);
        let patience = said.and_then(after);
        let repeatable = policy.is_repeatable(&parts);
        let hedging = set.shared.hedging.as_ref().filter(|_| repeatable && !is_sole(&set));
        let hedges = hedging.map(Hedging::most);
        let replay = if is_sole(&set) {
            Replay::Once(Some(body))
        } else {
            Replay::new(body, policy.max_replay, set.shared.meters.kept())
        };
        Self {
            method: parts.method.clone(),
            dialect,
            repeatable,
            resumable: parts.method == Method::GET
                && matches!(replay, Replay::Empty)
                && policy.max_resumes > 0,
            served_by: None,
            deadline: earlier(policy.within.and_then(after), patience),
            patience,
            head: Head::Whole(parts),
            course: Course::default(),
            hedges,
            reader: None,
            set,
            classify,
            empty,
            replay,
        }
    }
}

impl<S, B, C, R> Trip<S, B, C, R> {
    /// Begins with the first replica.
    pub(crate) fn start<P, E>(&mut self, now: Instant) -> Turn<P, E>
    where
        R: EmptyBody<P>,
    {
        self.set.shared.budget.deposit();
        self.next(now).map_or_else(|| self.unserved(now), Turn::from)
    }

    pub(crate) fn service(&self, index: usize) -> Option<S>
    where
        S: Clone,
    {
        self.set.service(index)
    }

    /// The request as an attempt has it that began then.
    pub(crate) fn send(&mut self, began: Instant) -> Request<ReplayBody<B>> {
        self.course.sent();
        let mut request = self.head.send(is_sole(&self.set), self.replay.attempt());
        if self.patience.is_some() || self.policy().limit_header.is_some() {
            self.tell_time(request.headers_mut(), began);
        }
        request
    }

    /// The replica has the request in hand.
    pub(crate) fn enter(&self, index: usize) -> Option<InFlight> {
        self.state(index).map(InFlight::enter)
    }

    /// Says how long the attempt has.
    #[cold]
    fn tell_time(&self, headers: &mut HeaderMap, began: Instant) {
        let header = self.policy().limit_header.as_ref();
        let limit = self.limit_of_attempt(began);
        let is_grpc = header.is_some_and(|header| *header == GRPC_TIMEOUT);
        let now = Instant::now();
        let left = |until: Instant| until.saturating_duration_since(now);
        let patience = if is_grpc { limit } else { self.patience };
        if let Some(left) = patience.map(left).filter(|_| self.dialect == Dialect::Grpc) {
            headers.insert(GRPC_TIMEOUT, grpc_timeout::text(left));
        }
        if let Some(header) = header.filter(|_| !is_grpc) {
            if let Some(left) = limit.map(left) {
                headers.insert(header, grpc_timeout::millis(left));
            }
        }
    }

    pub(crate) fn limit_of_attempt(&self, began: Instant) -> Option<Instant> {
        earlier(began.checked_add(self.policy().per_try), self.deadline)
    }

    pub(crate) fn limit_of_readiness(&self, began: Instant) -> Option<Instant> {
        let policy = self.policy();
        let limit = policy.ready_within.min(policy.per_try);
        earlier(began.checked_add(limit), self.deadline)
    }

    pub(crate) fn max_drain(&self) -> u64 {
        self.policy().max_drain
    }

    /// The replica is not ready at once: others may be.
    pub(crate) fn busy<P, E>(&mut self, index: usize) -> Turn<P, E>
    where
        R: EmptyBody<P>,
    {
        self.course.busy(index);
        let now = Instant::now();
        self.next(now).map_or_else(|| self.unserved(now), Turn::from)
    }

    /// The replica did not become ready in time.
    pub(crate) fn never_ready<P, E>(&mut self, index: usize, began: Instant) -> Turn<P, E>
    where
        R: EmptyBody<P>,
    {
        let now = Instant::now();
        self.course.leave_out(index);
        self.note(index, Reason::NotReady, now.saturating_duration_since(began));
        match self.next(now) {
            Some(go) => {
                self.tell(index, go, Reason::NotReady);
                go.into()
            }
            None => self.unserved(now),
        }
    }

    /// The service failed before it was called.
    pub(crate) fn unready<P, E>(&mut self, index: usize, began: Instant, error: E) -> Turn<P, E>
    where
        C: Classify<E>,
        R: EmptyBody<P>,
        P: Body,
    {
        let now = Instant::now();
        self.course.sent();
        let verdict = match self.classify.error(&error) {
            Verdict::Failed { reason, .. } => Verdict::unsent(reason),
            other => other,
        };
        let said = Some(Err(error));
        let others = false;
        self.judged(Outcome { index, verdict, began, now, said, in_flight: None, others })
    }

    /// A service failed before it was called, while others are under way.
    pub(crate) fn unready_aside<E>(&mut self, index: usize, error: &E, now: Instant)
    where
        C: Classify<E>,
    {
        self.course.sent();
        if let Verdict::Failed { reason, .. } = self.classify.error(error) {
            self.record_failure(index, now, now, None);
            self.note(index, reason, Duration::ZERO);
        }
    }

    pub(crate) fn answered<P, E>(
        &mut self,
        index: usize,
        began: Instant,
        result: Result<Response<P>, E>,
        in_flight: Option<InFlight>,
        others: bool,
    ) -> Turn<P, E>
    where
        C: Classify<E>,
        R: EmptyBody<P>,
        P: Body,
    {
        let (verdict, said) = match result {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let verdict = self.classify.response(self.policy(), &self.method, &head);
                let response = Response::from_parts(head, body);
                if verdict == Verdict::PassOn {
                    self.record_answer(index, began);
                    return Turn::Answer(Ok(self.pass_on(index, response, in_flight)));
                }
                (verdict, Ok(response))
            }
            Err(error) => (self.classify.error(&error), Err(error)),
        };
        let now = Instant::now();
        self.judged(Outcome { index, verdict, began, now, said: Some(said), in_flight, others })
    }

    pub(crate) fn timed_out<P, E>(
        &mut self,
        index: usize,
        began: Instant,
        others: bool,
    ) -> Turn<P, E>
    where
        R: EmptyBody<P>,
        P: Body,
    {
        let now = Instant::now();
        if self.is_late(now) {
            // It may not have had as long as an attempt may take: that is not held against it.
            self.note(index, Reason::Timeout, now.saturating_duration_since(began));
            return self.unserved(now);
        }
        let verdict = Verdict::failed(Reason::Timeout);
        self.judged(Outcome { index, verdict, began, now, said: None, in_flight: None, others })
    }

    /// Keeps the record of an attempt, and decides what comes of it.
    fn judged<P, E>(&mut self, outcome: Outcome<P, E>) -> Turn<P, E>
    where
        R: EmptyBody<P>,
        P: Body,
    {
        let Outcome { index, verdict, began, now, .. } = outcome;
        // A client that breaks its own upload off is not the replica's failure, whatever that makes of it.
        let verdict = if self.replay.is_broken() { Verdict::PassOn } else { verdict };
        let (reason, sendable) = match verdict {
            Verdict::PassOn => {
                if matches!(outcome.said, Some(Ok(_))) {
                    self.record_answer(index, began);
                }
                return self.settle(outcome);
            }
            Verdict::Skip => {
                self.course.not_sent();
                self.course.leave_out(index);
                (Reason::Refused, true)
            }
            Verdict::LookFurther => {
                self.record_answer(index, began);
                self.course.leave_out(index);
                (Reason::Missing, self.repeatable)
            }
            Verdict::Failed { reason, may_have_run } => {
                let wait = outcome.said.as_ref().and_then(|said| retry_after(said.as_ref().ok()?));
                self.record_failure(index, began, now, wait);
                (reason, self.repeatable || !may_have_run)
            }
        };
        if outcome.others {
            self.note(index, reason, now.saturating_duration_since(began));
            return Turn::Race;
        }
        let sendable = sendable && self.replay.is_whole();
        let go = if sendable { self.next(now) } else { None };
        match go {
            Some(go) if self.replay.cut_off() => {
                self.note(index, reason, now.saturating_duration_since(began));
                self.tell(index, go, reason);
                self.leave(outcome, go)
            }
            None if sendable && !self.is_all_that_was_said(reason) || outcome.said.is_none() => {
                self.note(index, reason, now.saturating_duration_since(began));
                self.unserved(now)
            }
            _ => {
                self.count(index, reason);
                self.settle(outcome)
            }
        }
    }

    /// Whether what a replica says last is what all of them said.
    fn is_all_that_was_said(&self, reason: Reason) -> bool {
        let trail = self.course.trail();
        trail.is_empty()
            || (reason == Reason::Missing
                && trail.iter().all(|one| one.reason() == Reason::Missing))
    }

    /// Goes on without what a replica said.
    fn leave<P: Body, E>(&self, outcome: Outcome<P, E>, go: Go) -> Turn<P, E> {
        let Outcome { said, in_flight, .. } = outcome;
        match said {
            Some(Ok(response)) => {
                let body = response.into_body();
                let worth_it =
                    !body.is_end_stream() && body.size_hint().lower() <= self.max_drain();
                if worth_it { Turn::Drain { body, in_flight, go } } else { go.into() }
            }
            _ => go.into(),
        }
    }

    /// Nothing else is tried.
    fn settle<P: Body, E>(&mut self, outcome: Outcome<P, E>) -> Turn<P, E>
    where
        R: EmptyBody<P>,
    {
        let Outcome { said, in_flight, index, now, .. } = outcome;
        match said {
            Some(Ok(response)) => Turn::Answer(Ok(self.pass_on(index, response, in_flight))),
            Some(Err(error)) => {
                self.leave_body();
                self.served_by = Some(index);
                Turn::Answer(Err(error))
            }
            None => {
                self.leave_body();
                self.unserved(now)
            }
        }
    }

    fn pass_on<P: Body>(
        &mut self,
        index: usize,
        mut response: Response<P>,
        in_flight: Option<InFlight>,
    ) -> Response<HeldBody<P, InFlight>> {
        self.leave_body();
        self.served_by = Some(index);
        if self.course.is_long() || self.set.shared.settings.tells_always {
            let name = self.set.members.get(index).map(|member| member.place.name.clone());
            response.extensions_mut().insert(self.course.end(name));
        }
        let Some(in_flight) = in_flight else { return response.map(HeldBody::free) };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response.extensions_mut().insert(Arc::new(in_flight));
            return response.map(HeldBody::free);
        }
        response.map(|body| HeldBody::new(body, in_flight))
    }

    /// Nobody will ask for the body of the request again.
    fn leave_body(&mut self) {
        if let Some(reader) = self.reader {
            self.replay.leave_to(reader);
        }
        self.replay = Replay::Empty;
    }

    /// Answers without a replica.
    pub(crate) fn unserved<P, E>(&mut self, now: Instant) -> Turn<P, E>
    where
        R: EmptyBody<P>,
    {
        self.replay = Replay::Empty;
        let why = match self.course.trail() {
            _ if self.is_late(now) => Unserved::OutOfTime,
            [only] if only.reason() == Reason::Timeout => Unserved::OutOfTime,
            _ if self.course.attempts() > 0 => Unserved::AllFailed,
            _ => Unserved::NoneAvailable,
        };
        let shared = &self.set.shared;
        let attempts = self.course.attempts();
        let (upstream, trail) = (&*shared.settings.name, self.course.trail());
        tracing::debug!(upstream, reason = why.reason(), attempts, ?trail, "no replica served");
        shared.meters.unserved(why);
        let refusal = why.refusal(self.course.end(None), soonest(&self.set.members));
        let response = refusal.into_response(self.dialect, HeldBody::free(self.empty.empty()));
        Turn::Answer(Ok(response))
    }

    /// The response, with what it takes to resume its body.
    pub(crate) fn served<P: Body>(
        &mut self,
        response: Response<HeldBody<P, InFlight>>,
    ) -> Response<ResumeBody<S, B, P, C>>
    where
        S: Service<Request<ReplayBody<B>>>,
        C: Clone,
    {
        match self.rest(&response) {
            Some(rest) => response.map(|body| ResumeBody::resumable(body, rest)),
            None => response.map(ResumeBody::plain),
        }
    }

    fn rest<P: Body>(&mut self, response: &Response<P>) -> Option<Rest<S, C>>
    where
        C: Clone,
    {
        let index =
            self.served_by.filter(|_| self.resumable && !response.body().is_end_stream())?;
        let part = Part::of(response.status(), response.headers())?;
        if response.body().size_hint().exact().is_some_and(|exact| exact != part.left()) {
            return None;
        }
        let head = self.head.take();
        Some(Rest::new(self.set.clone(), self.classify.clone(), head, part, index))
    }

    fn next(&mut self, now: Instant) -> Option<Go> {
        if self.is_late(now) {
            return None;
        }
        let Self { set, head, deadline, course, .. } = self;
        course.choose(&terrain(set, head.whole()?, *deadline, now))
    }

    /// Whether there may be another attempt beside those under way.
    pub(crate) fn can_be_sent(&self) -> bool {
        self.course.attempts() < self.policy().max_attempts.get() && self.replay.is_whole()
    }

    /// Where it goes beside the replicas at these places, if anywhere.
    pub(crate) fn beside(&mut self, asked: &[usize], now: Instant) -> Option<usize> {
        let Self { set, head, deadline, course, .. } = self;
        course.beside(asked, &terrain(set, head.whole()?, *deadline, now))
    }

    fn record_answer(&self, index: usize, began: Instant) {
        let Some(state) = self.state(index) else { return };
        let shared = &self.set.shared;
        state.meters.answered();
        // The clock is looked at for those alone who want to know.
        if shared.is_timed() || state.has_stood_back() {
            let (began, now) = (shared.moment(began), shared.moment(Instant::now()));
            state.answered(began, now, self.policy().failback_after);
        }
    }

    fn record_failure(
        &mut self,
        index: usize,
        began: Instant,
        now: Instant,
        retry_after: Option<Duration>,
    ) {
        if let Some(state) = self.state(index) {
            state.failed(now.saturating_duration_since(began), self.set.shared.moment(now));
        }
        let most = self.policy().max_retry_after;
        self.course.failed(index, retry_after, most, now);
    }

    fn note(&mut self, index: usize, reason: Reason, took: Duration) {
        self.count(index, reason);
        if let Some(member) = self.set.members.get(index) {
            self.course.note(Attempt::new(member.place.name.clone(), reason, took));
        }
    }

    fn count(&self, index: usize, reason: Reason) {
        if let (Some(state), true) = (self.state(index), reason != Reason::Missing) {
            state.meters.failed(reason);
        }
    }

    /// Says that the request goes from one replica to another.
    fn tell(&self, from: usize, go: Go, reason: Reason) {
        let (members, shared) = (&self.set.members, &self.set.shared);
        let (Some(from), Some(to)) = (members.get(from), members.get(go.index)) else { return };
        let (from, to) = (&from.place.name, &to.place.name);
        shared.meters.failover(from, to, reason);
        let (upstream, attempt) = (&*shared.settings.name, self.course.attempts());
        tracing::debug!(upstream, %from, %to, %reason, attempt, "failing over");
    }

    /// Says that the request goes to one more replica.
    pub(crate) fn tell_of_hedge(&self, to: usize) {
        let Some(to) = self.set.members.get(to) else { return };
        let (upstream, to) = (&*self.set.shared.settings.name, &to.place.name);
        tracing::debug!(upstream, %to, attempt = self.course.attempts(), "hedging");
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn state(&self, index: usize) -> Option<&Arc<ReplicaState>> {
        self.set.members.get(index).map(|member| &member.state)
    }

    fn policy(&self) -> &FailoverPolicy {
        self.set.shared.policy()
    }
}

/// Whether there is nobody else to ask: then nothing of the request is kept.
const fn is_sole<S>(set: &Set<S>) -> bool {
    set.members.len() <= 1
}

/// After how long one of these may admit a request: at once, where that is not known.
fn soonest(members: &[Member]) -> Duration {
    let enabled = members.iter().filter(|member| member.is_enabled());
    enabled.filter_map(|member| member.place.admits_in()).min().unwrap_or_default()
}

fn terrain<'a, S>(
    set: &'a Set<S>,
    request: &'a Parts,
    deadline: Option<Instant>,
    now: Instant,
) -> Terrain<'a> {
    Terrain {
        shared: &set.shared,
        members: &set.members,
        pick: &*set.pick,
        request,
        most: set.shared.policy().max_attempts.get(),
        deadline,
        now,
        random: OnceCell::new(),
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// How long the replica wants to be left alone (RFC 9110 §10.2.3). A date, or nonsense, is for ever: the request does not last
/// that long.
pub(crate) fn retry_after<P>(response: &Response<P>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?;
    let seconds = value.to_str().ok().and_then(|value| value.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(u64::MAX)))
}
