use http::HeaderValue;
use portcullis_request_id::RequestId;

/// A value is an id just when it has 1 to 128 of the bytes that can harm nobody, and then it is passed on as it is.
pub(crate) fn request_id(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let expected = (1..=128).contains(&input.len()) && input.iter().all(harmless);
    match RequestId::parse(&value) {
        Ok(id) => assert!(expected && id.as_str().as_bytes() == input, "{id}"),
        Err(_) => assert!(!expected, "{value:?}"),
    }
}
