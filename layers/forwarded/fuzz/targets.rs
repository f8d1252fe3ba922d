use portcullis_forwarded::{Node, Proxy};

#[path = "../tests/oracle/forwarded.rs"]
mod oracle;

/// Whatever comes as a `Forwarded` header, or a part of `X-Forwarded-For`, is read without a panic, and the first just as a
/// slow and plain reader reads it.
pub(crate) fn forwarded(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    oracle::compare(text);
    let _ = Node::parse_lenient(text);
}

/// Whatever stands for a network of proxies is read without a panic, and is never more than the text says.
pub(crate) fn network(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.parse::<Proxy>().is_ok() {
        assert!(text == "unix" || text.contains(['.', ':']), "{text:?}");
    }
}
