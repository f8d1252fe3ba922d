use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{schema, text};

/// What a listener shows, and what it asks for. `certificate` and `key`, or `certificates`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tls {
    /// The chain of the only certificate in a PEM file, the server's own first.
    pub certificate: Option<PathBuf>,
    /// Its private key, in a PEM file.
    pub key: Option<PathBuf>,
    /// Several certificates, of which the name that a client asks for (SNI) chooses one. The first is shown to who asks for
    /// no name, or for another.
    #[serde(default)]
    pub certificates: Vec<KeyPair>,
    /// The oldest version that is spoken. 1.2.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Asks clients for certificates.
    pub client_certificates: Option<ClientCertificates>,
    /// How often all these files are looked at: new connections have what is new in them. 10 s.
    #[serde(
        default = "ten_seconds",
        deserialize_with = "text::duration",
        serialize_with = "schema::write"
    )]
    #[schemars(schema_with = "schema::duration")]
    pub reload_interval: Duration,
}

impl Tls {
    /// All certificates with their keys and what they are for, the first first.
    pub fn pairs(&self) -> impl Iterator<Item = (&Path, &Path, &[String])> {
        let only = self.certificate.as_deref().zip(self.key.as_deref());
        let only = only.map(|(certificate, key)| (certificate, key, &[][..]));
        let several = self.certificates.iter();
        only.into_iter().chain(several.map(|pair| (&*pair.certificate, &*pair.key, &*pair.hosts)))
    }
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyPair {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Exact names, and wildcards like `*.example.com` for one more label; those in the certificate when left out.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whose certificates clients may show.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientCertificates {
    /// Who vouches for clients, in a PEM file.
    pub ca_file: PathBuf,
    /// Lets clients in that show none; a bad one is still refused.
    #[serde(default)]
    pub optional: bool,
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
