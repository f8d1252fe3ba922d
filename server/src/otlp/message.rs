//! Spans as a collector reads them, where that is compiled in.

#[cfg(not(feature = "otlp"))]
pub(crate) use self::nothing::Resource;
#[cfg(not(feature = "otlp"))]
pub(super) use self::nothing::{encode, rejected};
#[cfg(feature = "otlp")]
pub(crate) use self::protobuf::Resource;
#[cfg(feature = "otlp")]
pub(super) use self::protobuf::{encode, rejected};

#[cfg(feature = "otlp")]
mod protobuf {
    use std::collections::BTreeMap;
    use std::time::{SystemTime, UNIX_EPOCH};

    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::resource::v1::Resource as Described;
    use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Told, Status};
    use prost::Message;
    use uuid::Uuid;

    use crate::trace::{Context, Kind, Span, Value};

    /// Who tells of spans.
    #[derive(Clone, Debug)]
    pub(crate) struct Resource(Described);

    impl Resource {
        /// This process, of which the operator says `attributes`.
        ///
        /// # Errors
        ///
        /// When the program cannot tell of spans.
        pub(crate) fn new(
            service: &str,
            attributes: &BTreeMap<String, String>,
        ) -> Result<Self, String> {
            let mut all = BTreeMap::from([
                ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("service.instance.id".to_owned(), Uuid::new_v4().to_string()),
            ]);
            all.extend(attributes.clone());
            all.insert("service.name".to_owned(), service.to_owned());
            let attributes = all.into_iter().map(|(key, value)| pair(key, Any::StringValue(value)));
            Ok(Self(Described { attributes: attributes.collect(), ..Described::default() }))
        }
    }

    /// The request that tells of these spans.
    pub(in super::super) fn encode(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = spans.into_iter().map(told).collect();
        let scoped = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource.0.clone()),
                scope_spans: vec![scoped],
                schema_url: String::new(),
            }],
        };
        request.encode_to_vec()
    }

    /// How many spans a collector did not keep of those that it took, and why.
    pub(in super::super) fn rejected(response: &[u8]) -> (u64, String) {
        let response = ExportTraceServiceResponse::decode(response).unwrap_or_default();
        let partly = response.partial_success.unwrap_or_default();
        (u64::try_from(partly.rejected_spans).unwrap_or(0), partly.error_message)
    }

    fn told(span: Span) -> Told {
        let is_remote = span.parent.is_some_and(|parent| parent.is_remote);
        Told {
            trace_id: span.context.trace.bytes().to_vec(),
            span_id: span.context.span.bytes().to_vec(),
            trace_state: text(span.state.as_ref()),
            parent_span_id: span.parent.map_or_else(Vec::new, |it| it.span.bytes().to_vec()),
            flags: flags(span.context, is_remote),
            name: span.name,
            kind: match span.kind {
                Kind::Server => SpanKind::Server.into(),
                Kind::Client => SpanKind::Client.into(),
            },
            start_time_unix_nano: nanoseconds(span.start),
            end_time_unix_nano: nanoseconds(span.end),
            attributes: span.attributes.into_iter().map(attribute).collect(),
            links: span.link.iter().map(linked).collect(),
            status: span.failed.map(|message| Status { message, code: StatusCode::Error.into() }),
            ..Told::default()
        }
    }

    fn linked(context: &Context) -> Link {
        Link {
            trace_id: context.trace.bytes().to_vec(),
            span_id: context.span.bytes().to_vec(),
            flags: flags(*context, true),
            ..Link::default()
        }
    }

    /// Those of W3C, whether it is known where the context is from, and whether it is from elsewhere.
    fn flags(context: Context, is_remote: bool) -> u32 {
        u32::from(context.flags) | 1 << 8 | u32::from(is_remote) << 9
    }

    fn attribute((key, value): (&'static str, Value)) -> KeyValue {
        let value = match value {
            Value::Text(text) => Any::StringValue(text),
            Value::Number(number) => Any::IntValue(number),
        };
        pair(key.to_owned(), value)
    }

    fn pair(key: String, value: Any) -> KeyValue {
        KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn text(value: Option<&http::HeaderValue>) -> String {
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    fn nanoseconds(time: SystemTime) -> u64 {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(not(feature = "otlp"))]
mod nothing {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use crate::trace::Span;

    #[derive(Clone, Debug)]
    pub(crate) struct Resource(Infallible);

    impl Resource {
        pub(crate) fn new(_: &str, _: &BTreeMap<String, String>) -> Result<Self, String> {
            Err("this program was built without the feature `otlp`".to_owned())
        }
    }

    pub(in super::super) fn encode(resource: &Resource, _: Vec<Span>) -> Vec<u8> {
        match resource.0 {}
    }

    pub(in super::super) fn rejected(_: &[u8]) -> (u64, String) {
        (0, String::new())
    }
}
