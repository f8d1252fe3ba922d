use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, InvalidHeaderValue};

use crate::Signing;
use crate::algorithm::Key;
use crate::percent::hex;
use crate::stamp::Stamp;

/// The value of `Authorization` for the canonical request with this digest. An id that no header can hold is an error.
pub(crate) fn authorization(
    signing: &Signing,
    access_key_id: &str,
    stamp: Stamp,
    names: &[&HeaderName],
    request: &[u8; 32],
    key: &Key,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let algorithm = signing.algorithm();
    let date = stamp.date();
    let scope = signing.scope(&date);

    // One buffer of the final size for both texts: the first is shorter, and a full one becomes the header as it is.
    let names_length = names.iter().map(|name| name.as_str().len() + 1).sum::<usize>();
    let mut text = Vec::with_capacity(
        algorithm.name().len()
            + CREDENTIAL.len()
            + access_key_id.len()
            + 1
            + length(&scope)
            + SIGNED_HEADERS.len()
            + names_length.saturating_sub(1)
            + SIGNATURE.len()
            + algorithm.signature_length(),
    );
    write(&mut text, &[algorithm.name().as_bytes(), b"\n", stamp.as_bytes(), b"\n"]);
    write(&mut text, &scope);
    write(&mut text, &[b"\n", &hex(request)]);
    let signature = algorithm.sign(key, &text);

    text.clear();
    let credential = [algorithm.name().as_bytes(), CREDENTIAL, access_key_id.as_bytes(), b"/"];
    write(&mut text, &credential);
    write(&mut text, &scope);
    text.extend_from_slice(SIGNED_HEADERS);
    let mut separator: &[u8] = b"";
    for name in names {
        write(&mut text, &[separator, name.as_str().as_bytes()]);
        separator = b";";
    }
    write(&mut text, &[SIGNATURE, signature.as_bytes()]);

    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text))?;
    value.set_sensitive(true);
    Ok(value)
}

fn write(text: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        text.extend_from_slice(part);
    }
}

fn length(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

const CREDENTIAL: &[u8] = b" Credential=";
const SIGNED_HEADERS: &[u8] = b", SignedHeaders=";
const SIGNATURE: &[u8] = b", Signature=";
