//! Issuers that are asked for their keys.

use std::sync::Arc;

use crate::fetch::{Client, Fetch};
use crate::key_source::KeySource;
use crate::location::Location;
use crate::store::Store;
use crate::{ConfigError, Issuer, KeyFetcher, RefreshPolicy};

impl Issuer {
    /// An issuer whose keys are at `url`, as a JSON Web Key Set (RFC 7517 §5), got by `fetcher`.
    ///
    /// Nothing is fetched before the first request, or before a [`Refresher`](crate::Refresher) runs. The fetcher is
    /// given a `GET` with an absolute URI and a body that is [`Default`], and must not follow redirects: any answer but
    /// `200` is an error. Secrets (`kty: oct`) in the set are skipped, and of keys with the same `kid` each is tried.
    /// It is cloned for each fetch, which runs in a task of the tokio runtime that a request runs in; it ends with the
    /// last clone of the issuer.
    ///
    /// Clones of an issuer share its keys, whichever layers they are given to.
    ///
    /// # Errors
    ///
    /// When the URL is not absolute, has a user or a fragment, or is neither `https` nor `http` on a loopback address.
    pub fn jwks_url<B: Default + Send + 'static>(
        url: &str,
        fetcher: impl KeyFetcher<B>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::remote(Location::keys(url)?, Arc::new(Client::new(fetcher))))
    }

    /// The issuer of that name, which is a URL; where its keys are is said by its document
    /// (`OpenID` Connect Discovery 1.0 §4), which must name the same issuer, to the byte.
    ///
    /// Otherwise as [`Issuer::jwks_url`]. Both documents are got each time, within one time limit.
    ///
    /// # Errors
    ///
    /// As of [`Issuer::jwks_url`], and when the name has a query.
    pub fn discovery<B: Default + Send + 'static>(
        name: impl Into<String>,
        fetcher: impl KeyFetcher<B>,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let location = Location::discovery(name.clone())?;
        Ok(Self::remote(location, Arc::new(Client::new(fetcher))).issuer(name))
    }

    /// Asks for keys, and keeps them, as `policy` says; of an issuer whose keys were given it changes nothing.
    ///
    /// It no longer shares keys with those that it was cloned from.
    pub fn refresh(mut self, policy: RefreshPolicy) -> Self {
        self.keys.refresh(policy);
        self
    }

    fn remote(location: Location, client: Arc<dyn Fetch>) -> Self {
        let store = Store::new(location, client, RefreshPolicy::new());
        Self::from_source(KeySource::Remote(Arc::new(store)))
    }
}
