use serde_json::{Map, Value};

use crate::ConfigError;

/// Which scopes a token must have been granted to allow the request.
///
/// They are read from `scope`, or from `scp` where there is no `scope`: a text with spaces between them (RFC 8693 §4.2),
/// or an array of texts. Scopes are compared to the byte (RFC 6749 §3.3); there are no wildcards.
///
/// # Configuration
///
/// ```toml
/// scopes = [
///     "read",                        # this one
///     { all = ["write", "delete"] }, # all of these
///     { any = ["ops", "admin"] },    # at least one of these; clients are told to ask for the first
/// ]
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a rule does nothing until a policy has it"]
pub struct ScopeRule(Rule);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rule {
    All(Vec<String>),
    Any(Vec<String>),
}

impl ScopeRule {
    /// All of these scopes.
    pub fn all(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Rule::All(scopes.into_iter().map(Into::into).collect()))
    }

    /// At least one of these scopes.
    ///
    /// Challenges have no word for a choice: they name the first, which should be the least.
    pub fn any(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Rule::Any(scopes.into_iter().map(Into::into).collect()))
    }

    pub(crate) fn holds(&self, claims: &Map<String, Value>) -> bool {
        let granted = claims.get("scope").or_else(|| claims.get("scp"));
        let has = |scope: &String| granted.is_some_and(|granted| grants(granted, scope));
        match &self.0 {
            Rule::All(scopes) => scopes.iter().all(has),
            Rule::Any(scopes) => scopes.iter().any(has),
        }
    }

    /// What a client should ask for to fulfil it.
    pub(crate) fn wanted(&self) -> &[String] {
        match &self.0 {
            Rule::All(scopes) => scopes,
            Rule::Any(scopes) => scopes.get(..1).unwrap_or_default(),
        }
    }

    pub(crate) fn usable(&self) -> Result<(), ConfigError> {
        let (Rule::All(scopes) | Rule::Any(scopes)) = &self.0;
        if scopes.is_empty() {
            return Err(ConfigError::NoScope);
        }
        match scopes.iter().find(|scope| !is_scope(scope)) {
            Some(scope) => Err(ConfigError::InvalidScope(scope.clone())),
            None => Ok(()),
        }
    }
}

/// This scope.
impl From<&str> for ScopeRule {
    fn from(scope: &str) -> Self {
        Self::all([scope])
    }
}

fn grants(granted: &Value, scope: &str) -> bool {
    match granted {
        Value::String(scopes) => scopes.split(' ').any(|granted| granted == scope),
        Value::Array(scopes) => scopes.iter().any(|granted| granted == scope),
        _ => false,
    }
}

/// A `scope-token` (RFC 6749 §3.3).
fn is_scope(scope: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.bytes().all(allowed)
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ScopeRule {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "a scope, or a table with one of `all` and `any`")]
        enum Written {
            One(String),
            Rule(Table),
        }

        #[derive(serde::Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        enum Table {
            All(Vec<String>),
            Any(Vec<String>),
        }

        let rule = match Written::deserialize(input)? {
            Written::One(scope) => Self::all([scope]),
            Written::Rule(Table::All(scopes)) => Self::all(scopes),
            Written::Rule(Table::Any(scopes)) => Self::any(scopes),
        };
        rule.usable().map_err(serde::de::Error::custom)?;
        Ok(rule)
    }
}

#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
impl schemars::JsonSchema for ScopeRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ScopeRule".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A scope that a token must have been granted, all of several, or any of them.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "all": { "type": "array", "items": { "type": "string" } },
                        "any": { "type": "array", "items": { "type": "string" } },
                    },
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(rule: &ScopeRule, claims: &Value) -> bool {
        rule.holds(claims.as_object().unwrap())
    }

    #[test]
    fn scopes_are_a_text_or_an_array_under_either_name() {
        for claims in [
            json!({ "scope": "read write" }),
            json!({ "scope": ["read", "write"] }),
            json!({ "scp": "write read" }),
            json!({ "scp": ["x", "write", "read"] }),
            json!({ "scope": "read write", "scp": "x" }),
        ] {
            assert!(holds(&ScopeRule::all(["read", "write"]), &claims), "{claims}");
            assert!(holds(&ScopeRule::any(["x", "read"]), &claims), "{claims}");
            assert!(!holds(&ScopeRule::all(["read", "x y"]), &claims), "{claims}");
        }
    }

    #[test]
    fn what_is_no_list_of_scopes_grants_nothing() {
        for claims in [
            json!({}),
            json!({ "scope": "" }),
            json!({ "scope": null, "scp": "read" }),
            json!({ "scope": "write", "scp": "read" }),
            json!({ "scope": { "read": true } }),
            json!({ "scope": [["read"], 7] }),
            json!({ "scope": "READ reader read:all\tread" }),
            json!({ "scopes": "read" }),
        ] {
            assert!(!holds(&"read".into(), &claims), "{claims}");
            assert!(!holds(&ScopeRule::any(["x", "read"]), &claims), "{claims}");
        }
    }

    #[test]
    fn a_client_is_told_to_ask_for_the_least() {
        assert_eq!(ScopeRule::all(["a", "b"]).wanted(), ["a", "b"]);
        assert_eq!(ScopeRule::any(["a", "b"]).wanted(), ["a"]);
    }

    #[test]
    fn a_rule_names_scopes_that_there_can_be() {
        for scope in ["", "a b", "a\"", "a\\", "é", "a\n"] {
            assert_eq!(
                ScopeRule::from(scope).usable(),
                Err(ConfigError::InvalidScope(scope.to_owned()))
            );
        }
        assert_eq!(ScopeRule::all([""; 0]).usable(), Err(ConfigError::NoScope));
        assert_eq!(ScopeRule::any([""; 0]).usable(), Err(ConfigError::NoScope));
        assert_eq!(ScopeRule::from("https://a.example/!x:y#z").usable(), Ok(()));
    }

    proptest! {
        #[test]
        fn rules_are_subset_and_intersection(
            granted in prop::collection::vec("[a-d]", 0..5),
            wanted in prop::collection::vec("[a-d]", 1..4),
            as_text: bool,
            name in "scope|scp",
        ) {
            let claim = if as_text { json!(granted.join(" ")) } else { json!(granted) };
            let claims = Map::from_iter([(name, claim)]);
            let (have, want) = (HashSet::<String>::from_iter(granted), HashSet::from_iter(wanted.clone()));

            prop_assert_eq!(ScopeRule::all(wanted.clone()).holds(&claims), want.is_subset(&have));
            prop_assert_eq!(ScopeRule::any(wanted).holds(&claims), !want.is_disjoint(&have));
        }
    }
}
