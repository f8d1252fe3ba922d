use portcullis_rate_limit::Quota;

/// Whatever stands for a quota is read without a panic, and what it is written as is the same quota.
pub(crate) fn quota(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(quota) = text.parse::<Quota>() {
        assert_eq!(quota.to_string().parse::<Quota>().ok(), Some(quota), "{text:?}");
    }
}
