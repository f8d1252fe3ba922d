use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::with_local_recorder;
use portcullis_jwt_auth::{
    CacheLimits, Issuer, JwtAuthHandle, JwtAuthLayer, Key, Policy, Refresher,
};

use crate::config::{self, Config, Files, JwtAuth, Problem, Spanned};
use crate::telemetry::Recorder;
use crate::upstream::{ClientTls, IssuerClient};

use super::origin::Origin;
use super::retired::{Exchange, Retired};
use super::{Plan, named, problem, read_file};

/// One who issues tokens.
#[derive(Debug)]
pub struct IssuerPlan {
    origin: Origin<config::Issuer>,
    made: Made,
}

#[derive(Debug)]
struct Made {
    issuer: Issuer,
    /// The keys that stand in the file.
    given: Vec<Given>,
    /// Those that stood there before.
    retired: Vec<Retired<Given>>,
    /// No request passes this layer: it shares the keys with those of the routes, if the issuer is asked for them.
    asked: Option<JwtAuthLayer>,
}

impl IssuerPlan {
    /// Looks at the keys that the issuer was asked for; none, if it is not asked.
    #[must_use]
    pub fn handle(&self) -> Option<JwtAuthHandle> {
        self.made.asked.as_ref().map(JwtAuthLayer::handle)
    }

    /// Keeps those keys fresh while it is polled.
    pub fn refresher(&self) -> Option<Refresher> {
        self.made.asked.as_ref().map(JwtAuthLayer::refresher)
    }

    pub(super) const fn files(&self) -> &Files {
        self.origin.files()
    }
}

/// What a route asks of tokens.
#[derive(Debug)]
pub struct AuthPlan {
    section: JwtAuth,
    issuers: Vec<Arc<IssuerPlan>>,
    layer: JwtAuthLayer,
}

impl AuthPlan {
    /// Asks for them.
    pub fn layer(&self) -> JwtAuthLayer {
        self.layer.clone()
    }
}

/// A key of the file, or several of one that it names.
#[derive(Clone)]
struct Given {
    section: config::Key,
    /// What the secret is, or the file holds.
    content: Vec<u8>,
    keys: Vec<Key>,
}

impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        self.section == other.section && self.content == other.content
    }
}

/// Never shows what the key is.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("section", &self.section).finish_non_exhaustive()
    }
}

/// The issuers that routes have named so far: each is built once, so that all its routes share the keys that it is asked
/// for. One that cannot be built has said why.
pub(super) struct Issuers<'p> {
    before: Option<&'p Plan>,
    exchange: Exchange,
    known: BTreeMap<String, Option<Arc<IssuerPlan>>>,
}

impl<'p> Issuers<'p> {
    pub(super) fn new(before: Option<&'p Plan>, grace: Duration) -> Self {
        Self { before, exchange: Exchange::new(grace), known: BTreeMap::new() }
    }

    fn get(
        &mut self,
        config: &Config,
        name: &str,
        recorder: &Recorder,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<IssuerPlan>> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let before = self.before.and_then(|before| before.issuers.get(name));
        let section = config.issuer.get(name)?.get_ref();
        let same = |before: &&Arc<IssuerPlan>| {
            before.origin.is(section) && self.exchange.leaves(&before.made.retired)
        };
        let plan = match before.filter(same) {
            Some(kept) => Some(kept.clone()),
            None => {
                let before = before.map(|before| &before.made);
                let make = || self.make(config, name, before, recorder, problems);
                let (origin, made) = Origin::of(config, section.clone(), make);
                made.map(|made| Arc::new(IssuerPlan { origin, made }))
            }
        };
        self.known.insert(name.to_owned(), plan.clone());
        plan
    }

    fn make(
        &self,
        config: &Config,
        name: &str,
        before: Option<&Made>,
        recorder: &Recorder,
        problems: &mut Vec<Problem>,
    ) -> Option<Made> {
        let section = config.issuer.get(name)?;
        let given = match &section.get_ref().keys {
            Some(keys) => given(config, name, keys, problems)?,
            None => Vec::new(),
        };
        let retired = before.map_or_else(Vec::new, |before| {
            self.exchange.retire(&given, &before.given, &before.retired)
        });
        let issuer = issuer(config, name, keys(&given, &retired), problems)?;
        // A layer that lets nobody through is all that it takes to see to the keys.
        let policy = Policy::new().cache(CacheLimits::off());
        let alone = || JwtAuthLayer::new(policy, [issuer.clone()]);
        let asked = with_local_recorder(recorder, alone).ok();
        let asked = asked.filter(|layer| !layer.handle().key_sets().is_empty());
        Some(Made { issuer, given, retired, asked })
    }

    /// All that were named and could be built.
    pub(super) fn all(self) -> BTreeMap<String, Arc<IssuerPlan>> {
        self.known.into_iter().filter_map(|(name, issuer)| Some((name, issuer?))).collect()
    }
}

/// The keys that are given now, and as many of those that were as an issuer may have besides.
fn keys(given: &[Given], retired: &[Retired<Given>]) -> Vec<Key> {
    let mut keys: Vec<_> = given.iter().flat_map(|given| given.keys.iter().cloned()).collect();
    for Retired { key, until } in retired {
        if keys.len() + key.keys.len() <= MOST_KEYS {
            keys.extend(key.keys.iter().map(|key| key.clone().until(*until)));
        }
    }
    keys
}

/// As many as the layer allows.
const MOST_KEYS: usize = 32;

/// What a route asks of tokens.
pub(super) fn layer(
    config: &Config,
    section: &Spanned<JwtAuth>,
    key: &str,
    known: &mut Issuers<'_>,
    recorder: &Arc<Recorder>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<AuthPlan>> {
    let auth = section.get_ref();
    let mut issuers = Some(Vec::new());
    for (index, name) in auth.issuers.iter().enumerate() {
        let key = format!("{key}.issuers[{index}]");
        let issuer = named(name, "issuer", config.issuer.keys(), &key, problems)
            .and_then(|name| known.get(config, name, recorder, problems));
        issuers = issuers.zip(issuer).map(|(mut issuers, issuer)| {
            issuers.push(issuer);
            issuers
        });
    }
    // Without a usable key nothing is built, and so nothing starts.
    let issuers = issuers?;
    let same = |before: &&Arc<AuthPlan>| {
        let same = |(one, other): (&Arc<IssuerPlan>, _)| Arc::ptr_eq(one, other);
        before.section == *auth
            && before.issuers.len() == issuers.len()
            && before.issuers.iter().zip(&issuers).all(same)
    };
    let mut before = known.before.iter().flat_map(|plan| &plan.routes);
    if let Some(kept) = before.find_map(|route| route.auth.as_ref().filter(same)) {
        return Some(kept.clone());
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
    let trusted = issuers.iter().map(|plan| plan.made.issuer.clone());
    let layer = with_local_recorder(&**recorder, || JwtAuthLayer::new(policy, trusted));
    let layer = layer.map_err(|error| problems.push(problem(key, section, error.to_string())));
    Some(Arc::new(AuthPlan { section: auth.clone(), issuers, layer: layer.ok()? }))
}

fn issuer(
    config: &Config,
    name: &str,
    given: Vec<Key>,
    problems: &mut Vec<Problem>,
) -> Option<Issuer> {
    let place = config.issuer.get(name)?;
    let section = place.get_ref();
    let mut issuer = match (&section.keys, &section.jwks_url, section.discovery) {
        (Some(_), None, false) if section.ca_file.is_none() => {
            if let Some(refresh) = &section.refresh {
                let message = "keys that are given are not asked for: `refresh` goes with `jwks_url` or `discovery`";
                problems.push(problem(&format!("issuer.{name}.refresh"), refresh, message));
            }
            Issuer::new(given)
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
) -> Option<Vec<Given>> {
    let mut keys = Some(Vec::new());
    for (index, key) in section.get_ref().iter().enumerate() {
        let made = one(config, key).map_err(|message| {
            let key = format!("issuer.{name}.keys[{index}]");
            problems.push(problem(&key, section, message));
        });
        keys = keys.zip(made.ok()).map(|(mut keys, made)| {
            keys.push(made);
            keys
        });
    }
    keys
}

fn one(config: &Config, key: &config::Key) -> Result<Given, String> {
    let algorithms = key.algorithms.iter().copied();
    let (content, mut keys) = match (&key.secret, &key.pem, &key.jwks) {
        (Some(secret), None, None) => {
            let secret = secret.get_ref().read(&config.folder)?;
            let key = Key::secret(&secret, algorithms).map_err(|error| error.to_string())?;
            (secret.into_bytes(), vec![key])
        }
        (None, Some(path), None) => {
            let pem = read_file(config, path)?;
            let key = Key::pem(&pem, algorithms);
            let key = key.map_err(|error| format!("{}: {error}", path.display()))?;
            (pem, vec![key])
        }
        (None, None, Some(path)) => {
            if !key.algorithms.is_empty() || key.kid.is_some() {
                return Err(
                    "a set says itself what `algorithms` and `kid` its keys have".to_owned()
                );
            }
            let document = read_file(config, path)?;
            let set = Key::jwks(&document);
            let set = set.map_err(|error| format!("{}: {error}", path.display()))?;
            for skipped in set.skipped() {
                tracing::warn!(file = %path.display(), reason = %skipped, "a key of the set is not used");
            }
            (document, set.into_iter().collect())
        }
        _ => return Err("exactly one of `secret`, `pem` and `jwks` is needed".to_owned()),
    };
    if let Some(kid) = &key.kid {
        keys = keys.into_iter().map(|key| key.kid(kid)).collect();
    }
    Ok(Given { section: key.clone(), content, keys })
}
