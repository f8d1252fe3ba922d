//! Which requests are traced, and where their spans are sent.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use metrics::{counter, with_local_recorder};

use crate::config::{self, Config, Files, Problem, Spanned};
use crate::otlp::{Collector, Exporter, Exporting, Outcomes, Resource};
use crate::telemetry::Recorder;
use crate::trace::{Sampling, Tracer};
use crate::upstream::ClientTls;

use super::origin::Origin;
use super::{Plan, problem, read_secret};

/// How requests are traced.
#[derive(Debug)]
pub struct TracePlan {
    origin: Origin<config::Trace>,
    pub(super) tracer: Arc<Tracer>,
    exporting: Exporting,
}

impl TracePlan {
    /// What is delivered of what the tracer finds out.
    pub(crate) const fn exporting(&self) -> &Exporting {
        &self.exporting
    }

    pub(super) const fn files(&self) -> &Files {
        self.origin.files()
    }
}

pub(super) fn plan(
    config: &Config,
    before: Option<&Plan>,
    recorder: &Recorder,
    problems: &mut Vec<Problem>,
) -> Option<Arc<TracePlan>> {
    let section = config.trace.as_ref()?;
    let known = before.and_then(|before| before.traces.as_ref());
    if let Some(known) = known.filter(|known| known.origin.is(section.get_ref())) {
        return Some(known.clone());
    }
    let make = || make(config, section, recorder, problems);
    let (origin, made) = Origin::of(config, section.get_ref().clone(), make);
    let (tracer, exporter) = made?;
    Some(Arc::new(TracePlan { origin, tracer, exporting: Exporting::new(exporter) }))
}

fn make(
    config: &Config,
    section: &Spanned<config::Trace>,
    recorder: &Recorder,
    problems: &mut Vec<Problem>,
) -> Option<(Arc<Tracer>, Exporter)> {
    let trace = section.get_ref();
    let resource = Resource::new(&trace.service_name, &trace.attributes)
        .map_err(|message| problems.push(problem("trace", section, message)))
        .ok();
    let headers = headers(config, trace, problems);
    let mut tls = ClientTls::new();
    if let Some(path) = &trace.ca_file {
        tls = tls.trust(config.folder.join(path.get_ref()));
    }
    let tls = tls.config().map_err(|message| {
        let span = trace.ca_file.as_ref().map(Spanned::span);
        problems.push(Problem::new("trace.ca_file", span, message));
    });
    let collector = Collector::new(trace.endpoint.get_ref(), headers?, &tls.ok()?, trace.timeout)
        .map_err(|message| problems.push(problem("trace.endpoint", &trace.endpoint, message)))
        .ok()?;
    let counted = |outcome| {
        with_local_recorder(recorder, || counter!("portcullis_spans_total", "outcome" => outcome))
    };
    let outcomes = Outcomes {
        exported: counted("exported"),
        rejected: counted("rejected"),
        failed: counted("failed"),
    };
    let sampling = Sampling::new(trace.ratio, trace.parent_based, trace.trusted.clone());
    let (tracer, spans, enough) = Tracer::new(sampling, trace.queue, counted("crowded"));
    let (interval, resource) = (trace.interval, resource?);
    Some((tracer, Exporter { spans, enough, interval, resource, collector, outcomes }))
}

/// What the collector is told; none if something is wrong with one of them.
fn headers(
    config: &Config,
    trace: &config::Trace,
    problems: &mut Vec<Problem>,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let before = problems.len();
    for (name, secret) in &trace.headers {
        let key = format!("trace.headers.{name}");
        let mut complain = |message: &str| problems.push(problem(&key, secret, message));
        let known = HeaderName::try_from(&**name).ok();
        let Some(known) = known.filter(|known| !OWN.contains(known)) else {
            complain("is no header that the collector can be told");
            continue;
        };
        let Some(value) = read_secret(config, secret, &key, problems) else { continue };
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(known, value);
            }
            // What is wrong with it would tell of the secret.
            Err(_) => problems.push(problem(&key, secret, "is no value of a header")),
        }
    }
    (problems.len() == before).then_some(headers)
}

/// What belongs to the message itself.
const OWN: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];
