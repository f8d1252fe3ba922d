use aws_credential_types::Credentials;
use portcullis_sigv4_sign::{SigV4SignLayer, Signing};
use toml::Spanned;

use crate::config::{Config, Problem, SigV4Sign};

use super::{named, read_secret};

/// The signer of an upstream.
pub(super) fn layer(
    config: &Config,
    section: &Spanned<SigV4Sign>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<SigV4SignLayer> {
    let sign = section.get_ref();
    let known = config.credentials.keys();
    let name =
        named(&sign.credentials, "credentials", known, &format!("{key}.credentials"), problems)?;
    let credentials = credentials(config, name, problems)?;

    let mut signing = Signing::new(sign.service.clone(), sign.region.clone())
        .signed_headers(sign.signed_headers.clone());
    if let Some(payload) = sign.payload {
        signing = signing.payload(payload);
    }
    if sign.unsigned_over_http {
        signing = signing.unsigned_over_http();
    }
    Some(SigV4SignLayer::new(signing, credentials))
}

fn credentials(config: &Config, name: &str, problems: &mut Vec<Problem>) -> Option<Credentials> {
    let section = config.credentials.get(name)?;
    let key = |field: &str| format!("credentials.{name}.{field}");
    let access_key = read_secret(config, &section.access_key, &key("access_key"), problems);
    let secret_key = read_secret(config, &section.secret_key, &key("secret_key"), problems);
    let session_token = match &section.session_token {
        Some(token) => Some(read_secret(config, token, &key("session_token"), problems)?),
        None => None,
    };
    Some(Credentials::new(access_key?, secret_key?, session_token, None, "portcullis"))
}
