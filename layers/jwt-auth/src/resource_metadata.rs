use serde::{Serialize, Serializer};

use crate::{ConfigError, resource};

/// What clients may know of a protected resource: its OAuth 2.0 metadata (RFC 9728 §2).
///
/// A client that was refused reads there whom to ask for a token. [`MetadataLayer`](crate::MetadataLayer) serves it,
/// [`Policy::resource_metadata`](crate::Policy::resource_metadata) points to it.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Only `resource` must be there.
///
/// ```toml
/// resource = "https://api.example/mcp"
/// authorization_servers = ["https://id.example"]
/// scopes_supported = ["read", "write"]
/// bearer_methods_supported = ["header"]
/// resource_name = "Example"
/// resource_documentation = "https://api.example/docs"
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "metadata do nothing until they are served"]
pub struct ResourceMetadata {
    /// The identifier of the resource: an absolute URI of `https`.
    resource: Resource,
    /// Who issues tokens for it.
    #[cfg_attr(feature = "serde", serde(default))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<String>,
    /// The scopes that there are.
    #[cfg_attr(feature = "serde", serde(default))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    /// How a token may be sent: `header`, `body` or `query`.
    #[cfg_attr(feature = "serde", serde(default))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bearer_methods_supported: Vec<String>,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    /// Where people read of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
}

impl ResourceMetadata {
    /// Metadata of the resource with this identifier, which clients know it by.
    ///
    /// # Errors
    ///
    /// When it is no absolute URI of `https`, or of `http` on the machine itself, or when it has a query, a fragment or a
    /// user.
    pub fn new(resource: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            resource: Resource::try_from(resource.into())?,
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: Vec::new(),
            resource_name: None,
            resource_documentation: None,
        })
    }

    /// Who issues tokens for it: the names of issuers, as in `iss`.
    pub fn authorization_servers(
        mut self,
        issuers: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.authorization_servers = issuers.into_iter().map(Into::into).collect();
        self
    }

    /// The scopes that are of use for it.
    pub fn scopes_supported(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes_supported = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// How a token may be sent to it: `header`, `body`, `query`.
    pub fn bearer_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.bearer_methods_supported = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Its name, for people.
    pub fn resource_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Where its documentation is.
    pub fn resource_documentation(mut self, url: impl Into<String>) -> Self {
        self.resource_documentation = Some(url.into());
        self
    }

    /// Where the document is: on the host of the resource, at [`path`](Self::path).
    #[must_use]
    pub fn url(&self) -> String {
        self.resource.origin.clone() + &self.path()
    }

    /// The path of the document: `/.well-known/oauth-protected-resource`, and then that of the resource (RFC 9728 §3.1).
    #[must_use]
    pub fn path(&self) -> String {
        WELL_KNOWN.to_owned() + &self.resource.path
    }

    /// The document. Texts and lists of texts are JSON, whatever they say.
    pub(crate) fn document(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// An identifier of a resource, as it was given and in its two parts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
struct Resource {
    text: String,
    origin: String,
    /// Without the slash after the host, if it is that alone.
    path: String,
}

impl TryFrom<String> for Resource {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        let uri = resource::parse(&text)?;
        let path = if uri.path() == "/" { String::new() } else { uri.path().to_owned() };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        Ok(Self { text, origin, path })
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.text)
    }
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
