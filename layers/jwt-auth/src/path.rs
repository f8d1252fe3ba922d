use serde_json::{Map, Value};

/// Leads to a claim, or to a member of one.
///
/// A text is taken apart at its dots: `realm_access.roles`. A list of names is taken as it is, for names that have
/// dots, such as `["https://example.com/roles"]`. An array's items cannot be addressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimPath(pub(crate) Vec<String>);

impl ClaimPath {
    pub(crate) fn in_object<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
    }
}

impl From<&str> for ClaimPath {
    fn from(path: &str) -> Self {
        path.split('.').map(str::to_owned).collect()
    }
}

impl<const N: usize> From<[&str; N]> for ClaimPath {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().map(str::to_owned).collect()
    }
}

impl FromIterator<String> for ClaimPath {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
impl schemars::JsonSchema for ClaimPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Leads to a claim: names with dots between them, or a list of names.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
            ],
        })
    }
}
