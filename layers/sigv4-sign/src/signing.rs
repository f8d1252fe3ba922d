use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST, HeaderName};

use crate::target::PathRules;
use crate::{Payload, Region, ServiceName, SignedHeaders};

/// What to sign for, and how.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. `service` and `region` are required, an unknown key
/// is an error.
///
/// ```toml
/// service = "s3"
/// region = "eu-west-1"
/// payload = { hash = "1MiB", larger = "unsigned" } # the default of S3; else larger bodies are refused
/// signed_headers = ["range"]                       # none by default
/// unsigned_over_http = false                       # the default
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct Signing {
    service: ServiceName,
    region: Region,
    payload: Option<Payload>,
    #[cfg_attr(feature = "serde", serde(default))]
    signed_headers: SignedHeaders,
    #[cfg_attr(feature = "serde", serde(default))]
    unsigned_over_http: bool,
}

impl Signing {
    /// Signs for `service` in `region`.
    ///
    /// Bodies of up to 1 MiB are hashed. For S3 and its kin (`s3express`, `s3-outposts`, `s3-object-lambda`) larger
    /// ones stream by unsigned; for all others they are refused with `413`.
    pub const fn new(service: ServiceName, region: Region) -> Self {
        Self {
            service,
            region,
            payload: None,
            signed_headers: SignedHeaders::none(),
            unsigned_over_http: false,
        }
    }

    /// Chooses how bodies are signed.
    pub const fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Signs further headers.
    pub fn signed_headers(mut self, headers: SignedHeaders) -> Self {
        self.signed_headers = headers;
        self
    }

    /// Lets bodies go unsigned over plain `http`, too, where whoever is on the way can replace them.
    ///
    /// Without it, a body that would go unsigned is refused, unless the URI of the request says `https`.
    pub const fn unsigned_over_http(mut self) -> Self {
        self.unsigned_over_http = true;
        self
    }

    pub(crate) const fn service(&self) -> &ServiceName {
        &self.service
    }

    pub(crate) const fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) const fn allows_unsigned_over_http(&self) -> bool {
        self.unsigned_over_http
    }

    pub(crate) fn body_policy(&self) -> Payload {
        self.payload.unwrap_or_else(|| {
            if self.service.is_s3() {
                Payload::hash_or_unsigned(DEFAULT_MAX_BYTES)
            } else {
                Payload::hash(DEFAULT_MAX_BYTES)
            }
        })
    }

    pub(crate) fn path_rules(&self) -> PathRules {
        if self.service.is_s3() { PathRules::S3 } else { PathRules::OTHERS }
    }

    /// The headers to sign, in their order.
    pub(crate) fn names<'a>(&self, headers: &'a HeaderMap) -> Vec<&'a HeaderName> {
        let mut names = Vec::with_capacity(headers.keys_len());
        names.extend(headers.keys().filter(|&name| {
            name == HOST
                || name == CONTENT_TYPE
                || name == CONTENT_MD5
                || name.as_str().starts_with("x-amz-")
                || self.signed_headers.contains(name)
        }));
        names.sort_unstable_by_key(|name| name.as_str());
        names
    }
}

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const DEFAULT_MAX_BYTES: u64 = 1 << 20;
