//! Rules as a configuration file has them. No error prints what may be a value.

mod when;
#[cfg(feature = "schema")]
pub(crate) mod schema;

use std::fmt;
use std::str::FromStr;

use http::header::{HeaderName, HeaderValue};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::when::When;
use crate::{Condition, HeaderPrefix, HeaderRules, OnMissing, Rule, Value};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    set: Option<Scalar>,
    append: Option<Scalar>,
    set_if_absent: Option<Scalar>,
    replace_if_present: Option<Scalar>,
    remove: Option<Scalar>,
    remove_prefix: Option<Scalar>,
    rename: Option<Scalar>,
    copy: Option<Scalar>,
    value: Option<Scalar>,
    from: Option<Scalar>,
    prefix: Option<Scalar>,
    base64: Option<Scalar>,
    to: Option<Scalar>,
    on_missing: Option<Scalar>,
    when: Option<When>,
    secret: Option<Scalar>,
    allow_protected: Option<Scalar>,
}

/// Takes anything, since a type error of serde's own would print what it found.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Number(u16),
    List(Vec<Self>),
    Other(IgnoredAny),
}

/// What a rule is about.
enum Subject {
    Header(HeaderName),
    Prefix(HeaderPrefix),
}

impl Subject {
    /// Its value, in words.
    fn value(&self) -> String {
        match self {
            Self::Header(name) => format!("the value of `{name}`"),
            Self::Prefix(_) => "`value`".to_owned(),
        }
    }
}

impl Entry {
    fn into_rule(mut self) -> Result<Rule, String> {
        let (verb, name) = self.verb()?;
        let secret = flag("secret", self.secret.take().as_ref())?;
        let base64 = flag("base64", self.base64.take().as_ref())?;
        let allowed = flag("allow_protected", self.allow_protected.take().as_ref())?;
        let on_missing = self.on_missing.take().map(on_missing).transpose()?;
        let condition = self.when.take().map_or_else(|| Ok(Condition::new()), When::condition)?;
        let is_plain = !secret && !base64 && self.prefix.is_none();
        let has_form = !is_plain || on_missing.is_some();
        let subject = match verb {
            "remove_prefix" => Subject::Prefix(header_prefix(name)?),
            _ => Subject::Header(header_name(verb, name)?),
        };
        let value = self.value(verb, &subject, base64)?;
        let to = self.to.map(|to| header_name("to", to)).transpose()?;

        let rule = match (subject, verb, value, to) {
            (Subject::Prefix(prefix), _, None, None) if !has_form => Rule::remove_prefix(prefix),
            (Subject::Header(name), "remove", None, None) if !has_form => Rule::remove(name),
            (Subject::Header(from), "rename", None, Some(to)) if is_plain => Rule::rename(from, to),
            (Subject::Header(from), "copy", None, Some(to)) if is_plain => Rule::copy(from, to),
            (Subject::Prefix(_), ..) | (_, "remove", ..) => {
                return Err(format!("`{verb}` stands alone: it has no value"));
            }
            (_, "rename" | "copy", ..) => {
                return Err(format!("`{verb}` needs `to`, and has no value"));
            }
            (Subject::Header(name), _, Some(value), None) => {
                let value = if secret { value.secret() } else { value };
                match verb {
                    "append" => Rule::append(name, value),
                    "set_if_absent" => Rule::set_if_absent(name, value),
                    "replace_if_present" => Rule::replace_if_present(name, value),
                    _ => Rule::set(name, value),
                }
            }
            _ => return Err(format!("`{verb}` needs a `value` or `from`, and no `to`")),
        };
        let rule = rule.on_missing(on_missing.unwrap_or_default()).when(condition);
        let rule = if allowed { rule.allow_protected() } else { rule };
        rule.check().map_err(|invalid| invalid.to_string())
    }

    fn verb(&mut self) -> Result<(&'static str, Scalar), String> {
        let verbs = [
            ("set", self.set.take()),
            ("append", self.append.take()),
            ("set_if_absent", self.set_if_absent.take()),
            ("replace_if_present", self.replace_if_present.take()),
            ("remove", self.remove.take()),
            ("remove_prefix", self.remove_prefix.take()),
            ("rename", self.rename.take()),
            ("copy", self.copy.take()),
        ];
        let mut verbs = verbs.into_iter().filter_map(|(verb, name)| name.map(|name| (verb, name)));
        let (verb, name) = verbs.next().ok_or_else(|| format!("a rule needs a verb: {VERBS}"))?;
        if let Some((second, _)) = verbs.next() {
            return Err(format!("a rule has one verb, not both `{verb}` and `{second}`"));
        }
        Ok((verb, name))
    }

    fn value(
        &mut self,
        verb: &str,
        subject: &Subject,
        base64: bool,
    ) -> Result<Option<Value>, String> {
        let prefix =
            self.prefix.take().map(|prefix| header_value("`prefix`", prefix)).transpose()?;
        let mut value = match (self.value.take(), self.from.take()) {
            // Bytes that are no value by themselves are one in base64.
            (Some(Scalar::Text(text)), None) if base64 => {
                let prefix = prefix.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
                return Ok(Some(Value::of_bytes([prefix, text.as_bytes()].concat())));
            }
            (Some(value), None) => header_value(&subject.value(), value)?.into(),
            (None, Some(source)) => source_name("from", source)?,
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(format!("`{verb}` needs a `value` or `from`, not both"));
            }
        };
        if let Some(prefix) = prefix {
            value = value.prefixed(prefix);
        }
        Ok(Some(if base64 { value.in_base64() } else { value }))
    }
}

/// One, or a list of them; none if the key is not there.
fn many(key: Option<Scalar>) -> Result<Vec<Scalar>, String> {
    match key {
        None => Ok(Vec::new()),
        Some(Scalar::List(list)) if list.is_empty() => {
            Err("a list in `when` must not be empty".to_owned())
        }
        Some(Scalar::List(list)) => Ok(list),
        Some(one) => Ok(vec![one]),
    }
}

fn parsed<T: FromStr>(text: Scalar, needed: &str) -> Result<T, String> {
    let parsed = if let Scalar::Text(text) = text { text.parse().ok() } else { None };
    parsed.ok_or_else(|| needed.to_owned())
}

fn on_missing(reaction: Scalar) -> Result<OnMissing, String> {
    let reaction = if let Scalar::Text(text) = reaction { text } else { String::new() };
    match reaction.as_str() {
        "remove" => Ok(OnMissing::Remove),
        "keep" => Ok(OnMissing::Keep),
        "reject" => Ok(OnMissing::Reject),
        _ => Err("`on_missing` must be \"remove\", \"keep\" or \"reject\"".to_owned()),
    }
}

fn header_prefix(prefix: Scalar) -> Result<HeaderPrefix, String> {
    parsed(prefix, "`remove_prefix` must begin the name of a header, as \"x-internal-\" does")
}

fn header_name(key: &str, name: Scalar) -> Result<HeaderName, String> {
    let name = if let Scalar::Text(name) = name { name.parse().ok() } else { None };
    name.ok_or_else(|| {
        format!(
            "`{key}` must be the name of a header: letters, digits and `-`, as in \"x-feature\""
        )
    })
}

fn header_value(what: &str, value: Scalar) -> Result<HeaderValue, String> {
    let Scalar::Text(value) = value else {
        return Err(format!("{what} must be text, in quotes"));
    };
    HeaderValue::try_from(value)
        .map_err(|_| format!("{what} may hold visible ASCII, spaces and tabs only"))
}

fn source_name(key: &str, name: Scalar) -> Result<Value, String> {
    match name {
        Scalar::Text(name) if !name.is_empty() => Ok(Value::named(name)),
        _ => Err(format!("`{key}` must be a name, in quotes, of what the value comes from")),
    }
}

fn flag(key: &str, flag: Option<&Scalar>) -> Result<bool, String> {
    match flag {
        None => Ok(false),
        Some(Scalar::Flag(flag)) => Ok(*flag),
        Some(_) => Err(format!("`{key}` must be true or false")),
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneRule;

        impl<'de> Visitor<'de> for OneRule {
            type Value = Rule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule, as in { set = \"x-feature\", value = \"on\" }")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let entry = Entry::deserialize(MapAccessDeserializer::new(map))?;
                entry.into_rule().map_err(A::Error::custom)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Rule, E> {
                Err(E::custom("text is no rule: write { set = \"x-feature\", value = \"on\" }"))
            }
        }

        input.deserialize_any(OneRule)
    }
}

impl<'de> Deserialize<'de> for HeaderRules {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Rules;

        impl<'de> Visitor<'de> for Rules {
            type Value = HeaderRules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<HeaderRules, A::Error> {
                let rules = Vec::<Rule>::deserialize(SeqAccessDeserializer::new(list))?;
                HeaderRules::new(rules).map_err(A::Error::custom)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<HeaderRules, E> {
                Err(E::custom("text is no list of rules: write [{ remove = \"x-internal\" }]"))
            }
        }

        input.deserialize_any(Rules)
    }
}

/// A size as text: bytes, or KiB and MiB.
pub(crate) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(input)?;
    let (number, shift) = [("KiB", 10), ("MiB", 20), ("B", 0)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift)))
        .unwrap_or(("", 0));
    let size = number.trim().parse().ok().and_then(|number: u64| number.checked_mul(1 << shift));
    size.map(Some).ok_or_else(|| D::Error::custom("a size like \"16KiB\" is needed here"))
}

const VERBS: &str = "`set`, `append`, `set_if_absent`, `replace_if_present`, `remove`, `remove_prefix`, `rename` or `copy`";
