//! Which keys are good enough.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_jwt_auth::{Algorithm, ConfigError, Jwks, Key};
use serde_json::{Value, json};

const RSA: &str = include_str!("keys/rsa.pem");
const P256: &str = include_str!("keys/p256.pem");

fn outcome(key: Result<Key, ConfigError>) -> Result<(), ConfigError> {
    key.map(drop)
}

#[test]
fn a_secret_is_as_long_as_its_hash() {
    for (algorithm, needed) in
        [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        assert!(Key::secret(vec![1; needed], [algorithm]).is_ok());
        assert_eq!(
            outcome(Key::secret(vec![1; needed - 1], [algorithm])),
            Err(ConfigError::ShortSecret { algorithm, needed })
        );
    }
    let both = Key::secret([1; 40], [Algorithm::HS256, Algorithm::HS512]);
    let expected = ConfigError::ShortSecret { algorithm: Algorithm::HS512, needed: 64 };
    assert_eq!(outcome(both), Err(expected));
}

#[test]
fn a_secret_is_not_something_that_everybody_knows() {
    for pem in [RSA.to_owned(), format!("\n {RSA}"), P256.to_owned()] {
        let key = Key::secret(pem, [Algorithm::HS256]);
        assert_eq!(outcome(key), Err(ConfigError::SecretIsPem));
    }
}

#[test]
fn a_key_is_for_algorithms_of_its_kind_alone() {
    let wrong = |algorithm| Err(ConfigError::WrongAlgorithm(algorithm));

    for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA] {
        let mixed = [Algorithm::RS256, algorithm];
        assert_eq!(outcome(Key::pem(RSA, mixed)), wrong(algorithm));
    }
    for algorithm in [Algorithm::RS256, Algorithm::ES384, Algorithm::HS256] {
        assert_eq!(outcome(Key::pem(P256, [algorithm])), wrong(algorithm));
    }
    for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES256, Algorithm::EdDSA] {
        let mixed = [Algorithm::HS256, algorithm];
        assert_eq!(outcome(Key::secret([1; 64], mixed)), wrong(algorithm));
    }
    assert_eq!(outcome(Key::pem(RSA, [])), Err(ConfigError::NoAlgorithm));
    assert_eq!(outcome(Key::secret([1; 64], [])), Err(ConfigError::NoAlgorithm));
}

#[test]
fn a_weak_or_unknown_public_key_is_refused() {
    let cases = [
        (include_str!("keys/rsa-1024.pem"), ConfigError::RsaSize { bits: 1024 }),
        (include_str!("keys/secp256k1.pem"), ConfigError::UnsupportedKey),
        (include_str!("keys/p521.pem"), ConfigError::UnsupportedKey),
        (include_str!("keys/p256-compressed.pem"), ConfigError::UnsupportedKey),
        (include_str!("keys/ed448.pem"), ConfigError::UnsupportedKey),
    ];
    for (pem, expected) in cases {
        let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        for algorithm in algorithms {
            assert_eq!(outcome(Key::pem(pem, [algorithm])), Err(expected.clone()), "{pem}");
        }
    }
}

fn der(pem: &str) -> Vec<u8> {
    let (_, base64) = pem.split_once("-----\n").unwrap();
    let (base64, _) = base64.split_once("\n-----").unwrap();
    STANDARD.decode(base64.replace('\n', "")).unwrap()
}

/// The PEM document of a P-256 key with one byte of its point changed; the first says in which form it is.
fn with_point_byte(at: usize, change: impl Fn(u8) -> u8) -> String {
    let mut der = der(P256);
    assert_eq!(der[26], 4);
    der[26 + at] = change(der[26 + at]);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(der))
}

// ANSI X9.62 has a third form of a point, which SEC 1 has not.
#[test]
fn a_hybrid_point_is_refused() {
    let pem = with_point_byte(0, |_| 6);
    assert_eq!(outcome(Key::pem(pem, [Algorithm::ES256])), Err(ConfigError::UnsupportedKey));
}

#[test]
fn a_point_that_is_not_on_its_curve_is_refused_when_the_key_is_read() {
    assert_eq!(outcome(Key::pem(with_point_byte(1, |byte| byte), [Algorithm::ES256])), Ok(()));
    for at in 1..65 {
        let pem = with_point_byte(at, |byte| byte ^ 1);
        assert_eq!(outcome(Key::pem(pem, [Algorithm::ES256])), Err(ConfigError::NotOnCurve));
    }
}

#[test]
fn a_document_that_is_not_one_public_key_is_refused() {
    let private = STANDARD.encode(include_bytes!("keys/rsa.der"));
    let relabelled = |label: &str| RSA.replace("PUBLIC KEY", label);
    let cases = [
        (String::new(), ConfigError::NotAPublicKey),
        ("a secret".to_owned(), ConfigError::NotAPublicKey),
        (RSA.replace("-----END", "-----FIN"), ConfigError::NotAPublicKey),
        (RSA.replace("END PUBLIC KEY", "END RSA PUBLIC KEY"), ConfigError::NotAPublicKey),
        (RSA.replacen('M', "*", 1), ConfigError::NotAPublicKey),
        (format!("{RSA}{P256}"), ConfigError::NotAPublicKey),
        (relabelled("CERTIFICATE"), ConfigError::NotAPublicKey),
        (relabelled("PRIVATE KEY"), ConfigError::NotAPublicKey),
        (relabelled("RSA PRIVATE KEY"), ConfigError::NotAPublicKey),
        (
            format!("-----BEGIN PUBLIC KEY-----\n{private}\n-----END PUBLIC KEY-----"),
            ConfigError::UnsupportedKey,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_owned(),
            ConfigError::UnsupportedKey,
        ),
    ];
    for (pem, expected) in cases {
        assert_eq!(outcome(Key::pem(&pem, [Algorithm::RS256])), Err(expected), "{pem}");
    }
    assert!(
        Key::pem(format!("Subject: me\n{}\n", RSA.replace('\n', "\r\n")), [Algorithm::RS256])
            .is_ok()
    );
}

fn set(keys: &Value) -> Result<Jwks, ConfigError> {
    Key::jwks(json!({ "keys": keys }).to_string())
}

/// What each key of a set is, as far as `Debug` tells.
fn shown(keys: &Value) -> Vec<String> {
    set(keys).unwrap().into_iter().map(|key| format!("{key:?}")).collect()
}

fn secret(bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![1; bytes])
}

fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_key_of_a_set_is_for_its_algorithm_or_for_all_of_its_kind() {
    let point = |pem: &str, size: usize| {
        let der = der(pem);
        let (rest, y) = der.split_at(der.len() - size);
        [&rest[rest.len() - size..], y].map(|number| URL_SAFE_NO_PAD.encode(number))
    };
    let p256 = point(P256, 32);
    let p384 = point(include_str!("keys/p384.pem"), 48);
    let cases = [
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB" }),
            "RS256, RS384, RS512, PS256, PS384, PS512",
        ),
        (json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "PS256" }), "PS256"),
        (json!({ "kty": "EC", "crv": "P-256", "x": p256[0], "y": p256[1] }), "ES256"),
        (json!({ "kty": "EC", "crv": "P-384", "x": p384[0], "y": p384[1] }), "ES384"),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": secret(32), "alg": "Ed25519" }), "EdDSA"),
        (json!({ "kty": "oct", "k": secret(32) }), "HS256"),
        (json!({ "kty": "oct", "k": secret(63) }), "HS384, HS256"),
        (json!({ "kty": "oct", "k": secret(64) }), "HS512, HS384, HS256"),
        (json!({ "kty": "oct", "k": secret(64), "alg": "HS384" }), "HS384"),
    ];
    for (key, algorithms) in cases {
        let expected = format!("Key {{ kid: None, algorithms: [{algorithms}], .. }}");
        assert_eq!(shown(&json!([key])), [expected], "{key}");
    }
}

#[test]
fn a_strange_key_does_not_spoil_the_set() {
    let good = json!({ "kty": "oct", "k": secret(32), "kid": "good", "use": "sig", "key_ops": ["sign", "verify"] });
    let cases = [
        (json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }), ConfigError::UnsupportedKey),
        (json!({ "kty": "AKP", "pub": "AA" }), ConfigError::UnsupportedKey),
        (
            json!({ "kty": "EC", "crv": "secp256k1", "x": secret(32), "y": secret(32) }),
            ConfigError::UnsupportedKey,
        ),
        (json!({ "kty": "OKP", "crv": "X25519", "x": secret(32) }), ConfigError::UnsupportedKey),
        (json!({ "kty": "EC", "x": secret(32), "y": secret(32) }), ConfigError::UnsupportedKey),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "RSA-OAEP" }),
            ConfigError::UnsupportedKey,
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "ES256" }),
            ConfigError::WrongAlgorithm(Algorithm::ES256),
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "HS256" }),
            ConfigError::WrongAlgorithm(Algorithm::HS256),
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "use": "enc" }),
            ConfigError::NotForSignatures,
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "key_ops": ["encrypt"] }),
            ConfigError::NotForSignatures,
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAB", "key_ops": "verify" }),
            ConfigError::MalformedKey,
        ),
        (
            json!({ "kty": "RSA", "n": modulus(2047), "e": "AQAB" }),
            ConfigError::RsaSize { bits: 2047 },
        ),
        (
            json!({ "kty": "RSA", "n": format!("AAAA{}", modulus(1536)), "e": "AQAB" }),
            ConfigError::RsaSize { bits: 1536 },
        ),
        (
            json!({ "kty": "RSA", "n": modulus(8193), "e": "AQAB" }),
            ConfigError::RsaSize { bits: 8193 },
        ),
        (json!({ "kty": "RSA", "n": "", "e": "AQAB" }), ConfigError::RsaSize { bits: 0 }),
        (json!({ "kty": "RSA", "n": modulus(2048), "e": "AQ" }), ConfigError::RsaExponent),
        (json!({ "kty": "RSA", "n": modulus(2048), "e": "AQAA" }), ConfigError::RsaExponent),
        (json!({ "kty": "RSA", "n": modulus(2048), "e": "" }), ConfigError::RsaExponent),
        (json!({ "kty": "RSA", "n": modulus(2048), "e": "A_____8" }), ConfigError::RsaExponent),
        (json!({ "kty": "RSA", "e": "AQAB" }), ConfigError::MalformedKey),
        (json!({ "kty": "RSA", "n": "AQ==", "e": "AQAB" }), ConfigError::MalformedKey),
        (
            json!({ "kty": "EC", "crv": "P-256", "x": secret(31), "y": secret(32) }),
            ConfigError::MalformedKey,
        ),
        (
            json!({ "kty": "EC", "crv": "P-256", "x": secret(32), "y": secret(32) }),
            ConfigError::NotOnCurve,
        ),
        (
            json!({ "kty": "EC", "crv": "P-384", "x": secret(48), "y": secret(48) }),
            ConfigError::NotOnCurve,
        ),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": secret(33) }), ConfigError::MalformedKey),
        (
            json!({ "kty": "oct", "k": secret(31) }),
            ConfigError::ShortSecret { algorithm: Algorithm::HS256, needed: 32 },
        ),
        (
            json!({ "kty": "oct", "k": secret(32), "alg": "HS512" }),
            ConfigError::ShortSecret { algorithm: Algorithm::HS512, needed: 64 },
        ),
        (
            json!({ "kty": "oct", "k": secret(32), "alg": "RS256" }),
            ConfigError::WrongAlgorithm(Algorithm::RS256),
        ),
        (json!({ "kty": "oct", "k": secret(32), "kid": 7 }), ConfigError::MalformedKey),
        (json!({ "kty": "oct", "k": secret(32), "alg": "none" }), ConfigError::UnsupportedKey),
        (json!({ "k": secret(32) }), ConfigError::MalformedKey),
        (json!("key"), ConfigError::MalformedKey),
    ];
    for (strange, expected) in cases {
        let jwks = set(&json!([strange, good])).unwrap();
        assert_eq!(jwks.skipped(), [expected], "{strange}");
        assert_eq!(jwks.into_iter().count(), 1, "{strange}");
        assert_eq!(set(&json!([strange])).map(drop), Err(ConfigError::NoUsableKey { skipped: 1 }));
    }
    assert_eq!(shown(&json!([good])), [r#"Key { kid: Some("good"), algorithms: [HS256], .. }"#]);
}

#[test]
fn a_document_that_is_no_set_is_refused() {
    for document in
        ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]"#, "-----BEGIN PUBLIC KEY-----"]
    {
        assert_eq!(Key::jwks(document).map(drop), Err(ConfigError::NotAKeySet), "{document}");
    }
    assert_eq!(set(&json!([])).map(drop), Err(ConfigError::NoUsableKey { skipped: 0 }));
}
