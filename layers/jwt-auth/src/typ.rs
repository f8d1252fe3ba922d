/// Which kinds of tokens are accepted, by their `typ` (RFC 7515 §4.1.9).
///
/// An issuer signs more than access tokens: ID tokens, logout tokens. Where it names them, one is not taken for another
/// (RFC 8725 §3.11).
///
/// # Configuration
///
/// ```toml
/// typ = "any"             # as if it were not there
/// typ = "access_token"    # at+jwt
/// typ = ["JWT", "at+jwt"] # one of these
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Typ {
    /// Any, and none.
    #[default]
    Any,
    /// `at+jwt`, as access tokens that follow RFC 9068 §2.1 must have it.
    AccessToken,
    /// One of these; a token without `typ` is refused. Of none, nothing is.
    ///
    /// They are media types: case does not matter, nor whether `application/` is there.
    OneOf(Vec<String>),
}

impl Typ {
    /// Only tokens of these types.
    #[must_use]
    pub fn one_of(types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::OneOf(types.into_iter().map(Into::into).collect())
    }

    pub(crate) fn accepts(&self, typ: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::AccessToken => typ.is_some_and(|typ| same(typ, "at+jwt")),
            Self::OneOf(types) => typ.is_some_and(|typ| types.iter().any(|other| same(typ, other))),
        }
    }
}

/// Whether two types are one. `application/` may be left out where no other slash follows (RFC 7515 §4.1.9).
fn same(one: &str, other: &str) -> bool {
    subtype(one).eq_ignore_ascii_case(subtype(other))
}

fn subtype(typ: &str) -> &str {
    match typ.split_once('/') {
        Some((start, rest)) if start.eq_ignore_ascii_case("application") && !rest.contains('/') => {
            rest
        }
        _ => typ,
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Typ {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "\"any\", \"access_token\", or a list of types")]
        enum Written {
            Name(Name),
            OneOf(Vec<String>),
        }

        #[derive(serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Name {
            Any,
            AccessToken,
        }

        Ok(match Written::deserialize(input)? {
            Written::Name(Name::Any) => Self::Any,
            Written::Name(Name::AccessToken) => Self::AccessToken,
            Written::OneOf(types) => Self::OneOf(types),
        })
    }
}

#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
impl schemars::JsonSchema for Typ {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Typ".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Which kinds of tokens are accepted, by their `typ`: any, access tokens, or one of a list.",
            "anyOf": [
                { "enum": ["any", "access_token"] },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_access_token_is_one_however_its_type_is_written() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(Typ::AccessToken.accepts(Some(typ)), "{typ}");
        }
        for typ in
            ["JWT", "", "at+jwt ", "x/at+jwt", "application/x/at+jwt", "jwt+at", "application/"]
        {
            assert!(!Typ::AccessToken.accepts(Some(typ)), "{typ}");
        }
        assert!(!Typ::AccessToken.accepts(None));
    }

    #[test]
    fn a_list_accepts_what_it_has_and_nothing_else() {
        let typ = Typ::one_of(["JWT", "application/secevent+jwt", "text/a"]);
        for there in ["jwt", "application/JWT", "secevent+jwt", "TEXT/A"] {
            assert!(typ.accepts(Some(there)), "{there}");
        }
        for other in ["at+jwt", "a", "application/text/a", ""] {
            assert!(!typ.accepts(Some(other)), "{other}");
        }
        assert!(!typ.accepts(None));
        assert!(!Typ::one_of([""; 0]).accepts(Some("")));
    }

    #[test]
    fn any_type_is_any_and_none() {
        assert!(Typ::default().accepts(None));
        assert!(Typ::Any.accepts(Some("dpop+jwt")));
    }

    proptest! {
        #[test]
        fn sameness_is_an_equivalence(one in "(application/)?[aA]?/?b?", other in "(APPLICATION/)?[aA]?/?b?", third in "[aA]?/?b?") {
            prop_assert!(same(&one, &one));
            prop_assert_eq!(same(&one, &other), same(&other, &one));
            prop_assert!(!(same(&one, &other) && same(&other, &third)) || same(&one, &third));
        }
    }
}
