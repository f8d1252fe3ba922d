//! Any list of rules does to any headers what it does to a plain list of lines, wherever its values come from.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

/// Few names, so that rules and headers meet; `content-type` may stand only once.
const NAMES: [&str; 5] = ["a", "b", "c", "x-d", "content-type"];

type Lines = Vec<(&'static str, String)>;

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Origin {
    Fixed(String),
    /// Something beside the headers, if it is there.
    Said(Option<String>),
    /// The first line of this name, if there is one.
    Copied(&'static str),
}

impl Origin {
    fn value(&self) -> Value {
        match self.clone() {
            Self::Fixed(value) => HeaderValue::try_from(value).unwrap().into(),
            Self::Said(value) => {
                let value = value.map(|value| HeaderValue::try_from(value).unwrap());
                Value::from_request(move |_: &Parts| value.clone())
            }
            Self::Copied(name) => {
                Value::from_request(move |request: &Parts| request.headers.get(name).cloned())
            }
        }
    }

    fn read(&self, lines: &Lines) -> Option<String> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Said(value) => value.clone(),
            Self::Copied(name) => {
                lines.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(&'static str, Origin),
    Append(&'static str, Origin),
    SetIfAbsent(&'static str, Origin),
    Remove(&'static str),
    Rename(&'static str, &'static str),
}

impl Step {
    fn rule(&self) -> Rule {
        let name = |name: &&'static str| HeaderName::from_static(name);
        match self {
            Self::Set(n, from) => Rule::set(name(n), from.value()),
            Self::Append(n, from) => Rule::append(name(n), from.value()),
            Self::SetIfAbsent(n, from) => Rule::set_if_absent(name(n), from.value()),
            Self::Remove(n) => Rule::remove(name(n)),
            Self::Rename(from, to) => Rule::rename(name(from), name(to)),
        }
    }

    fn apply(&self, lines: &mut Lines) {
        match self {
            Self::Set(name, from) => {
                let value = from.read(lines);
                lines.retain(|(other, _)| other != name);
                lines.extend(value.map(|value| (*name, value)));
            }
            Self::Append(name, from) => {
                let value = from.read(lines);
                lines.extend(value.map(|value| (*name, value)));
            }
            Self::SetIfAbsent(name, from) => {
                if lines.iter().all(|(other, _)| other != name) {
                    let value = from.read(lines);
                    lines.extend(value.map(|value| (*name, value)));
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

fn fixed() -> BoxedStrategy<Origin> {
    "[a-z]{0,3}".prop_map(Origin::Fixed).boxed()
}

fn any_origin() -> BoxedStrategy<Origin> {
    let said = prop::option::of("[a-z]{0,3}").prop_map(Origin::Said);
    prop_oneof![fixed(), said, name().prop_map(Origin::Copied)].boxed()
}

fn steps(origin: fn() -> BoxedStrategy<Origin>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (name(), origin()).prop_map(|(name, from)| Step::Set(name, from)),
        (name(), origin()).prop_map(|(name, from)| Step::Append(name, from)),
        (name(), origin()).prop_map(|(name, from)| Step::SetIfAbsent(name, from)),
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

/// What an upstream that answers with `answered` gets, and what its client gets.
fn pass(policy: HeaderInject, sent: HeaderMap, answered: &HeaderMap) -> [HeaderMap; 2] {
    let upstream = service_fn(|request: Request<()>| {
        let mut response = Response::new(request.into_parts().0.headers);
        response.headers_mut().clone_from(answered);
        async { Ok::<_, ()>(response) }
    });
    let mut request = Request::new(());
    *request.headers_mut() = sent;
    let service = HeaderInjectLayer::new(policy).unwrap().layer(upstream);
    let (parts, seen) = tokio_test::block_on(service.oneshot(request)).unwrap().into_parts();
    [seen, parts.headers]
}

proptest! {
    #[test]
    fn a_list_of_rules_edits_the_lines_of_a_request(sent in lines(), steps in steps(any_origin)) {
        let rules = HeaderRules::new(steps.iter().map(Step::rule)).unwrap();
        let policy = HeaderInject::new().request(rules);

        let [seen, _] = pass(policy, headers(&sent), &HeaderMap::new());

        let mut expected = sent;
        for step in &steps {
            step.apply(&mut expected);
        }
        prop_assert_eq!(by_name_in(&seen), by_name(&expected));
    }

    #[test]
    fn a_list_of_rules_edits_the_lines_of_a_response(answered in lines(), steps in steps(fixed)) {
        let rules = HeaderRules::new(steps.iter().map(Step::rule)).unwrap();
        let policy = HeaderInject::new().response(rules);

        let [_, returned] = pass(policy, HeaderMap::new(), &headers(&answered));

        let mut expected = answered;
        for step in &steps {
            step.apply(&mut expected);
        }
        prop_assert_eq!(by_name_in(&returned), by_name(&expected));
    }

    /// What `set` is for: whatever a client sends under a name, in whatever spelling, is gone.
    #[test]
    fn no_client_speaks_for_a_source(
        sent in vec((prop::sample::select(&["x-user", "x_user", "X-User", "via"][..]), "[a-z]{0,3}"), 0..8),
        said in prop::option::of("[A-Z]{1,3}"),
    ) {
        let value = Origin::Said(said.clone()).value();
        let rule = Rule::set(HeaderName::from_static("x-user"), value);
        let policy = HeaderInject::new().request(HeaderRules::new([rule]).unwrap());
        let mut forged = HeaderMap::new();
        for (name, value) in &sent {
            forged.append(*name, HeaderValue::try_from(value).unwrap());
        }

        let [seen, _] = pass(policy, forged.clone(), &HeaderMap::new());

        let users: Vec<_> = seen.get_all("x-user").iter().collect();
        prop_assert_eq!(users, said.iter().collect::<Vec<_>>());
        prop_assert!(!seen.contains_key("x_user"));
        prop_assert!(seen.get_all("via").iter().eq(forged.get_all("via")));
    }
}
