//! The form of a token, before anything is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::{Algorithm, Unauthorized, json};

/// A well-formed JSON Web Token in the compact form (RFC 7519, RFC 7515 §3.1), not yet verified.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    pub(crate) claims: Map<String, Value>,
    /// What is signed: `header.payload` as it came.
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes `text` apart; longer ones than `limit` bytes are not looked at.
    pub(crate) fn parse(text: &'a [u8], limit: usize) -> Result<Self, Unauthorized> {
        if text.len() > limit {
            return Err(Unauthorized::TokenTooLarge);
        }
        let mut segments = text.splitn(6, |byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature)) =
            (segments.next(), segments.next(), segments.next())
        else {
            return Err(Unauthorized::MalformedToken);
        };
        match segments.count() {
            0 => {}
            // Five segments are an encrypted token (RFC 7516 §3.1).
            2 => return Err(Unauthorized::UnsupportedToken),
            _ => return Err(Unauthorized::MalformedToken),
        }

        let mut parameters = object(header)?;
        let (algorithm, kid) = Self::header(&parameters)?;
        // One that is no text is no type that anybody asks for.
        let typ = match parameters.remove("typ") {
            Some(Value::String(typ)) => Some(typ),
            _ => None,
        };
        let message = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Self {
            algorithm,
            kid,
            typ,
            claims: object(payload)?,
            message,
            signature: decode(signature)?,
        })
    }

    /// The two parameters that matter. Keys and addresses of keys that the token brings along (`jwk`, `jku`, `x5c`,
    /// `x5u`) do not: whoever forges a token forges them, too.
    fn header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), Unauthorized> {
        // No extension is understood here, so none that must be can be accepted (RFC 7515 §4.1.11). The one that
        // changes what is signed asks to be critical (RFC 7797 §6), and is refused if it forgets to.
        let unencoded = header.get("b64").is_some_and(|encoded| *encoded != Value::Bool(true));
        if header.contains_key("crit") || unencoded {
            return Err(Unauthorized::UnsupportedToken);
        }
        // A token within a token (RFC 7519 §5.2).
        match header.get("cty") {
            Some(Value::String(cty)) if nested(cty) => return Err(Unauthorized::UnsupportedToken),
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(Unauthorized::MalformedToken),
        }
        let Some(Value::String(name)) = header.get("alg") else {
            return Err(Unauthorized::MalformedToken);
        };
        let algorithm = Algorithm::named(name).ok_or(Unauthorized::UnsupportedAlgorithm)?;
        match header.get("kid") {
            None => Ok((algorithm, None)),
            Some(Value::String(kid)) => Ok((algorithm, Some(kid.clone()))),
            Some(_) => Err(Unauthorized::MalformedToken),
        }
    }
}

/// Media types are compared without case, and may leave out `application/` (RFC 7515 §4.1.10).
fn nested(cty: &str) -> bool {
    cty.eq_ignore_ascii_case("jwt") || cty.eq_ignore_ascii_case("application/jwt")
}

fn object(segment: &[u8]) -> Result<Map<String, Value>, Unauthorized> {
    json::object(&decode(segment)?).ok_or(Unauthorized::MalformedToken)
}

/// Base64url without padding, and without spare bits: a token has one spelling (RFC 7515 §2).
fn decode(segment: &[u8]) -> Result<Vec<u8>, Unauthorized> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Unauthorized::MalformedToken)
}
