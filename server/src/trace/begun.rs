use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderValue, USER_AGENT};

use super::context::{Context, TRACEPARENT, TRACESTATE};
use super::span::{Kind, Parent, Span, Value};
use super::{SpanId, Tracer};

/// The trace that a request belongs to, from its first header to its last byte.
#[derive(Debug)]
pub(crate) struct Trace {
    tracer: Arc<Tracer>,
    context: Context,
    state: Option<HeaderValue>,
    /// What is remembered of a request that is traced.
    began: Option<Began>,
}

#[derive(Debug)]
struct Began {
    start: SystemTime,
    parent: Option<SpanId>,
    link: Option<Context>,
    user_agent: Option<HeaderValue>,
}

impl Trace {
    pub(super) fn new(
        tracer: Arc<Tracer>,
        context: Context,
        state: Option<HeaderValue>,
        parent: Option<SpanId>,
        link: Option<Context>,
        headers: &HeaderMap,
    ) -> Self {
        let began = context.is_sampled().then(|| Began {
            start: SystemTime::now(),
            parent,
            link,
            user_agent: headers.get(USER_AGENT).cloned(),
        });
        Self { tracer, context, state, began }
    }

    /// Where the request is in its trace.
    pub(crate) const fn context(&self) -> Context {
        self.context
    }

    /// Tells the next who gets the request, and begins the span of asking it, if the request is traced.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) -> Option<Box<Asked>> {
        let began = self.began.as_ref().map(|_| {
            let context = Context { span: SpanId::random(), ..self.context };
            let (tracer, state) = (self.tracer.clone(), self.state.clone());
            let start = SystemTime::now();
            Box::new(Asked { tracer, context, state, parent: self.context.span, start })
        });
        let context = began.as_ref().map_or(self.context, |asked| asked.context);
        headers.insert(TRACEPARENT, context.header());
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.clone());
        }
        began
    }

    /// Whether somebody is told of the request.
    pub(crate) const fn is_told(&self) -> bool {
        self.began.is_some()
    }

    /// Tells of the request, which took that long, if it is traced.
    pub(crate) fn end(
        self,
        name: String,
        took: Duration,
        mut attributes: Vec<(&'static str, Value)>,
        failed: Option<String>,
    ) {
        let Some(began) = self.began else { return };
        let agent = began.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
        attributes.extend(agent.map(|agent| ("user_agent.original", agent.into())));
        self.tracer.tell(Span {
            context: self.context,
            parent: began.parent.map(|span| Parent { span, is_remote: true }),
            link: began.link,
            state: self.state,
            kind: Kind::Server,
            name,
            start: began.start,
            end: began.start + took,
            attributes,
            failed,
        });
    }
}

/// A request to somebody else, on behalf of one that is traced.
#[derive(Debug)]
pub(crate) struct Asked {
    tracer: Arc<Tracer>,
    context: Context,
    state: Option<HeaderValue>,
    parent: SpanId,
    start: SystemTime,
}

impl Asked {
    /// Tells of it.
    pub(crate) fn end(
        self,
        name: String,
        took: Duration,
        attributes: Vec<(&'static str, Value)>,
        failed: Option<String>,
    ) {
        self.tracer.tell(Span {
            context: self.context,
            parent: Some(Parent { span: self.parent, is_remote: false }),
            link: None,
            state: self.state,
            kind: Kind::Client,
            name,
            start: self.start,
            end: self.start + took,
            attributes,
            failed,
        });
    }
}
