use std::collections::BTreeMap;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::{Recorded, Upstream};

/// A collector of spans, by OTLP over HTTP, which answers as the test says.
#[derive(Debug)]
pub struct Collector {
    upstream: Upstream,
    spans: Vec<Span>,
}

/// A span as it was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Told {
    /// All of it.
    pub span: Span,
    /// What its attributes say, as text.
    pub says: BTreeMap<String, String>,
}

impl Collector {
    /// Takes all.
    pub async fn start() -> Self {
        Self::over(Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await)
    }

    /// Answers as this upstream does.
    #[must_use]
    pub const fn over(upstream: Upstream) -> Self {
        Self { upstream, spans: Vec::new() }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// The next delivery: the request, and what it says.
    pub async fn delivery(&mut self) -> (Recorded, ExportTraceServiceRequest) {
        let request = self.upstream.seen().await;
        let message = ExportTraceServiceRequest::decode(&*request.body).expect("a message");
        (request, message)
    }

    /// The next span, of whatever delivery.
    pub async fn span(&mut self) -> Told {
        while self.spans.is_empty() {
            let (_, message) = self.delivery().await;
            let scoped = message.resource_spans.into_iter().flat_map(|of| of.scope_spans);
            self.spans = scoped.flat_map(|of| of.spans).collect();
        }
        Told::new(self.spans.remove(0))
    }

    /// So many spans, in the order in which they began.
    pub async fn told<const N: usize>(&mut self) -> [Told; N] {
        let mut spans = Vec::new();
        while spans.len() < N {
            spans.push(self.span().await);
        }
        spans.sort_by_key(|told| told.span.start_time_unix_nano);
        spans.try_into().expect("so many")
    }

    /// Whether nothing was delivered that has not been told of.
    pub fn is_idle(&mut self) -> bool {
        self.spans.is_empty() && self.upstream.saw_nothing()
    }
}

impl Told {
    /// Reads its attributes.
    #[must_use]
    pub fn new(span: Span) -> Self {
        let says = says(&span.attributes);
        Self { span, says }
    }

    /// What an attribute says; nothing if it is not there.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.says.get(name).map_or("", String::as_str)
    }

    /// As `traceparent` has it.
    #[must_use]
    pub fn context(&self) -> String {
        let flags = self.span.flags & 0xff;
        format!("00-{}-{}-{flags:02x}", hex(&self.span.trace_id), hex(&self.span.span_id))
    }

    /// Whether it is part of another one of the same trace.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }
}

/// What attributes say, as text.
#[must_use]
pub fn says(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

/// In lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
