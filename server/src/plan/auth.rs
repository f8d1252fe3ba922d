use portcullis_jwt_auth::{Issuer, JwtAuthLayer, Key, Policy};
use toml::Spanned;

use crate::config::{self, Config, JwtAuth, Problem};

use super::{named, problem, read_file};

/// What a route asks of tokens.
pub(super) fn layer(
    config: &Config,
    section: &Spanned<JwtAuth>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<JwtAuthLayer> {
    let auth = section.get_ref();
    let mut issuers = Some(Vec::new());
    for (index, name) in auth.issuers.iter().enumerate() {
        let key = format!("{key}.issuers[{index}]");
        let issuer = named(name, "issuer", config.issuer.keys(), &key, problems)
            .and_then(|name| issuer(config, name, problems));
        issuers = issuers.zip(issuer).map(|(mut issuers, issuer)| {
            issuers.push(issuer);
            issuers
        });
    }

    let mut policy = Policy::new().claims(auth.claims.iter().cloned());
    if let Some(sources) = &auth.sources {
        policy = policy.sources(sources.iter().cloned());
    }
    if let Some(realm) = &auth.realm {
        policy = policy.realm(realm);
    }
    // Without a usable key nothing is built, and so nothing starts.
    let layer = JwtAuthLayer::new(policy, issuers?);
    layer.map_err(|error| problems.push(problem(key, section, error.to_string()))).ok()
}

fn issuer(config: &Config, name: &str, problems: &mut Vec<Problem>) -> Option<Issuer> {
    let section = config.issuer.get(name)?;
    let mut keys = Some(Vec::new());
    for (index, key) in section.keys.get_ref().iter().enumerate() {
        let made = self::keys(config, key).map_err(|message| {
            let key = format!("issuer.{name}.keys[{index}]");
            problems.push(problem(&key, &section.keys, message));
        });
        keys = keys.zip(made.ok()).map(|(mut keys, made)| {
            keys.extend(made);
            keys
        });
    }

    let mut issuer = Issuer::new(keys?);
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
