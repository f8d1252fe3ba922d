//! The signature in the query of the URI.

use aws_credential_types::Credentials;
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;

use crate::algorithm::Key;
use crate::claims::X_AMZ_DATE;
use crate::percent::{self, hex, unreserved};
use crate::stamp::Stamp;
use crate::{Expires, NotSigned, Signing, canonical, target};

/// What a URL says of its signature beside the signature itself.
pub(crate) struct Presigned<'a> {
    pub(crate) signing: &'a Signing,
    pub(crate) credentials: &'a Credentials,
    pub(crate) stamp: Stamp,
    pub(crate) expires: Expires,
}

impl Presigned<'_> {
    /// Signs a prepared request; `payload` is what is signed for its body.
    pub(crate) fn sign(
        &self,
        parts: &mut Parts,
        key: &Key,
        payload: &[u8],
    ) -> Result<(), NotSigned> {
        // A service would take them for a second signature.
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove(X_AMZ_DATE);

        let names = self.signing.names(&parts.headers);
        self.put_claims(&mut parts.uri, &names)?;
        let request = canonical::digest(parts, self.signing.path_rules(), &names, payload)?;
        self.put_signature(&mut parts.uri, &request, key)
    }

    /// Adds all parameters but the signature; `names` are sorted.
    pub(crate) fn put_claims(&self, uri: &mut Uri, names: &[&HeaderName]) -> Result<(), NotSigned> {
        let mut query = uri.query().unwrap_or_default().to_owned();
        let mut put = |name, values: &[&[u8]]| add(&mut query, name, values);
        let date = self.stamp.date();
        let scope = self.signing.scope(&date).concat();
        put("X-Amz-Algorithm", &[self.signing.algorithm().name().as_bytes()]);
        put("X-Amz-Credential", &[self.credentials.access_key_id().as_bytes(), b"/", &scope]);
        put("X-Amz-Date", &[self.stamp.as_bytes()]);
        put("X-Amz-Expires", &[self.expires.as_duration().as_secs().to_string().as_bytes()]);
        #[cfg(feature = "sigv4a")]
        if let Some(regions) = self.signing.regions() {
            put("X-Amz-Region-Set", &[regions.as_str().as_bytes()]);
        }
        if let Some(token) = self.credentials.session_token() {
            put(self.signing.token_names().1, &[token.as_bytes()]);
        }
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        put("X-Amz-SignedHeaders", &[names.join(";").as_bytes()]);
        target::set_query(uri, &query)
    }

    /// Adds the signature of the canonical request with this digest.
    pub(crate) fn put_signature(
        &self,
        uri: &mut Uri,
        request: &[u8; 32],
        key: &Key,
    ) -> Result<(), NotSigned> {
        let algorithm = self.signing.algorithm();
        let date = self.stamp.date();
        let scope = self.signing.scope(&date).concat();
        let lines = [algorithm.name().as_bytes(), self.stamp.as_bytes(), &scope, &hex(request)];
        let signature = algorithm.sign(key, &lines.join(&b'\n'));

        let mut query = uri.query().unwrap_or_default().to_owned();
        add(&mut query, "X-Amz-Signature", &[signature.as_bytes()]);
        target::set_query(uri, &query)
    }
}

fn add(query: &mut String, name: &str, values: &[&[u8]]) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    for value in values {
        percent::encode(value.iter().copied(), unreserved, query);
    }
}
