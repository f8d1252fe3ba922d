//! Any list of rules does to any headers what it does to a plain list of lines, wherever its values come from.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderInjectLayer, HeaderRules, OnMissing, Rule, Value,
};
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
enum Act {
    Set(&'static str, Origin),
    Append(&'static str, Origin),
    SetIfAbsent(&'static str, Origin),
    ReplaceIfPresent(&'static str, Origin),
    Remove(&'static str),
    RemovePrefix(&'static str),
    Rename(&'static str, &'static str),
    Copy(&'static str, &'static str),
}

/// What has to be so for a step to be done.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Has(&'static str),
    Lacks(&'static str),
    /// The message has a method that no request here has; in a response, a header that none has.
    Never,
}

#[derive(Clone, Debug)]
struct Step {
    act: Act,
    when: When,
    keeps: bool,
}

impl Step {
    fn rule(&self) -> Rule {
        let name = |name: &&'static str| HeaderName::from_static(name);
        let rule = match &self.act {
            Act::Set(n, from) => Rule::set(name(n), from.value()),
            Act::Append(n, from) => Rule::append(name(n), from.value()),
            Act::SetIfAbsent(n, from) => Rule::set_if_absent(name(n), from.value()),
            Act::ReplaceIfPresent(n, from) => Rule::replace_if_present(name(n), from.value()),
            Act::Remove(n) => Rule::remove(name(n)),
            Act::RemovePrefix(text) => Rule::remove_prefix(text.parse().unwrap()),
            Act::Rename(from, to) => Rule::rename(name(from), name(to)),
            Act::Copy(from, to) => Rule::copy(name(from), name(to)),
        };
        let condition = match self.when {
            When::Always => Condition::new(),
            When::Has(n) => Condition::new().has(name(&n)),
            When::Lacks(n) => Condition::new().lacks(name(&n)),
            When::Never => Condition::new().has(HeaderName::from_static("never")),
        };
        let reaction = if self.keeps { OnMissing::Keep } else { OnMissing::Remove };
        rule.when(condition).on_missing(reaction)
    }

    fn holds(&self, lines: &Lines) -> bool {
        let has = |name: &str| lines.iter().any(|(other, _)| *other == name);
        match self.when {
            When::Always => true,
            When::Has(name) => has(name),
            When::Lacks(name) => !has(name),
            When::Never => false,
        }
    }

    /// The name under which nothing of the client's may be left.
    fn gives(&self) -> Option<&'static str> {
        match &self.act {
            _ if self.keeps => None,
            Act::Set(name, _) | Act::ReplaceIfPresent(name, _) => Some(name),
            Act::Rename(_, to) | Act::Copy(_, to) => Some(to),
            _ => None,
        }
    }

    fn apply(&self, lines: &mut Lines) {
        let has = |lines: &Lines, name: &str| lines.iter().any(|(other, _)| *other == name);
        match &self.act {
            Act::ReplaceIfPresent(name, _) if !has(lines, name) => {}
            Act::Set(name, from) | Act::ReplaceIfPresent(name, from) => {
                let value = from.read(lines);
                if value.is_some() || !self.keeps {
                    lines.retain(|(other, _)| other != name);
                }
                lines.extend(value.map(|value| (*name, value)));
            }
            Act::SetIfAbsent(name, _) if has(lines, name) => {}
            Act::Append(name, from) | Act::SetIfAbsent(name, from) => {
                let value = from.read(lines);
                lines.extend(value.map(|value| (*name, value)));
            }
            Act::Remove(name) => lines.retain(|(other, _)| other != name),
            Act::RemovePrefix(text) => lines.retain(|(other, _)| !other.starts_with(text)),
            Act::Rename(from, to) | Act::Copy(from, to) => {
                let mut moved: Lines = lines.clone();
                moved.retain(|(name, _)| name == from);
                moved.truncate(if *to == "content-type" { 1 } else { usize::MAX });
                let goes =
                    |name| name == *to || (name == *from && matches!(self.act, Act::Rename(..)));
                lines.retain(|(name, _)| !goes(*name));
                lines.extend(moved.into_iter().map(|(_, value)| (*to, value)));
            }
        }
    }
}

/// What steps make of the lines of a request, or of a response, in which nobody forges anything.
fn edited(mut lines: Lines, steps: &[Step], is_request: bool) -> Lines {
    for (index, step) in steps.iter().enumerate() {
        if step.holds(&lines) {
            step.apply(&mut lines);
        } else if let Some(name) = step.gives().filter(|_| is_request) {
            let is_first = steps.iter().take(index).all(|before| before.gives() != Some(name));
            lines.retain(|(other, _)| !is_first || *other != name);
        }
    }
    lines
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

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        3 => Just(When::Always),
        1 => name().prop_map(When::Has),
        1 => name().prop_map(When::Lacks),
        1 => Just(When::Never),
    ]
}

fn steps(origin: fn() -> BoxedStrategy<Origin>) -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        (name(), origin()).prop_map(|(name, from)| Act::Set(name, from)),
        (name(), origin()).prop_map(|(name, from)| Act::Append(name, from)),
        (name(), origin()).prop_map(|(name, from)| Act::SetIfAbsent(name, from)),
        (name(), origin()).prop_map(|(name, from)| Act::ReplaceIfPresent(name, from)),
        name().prop_map(Act::Remove),
        prop::sample::select(&["x-", "c", "x-d", "content-"][..]).prop_map(Act::RemovePrefix),
        (name(), name()).prop_map(|(from, to)| Act::Rename(from, to)),
        (name(), name()).prop_map(|(from, to)| Act::Copy(from, to)),
    ];
    let step =
        (act, when(), any::<bool>()).prop_map(|(act, when, keeps)| Step { act, when, keeps });
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
    pass_with(Method::GET, policy, sent, answered)
}

fn pass_with(
    method: Method,
    policy: HeaderInject,
    sent: HeaderMap,
    answered: &HeaderMap,
) -> [HeaderMap; 2] {
    let upstream = service_fn(|request: Request<()>| {
        let mut response = Response::new(request.into_parts().0.headers);
        response.headers_mut().clone_from(answered);
        async { Ok::<_, ()>(response) }
    });
    let mut request = Request::new(());
    *request.headers_mut() = sent;
    *request.method_mut() = method;
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

        let expected = edited(sent, &steps, true);
        prop_assert_eq!(by_name_in(&seen), by_name(&expected));
    }

    #[test]
    fn a_list_of_rules_edits_the_lines_of_a_response(answered in lines(), steps in steps(fixed)) {
        let rules = HeaderRules::new(steps.iter().map(Step::rule)).unwrap();
        let policy = HeaderInject::new().response(rules);

        let [_, returned] = pass(policy, HeaderMap::new(), &headers(&answered));

        let expected = edited(answered, &steps, false);
        prop_assert_eq!(by_name_in(&returned), by_name(&expected));
    }

    /// What `set` is for: whatever a client sends under a name, in whatever spelling, is gone, whether there is a value, and
    /// whether the conditions of rules hold.
    #[test]
    fn no_client_speaks_for_a_source(
        sent in vec((prop::sample::select(&["x-user", "x_user", "X-User", "via"][..]), "[a-z]{0,3}"), 0..8),
        said in vec((prop::option::of("[A-Z]{1,3}"), any::<bool>()), 1..4),
        post in any::<bool>(),
    ) {
        let user = HeaderName::from_static("x-user");
        let rules = said.iter().map(|(said, only_post)| {
            let rule = Rule::set(user.clone(), Origin::Said(said.clone()).value());
            if *only_post { rule.when(Condition::new().method(Method::POST)) } else { rule }
        });
        let policy = HeaderInject::new().request(HeaderRules::new(rules).unwrap());
        let mut forged = HeaderMap::new();
        for (name, value) in &sent {
            forged.append(*name, HeaderValue::try_from(value).unwrap());
        }

        let method = if post { Method::POST } else { Method::GET };
        let [seen, _] = pass_with(method, policy, forged.clone(), &HeaderMap::new());

        let last = said.iter().rfind(|(_, only_post)| post || !only_post);
        let users: Vec<_> = seen.get_all("x-user").iter().collect();
        prop_assert_eq!(users, last.iter().filter_map(|(said, _)| said.as_ref()).collect::<Vec<_>>());
        prop_assert!(!seen.contains_key("x_user"));
        prop_assert!(seen.get_all("via").iter().eq(forged.get_all("via")));
    }
}
