//! Headers of any form, beside a slow and plain reader of them; `fuzz/` asks the same with more patience.
#![expect(unreachable_pub, reason = "the fuzz target uses it, too")]

use portcullis_forwarded::{Element, Node};
use proptest::prelude::*;

#[path = "oracle/forwarded.rs"]
mod oracle;

/// Pieces that headers are made of, or nearly.
const PIECES: [&str; 26] = [
    "for",
    "For",
    "host",
    "proto",
    "by",
    "secret",
    "=",
    "=",
    "=",
    ";",
    ";",
    ",",
    ",",
    " ",
    "\t",
    "\"",
    "\"",
    "\\",
    "192.0.2.1",
    "\"[2001:db8::1]:80\"",
    "\"192.0.2.1:80\"",
    "unknown",
    "_hidden",
    "https",
    "example.com",
    "é",
];

proptest! {
    #[test]
    fn it_reads_as_the_plain_reader_does(pieces in prop::collection::vec(0..PIECES.len(), 0..40)) {
        oracle::compare(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
    }

    #[test]
    fn it_reads_any_text_as_the_plain_reader_does(line in ".{0,60}") {
        oracle::compare(&line);
    }

    #[test]
    fn whatever_is_quoted_is_read_as_it_was(
        host in "[ -~]{1,20}", bits in any::<u128>(), port in prop::option::of(any::<u16>()),
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let address = std::net::IpAddr::V6(bits.into()).to_canonical();
        let node = Node::Address(address, port);
        let line = format!("for={};host={}", quoted(&node.to_string()), quoted(&host));

        let elements = Element::parse_line(&line).unwrap();

        prop_assert_eq!(elements.len(), 1);
        prop_assert_eq!(elements[0].node(), Some(node));
        prop_assert_eq!(elements[0].host(), Some(host.as_str()));
    }
}

// RFC 7239 §4, §6, §7.1, §7.4.
#[test]
fn the_examples_of_the_standard_are_read() {
    let nodes = |line| -> Vec<Option<Node>> {
        Element::parse_line(line).unwrap().iter().map(Element::node).collect()
    };
    let address = |text: &str, port| Some(Node::Address(text.parse().unwrap(), port));

    assert_eq!(nodes("for=\"_gazonk\""), [Some(Node::Unknown)]);
    assert_eq!(
        nodes("For=\"[2001:db8:cafe::17]:4711\""),
        [address("2001:db8:cafe::17", Some(4711))]
    );
    assert_eq!(nodes("for=192.0.2.60;proto=http;by=203.0.113.43"), [address("192.0.2.60", None)]);
    let both = [address("192.0.2.43", None), address("198.51.100.17", None)];
    assert_eq!(nodes("for=192.0.2.43, for=198.51.100.17"), both);
    let both = [address("192.0.2.43", None), address("2001:db8:cafe::17", None)];
    assert_eq!(nodes("for=192.0.2.43, for=\"[2001:db8:cafe::17]\""), both);
    assert_eq!(nodes("for=_hidden, for=_SEVKISEK"), [Some(Node::Unknown); 2]);
    let (hidden, with) = (Some(Node::Unknown), address("192.0.2.43", Some(47011)));
    assert_eq!(nodes("for=\"192.0.2.43:47011\", for=unknown;by=_x"), [with, hidden]);
}

#[test]
fn what_breaks_the_grammar_is_no_header() {
    for line in [
        "for",
        "for=",
        "=1",
        "for =1",
        "for= 1",
        "for=1 2",
        "for=\"1",
        "for=\"1\\",
        "for=1;for=2",
        "for=[::1]",
        "for=1:2",
        "x=1;X=2",
        "for=\"1\"2",
        "for=1;;=",
        "a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1",
    ] {
        assert!(Element::parse_line(line).is_err(), "{line}");
    }
    assert!(Element::parse_line(&"for=1,".repeat(63)).is_ok());
    assert!(Element::parse_line(&"for=1,".repeat(64)).is_err());
}

#[test]
fn addresses_come_in_many_forms() {
    let address = |text: &str, port| Node::Address(text.parse().unwrap(), port);
    for (text, strict, lenient) in [
        ("192.0.2.1", address("192.0.2.1", None), address("192.0.2.1", None)),
        ("192.0.2.1:80", address("192.0.2.1", Some(80)), address("192.0.2.1", Some(80))),
        ("192.0.2.1:_x", address("192.0.2.1", None), address("192.0.2.1", None)),
        ("[2001:db8::1]", address("2001:db8::1", None), address("2001:db8::1", None)),
        ("[::ffff:192.0.2.1]:80", address("192.0.2.1", Some(80)), address("192.0.2.1", Some(80))),
        ("2001:db8::1", Node::Unknown, address("2001:db8::1", None)),
        ("fe80::1%eth0", Node::Unknown, Node::Unknown),
        ("192.0.2", Node::Unknown, Node::Unknown),
        ("192.0.2.01", Node::Unknown, Node::Unknown),
        ("[192.0.2.1]", Node::Unknown, Node::Unknown),
        ("[::1", Node::Unknown, Node::Unknown),
        ("[::1]80", Node::Unknown, Node::Unknown),
        ("unknown", Node::Unknown, Node::Unknown),
        ("", Node::Unknown, Node::Unknown),
    ] {
        assert_eq!((Node::parse(text), Node::parse_lenient(text)), (strict, lenient), "{text}");
    }
}
