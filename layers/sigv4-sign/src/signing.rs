use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Uri};

#[cfg(feature = "sigv4a")]
use crate::RegionSet;
use crate::algorithm::Algorithm;
use crate::claims::{X_AMZ_S3SESSION_TOKEN, X_AMZ_SECURITY_TOKEN};
use crate::collect::{EMPTY, UNSIGNED};
use crate::presigned::Presigned;
use crate::stamp::Stamp;
use crate::target::{self, PathRules};
use crate::{
    AllowedHeaders, Expires, NotSigned, Payload, Region, ServiceName, SignedHeaders, Streaming,
    claims,
};

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
/// payload = { hash = "1MiB", larger = "unsigned" } # the default of S3 over https; else larger bodies are refused
/// signed_headers = ["range"]                       # none by default
/// unsigned_over_http = false                       # the default
/// allow = ["x-amz-acl", "x-amz-grant-*"]           # what clients may ask for; nothing of that kind by default
/// presigned = "15m"                                # signs in the query, for so long; in the headers by default
/// express_session = true                           # credentials are of a session of S3 Express; false by default
/// region_set = "*"                                 # signs by Version 4A; needs the feature `sigv4a`
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct Signing {
    /// The name of the service: `s3`.
    service: ServiceName,
    /// The region: `eu-west-1`.
    region: Region,
    /// How bodies are signed.
    payload: Option<Payload>,
    /// Headers that are signed besides those that always are.
    #[cfg_attr(feature = "serde", serde(default))]
    signed_headers: SignedHeaders,
    /// Lets bodies go unsigned without TLS, too.
    #[cfg_attr(feature = "serde", serde(default))]
    unsigned_over_http: bool,
    /// Headers beyond the object that clients may send, such as `x-amz-acl`.
    #[cfg_attr(feature = "serde", serde(default))]
    allow: AllowedHeaders,
    /// Signs in the query, for so long; in the headers when left out.
    presigned: Option<Expires>,
    /// The credentials are of a session of S3 Express.
    #[cfg_attr(feature = "serde", serde(default))]
    express_session: bool,
    /// Signs by Version 4A, for these regions.
    #[cfg(feature = "sigv4a")]
    region_set: Option<RegionSet>,
}

impl Signing {
    /// Signs for `service` in `region`.
    ///
    /// Bodies of up to 1 MiB are hashed. For S3 and its kin (`s3express`, `s3-outposts`, `s3-object-lambda`) larger
    /// ones stream by: unsigned over `https`, signed in chunks where they may not go unsigned. For all others they are
    /// refused with `413`.
    pub const fn new(service: ServiceName, region: Region) -> Self {
        Self {
            service,
            region,
            payload: None,
            signed_headers: SignedHeaders::none(),
            unsigned_over_http: false,
            allow: AllowedHeaders::none(),
            presigned: None,
            express_session: false,
            #[cfg(feature = "sigv4a")]
            region_set: None,
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

    /// Lets clients use the rights of the credentials by these headers. None of them passes without it.
    pub fn allow(mut self, headers: AllowedHeaders) -> Self {
        self.allow = headers;
        self
    }

    /// Puts the signature into the query of the URI, valid for so long, and not into `Authorization`.
    ///
    /// S3 takes no other signature for the body of such a request than `UNSIGNED-PAYLOAD`. So for S3 and its kin all bodies
    /// stream by unsigned, whatever [`payload`](Self::payload) says, and a request over plain `http` is refused, with or
    /// without a body, unless [`unsigned_over_http`](Self::unsigned_over_http) allows it.
    pub const fn presigned(mut self, expires: Expires) -> Self {
        self.presigned = Some(expires);
        self
    }

    /// Sends the token of the credentials in `x-amz-s3session-token`, where `CreateSession` of S3 Express has made them, and
    /// not in `x-amz-security-token`.
    pub const fn express_session(mut self) -> Self {
        self.express_session = true;
        self
    }

    /// Signs by Signature Version 4A for a set of regions; `region` then is no part of the signature.
    #[cfg(feature = "sigv4a")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sigv4a")))]
    pub fn region_set(mut self, regions: RegionSet) -> Self {
        self.region_set = Some(regions);
        self
    }

    /// A URL by which anybody may send the request `parts` until it `expires` after `time`, in the name of `credentials`.
    ///
    /// Its authority is what goes into `Host`. Whoever uses it has to send the `content-type`, `content-md5`, `x-amz-*`
    /// and [`signed_headers`](Self::signed_headers) of `parts` with the values they have there. The body is free for S3 and
    /// its kin, and has to be empty for others. A URL is valid no longer than the credentials are.
    ///
    /// # Errors
    ///
    /// As the layer refuses `parts`; without an authority in their URI, [`NotSigned::NoHost`]; with credentials that have
    /// expired, [`NotSigned::NoCredentials`].
    pub fn presign(
        &self,
        parts: &Parts,
        credentials: &Credentials,
        time: SystemTime,
        expires: Expires,
    ) -> Result<Uri, NotSigned> {
        if credentials.expiry().is_some_and(|expiry| expiry <= time) {
            return Err(NotSigned::NoCredentials { retry_after: Duration::ZERO });
        }
        let mut parts = parts.clone();
        parts.headers.remove(HOST);
        self.settle(&mut parts)?;
        let stamp = Stamp::of(time).ok_or(NotSigned::NoTime)?;
        let key = self.algorithm().key(self, credentials, time);
        let payload = if self.service.is_s3() { UNSIGNED } else { EMPTY };
        let presigned = Presigned { signing: self, credentials, stamp, expires };
        presigned.sign(&mut parts, &key, payload.as_bytes())?;
        Ok(parts.uri)
    }

    /// Brings the head of a request into the form in which it is signed and sent.
    pub(crate) fn settle(&self, parts: &mut Parts) -> Result<(), NotSigned> {
        claims::drop_claims(&mut parts.headers, &self.allow)?;
        claims::settle_host(parts)?;
        target::settle(&mut parts.uri, self.path_rules())
    }

    #[cfg_attr(
        not(feature = "sigv4a"),
        expect(clippy::unused_self, reason = "without the feature there is one")
    )]
    pub(crate) const fn algorithm(&self) -> Algorithm {
        #[cfg(feature = "sigv4a")]
        if self.region_set.is_some() {
            return Algorithm::Ecdsa;
        }
        Algorithm::Hmac
    }

    #[cfg(feature = "sigv4a")]
    pub(crate) const fn regions(&self) -> Option<&RegionSet> {
        self.region_set.as_ref()
    }

    /// Where the session token goes: a header, and a parameter.
    pub(crate) const fn token_names(&self) -> (HeaderName, &'static str) {
        if self.express_session {
            (X_AMZ_S3SESSION_TOKEN, "X-Amz-S3session-Token")
        } else {
            (X_AMZ_SECURITY_TOKEN, "X-Amz-Security-Token")
        }
    }

    pub(crate) const fn expires(&self) -> Option<Expires> {
        self.presigned
    }

    /// Whether a signature begins a chain of signed chunks: one in the query does not, nor one by Version 4A.
    pub(crate) const fn signs_chunks(&self) -> bool {
        self.presigned.is_none() && matches!(self.algorithm(), Algorithm::Hmac)
    }

    /// The pieces of the credential scope.
    pub(crate) fn scope<'a>(&'a self, date: &'a [u8; 8]) -> [&'a [u8]; 6] {
        let (region, service) = (self.region.as_str(), self.service.as_str());
        match self.algorithm() {
            Algorithm::Hmac => {
                [date, b"/", region.as_bytes(), b"/", service.as_bytes(), b"/aws4_request"]
            }
            #[cfg(feature = "sigv4a")]
            Algorithm::Ecdsa => [date, b"/", service.as_bytes(), b"/aws4_request", b"", b""],
        }
    }

    /// The service that is signed for.
    #[must_use]
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    pub(crate) const fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) const fn allows_unsigned_over_http(&self) -> bool {
        self.unsigned_over_http
    }

    pub(crate) fn body_policy(&self, may_go_unsigned: bool) -> Payload {
        self.payload.unwrap_or_else(|| match (self.service.is_s3(), may_go_unsigned) {
            (true, true) => Payload::hash_or_unsigned(DEFAULT_MAX_BYTES),
            (true, false) => Payload::hash_or_streaming(DEFAULT_MAX_BYTES, Streaming::signed()),
            (false, _) => Payload::hash(DEFAULT_MAX_BYTES),
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
