//! Which tokens are believed.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use jsonwebtoken::{Algorithm as Jws, EncodingKey, crypto};
use portcullis_jwt_auth::{Algorithm, Claims, Issuer, JwtAuthLayer, Key, Policy, Unauthorized};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

const SECRET: &[u8; 64] = &[7; 64];
const NOW: u64 = 1_800_000_000;

fn at_now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn layer(issuers: impl IntoIterator<Item = Issuer>) -> JwtAuthLayer {
    JwtAuthLayer::new(Policy::new(), issuers).unwrap().clock(at_now)
}

fn hs256() -> Key {
    Key::secret(SECRET, [Algorithm::HS256]).unwrap()
}

/// What the service behind `layer` learns from `token`, or why it is not asked.
fn verdict(layer: &JwtAuthLayer, token: &str) -> Result<Claims, Unauthorized> {
    let inner = service_fn(|request: Request<()>| async move {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.extensions().get::<Claims>().unwrap().clone());
        Ok::<_, Infallible>(response)
    });
    let request =
        Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let response = tokio_test::block_on(layer.layer(inner).oneshot(request)).unwrap();
    match response.extensions().get::<Unauthorized>() {
        Some(unauthorized) => Err(*unauthorized),
        None => Ok(response.extensions().get::<Claims>().unwrap().clone()),
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// `header.claims.signature`, whatever the header says.
fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Jws) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    choose_backend();
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn with_secret(header: &str, claims: &str) -> String {
    signed(header, claims, &EncodingKey::from_secret(SECRET), Jws::HS256)
}

/// A token of the shared secret that is good for a minute.
fn with_header(header: &Value) -> String {
    with_secret(&header.to_string(), &json!({ "exp": NOW + 60 }).to_string())
}

/// A token with these claims, and an expiry.
fn with_claims(claims: &str) -> String {
    with_secret(r#"{"alg":"HS256"}"#, claims)
}

// RFC 7515 appendix A: the payload of A.1 to A.3 and A.5 is the same token of "joe".
mod rfc_7515 {
    use super::*;

    const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const EXPIRY: Duration = Duration::from_secs(1_300_819_380);

    /// A.1, A.2 and A.3: header, signature, and the key as it is printed there.
    fn examples() -> [(&'static str, &'static str, Value); 3] {
        [
            (
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }),
            ),
            (
                "eyJhbGciOiJSUzI1NiJ9",
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
                json!({ "kty": "RSA", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ", "e": "AQAB" }),
            ),
            (
                "eyJhbGciOiJFUzI1NiJ9",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
            ),
        ]
    }

    fn trusting(jwk: &Value, clock: fn() -> SystemTime) -> JwtAuthLayer {
        let keys = Key::jwks(json!({ "keys": [jwk] }).to_string()).unwrap();
        let joe = Issuer::new(keys).issuer("joe").leeway(Duration::ZERO);
        JwtAuthLayer::new(Policy::new(), [joe]).unwrap().clock(clock)
    }

    #[test]
    fn the_examples_are_valid_until_their_expiry() {
        for (header, signature, jwk) in examples() {
            let token = format!("{header}.{PAYLOAD}.{signature}");

            let before = trusting(&jwk, || UNIX_EPOCH + EXPIRY - Duration::from_nanos(1));
            let claims = verdict(&before, &token).unwrap();
            assert_eq!(claims.issuer(), Some("joe"));
            assert_eq!(claims.get("http://example.com/is_root"), Some(&Value::Bool(true)));

            let at = trusting(&jwk, || UNIX_EPOCH + EXPIRY);
            assert_eq!(verdict(&at, &token), Err(Unauthorized::Expired));
        }
    }

    #[test]
    fn the_signature_of_one_example_is_not_one_for_another() {
        for (header, _, jwk) in examples() {
            for (_, signature, _) in examples().iter().filter(|(other, ..)| *other != header) {
                let layer = trusting(&jwk, || UNIX_EPOCH);
                let token = format!("{header}.{PAYLOAD}.{signature}");
                assert_eq!(verdict(&layer, &token), Err(Unauthorized::InvalidSignature));
            }
        }
    }

    #[test]
    fn the_unsecured_example_is_refused() {
        for (.., jwk) in examples() {
            let layer = trusting(&jwk, || UNIX_EPOCH);
            let token = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
            assert_eq!(verdict(&layer, &token), Err(Unauthorized::UnsupportedAlgorithm));
        }
    }
}

#[test]
fn every_algorithm_is_verified_with_its_key_and_with_no_other() {
    let rsa = EncodingKey::from_rsa_der(include_bytes!("keys/rsa.der"));
    let p256 = EncodingKey::from_ec_der(include_bytes!("keys/p256.der"));
    let p384 = EncodingKey::from_ec_der(include_bytes!("keys/p384.der"));
    let ed25519 = EncodingKey::from_ed_der(include_bytes!("keys/ed25519.der"));
    let secret = EncodingKey::from_secret(SECRET);
    let pem = |pem: &str, algorithm| Key::pem(pem, [algorithm]);
    let cases = [
        ("HS256", Jws::HS256, &secret, Key::secret(SECRET, [Algorithm::HS256])),
        ("HS384", Jws::HS384, &secret, Key::secret(SECRET, [Algorithm::HS384])),
        ("HS512", Jws::HS512, &secret, Key::secret(SECRET, [Algorithm::HS512])),
        ("RS256", Jws::RS256, &rsa, pem(include_str!("keys/rsa.pem"), Algorithm::RS256)),
        ("RS384", Jws::RS384, &rsa, pem(include_str!("keys/rsa.pem"), Algorithm::RS384)),
        ("RS512", Jws::RS512, &rsa, pem(include_str!("keys/rsa-pkcs1.pem"), Algorithm::RS512)),
        ("PS256", Jws::PS256, &rsa, pem(include_str!("keys/rsa.pem"), Algorithm::PS256)),
        ("PS384", Jws::PS384, &rsa, pem(include_str!("keys/rsa.pem"), Algorithm::PS384)),
        ("PS512", Jws::PS512, &rsa, pem(include_str!("keys/rsa.pem"), Algorithm::PS512)),
        ("ES256", Jws::ES256, &p256, pem(include_str!("keys/p256.pem"), Algorithm::ES256)),
        ("ES384", Jws::ES384, &p384, pem(include_str!("keys/p384.pem"), Algorithm::ES384)),
        ("EdDSA", Jws::EdDSA, &ed25519, pem(include_str!("keys/ed25519.pem"), Algorithm::EdDSA)),
        ("Ed25519", Jws::EdDSA, &ed25519, pem(include_str!("keys/ed25519.pem"), Algorithm::EdDSA)),
    ];
    let claims = json!({ "exp": NOW + 60 }).to_string();
    let layers: Vec<_> =
        cases.iter().map(|(.., key)| layer([Issuer::new([key.clone().unwrap()])])).collect();

    for (name, algorithm, private, _) in &cases {
        let token = signed(&format!(r#"{{"alg":"{name}"}}"#), &claims, private, *algorithm);
        for ((other, other_algorithm, ..), layer) in cases.iter().zip(&layers) {
            let expected =
                if other_algorithm == algorithm { Ok(()) } else { Err(Unauthorized::UnknownKey) };
            assert_eq!(verdict(layer, &token).map(drop), expected, "{name} with a key for {other}");
        }
    }
}

// RFC 8725 §2.1: whoever knows the public key could sign with it, if it were taken for a secret.
#[test]
fn a_public_key_does_not_serve_as_a_secret() {
    let pem = include_bytes!("keys/rsa.pem");
    let layer = layer([Issuer::new([Key::pem(pem, [Algorithm::RS256]).unwrap(), hs256()])]);
    let claims = json!({ "exp": NOW + 60 }).to_string();

    let forged = signed(r#"{"alg":"HS256"}"#, &claims, &EncodingKey::from_secret(pem), Jws::HS256);
    assert_eq!(verdict(&layer, &forged), Err(Unauthorized::InvalidSignature));
    let forged = signed(r#"{"alg":"RS256"}"#, &claims, &EncodingKey::from_secret(pem), Jws::HS256);
    assert_eq!(verdict(&layer, &forged), Err(Unauthorized::InvalidSignature));
}

#[test]
fn none_is_refused_however_it_is_spelled() {
    let layer = layer([Issuer::new([hs256()])]);
    for name in ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "hs256", "HS1", "dir"] {
        let signed = with_header(&json!({ "alg": name }));
        let (message, _) = signed.rsplit_once('.').unwrap();

        assert_eq!(verdict(&layer, &signed), Err(Unauthorized::UnsupportedAlgorithm), "{name}");
        let bare = format!("{message}.");
        assert_eq!(verdict(&layer, &bare), Err(Unauthorized::UnsupportedAlgorithm), "{name}");
    }
}

#[test]
fn a_token_without_its_signature_is_refused() {
    let layer = layer([Issuer::new([hs256()])]);
    let token = with_header(&json!({ "alg": "HS256" }));
    let (message, _) = token.rsplit_once('.').unwrap();

    assert_eq!(verdict(&layer, message), Err(Unauthorized::MalformedToken));
    assert_eq!(verdict(&layer, &format!("{message}.")), Err(Unauthorized::InvalidSignature));
}

#[test]
fn a_header_that_needs_more_than_is_understood_is_refused() {
    let layer = layer([Issuer::new([hs256()])]);
    for header in [
        json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }),
        json!({ "alg": "HS256", "crit": [] }),
        json!({ "alg": "HS256", "crit": null }),
        json!({ "alg": "HS256", "b64": false }),
        json!({ "alg": "HS256", "b64": false, "crit": ["b64"] }),
        json!({ "alg": "HS256", "b64": "false" }),
        json!({ "alg": "HS256", "cty": "JWT" }),
        json!({ "alg": "HS256", "cty": "jwt" }),
        json!({ "alg": "HS256", "cty": "application/jwt" }),
    ] {
        assert_eq!(
            verdict(&layer, &with_header(&header)),
            Err(Unauthorized::UnsupportedToken),
            "{header}"
        );
    }
    for header in [json!({ "alg": "HS256", "b64": true }), json!({ "alg": "HS256", "cty": "json" })]
    {
        assert!(verdict(&layer, &with_header(&header)).is_ok(), "{header}");
    }
}

#[test]
fn an_encrypted_token_is_told_from_a_malformed_one() {
    let layer = layer([Issuer::new([hs256()])]);

    // RFC 7516 §3.3.
    let encrypted =
        "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOaw.48V1_ALb6US04U3b.5eym8.XFBoMY";
    assert_eq!(verdict(&layer, encrypted), Err(Unauthorized::UnsupportedToken));
    for malformed in ["a", "a.b", "a.b.c.d", "a.b.c.d.e.f", "..", "....", "a..c"] {
        let expected = if malformed == "...." {
            Unauthorized::UnsupportedToken
        } else {
            Unauthorized::MalformedToken
        };
        assert_eq!(verdict(&layer, malformed), Err(expected), "{malformed}");
    }
}

#[test]
fn what_is_said_twice_is_refused() {
    let layer = layer([Issuer::new([hs256()])]);
    let claims = json!({ "exp": NOW + 60 }).to_string();
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","\u0061lg":"HS256"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
    ] {
        let token = with_secret(header, &claims);
        assert_eq!(verdict(&layer, &token), Err(Unauthorized::MalformedToken), "{header}");
    }
    for claims in [
        format!(r#"{{"exp":{},"sub":"a","sub":"b"}}"#, NOW + 60),
        format!(r#"{{"exp":1,"exp":{}}}"#, NOW + 60),
        format!(r#"{{"exp":{},"realm":{{"a":1,"a":2}}}}"#, NOW + 60),
    ] {
        let token = with_claims(&claims);
        assert_eq!(verdict(&layer, &token), Err(Unauthorized::MalformedToken), "{claims}");
    }
}

#[test]
fn base64_has_one_spelling() {
    let layer = layer([Issuer::new([hs256()])]);
    let token = with_header(&json!({ "alg": "HS256" }));
    assert!(verdict(&layer, &token).is_ok());

    // A 32-byte signature ends in a character with two spare bits.
    let mut spare = token.clone();
    let last = spare.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.find(last).unwrap() + 1;
    spare.push_str(&alphabet[next..=next]);

    for other in [spare, format!("{token}="), token.replacen('.', "=.", 1)] {
        assert_eq!(verdict(&layer, &other), Err(Unauthorized::MalformedToken), "{other}");
    }
    for of_another_alphabet in ['+', '/'] {
        let other = format!("{}{of_another_alphabet}", &token[..token.len() - 1]);
        assert_eq!(verdict(&layer, &other), Err(Unauthorized::MalformedToken), "{other}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let mine: &[u8; 64] = &[9; 64];
    let header = json!({
        "alg": "HS256",
        "jwk": { "kty": "oct", "k": encoded(mine) },
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/x.pem",
        "x5c": ["MIIB"],
    });
    let claims = json!({ "exp": NOW + 60 }).to_string();
    let layer = layer([Issuer::new([hs256()])]);

    let forged = signed(&header.to_string(), &claims, &EncodingKey::from_secret(mine), Jws::HS256);
    assert_eq!(verdict(&layer, &forged), Err(Unauthorized::InvalidSignature));
    assert!(verdict(&layer, &with_header(&header)).is_ok());
}

#[test]
fn a_kid_chooses_among_keys_and_a_key_without_is_always_tried() {
    let other = || Key::secret([1; 32], [Algorithm::HS256]).unwrap();
    let with_kid = with_header(&json!({ "alg": "HS256", "kid": "a" }));
    let without = with_header(&json!({ "alg": "HS256" }));

    let cases = [
        (vec![hs256().kid("a")], Ok(()), Ok(())),
        (vec![hs256().kid("b")], Err(Unauthorized::UnknownKey), Ok(())),
        (vec![hs256()], Ok(()), Ok(())),
        (vec![other().kid("a"), hs256().kid("b")], Err(Unauthorized::InvalidSignature), Ok(())),
        (vec![other().kid("a"), hs256().kid("a")], Ok(()), Ok(())),
        (vec![other().kid("a"), hs256()], Ok(()), Ok(())),
    ];
    for (keys, named, unnamed) in cases {
        let layer = layer([Issuer::new(keys.clone())]);
        assert_eq!(verdict(&layer, &with_kid).map(drop), named, "{keys:?}");
        assert_eq!(verdict(&layer, &without).map(drop), unnamed, "{keys:?}");
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let layer = layer([Issuer::new([hs256().kid("a")])]);
    for kid in ["../../dev/null", "' or 1=1--", "http://evil.example", "A", "a ", "a\0", ""] {
        let token = with_header(&json!({ "alg": "HS256", "kid": kid }));
        assert_eq!(verdict(&layer, &token), Err(Unauthorized::UnknownKey), "{kid:?}");
    }
    for kid in [json!(1), json!(null), json!(["a"])] {
        let token = with_header(&json!({ "alg": "HS256", "kid": kid }));
        assert_eq!(verdict(&layer, &token), Err(Unauthorized::MalformedToken), "{kid}");
    }
}

#[test]
fn a_token_longer_than_the_limit_is_not_read() {
    let token = with_header(&json!({ "alg": "HS256" }));
    let limited = |bytes| {
        let policy = Policy::new().max_token_bytes(bytes);
        JwtAuthLayer::new(policy, [Issuer::new([hs256()])]).unwrap().clock(at_now)
    };

    assert!(verdict(&limited(token.len()), &token).is_ok());
    assert_eq!(verdict(&limited(token.len() - 1), &token), Err(Unauthorized::TokenTooLarge));
    let long = "a".repeat(16 * 1024 + 1);
    let default = layer([Issuer::new([hs256()])]);
    assert_eq!(verdict(&default, &long), Err(Unauthorized::TokenTooLarge));
}

#[test]
fn times_are_checked_with_leeway_to_the_second() {
    let layer = layer([Issuer::new([hs256()]).leeway(Duration::from_secs(10))]);
    let cases = [
        (json!({ "exp": NOW - 9 }), Ok(())),
        (json!({ "exp": NOW - 10 }), Err(Unauthorized::Expired)),
        (json!({ "exp": 1_799_999_990.5 }), Ok(())),
        (json!({ "exp": 1_799_999_989.5 }), Err(Unauthorized::Expired)),
        (json!({ "exp": u64::MAX }), Ok(())),
        (json!({ "exp": 0 }), Err(Unauthorized::Expired)),
        (json!({ "exp": NOW, "nbf": NOW + 10 }), Ok(())),
        (json!({ "exp": NOW, "nbf": NOW + 11 }), Err(Unauthorized::NotYetValid)),
        (json!({ "exp": NOW, "nbf": 1_800_000_010.5 }), Err(Unauthorized::NotYetValid)),
        (json!({ "exp": NOW, "iat": NOW + 10 }), Ok(())),
        (json!({ "exp": NOW, "iat": NOW + 11 }), Err(Unauthorized::IssuedInFuture)),
        (json!({ "exp": NOW, "iat": 0, "nbf": 0 }), Ok(())),
    ];
    for (claims, expected) in cases {
        let token = with_claims(&claims.to_string());
        assert_eq!(verdict(&layer, &token).map(drop), expected, "{claims}");
    }
}

#[test]
fn clocks_may_differ_by_a_minute_by_default() {
    let layer = layer([Issuer::new([hs256()])]);

    assert!(verdict(&layer, &with_claims(&json!({ "exp": NOW - 59 }).to_string())).is_ok());
    let expired = with_claims(&json!({ "exp": NOW - 60 }).to_string());
    assert_eq!(verdict(&layer, &expired), Err(Unauthorized::Expired));
}

#[test]
fn a_time_that_is_none_is_malformed() {
    let layer = layer([Issuer::new([hs256()])]);
    for name in ["exp", "nbf", "iat"] {
        for date in
            ["-1", "-0.5", "1e300", "99999999999999999999", "\"9999999999\"", "null", "[1]", "true"]
        {
            let claims = match name {
                "exp" => format!(r#"{{"exp":{date}}}"#),
                _ => format!(r#"{{"exp":{},"{name}":{date}}}"#, NOW + 60),
            };
            let verdict = verdict(&layer, &with_claims(&claims));
            assert_eq!(verdict, Err(Unauthorized::MalformedClaim), "{claims}");
        }
    }
}

#[test]
fn an_expiry_is_demanded_unless_it_is_said_to_be_optional() {
    let strict = layer([Issuer::new([hs256()])]);
    let lenient = layer([Issuer::new([hs256()]).expiry_optional()]);

    assert_eq!(verdict(&strict, &with_claims("{}")), Err(Unauthorized::MissingClaim));
    assert!(verdict(&lenient, &with_claims("{}")).is_ok());
    assert_eq!(verdict(&lenient, &with_claims(r#"{"exp":1}"#)), Err(Unauthorized::Expired));
}

#[test]
fn a_demanded_claim_must_be_there() {
    let layer = layer([Issuer::new([hs256()]).require(["nbf", "sub"])]);
    let cases = [
        (json!({ "exp": NOW, "nbf": NOW, "sub": "a" }), Ok(())),
        (json!({ "exp": NOW, "nbf": NOW }), Err(Unauthorized::MissingClaim)),
        (json!({ "exp": NOW, "sub": "a" }), Err(Unauthorized::MissingClaim)),
        (json!({ "exp": NOW, "nbf": NOW, "sub": null }), Err(Unauthorized::MissingClaim)),
        (json!({ "nbf": NOW, "sub": "a" }), Err(Unauthorized::MissingClaim)),
    ];
    for (claims, expected) in cases {
        let token = with_claims(&claims.to_string());
        assert_eq!(verdict(&layer, &token).map(drop), expected, "{claims}");
    }
}

#[test]
fn a_clock_before_1970_accepts_no_expiry() {
    let issuer = Issuer::new([hs256()]);
    let broken = JwtAuthLayer::new(Policy::new(), [issuer])
        .unwrap()
        .clock(|| UNIX_EPOCH - Duration::from_secs(1));

    assert_eq!(verdict(&broken, &with_claims(r#"{"exp":1}"#)), Err(Unauthorized::Expired));
}

#[test]
fn an_audience_is_demanded_when_one_is_expected_and_ignored_otherwise() {
    let ours = layer([Issuer::new([hs256()]).audience(["api", "web"])]);
    let any = layer([Issuer::new([hs256()])]);
    let cases = [
        (json!("api"), Ok(())),
        (json!("web"), Ok(())),
        (json!(["other", "api"]), Ok(())),
        (json!(["api", "other"]), Ok(())),
        (json!("other"), Err(Unauthorized::WrongAudience)),
        (json!("api "), Err(Unauthorized::WrongAudience)),
        (json!("API"), Err(Unauthorized::WrongAudience)),
        (json!([]), Err(Unauthorized::WrongAudience)),
        (json!(["other"]), Err(Unauthorized::WrongAudience)),
        (json!(7), Err(Unauthorized::MalformedClaim)),
        (json!(["api", 7]), Err(Unauthorized::MalformedClaim)),
        (json!(null), Err(Unauthorized::MalformedClaim)),
        (json!({ "api": true }), Err(Unauthorized::MalformedClaim)),
    ];
    for (audience, expected) in cases {
        let token = with_claims(&json!({ "exp": NOW, "aud": audience }).to_string());
        assert_eq!(verdict(&ours, &token).map(drop), expected, "{audience}");
        assert!(verdict(&any, &token).is_ok(), "{audience}");
    }
    let token = with_claims(&json!({ "exp": NOW }).to_string());
    assert_eq!(verdict(&ours, &token), Err(Unauthorized::MissingClaim));
}

#[test]
fn an_issuer_is_compared_to_the_byte() {
    let named = layer([Issuer::new([hs256()]).issuer("https://id.example")]);
    let unnamed = layer([Issuer::new([hs256()])]);
    let cases = [
        (json!("https://id.example"), true),
        (json!("https://id.example/"), false),
        (json!("HTTPS://id.example"), false),
        (json!(["https://id.example"]), false),
        (json!(null), false),
    ];
    for (issuer, known) in cases {
        let token = with_claims(&json!({ "exp": NOW, "iss": issuer }).to_string());
        let expected = if known { Ok(()) } else { Err(Unauthorized::UnknownIssuer) };
        assert_eq!(verdict(&named, &token).map(drop), expected, "{issuer}");
        assert!(verdict(&unnamed, &token).is_ok());
    }
    let token = with_claims(&json!({ "exp": NOW }).to_string());
    assert_eq!(verdict(&named, &token), Err(Unauthorized::UnknownIssuer));
}

#[test]
fn an_issuer_cannot_sign_for_another() {
    let (ours, theirs): (&[u8; 32], &[u8; 32]) = (&[1; 32], &[2; 32]);
    let key = |secret| Key::secret(secret, [Algorithm::HS256]).unwrap().kid("same");
    let layer = layer([
        Issuer::new([key(ours)]).issuer("https://ours.example"),
        Issuer::new([key(theirs)]).issuer("https://theirs.example").audience(["api"]),
    ]);
    let token = |secret: &[u8], claims: Value| {
        let key = EncodingKey::from_secret(secret);
        signed(r#"{"alg":"HS256","kid":"same"}"#, &claims.to_string(), &key, Jws::HS256)
    };

    let cases = [
        (token(ours, json!({ "exp": NOW, "iss": "https://ours.example" })), Ok(())),
        (
            token(theirs, json!({ "exp": NOW, "iss": "https://theirs.example", "aud": "api" })),
            Ok(()),
        ),
        (
            token(theirs, json!({ "exp": NOW, "iss": "https://ours.example" })),
            Err(Unauthorized::InvalidSignature),
        ),
        (
            token(theirs, json!({ "exp": NOW, "iss": "https://theirs.example" })),
            Err(Unauthorized::MissingClaim),
        ),
        (
            token(ours, json!({ "exp": NOW, "iss": "https://else.example" })),
            Err(Unauthorized::UnknownIssuer),
        ),
        (token(ours, json!({ "exp": NOW })), Err(Unauthorized::UnknownIssuer)),
    ];
    for (token, expected) in cases {
        assert_eq!(verdict(&layer, &token).map(drop), expected, "{token}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_pass(text in "[A-Za-z0-9._-]{0,80}|e30\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
        let layer = layer([Issuer::new([hs256()]).expiry_optional()]);
        prop_assert!(text.is_empty() || verdict(&layer, &text).is_err());
    }

    #[test]
    fn no_json_makes_it_panic_or_pass_unsigned(header in "\\PC{0,30}", claims in "\\PC{0,30}") {
        let layer = layer([Issuer::new([hs256()]).expiry_optional()]);
        let token = format!("{}.{}.{}", encoded(header), encoded(claims), encoded([0; 32]));
        prop_assert!(verdict(&layer, &token).is_err());
    }

    #[test]
    fn a_token_with_one_character_changed_is_refused(index: prop::sample::Index, other in "[A-Za-z0-9._~+/=-]") {
        let layer = layer([Issuer::new([hs256()])]);
        let token = with_header(&json!({ "alg": "HS256", "typ": "JWT" }));
        let at = index.index(token.len());
        prop_assume!(token[at..=at] != other);
        let mutated = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verdict(&layer, &mutated).is_err(), "{}", mutated);
    }

    #[test]
    fn a_token_cut_short_or_with_more_behind_is_refused(index: prop::sample::Index, more in "[A-Za-z0-9._-]{1,8}") {
        let layer = layer([Issuer::new([hs256()])]);
        let token = with_header(&json!({ "alg": "HS256", "typ": "JWT" }));
        let cut = &token[..index.index(token.len())];
        prop_assert!(cut.is_empty() || verdict(&layer, cut).is_err());
        let longer = format!("{token}{more}");
        prop_assert!(verdict(&layer, &longer).is_err());
    }
}
