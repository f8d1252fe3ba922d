//! Any list of rules does to any headers what it does to a plain list of lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule};
use proptest::collection::vec;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

/// Few names, so that rules and headers meet; `content-type` may stand only once.
const NAMES: [&str; 5] = ["a", "b", "c", "x-d", "content-type"];

type Lines = Vec<(&'static str, String)>;

#[derive(Clone, Debug)]
enum Step {
    Set(&'static str, String),
    Append(&'static str, String),
    SetIfAbsent(&'static str, String),
    Remove(&'static str),
    Rename(&'static str, &'static str),
}

impl Step {
    fn rule(&self) -> Rule {
        let name = |name: &&'static str| HeaderName::from_static(name);
        let value = |value: &String| HeaderValue::try_from(value).unwrap();
        match self {
            Self::Set(n, v) => Rule::set(name(n), value(v)),
            Self::Append(n, v) => Rule::append(name(n), value(v)),
            Self::SetIfAbsent(n, v) => Rule::set_if_absent(name(n), value(v)),
            Self::Remove(n) => Rule::remove(name(n)),
            Self::Rename(from, to) => Rule::rename(name(from), name(to)),
        }
    }

    fn apply(&self, lines: &mut Lines) {
        match self {
            Self::Set(name, value) => {
                lines.retain(|(other, _)| other != name);
                lines.push((name, value.clone()));
            }
            Self::Append(name, value) => lines.push((name, value.clone())),
            Self::SetIfAbsent(name, value) => {
                if lines.iter().all(|(other, _)| other != name) {
                    lines.push((name, value.clone()));
                }
            }
            Self::Remove(name) => lines.retain(|(other, _)| other != name),
            Self::Rename(from, to) => {
                lines.retain(|(name, _)| name != to);
                for line in lines.iter_mut().filter(|(name, _)| name == from) {
                    line.0 = to;
                }
                let mut once = 0..if *to == "content-type" { 1 } else { usize::MAX };
                lines.retain(|(name, _)| name != to || once.next().is_some());
            }
        }
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn lines() -> impl Strategy<Value = Lines> {
    vec((name(), "[a-z]{0,3}"), 0..8)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = || "[a-z]{0,3}";
    let step = prop_oneof![
        (name(), value()).prop_map(|(name, value)| Step::Set(name, value)),
        (name(), value()).prop_map(|(name, value)| Step::Append(name, value)),
        (name(), value()).prop_map(|(name, value)| Step::SetIfAbsent(name, value)),
        name().prop_map(Step::Remove),
        (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
    ];
    let valid = |step: &Step| HeaderRules::new([step.rule()]).is_ok();
    vec(step.prop_filter("the list must be valid", valid), 0..8)
}

/// The lines of each name in turn: between names there is no order.
fn by_name(lines: &Lines) -> Vec<Vec<&[u8]>> {
    let of = |name| lines.iter().filter(move |(other, _)| *other == name);
    NAMES.iter().map(|name| of(*name).map(|(_, value)| value.as_bytes()).collect()).collect()
}

fn by_name_in(headers: &HeaderMap) -> Vec<Vec<&[u8]>> {
    NAMES.iter().map(|name| headers.get_all(*name).iter().map(AsRef::as_ref).collect()).collect()
}

fn headers(lines: &Lines) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::try_from(value).unwrap());
    }
    headers
}

proptest! {
    #[test]
    fn a_list_of_rules_edits_lines(lines in lines(), steps in steps()) {
        let rules = HeaderRules::new(steps.iter().map(Step::rule)).unwrap();
        let sent = headers(&lines);
        let answered = sent.clone();
        let upstream = service_fn(|request: Request<()>| {
            let mut response = Response::new(request.headers().clone());
            response.headers_mut().clone_from(&answered);
            async { Ok::<_, ()>(response) }
        });
        let policy = HeaderInject::new().request(rules.clone()).response(rules);
        let mut request = Request::new(());
        *request.headers_mut() = sent;

        let service = HeaderInjectLayer::new(policy).unwrap().layer(upstream);
        let response = tokio_test::block_on(service.oneshot(request)).unwrap();

        let mut expected = lines;
        for step in &steps {
            step.apply(&mut expected);
        }
        prop_assert_eq!(by_name_in(response.body()), by_name(&expected));
        prop_assert_eq!(by_name_in(response.headers()), by_name(&expected));
    }
}
