use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use tokio::time::Instant;

use crate::course::{Course, Go, Terrain};
use crate::grpc_timeout::{self, GRPC_TIMEOUT};
use crate::head::Head;
use crate::meters::ResumeOutcome;
use crate::part::Part;
use crate::replay::Replay;
use crate::set::Set;
use crate::trip::retry_after;
use crate::{Classify, FailoverPolicy, InFlight, Reason, ReplayBody, Verdict};

/// What is left of a response, and the way to have it from another replica.
pub(crate) struct Rest<S, C> {
    set: Arc<Set<S>>,
    classify: C,
    head: Head,
    part: Part,
    course: Course,
    /// The replica whose bytes are being read, or were last.
    index: usize,
    /// Whether they are those of another response than the one whose head the client has.
    resumed: bool,
}

/// What a frame of the body in hand means.
pub(crate) enum Read {
    Pass,
    /// All is there; what follows is none of the client's business.
    End,
    Broken,
    /// The response does not keep to its own head.
    Unknown,
}

impl<S, C> Rest<S, C> {
    pub(crate) fn new(set: Arc<Set<S>>, classify: C, head: Head, part: Part, index: usize) -> Self {
        Self { set, classify, head, part, course: Course::default(), index, resumed: false }
    }

    /// How many bytes are to come.
    pub(crate) const fn left(&self) -> u64 {
        self.part.left()
    }

    /// So many bytes have come.
    pub(crate) fn data(&mut self, bytes: usize) -> Read {
        match (self.part.read(bytes), self.resumed) {
            (true, _) => Read::Pass,
            (false, false) => Read::Unknown,
            (false, true) if self.left() == 0 => Read::End,
            (false, true) => Read::Broken,
        }
    }

    /// The body has ended: cleanly, with trailers, or with an error.
    pub(crate) const fn end(&self, error: bool) -> Read {
        match self.left() {
            0 if self.resumed || error => Read::End,
            0 => Read::Pass,
            _ => Read::Broken,
        }
    }

    /// The replica broke off.
    pub(crate) fn broke(&mut self, now: Instant) {
        self.failed(self.index, None, now);
    }

    /// Where the rest is to be had, if anywhere.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Go> {
        let Self { set, head, course, .. } = self;
        let go = head.whole().and_then(|request| {
            course.choose(&Terrain {
                shared: &set.shared,
                members: &set.members,
                pick: &*set.pick,
                request,
                most: set.shared.policy().max_resumes,
                deadline: None,
                now,
                random: OnceCell::new(),
            })
        });
        if go.is_none() {
            let shared = &self.set.shared;
            let (upstream, next, left) = (&*shared.settings.name, self.part.next(), self.left());
            tracing::error!(upstream, next, left, "a response broke off");
            shared.resumes.count(ResumeOutcome::GaveUp);
        }
        go
    }

    pub(crate) fn service(&self, index: usize) -> Option<S>
    where
        S: Clone,
    {
        self.set.service(index)
    }

    /// The request for the rest.
    pub(crate) fn send<B>(&mut self, index: usize) -> (Request<ReplayBody<B>>, Option<InFlight>) {
        self.course.sent();
        let mut request = self.head.send(false, Replay::Empty.attempt());
        self.part.ask(request.headers_mut(), self.policy().resume);
        let FailoverPolicy { limit_header, per_try, .. } = self.policy();
        let header = limit_header.as_ref().filter(|name| **name != GRPC_TIMEOUT);
        if let (Some(header), Some(_)) = (header, self.limit_of_attempt(Instant::now())) {
            request.headers_mut().insert(header, grpc_timeout::millis(*per_try));
        }
        let member = self.set.members.get(index);
        (request, member.map(|member| InFlight::enter(&member.state)))
    }

    pub(crate) fn limit_of_attempt(&self, began: Instant) -> Option<Instant> {
        began.checked_add(self.policy().per_try)
    }

    pub(crate) fn limit_of_readiness(&self, began: Instant) -> Option<Instant> {
        began.checked_add(self.policy().ready_within.min(self.policy().per_try))
    }

    /// The replica is not ready at once: others may be.
    pub(crate) fn busy(&mut self, index: usize) {
        self.course.busy(index);
    }

    /// The replica did not become ready in time.
    pub(crate) fn never_ready(&mut self, index: usize) {
        self.count(index, Reason::NotReady);
        self.course.leave_out(index);
    }

    /// The service failed before it was called.
    pub(crate) fn unready<E>(&mut self, index: usize, error: &E)
    where
        C: Classify<E>,
    {
        self.course.sent();
        self.judged(index, self.classify.error(error), None);
    }

    pub(crate) fn timed_out(&mut self, index: usize) {
        self.judged(index, Verdict::failed(Reason::Timeout), None);
    }

    /// The body that has the rest, if this is it.
    pub(crate) fn answered<P: http_body::Body, E>(
        &mut self,
        index: usize,
        began: Instant,
        said: Result<Response<P>, E>,
    ) -> Option<P>
    where
        C: Classify<E>,
    {
        let response = match said {
            Ok(response) => response,
            Err(error) => {
                self.judged(index, self.classify.error(&error), None);
                return None;
            }
        };
        let wait = retry_after(&response);
        let (head, body) = response.into_parts();
        let verdict = self.classify.response(self.policy(), &Method::GET, &head);
        if verdict != Verdict::PassOn {
            self.judged(index, verdict, wait);
            return None;
        }
        let now = Instant::now();
        self.record_answer(index, began, now);
        let exact = body.size_hint().exact();
        if !self.part.is(head.status, &head.headers)
            || exact.is_some_and(|exact| exact != self.left())
        {
            self.set.shared.resumes.count(ResumeOutcome::Differs);
            self.course.leave_out(index);
            return None;
        }
        self.tell(index);
        self.set.shared.resumes.count(ResumeOutcome::Resumed);
        (self.index, self.resumed) = (index, true);
        Some(body)
    }

    fn judged(&mut self, index: usize, verdict: Verdict, wait: Option<Duration>) {
        let resumes = &self.set.shared.resumes;
        match verdict {
            Verdict::Failed { reason, .. } => {
                resumes.count(ResumeOutcome::Failed);
                self.count(index, reason);
                self.failed(index, wait, Instant::now());
            }
            Verdict::Skip => {
                self.course.not_sent();
                self.course.leave_out(index);
                self.count(index, Reason::Refused);
            }
            Verdict::PassOn | Verdict::LookFurther => {
                resumes.count(ResumeOutcome::Differs);
                self.course.leave_out(index);
            }
        }
    }

    fn failed(&mut self, index: usize, wait: Option<Duration>, now: Instant) {
        let shared = &self.set.shared;
        if let Some(member) = self.set.members.get(index) {
            member.state.failed(Duration::ZERO, shared.moment(now));
        }
        self.course.failed(index, wait, shared.policy().max_retry_after, now);
    }

    fn record_answer(&self, index: usize, began: Instant, now: Instant) {
        let Some(member) = self.set.members.get(index) else { return };
        let shared = &self.set.shared;
        let quiet = self.policy().failback_after;
        member.state.answered(shared.moment(began), shared.moment(now), quiet);
        member.state.meters.answered();
    }

    fn count(&self, index: usize, reason: Reason) {
        if let Some(member) = self.set.members.get(index) {
            member.state.meters.failed(reason);
        }
    }

    /// Says that the response goes on elsewhere.
    fn tell(&self, to: usize) {
        let members = &self.set.members;
        let (Some(from), Some(to)) = (members.get(self.index), members.get(to)) else { return };
        let (from, to) = (&from.place.name, &to.place.name);
        let (upstream, next) = (&*self.set.shared.settings.name, self.part.next());
        tracing::warn!(upstream, %from, %to, next, "resuming a response that broke off");
    }

    fn policy(&self) -> &FailoverPolicy {
        self.set.shared.policy()
    }
}
