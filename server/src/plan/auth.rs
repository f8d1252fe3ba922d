use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusRecorder;
use portcullis_jwt_auth::{CacheLimits, Issuer, JwtAuthLayer, Key, Policy};

use crate::config::{self, Config, JwtAuth, Problem, Spanned};
use crate::upstream::{ClientTls, IssuerClient};

use super::{named, problem, read_file};

/// The issuers that routes have named so far: each is built once, so that all its routes share the keys that it is asked
/// for. One that cannot be built has said why.
#[derive(Default)]
pub(super) struct Issuers(BTreeMap<String, Option<Issuer>>);

impl Issuers {
    fn get(&mut self, config: &Config, name: &str, problems: &mut Vec<Problem>) -> Option<Issuer> {
        let known = self.0.entry(name.to_owned());
        known.or_insert_with(|| issuer(config, name, problems)).clone()
    }

    /// Those that are asked for their keys, by name. A layer that lets nobody through is all it takes to see to that.
    pub(super) fn asked(self, recorder: &PrometheusRecorder) -> BTreeMap<String, JwtAuthLayer> {
        let policy = Policy::new().cache(CacheLimits::off());
        let alone = |issuer| {
            let layer =
                with_local_recorder(recorder, || JwtAuthLayer::new(policy.clone(), [issuer]));
            layer.ok().filter(|layer| !layer.handle().key_sets().is_empty())
        };
        self.0.into_iter().filter_map(|(name, issuer)| Some((name, alone(issuer?)?))).collect()
    }
}

/// What a route asks of tokens.
pub(super) fn layer(
    config: &Config,
    section: &Spanned<JwtAuth>,
    key: &str,
    known: &mut Issuers,
    recorder: &Arc<PrometheusRecorder>,
    problems: &mut Vec<Problem>,
) -> Option<JwtAuthLayer> {
    let auth = section.get_ref();
    let mut issuers = Some(Vec::new());
    for (index, name) in auth.issuers.iter().enumerate() {
        let key = format!("{key}.issuers[{index}]");
        let issuer = named(name, "issuer", config.issuer.keys(), &key, problems)
            .and_then(|name| known.get(config, name, problems));
        issuers = issuers.zip(issuer).map(|(mut issuers, issuer)| {
            issuers.push(issuer);
            issuers
        });
    }

    let mut policy = Policy::new()
        .claims(auth.claims.iter().cloned())
        .require(auth.require.iter().cloned())
        .scopes(auth.scopes.iter().cloned())
        .typ(auth.typ.clone())
        .cache(auth.cache);
    if let Some(age) = auth.max_age {
        policy = policy.max_age(age);
    }
    if auth.optional {
        policy = policy.optional();
    }
    if auth.allow_preflight {
        policy = policy.allow_preflight();
    }
    if let Some(sources) = &auth.sources {
        policy = policy.sources(sources.iter().cloned());
    }
    if let Some(realm) = &auth.realm {
        policy = policy.realm(realm);
    }
    if let Some(metadata) = &auth.resource_metadata {
        policy = policy.resource_metadata(metadata.get_ref().url());
    }
    // Without a usable key nothing is built, and so nothing starts.
    let issuers = issuers?;
    let layer = with_local_recorder(&**recorder, || JwtAuthLayer::new(policy, issuers));
    layer.map_err(|error| problems.push(problem(key, section, error.to_string()))).ok()
}

fn issuer(config: &Config, name: &str, problems: &mut Vec<Problem>) -> Option<Issuer> {
    let place = config.issuer.get(name)?;
    let section = place.get_ref();
    let mut issuer = match (&section.keys, &section.jwks_url, section.discovery) {
        (Some(keys), None, false) if section.ca_file.is_none() => {
            if let Some(refresh) = &section.refresh {
                let message = "keys that are given are not asked for: `refresh` goes with `jwks_url` or `discovery`";
                problems.push(problem(&format!("issuer.{name}.refresh"), refresh, message));
            }
            Issuer::new(given(config, name, keys, problems)?)
        }
        (None, Some(url), false) => {
            let client = client(config, name, section, problems)?;
            let issuer = Issuer::jwks_url(url.get_ref(), client);
            let key = format!("issuer.{name}.jwks_url");
            issuer.map_err(|error| problems.push(problem(&key, url, error.to_string()))).ok()?
        }
        (None, None, true) => {
            let Some(own) = &section.issuer else {
                let message = "`discovery` needs `issuer`, the URL that its tokens have as `iss`";
                problems.push(problem(&format!("issuer.{name}.discovery"), place, message));
                return None;
            };
            let client = client(config, name, section, problems)?;
            let key = format!("issuer.{name}.issuer");
            let failed = |error: portcullis_jwt_auth::ConfigError| {
                problems.push(problem(&key, place, error.to_string()));
            };
            Issuer::discovery(own, client).map_err(failed).ok()?
        }
        _ => {
            let message = "exactly one of `keys`, `jwks_url` and `discovery = true` is needed, and `ca_file` \
                           is for the last two";
            problems.push(problem(&format!("issuer.{name}"), place, message));
            return None;
        }
    };
    if let Some(policy) = &section.refresh {
        issuer = issuer.refresh(policy.get_ref().clone());
    }
    if let Some(name) = &section.issuer {
        issuer = issuer.issuer(name);
    }
    if !section.audience.is_empty() {
        issuer = issuer.audience(&section.audience);
    }
    if let Some(leeway) = section.leeway {
        issuer = issuer.leeway(leeway);
    }
    Some(issuer)
}

/// What asks an issuer for its keys.
fn client(
    config: &Config,
    name: &str,
    section: &config::Issuer,
    problems: &mut Vec<Problem>,
) -> Option<IssuerClient> {
    let tls = match &section.ca_file {
        Some(path) => ClientTls::new().trust(config.folder.join(path.get_ref())),
        None => ClientTls::new(),
    };
    let tls = tls.config().map_err(|message| {
        let span = section.ca_file.as_ref().map(Spanned::span);
        problems.push(Problem::new(format!("issuer.{name}.ca_file"), span, message));
    });
    tls.ok().map(IssuerClient::new)
}

/// The keys that stand in the section, and in the files that it names.
fn given(
    config: &Config,
    name: &str,
    section: &Spanned<Vec<config::Key>>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Key>> {
    let mut keys = Some(Vec::new());
    for (index, key) in section.get_ref().iter().enumerate() {
        let made = self::keys(config, key).map_err(|message| {
            let key = format!("issuer.{name}.keys[{index}]");
            problems.push(problem(&key, section, message));
        });
        keys = keys.zip(made.ok()).map(|(mut keys, made)| {
            keys.extend(made);
            keys
        });
    }
    keys
}

fn keys(config: &Config, key: &config::Key) -> Result<Vec<Key>, String> {
    let algorithms = key.algorithms.iter().copied();
    let mut keys = match (&key.secret, &key.pem, &key.jwks) {
        (Some(secret), None, None) => {
            let secret = secret.get_ref().read(&config.folder)?;
            vec![Key::secret(secret, algorithms).map_err(|error| error.to_string())?]
        }
        (None, Some(path), None) => {
            let pem = read_file(config, path)?;
            let key = Key::pem(pem, algorithms);
            vec![key.map_err(|error| format!("{}: {error}", path.display()))?]
        }
        (None, None, Some(path)) => {
            if !key.algorithms.is_empty() || key.kid.is_some() {
                return Err(
                    "a set says itself what `algorithms` and `kid` its keys have".to_owned()
                );
            }
            let set = Key::jwks(read_file(config, path)?);
            let set = set.map_err(|error| format!("{}: {error}", path.display()))?;
            for skipped in set.skipped() {
                tracing::warn!(file = %path.display(), reason = %skipped, "a key of the set is not used");
            }
            set.into_iter().collect()
        }
        _ => return Err("exactly one of `secret`, `pem` and `jwks` is needed".to_owned()),
    };
    if let Some(kid) = &key.kid {
        keys = keys.into_iter().map(|key| key.kid(kid)).collect();
    }
    Ok(keys)
}
