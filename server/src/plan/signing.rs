//! Who signs: the gateway for its upstreams, and clients for the gateway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use portcullis_sigv4_sign::{
    EnvironmentCredentials, ProfileCredentials, SecretKey, SecretKeys, SigV4SignLayer,
    SigV4VerifyLayer,
};

use crate::config::{self, Config, Files, Problem, SigV4Sign, SigV4Verify, Spanned};
#[cfg(feature = "aws-config")]
use crate::upstream::{ClientTls, IssuerClient};

#[cfg(feature = "aws-config")]
use super::default_chain::DefaultChain;
use super::origin::Origin;
use super::retired::{Exchange, Retired};
use super::{Plan, named, problem, read_secret};

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

/// The credentials that a client signs by.
#[derive(Debug)]
pub struct ClientPlan {
    origin: Origin<config::Credentials>,
    now: (String, SecretKey),
    /// What stood there before.
    retired: Vec<Retired<(String, SecretKey)>>,
}

impl ClientPlan {
    pub(super) const fn files(&self) -> &Files {
        self.origin.files()
    }
}

/// What verifies the signatures of clients.
#[derive(Debug)]
pub struct VerifierPlan {
    section: SigV4Verify,
    clients: Vec<Arc<ClientPlan>>,
    layer: SigV4VerifyLayer,
}

impl VerifierPlan {
    /// Verifies them.
    pub fn layer(&self) -> SigV4VerifyLayer {
        self.layer.clone()
    }
}

/// The clients that may sign, by their access keys.
struct Keys(Vec<Arc<ClientPlan>>);

impl SecretKeys for Keys {
    fn secret_key(&self, access_key_id: &str) -> Option<SecretKey> {
        let mut now = self.0.iter().rev().map(|client| &client.now);
        now.find(|(id, _)| id == access_key_id).map(|(_, secret)| secret.clone())
    }

    fn former_secret_keys(&self, access_key_id: &str) -> Vec<SecretKey> {
        let retired = self.0.iter().flat_map(|client| &client.retired);
        let of_client = retired.filter(|retired| retired.key.0 == access_key_id);
        // The time is asked for where there is something to ask about.
        let accepted = of_client.filter(|retired| SystemTime::now() < retired.until);
        accepted.map(|retired| retired.key.1.clone()).collect()
    }
}

/// The clients that routes have named so far.
pub(super) struct Clients<'p> {
    before: Option<&'p Plan>,
    exchange: Exchange,
    known: BTreeMap<String, Option<Arc<ClientPlan>>>,
}

impl<'p> Clients<'p> {
    pub(super) fn new(before: Option<&'p Plan>, grace: Duration) -> Self {
        Self { before, exchange: Exchange::new(grace), known: BTreeMap::new() }
    }

    fn get(
        &mut self,
        config: &Config,
        name: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<ClientPlan>> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let before = self.before.and_then(|before| before.clients.get(name));
        let section = config.credentials.get(name)?.get_ref();
        let same = |before: &&Arc<ClientPlan>| {
            before.origin.is(section) && self.exchange.leaves(&before.retired)
        };
        let client = match before.filter(same) {
            Some(kept) => Some(kept.clone()),
            None => {
                let (origin, now) =
                    Origin::of(config, section.clone(), || secret_key(config, name, problems));
                now.map(|now| {
                    let retired = before.map_or_else(Vec::new, |before| {
                        let (now, then) = (std::slice::from_ref(&now), &before.now);
                        self.exchange.retire(now, std::slice::from_ref(then), &before.retired)
                    });
                    Arc::new(ClientPlan { origin, now, retired })
                })
            }
        };
        self.known.insert(name.to_owned(), client.clone());
        client
    }

    /// All that were named and could be had.
    pub(super) fn all(self) -> BTreeMap<String, Arc<ClientPlan>> {
        self.known.into_iter().filter_map(|(name, client)| Some((name, client?))).collect()
    }
}

/// What verifies the signatures of a route's clients.
pub(super) fn verifier(
    config: &Config,
    section: &Spanned<SigV4Verify>,
    key: &str,
    known: &mut Clients<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<VerifierPlan>> {
    let verify = section.get_ref();
    let span = verify.credentials.span();
    let mut clients = Some(Vec::new());
    for (index, name) in verify.credentials.get_ref().iter().enumerate() {
        let name = Spanned::new(span.clone(), name.clone());
        let key = format!("{key}.credentials[{index}]");
        let found = named(&name, "credentials", config.credentials.keys(), &key, problems)
            .and_then(|name| known.get(config, name, problems));
        clients = clients.zip(found).map(|(mut clients, found)| {
            clients.push(found);
            clients
        });
    }
    let clients = clients?;
    if clients.is_empty() {
        let message = "no credentials, so nobody could sign";
        problems.push(problem(&format!("{key}.credentials"), &verify.credentials, message));
        return None;
    }
    let same = |before: &&Arc<VerifierPlan>| {
        let same = |(one, other): (&Arc<ClientPlan>, _)| Arc::ptr_eq(one, other);
        before.section == *verify
            && before.clients.len() == clients.len()
            && before.clients.iter().zip(&clients).all(same)
    };
    let mut before = known.before.iter().flat_map(|plan| &plan.routes);
    if let Some(kept) = before.find_map(|route| route.verifier.as_ref().filter(same)) {
        return Some(kept.clone());
    }
    let layer = SigV4VerifyLayer::new(verify.verifying.clone(), Keys(clients.clone()));
    Some(Arc::new(VerifierPlan { section: verify.clone(), clients, layer }))
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
