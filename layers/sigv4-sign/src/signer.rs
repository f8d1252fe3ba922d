use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use http_body::Body;

use crate::authorization::authorization;
use crate::claims::{self, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN};
use crate::clock::Clock;
use crate::collect::{EMPTY, Limits, UNSIGNED};
use crate::key_cache::KeyCache;
use crate::source::Source;
use crate::stamp::Stamp;
use crate::{Larger, NotSigned, Payload, RefreshPolicy, Signing, canonical, target};

/// What the services of a layer share.
#[derive(Debug)]
pub(crate) struct Signer {
    signing: Signing,
    clock: Arc<Clock>,
    source: Source,
    keys: KeyCache,
    out_of_credentials: AtomicBool,
}

/// What is signed for a body.
pub(crate) enum Plan {
    /// This, as it is known beforehand.
    Known(HeaderValue),
    /// Its hash, once it was read.
    Read(Limits),
}

impl Signer {
    pub(crate) fn new(signing: Signing, provider: impl ProvideCredentials + 'static) -> Self {
        let clock = Arc::new(Clock::new(SystemTime::now));
        let source = Source::new(provider, Arc::clone(&clock));
        Self::of(signing, clock, source)
    }

    fn of(signing: Signing, clock: Arc<Clock>, source: Source) -> Self {
        Self {
            signing,
            clock,
            source,
            keys: KeyCache::default(),
            out_of_credentials: AtomicBool::new(false),
        }
    }

    /// The same, by another clock.
    pub(crate) fn clock(&self, own: fn() -> SystemTime) -> Self {
        let clock = Arc::new(Clock::new(own));
        let source = self.source.anew(None, Arc::clone(&clock));
        Self::of(self.signing.clone(), clock, source)
    }

    /// The same, by another policy.
    pub(crate) fn refresh(&self, policy: RefreshPolicy) -> Self {
        let clock = Arc::clone(&self.clock);
        let source = self.source.anew(Some(policy), Arc::clone(&clock));
        Self::of(self.signing.clone(), clock, source)
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
        claims::drop_claims(&mut parts.headers)?;
        claims::settle_host(parts)?;
        target::settle(&mut parts.uri, self.signing.path_rules())?;
        self.plan(parts, body)
    }

    fn plan(&self, parts: &Parts, body: &impl Body) -> Result<Plan, NotSigned> {
        let size = body.size_hint();
        if body.is_end_stream() || size.exact() == Some(0) {
            return Ok(Plan::Known(EMPTY));
        }
        let may_go_unsigned =
            self.signing.allows_unsigned_over_http() || parts.uri.scheme_str() == Some("https");
        match self.signing.body_policy() {
            Payload::Unsigned if may_go_unsigned => Ok(Plan::Known(UNSIGNED)),
            Payload::Unsigned => Err(NotSigned::UnsignedOverHttp),
            Payload::Hash { max_bytes, larger } => {
                let may_go_unsigned = may_go_unsigned && larger == Larger::Unsigned;
                if size.lower() <= max_bytes {
                    Ok(Plan::Read(Limits { max_bytes, may_go_unsigned }))
                } else if may_go_unsigned {
                    Ok(Plan::Known(UNSIGNED))
                } else {
                    Err(NotSigned::TooLarge)
                }
            }
        }
    }

    /// Signs a prepared request; `payload` is what is signed for its body. None if credentials have to be asked for.
    pub(crate) fn sign(
        &self,
        parts: &mut Parts,
        payload: &HeaderValue,
    ) -> Option<Result<(), NotSigned>> {
        let time = self.now();
        self.source.with(time, |credentials| self.sign_by(credentials, time, parts, payload))
    }

    fn sign_by(
        &self,
        credentials: &Credentials,
        time: SystemTime,
        parts: &mut Parts,
        payload: &HeaderValue,
    ) -> Result<(), NotSigned> {
        if credentials.expiry().is_some_and(|expiry| expiry <= time) {
            let expired = CredentialsError::provider_error("the credentials have expired");
            return Err(self.lacks_credentials(Some(&expired)));
        }
        let stamp = Stamp::of(time).ok_or(NotSigned::NoTime)?;
        self.add_headers(parts, payload, credentials, stamp)?;

        let names = self.signing.names(&parts.headers);
        let rules = self.signing.path_rules();
        let request = canonical::digest(parts, rules, &names, payload.as_bytes())?;
        let key = self.keys.key(&self.signing, credentials, time, stamp);
        let id = credentials.access_key_id();
        let authorization = authorization(&self.signing, id, stamp, &names, &request, &key)
            .map_err(|error| self.lacks_credentials(Some(&error)))?;
        self.has_credentials();
        claims::put(&mut parts.headers, AUTHORIZATION, authorization)
    }

    fn add_headers(
        &self,
        parts: &mut Parts,
        payload: &HeaderValue,
        credentials: &Credentials,
        stamp: Stamp,
    ) -> Result<(), NotSigned> {
        let headers = &mut parts.headers;
        claims::put(headers, X_AMZ_DATE, stamp.to_header()?)?;
        if self.signing.service().wants_content_hash() || *payload == UNSIGNED {
            claims::put(headers, X_AMZ_CONTENT_SHA256, payload.clone())?;
        }
        if let Some(token) = credentials.session_token() {
            let token = HeaderValue::from_str(token);
            let mut token = token.map_err(|error| self.lacks_credentials(Some(&error)))?;
            token.set_sensitive(true);
            claims::put(headers, X_AMZ_SECURITY_TOKEN, token)?;
        }
        Ok(())
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
