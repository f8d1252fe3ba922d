//! Whatever comes as a `Forwarded` header is read without a panic, and just as a slow and plain reader reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_forwarded::Node;

#[path = "../tests/oracle/forwarded.rs"]
mod oracle;

fuzz_target!(|input: &str| {
    oracle::compare(input);
    let _ = Node::parse_lenient(input);
});
