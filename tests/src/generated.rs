use std::path::Path;
use std::{env, fs};

/// Checks that what follows the mark in a document, whose path begins at the top of the repository, is what the program would
/// say today. With `PORTCULLIS_WRITE` in the environment it is written there instead.
///
/// # Panics
///
/// When the document says something else.
pub fn generated(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(&file).expect("a document");
    let (prose, found) = text.split_once(MARK).expect("a mark in the document");
    if env::var_os("PORTCULLIS_WRITE").is_some() {
        fs::write(&file, format!("{prose}{MARK}{expected}"))
            .expect("a document that can be written");
        return;
    }
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{path} is out of date: run this test with PORTCULLIS_WRITE=1, and look at what changes. First: {differs:#?}"
    );
}

const MARK: &str = "<!-- What follows is generated: a test says how. -->\n\n";
