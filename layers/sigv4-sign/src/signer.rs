use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use http_body::Body;

use crate::authorization::authorization;
use crate::chunk_encoder::Encoder;
use crate::chunk_signature::Chain;
use crate::claims::{self, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN};
use crate::key_cache::KeyCache;
use crate::plan::{Plan, Settled, plan};
use crate::source::Source;
use crate::stamp::Stamp;
use crate::{NotSigned, Signing, canonical, target};

/// What the services of a layer share.
#[derive(Debug)]
pub(crate) struct Signer {
    signing: Signing,
    source: Source,
    keys: KeyCache,
    out_of_credentials: AtomicBool,
}

impl Signer {
    pub(crate) fn new(signing: Signing, source: Source) -> Self {
        Self {
            signing,
            source,
            keys: KeyCache::default(),
            out_of_credentials: AtomicBool::new(false),
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Brings a request into the form in which it is signed and sent.
    pub(crate) fn prepare(&self, parts: &mut Parts, body: &impl Body) -> Result<Plan, NotSigned> {
        claims::drop_claims(&mut parts.headers)?;
        claims::settle_host(parts)?;
        target::settle(&mut parts.uri, self.signing.path_rules())?;
        plan(&self.signing, parts, body)
    }

    /// Signs a prepared request at `time`, and tells how to encode its body if that is to be done.
    pub(crate) fn sign(
        &self,
        parts: &mut Parts,
        settled: &Settled,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Option<Box<Encoder>>, NotSigned> {
        if credentials.expiry().is_some_and(|expiry| expiry <= time) {
            return Err(self.lacks_credentials(&CredentialsError::provider_error(
                "the credentials have expired",
            )));
        }
        let stamp = Stamp::of(time).ok_or(NotSigned::NoTime)?;
        self.add_headers(parts, settled, credentials, stamp)?;

        let names = self.signing.names(&parts.headers);
        let rules = self.signing.path_rules();
        let request = canonical::digest(parts, rules, &names, settled.payload.as_bytes())?;
        let key = self.keys.key(&self.signing, credentials, time, stamp);
        let id = credentials.access_key_id();
        let authorization = authorization(&self.signing, id, stamp, &names, &request, &key)?;
        self.has_credentials();
        let encoder = settled.encoding.map(|encoding| {
            let chain = || chain(&self.signing, key, stamp, &authorization);
            Box::new(encoding.begin(chain))
        });
        claims::put(&mut parts.headers, AUTHORIZATION, authorization)?;
        Ok(encoder)
    }

    fn add_headers(
        &self,
        parts: &mut Parts,
        settled: &Settled,
        credentials: &Credentials,
        stamp: Stamp,
    ) -> Result<(), NotSigned> {
        let headers = &mut parts.headers;
        claims::put(headers, X_AMZ_DATE, stamp.to_header()?)?;
        if self.signing.service().wants_content_hash() || settled.is_no_hash() {
            claims::put(headers, X_AMZ_CONTENT_SHA256, settled.payload.clone())?;
        }
        if let Some(token) = credentials.session_token() {
            let token = HeaderValue::from_str(token);
            let mut token = token.map_err(|error| self.lacks_credentials(&error))?;
            token.set_sensitive(true);
            claims::put(headers, X_AMZ_SECURITY_TOKEN, token)?;
        }
        Ok(())
    }

    pub(crate) fn lacks_credentials(&self, why: &(dyn Error + 'static)) -> NotSigned {
        if !self.out_of_credentials.swap(true, Ordering::Relaxed) {
            let (service, region) = (self.signing.service(), self.signing.region());
            let (service, region) = (service.as_str(), region.as_str());
            tracing::warn!(service, region, error = why, "no credentials to sign with");
        }
        NotSigned::NoCredentials
    }

    fn has_credentials(&self) {
        // Read first: a write per request would make all cores fight for one cache line.
        if self.out_of_credentials.load(Ordering::Relaxed)
            && self.out_of_credentials.swap(false, Ordering::Relaxed)
        {
            let (service, region) = (self.signing.service(), self.signing.region());
            let (service, region) = (service.as_str(), region.as_str());
            tracing::info!(service, region, "credentials to sign with are back");
        }
    }
}

/// The chain that goes on from a request with this `Authorization`.
fn chain(signing: &Signing, key: [u8; 32], stamp: Stamp, authorization: &HeaderValue) -> Chain {
    let (region, service) = (signing.region().as_str(), signing.service().as_str());
    let date = stamp.date();
    let scope: [&[u8]; 6] =
        [&date, b"/", region.as_bytes(), b"/", service.as_bytes(), b"/aws4_request"];
    #[expect(clippy::expect_used, reason = "it ends in 64 digits")]
    let seed = authorization.as_bytes().last_chunk().expect("a signature");
    Chain::new(key, stamp.as_bytes(), &scope.concat(), *seed)
}
