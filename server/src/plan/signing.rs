//! Who signs: the gateway for its upstreams, and clients for the gateway.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use portcullis_sigv4_sign::{
    EnvironmentCredentials, FixedKeys, ProfileCredentials, SecretKey, SigV4SignLayer,
    SigV4VerifyLayer,
};

use crate::config::{self, Config, Problem, SigV4Sign, SigV4Verify, Spanned};
#[cfg(feature = "aws-config")]
use crate::upstream::{ClientTls, IssuerClient};

#[cfg(feature = "aws-config")]
use super::default_chain::DefaultChain;
use super::{named, problem, read_secret};

/// The signer of an upstream, which counts where it is made.
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
    let provider = provider(config, name, problems)?;
    Some(SigV4SignLayer::new(sign.signing.clone(), provider))
}

fn provider(
    config: &Config,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<SharedCredentialsProvider> {
    let section = config.credentials.get(name)?;
    let keys = section.get_ref();
    let fixed = keys.access_key.is_some() || keys.secret_key.is_some();
    let key = format!("credentials.{name}");
    if keys.profile.is_some() && keys.profile_file.is_none() && !keys.default_chain {
        let message = "`profile` is of a `profile_file`, or of `default_chain`";
        problems.push(problem(&key, section, message));
    }
    if keys.region.is_some() && !keys.default_chain {
        problems.push(problem(&key, section, "`region` is for `default_chain` alone"));
    }
    match (fixed, &keys.profile_file, keys.environment, keys.default_chain) {
        (true, None, false, false) => {
            let (id, secret, token) = pair(config, name, problems)?;
            let keys = Credentials::new(id, secret, token, None, "portcullis");
            Some(SharedCredentialsProvider::new(keys))
        }
        (false, Some(path), false, false) => {
            let file = ProfileCredentials::new(config.folder.join(path));
            Some(SharedCredentialsProvider::new(match &keys.profile {
                Some(profile) => file.profile(profile),
                None => file,
            }))
        }
        (false, None, true, false) => {
            Some(SharedCredentialsProvider::new(EnvironmentCredentials::new()))
        }
        (false, None, false, true) => {
            let chain = default_chain(keys);
            chain.map_err(|message| problems.push(problem(&key, section, message))).ok()
        }
        _ => {
            let message = "exactly one is needed: `access_key` and `secret_key`, `profile_file`, \
                           `environment = true`, or `default_chain = true`";
            problems.push(problem(&key, section, message));
            None
        }
    }
}

#[cfg(feature = "aws-config")]
fn default_chain(keys: &config::Credentials) -> Result<SharedCredentialsProvider, String> {
    let client = IssuerClient::new(ClientTls::new().config()?);
    Ok(SharedCredentialsProvider::new(DefaultChain::new(keys, client)))
}

#[cfg(not(feature = "aws-config"))]
fn default_chain(_: &config::Credentials) -> Result<SharedCredentialsProvider, String> {
    Err("`default_chain` needs a program that is built with the feature `aws-config`".to_owned())
}

/// What verifies the signatures of clients.
pub(super) fn verifier(
    config: &Config,
    section: &Spanned<SigV4Verify>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<SigV4VerifyLayer> {
    let verify = section.get_ref();
    let span = verify.credentials.span();
    let mut keys = Some(Vec::new());
    for (index, name) in verify.credentials.get_ref().iter().enumerate() {
        let name = Spanned::new(span.clone(), name.clone());
        let key = format!("{key}.credentials[{index}]");
        let found = named(&name, "credentials", config.credentials.keys(), &key, problems)
            .and_then(|name| secret_key(config, name, problems));
        keys = keys.zip(found).map(|(mut keys, found)| {
            keys.push(found);
            keys
        });
    }
    let keys = keys?;
    if keys.is_empty() {
        let message = "no credentials, so nobody could sign";
        problems.push(problem(&format!("{key}.credentials"), &verify.credentials, message));
        return None;
    }
    Some(SigV4VerifyLayer::new(verify.verifying.clone(), FixedKeys::new(keys)))
}

fn secret_key(
    config: &Config,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<(String, SecretKey)> {
    let section = config.credentials.get(name)?;
    let keys = section.get_ref();
    if keys.profile_file.is_some() || keys.environment || keys.default_chain {
        let message = "clients sign by an `access_key` and a `secret_key` that stand here";
        problems.push(problem(&format!("credentials.{name}"), section, message));
        return None;
    }
    let (id, secret, token) = pair(config, name, problems)?;
    let key = match token {
        Some(token) => SecretKey::temporary(secret, token),
        None => SecretKey::new(secret),
    };
    Some((id, key))
}

/// Access key, secret key and session token.
fn pair(
    config: &Config,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<(String, String, Option<String>)> {
    let section = config.credentials.get(name)?;
    let config::Credentials { access_key, secret_key, session_token, .. } = section.get_ref();
    let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
        let message = "`access_key` and `secret_key` go together";
        problems.push(problem(&format!("credentials.{name}"), section, message));
        return None;
    };
    let key = |field: &str| format!("credentials.{name}.{field}");
    let access_key = read_secret(config, access_key, &key("access_key"), problems);
    let secret_key = read_secret(config, secret_key, &key("secret_key"), problems);
    let session_token = match session_token {
        Some(token) => Some(read_secret(config, token, &key("session_token"), problems)?),
        None => None,
    };
    Some((access_key?, secret_key?, session_token))
}
