//! Whatever comes in place of a PROXY header is read without a panic, in bounds, and never beyond its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::listener::{Progress, read_header};

fuzz_target!(|input: &[u8]| {
    let mut taken = 0;
    while let Ok(Progress::More(missing)) = read_header(&input[..taken]) {
        assert!(missing > 0);
        taken += missing;
        assert!(taken <= 4096);
        if taken > input.len() {
            break;
        }
    }
});
