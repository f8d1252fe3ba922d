//! RFC 7515 appendix A and RFC 7520 §4, as far as `tests/tokens.rs` does not have them, whose payloads are no JSON: they
//! are signed by their keys, and are no tokens.
//!
//! The exceptions: P-521 (RFC 7515 A.4; RFC 7520 §4.3, §4.8) is refused, since no backend has it. What has no protected
//! header (RFC 7520 §4.7, §4.8), and every JSON serialization (RFC 7515 A.6, A.7; RFC 7520 §4.6), is no JWT, which is
//! compact (RFC 7519 §3): its signature is checked where there is a header, its form is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::token::Token;
use crate::{Algorithm, ConfigError, Key, Unauthorized};

const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const ALG_HS256: &str = "eyJhbGciOiJIUzI1NiJ9";
const ALG_RS256: &str = "eyJhbGciOiJSUzI1NiJ9";
const HS256: &str =
    "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const PS384: &str = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const ES512: &str = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const SECTION_4_4: &str = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";

/// RFC 7520 §3.3 and §3.5.
fn keys() -> Vec<Key> {
    let keys = json!({ "keys": [
        { "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw", "e": "AQAB" },
        { "kty": "oct", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037", "use": "sig", "alg": "HS256", "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg" },
    ] });
    Key::jwks(keys.to_string()).unwrap().into_iter().collect()
}

/// Which of the keys have signed it: RSA, secret.
fn signers(header: &str, payload: &str, signature: &str) -> [bool; 2] {
    let parameters = URL_SAFE_NO_PAD.decode(header).unwrap();
    let parameters: Value = serde_json::from_slice(&parameters).unwrap();
    let token = Token {
        algorithm: Algorithm::named(parameters["alg"].as_str().unwrap()).unwrap(),
        kid: parameters["kid"].as_str().map(str::to_owned),
        typ: None,
        claims: Map::new(),
        message: format!("{header}.{payload}").leak().as_bytes(),
        signature: URL_SAFE_NO_PAD.decode(signature).unwrap(),
    };
    let keys: [Key; 2] = keys().try_into().unwrap();
    keys.map(|key| key.suits(&token) && key.has_signed(&token))
}

fn parse(token: &str) -> Unauthorized {
    Token::parse(token.as_bytes(), token.len()).unwrap_err()
}

/// The protected header, the signature, and whose it is.
const SIGNATURES: [(&str, &str, [bool; 2]); 5] = [
    // §4.1
    (
        RS256,
        "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        [true, false],
    ),
    // §4.2
    (
        PS384,
        "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        [true, false],
    ),
    // §4.4, and §4.5 and the third of §4.8, which have the same signature
    (HS256, SECTION_4_4, [false, true]),
    // §4.6
    (ALG_HS256, "bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20", [false, true]),
    // the first of §4.8
    (
        ALG_RS256,
        "MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_lR2ZFcryNFiHkSw129EghGpwkpxaTn_THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdjvvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1aIZsv33uPUqBBCXbYoQJwt7mxPftHmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w",
        [true, false],
    ),
];

#[test]
fn the_signatures_of_rfc_7520_are_by_their_keys_and_by_no_other() {
    for (header, signature, expected) in SIGNATURES {
        assert_eq!(signers(header, FRODO, signature), expected, "{header}");
        let other = FRODO.replacen('S', "T", 1);
        assert_eq!(signers(header, &other, signature), [false; 2], "{header}");
    }
}

#[test]
fn a_signature_of_rfc_7520_is_none_under_another_header() {
    for (header, _, _) in SIGNATURES {
        for (_, signature, _) in SIGNATURES.iter().filter(|(other, ..)| *other != header) {
            assert_eq!(signers(header, FRODO, signature), [false; 2], "{header}");
        }
    }
}

#[test]
fn what_is_signed_and_has_no_claims_is_no_token() {
    for (header, signature, _) in SIGNATURES {
        assert_eq!(parse(&format!("{header}.{FRODO}.{signature}")), Unauthorized::MalformedToken);
    }
    // §4.5: the payload is elsewhere.
    assert_eq!(parse(&format!("{HS256}..{SECTION_4_4}")), Unauthorized::MalformedToken);
}

#[test]
fn another_form_than_the_compact_one_is_no_token() {
    let flat = json!({ "payload": FRODO, "protected": HS256, "signature": SECTION_4_4 });
    let general = json!({ "payload": FRODO, "signatures": [{ "protected": HS256, "signature": SECTION_4_4 }] });
    // §4.7: without a protected header.
    let bare = format!(".{FRODO}.xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk");
    for token in [flat.to_string(), general.to_string(), bare] {
        assert_eq!(parse(&token), Unauthorized::MalformedToken, "{token}");
    }
}

#[test]
fn p_521_is_refused() {
    // RFC 7520 §3.1, and RFC 7515 A.4.
    let keys = [
        json!({ "kty": "EC", "crv": "P-521", "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt", "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk", "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2" }),
    ];
    for key in keys {
        let set = Key::jwks(json!({ "keys": [key] }).to_string());
        assert_eq!(set.map(drop), Err(ConfigError::NoUsableKey { skipped: 1 }));
    }

    // RFC 7520 §4.3, and RFC 7515 A.4.
    let tokens = [
        format!(
            "{ES512}.{FRODO}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"
        ),
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn".to_owned(),
    ];
    for token in tokens {
        assert_eq!(parse(&token), Unauthorized::UnsupportedAlgorithm, "{token}");
    }
}
