//! That a layer which remembers tokens judges as one that does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::convert::Infallible;
use std::future::ready;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    Algorithm, CacheLimits, ClaimRule, Claims, Issuer, JwtAuthLayer, Key, Policy, Unauthorized,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECRETS: [&[u8; 32]; 3] = [&[1; 32], &[2; 32], &[3; 32]];

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.get())
}

/// Two issuers, a third secret being nobody's.
fn layer(limits: CacheLimits) -> JwtAuthLayer {
    let issuers = [("a", SECRETS[0], 0), ("b", SECRETS[1], 5)].map(|(name, secret, leeway)| {
        Issuer::new([Key::secret(secret, [Algorithm::HS256]).unwrap()])
            .issuer(name)
            .leeway(Duration::from_secs(leeway))
    });
    let policy = Policy::new()
        .claims([ClaimRule::equals("role", "ops")])
        .max_age(Duration::from_secs(30))
        .cache(limits);
    JwtAuthLayer::new(policy, issuers).unwrap().clock(clock)
}

fn verdict(layer: &JwtAuthLayer, token: &str) -> Result<Claims, Unauthorized> {
    let inner = service_fn(|request: Request<()>| {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.extensions().get::<Claims>().unwrap().clone());
        ready(Ok::<_, Infallible>(response))
    });
    let request =
        Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let response = tokio_test::block_on(layer.layer(inner).oneshot(request)).unwrap();
    match response.extensions().get::<Unauthorized>() {
        Some(unauthorized) => Err(*unauthorized),
        None => Ok(response.extensions().get::<Claims>().unwrap().clone()),
    }
}

fn token(claims: &Value, secret: &[u8]) -> String {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// All that differ in who signed them, for whom they are, and when they are valid.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tokens = Vec::new();
    for issuer in ["a", "b"] {
        for secret in SECRETS {
            for role in ["ops", "dev"] {
                for (nbf, exp) in [(0, 20), (10, 40), (0, 60)] {
                    let claims =
                        json!({ "iss": issuer, "role": role, "nbf": nbf, "exp": exp, "iat": nbf });
                    tokens.push(token(&claims, secret));
                }
            }
        }
    }
    tokens
});

/// A key that is replaced and the one that replaces it, of one issuer.
fn replaced(limits: CacheLimits) -> JwtAuthLayer {
    let [old, new] = [SECRETS[0], SECRETS[1]]
        .map(|secret| Key::secret(secret, [Algorithm::HS256]).unwrap().kid("same"));
    let issuer = Issuer::new([new, old.until(UNIX_EPOCH + Duration::from_secs(200))]);
    JwtAuthLayer::new(Policy::new().cache(limits), [issuer]).unwrap().clock(clock)
}

#[test]
fn a_replaced_key_checks_tokens_until_its_time_and_none_later_remembered_or_not() {
    let (old, new) =
        (token(&json!({ "exp": 900 }), SECRETS[0]), token(&json!({ "exp": 900 }), SECRETS[1]));
    for limits in [CacheLimits::new(), CacheLimits::off()] {
        let layer = replaced(limits);
        for (now, expected) in [(199, Ok(())), (200, Err(Unauthorized::InvalidSignature))] {
            NOW.set(now);
            assert_eq!(verdict(&layer, &old).map(drop), expected, "at {now}");
            assert_eq!(verdict(&layer, &new).map(drop), Ok(()), "at {now}");
        }
    }
}

proptest! {
    #[test]
    fn to_remember_tokens_changes_no_verdict(
        steps in prop::collection::vec((0..TOKENS.len(), 0..70_u64, prop::bool::weighted(0.1)), 1..80),
        max_entries in 0..8_usize,
        max_ttl in 0..40_u64,
    ) {
        let limits = CacheLimits::new().max_entries(max_entries).max_ttl(Duration::from_secs(max_ttl));
        let (remembers, does_not) = (layer(limits), layer(CacheLimits::off()));
        for (token, now, tampered) in steps {
            NOW.set(now);
            let mut token = TOKENS[token].clone();
            if tampered {
                token.replace_range(40..41, "x");
            }
            prop_assert_eq!(verdict(&remembers, &token), verdict(&does_not, &token), "{} at {}", token, now);
        }
    }
}

#[test]
fn a_token_that_is_known_costs_one_allocation() {
    NOW.set(1);
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let mut service = layer(CacheLimits::new()).layer(inner);
    let request = || {
        let bearer = format!("Bearer {}", TOKENS[0]);
        let mut request = Request::builder().header("authorization", bearer).body(()).unwrap();
        request.extensions_mut().insert("what a server puts there");
        request
    };
    let mut allocations = |request| {
        let counted = allocation_counter::measure(|| drop(service.call(request)));
        counted.count_total
    };

    assert!(allocations(request()) > 10);
    assert_eq!(allocations(request()), 1); // the extension
}

#[test]
fn clones_and_services_of_a_layer_remember_together() {
    NOW.set(1);
    let layer = layer(CacheLimits::new());
    let clone = layer.clone();
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let allocations = |layer: &JwtAuthLayer| {
        let mut service = layer.layer(inner);
        let bearer = format!("Bearer {}", TOKENS[0]);
        let request = Request::builder().header("authorization", bearer).body(()).unwrap();
        allocation_counter::measure(|| drop(service.call(request))).count_total
    };

    assert!(allocations(&layer) > 10);
    assert!(allocations(&clone) < 5);
}

#[test]
fn nothing_of_a_token_is_shown() {
    NOW.set(1);
    let layer = layer(CacheLimits::new());
    assert!(verdict(&layer, &TOKENS[0]).is_ok());

    let shown = format!("{layer:?}");
    assert!(shown.contains("entries: 1"), "{shown}");
    for part in TOKENS[0].split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}
