use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use http::header::{AGE, AUTHORIZATION, DATE, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body;

use crate::algorithm::Key;
use crate::authorization::authorization;
use crate::chunk_encoder::Encoder;
use crate::chunk_signature::Chain;
#[cfg(feature = "sigv4a")]
use crate::claims::X_AMZ_REGION_SET;
use crate::claims::{self, X_AMZ_CONTENT_SHA256, X_AMZ_DATE};
use crate::clock::Clock;
use crate::collect::UNSIGNED;
use crate::key_cache::KeyCache;
use crate::meters::Meters;
use crate::plan::{Plan, Settled, plan, unsigned};
use crate::presigned::Presigned;
use crate::source::Source;
use crate::stamp::Stamp;
use crate::{ClockSkew, NotSigned, RefreshPolicy, Signing, canonical, http_date};

/// What the services of a layer share.
pub(crate) struct Signer {
    signing: Signing,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
    source: Source,
    keys: KeyCache,
    out_of_credentials: AtomicBool,
}

impl Signer {
    pub(crate) fn new(signing: Signing, provider: impl ProvideCredentials + 'static) -> Self {
        let clock = Arc::new(Clock::new(SystemTime::now));
        let meters = Arc::new(Meters::new(&signing));
        let source = Source::new(provider, Arc::clone(&clock), Arc::clone(&meters));
        Self::of(signing, clock, meters, source)
    }

    fn of(signing: Signing, clock: Arc<Clock>, meters: Arc<Meters>, source: Source) -> Self {
        Self {
            signing,
            clock,
            meters,
            source,
            keys: KeyCache::default(),
            out_of_credentials: AtomicBool::new(false),
        }
    }

    /// The same, by another clock.
    pub(crate) fn clock(&self, own: fn() -> SystemTime) -> Self {
        let clock = Arc::new(Clock::new(own));
        let source = self.source.anew(None, Arc::clone(&clock));
        Self::of(self.signing.clone(), clock, Arc::clone(&self.meters), source)
    }

    /// The same, by another policy.
    pub(crate) fn refresh(&self, policy: RefreshPolicy) -> Self {
        let clock = Arc::clone(&self.clock);
        let source = self.source.anew(Some(policy), Arc::clone(&clock));
        Self::of(self.signing.clone(), clock, Arc::clone(&self.meters), source)
    }

    /// The time to sign by.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Brings a request into the form in which it is signed and sent.
    pub(crate) fn prepare(&self, parts: &mut Parts, body: &impl Body) -> Result<Plan, NotSigned> {
        self.signing.settle(parts)?;
        if self.signing.expires().is_some() && self.signing.service().is_s3() {
            return unsigned(&self.signing, parts).map(Plan::Known);
        }
        plan(&self.signing, parts, body)
    }

    /// Signs a prepared request, and tells how to encode its body if that is to be done. None if credentials have to be
    /// asked for.
    pub(crate) fn sign(
        &self,
        parts: &mut Parts,
        settled: &Settled,
    ) -> Option<Result<Option<Box<Encoder>>, NotSigned>> {
        let time = self.now();
        let signed =
            self.source.with(time, |credentials| self.sign_by(credentials, time, parts, settled));
        if let Some(Ok(_)) = signed {
            self.meters.signed(&settled.payload);
        }
        signed
    }

    fn sign_by(
        &self,
        credentials: &Credentials,
        time: SystemTime,
        parts: &mut Parts,
        settled: &Settled,
    ) -> Result<Option<Box<Encoder>>, NotSigned> {
        if credentials.expiry().is_some_and(|expiry| expiry <= time) {
            let expired = CredentialsError::provider_error("the credentials have expired");
            return Err(self.lacks_credentials(Some(&expired)));
        }
        let stamp = Stamp::of(time).ok_or(NotSigned::NoTime)?;
        let key = self.keys.key(&self.signing, credentials, time, stamp);
        let payload = &settled.payload;
        if let Some(expires) = self.signing.expires() {
            // S3 expects nothing else, and nobody else expects that.
            if *payload == UNSIGNED && !self.signing.service().is_s3() {
                self.add_content_hash(parts, settled)?;
            }
            let presigned = Presigned { signing: &self.signing, credentials, stamp, expires };
            presigned.sign(parts, &key, payload.as_bytes())?;
            self.has_credentials();
            return Ok(None);
        }
        self.add_headers(parts, settled, credentials, stamp)?;

        let names = self.signing.names(&parts.headers);
        let rules = self.signing.path_rules();
        let request = canonical::digest(parts, rules, &names, payload.as_bytes())?;
        let id = credentials.access_key_id();
        let authorization = authorization(&self.signing, id, stamp, &names, &request, &key)
            .map_err(|error| self.lacks_credentials(Some(&error)))?;
        self.has_credentials();
        let encoder = settled.encoding.map(|encoding| {
            let chain = || chain(&self.signing, &key, stamp, &authorization);
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
        self.add_content_hash(parts, settled)?;
        let headers = &mut parts.headers;
        claims::put(headers, X_AMZ_DATE, stamp.to_header()?)?;
        #[cfg(feature = "sigv4a")]
        if let Some(regions) = self.signing.regions() {
            let regions = HeaderValue::from_str(regions.as_str());
            claims::put(headers, X_AMZ_REGION_SET, regions.map_err(|_| NotSigned::BadHeader)?)?;
        }
        if let Some(token) = credentials.session_token() {
            let token = HeaderValue::from_str(token);
            let mut token = token.map_err(|error| self.lacks_credentials(Some(&error)))?;
            token.set_sensitive(true);
            claims::put(headers, self.signing.token_names().0, token)?;
        }
        Ok(())
    }

    fn add_content_hash(&self, parts: &mut Parts, settled: &Settled) -> Result<(), NotSigned> {
        if self.signing.service().wants_content_hash() || settled.is_no_hash() {
            claims::put(&mut parts.headers, X_AMZ_CONTENT_SHA256, settled.payload.clone())?;
        }
        Ok(())
    }

    /// Learns from a refusal that this machine's clock is off.
    ///
    /// The reason for a refusal is in its body, which is the client's. But S3 and others refuse with `403` or `400` what is
    /// signed at a time minutes away from theirs, and say theirs in `Date`: where that differs by so much, it is the reason.
    pub(crate) fn learn<B>(&self, response: &Response<B>) {
        let refused = matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
        // What a cache answers is of another time.
        if !refused || response.headers().contains_key(AGE) {
            return;
        }
        let date = response.headers().get(DATE).and_then(|date| http_date::parse(date.as_bytes()));
        if let Some(correction) = date.and_then(|date| self.clock.learn(date)) {
            let skew = self.skew();
            self.meters.skew(correction);
            let (service, region) = (self.signing.service(), self.signing.region());
            let (service, region) = (service.as_str(), region.as_str());
            tracing::warn!(
                service,
                region,
                ?skew,
                "the clocks of the service and of this machine differ"
            );
        }
    }

    /// Counts a request that is not sent.
    pub(crate) fn refused(&self, reason: NotSigned) {
        self.meters.refused(reason.reason());
    }

    pub(crate) fn skew(&self) -> ClockSkew {
        self.clock.skew()
    }

    pub(crate) fn has_credentials_at_hand(&self) -> bool {
        let time = self.now();
        let good = |expiry| time < expiry;
        self.source.with(time, |held| held.expiry().is_none_or(good)).unwrap_or(false)
    }

    /// Credentials that are refused now; tells the log, once.
    pub(crate) fn lacks_credentials(&self, why: Option<&(dyn Error + 'static)>) -> NotSigned {
        if !self.out_of_credentials.swap(true, Ordering::Relaxed) {
            let (service, region) = (self.signing.service(), self.signing.region());
            let (service, region) = (service.as_str(), region.as_str());
            tracing::warn!(service, region, error = why, "no credentials to sign with");
        }
        self.no_credentials()
    }

    pub(crate) fn no_credentials(&self) -> NotSigned {
        NotSigned::NoCredentials { retry_after: self.source.retry_after() }
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

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("signing", &self.signing).finish_non_exhaustive()
    }
}

/// The chain that goes on from a request with this `Authorization`.
fn chain(signing: &Signing, key: &Key, stamp: Stamp, authorization: &HeaderValue) -> Chain {
    let date = stamp.date();
    #[expect(clippy::expect_used, reason = "it ends in 64 digits")]
    let seed = authorization.as_bytes().last_chunk().expect("a signature");
    Chain::new(*key, stamp.as_bytes(), &signing.scope(&date).concat(), *seed)
}
