//! Which paths pass, as what, and that none of them leads elsewhere.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::borrow::Cow;

use portcullis_request_guard::Treatment::{Allow, Normalise, Refuse};
use portcullis_request_guard::{Flaw, Paths, Treatment, Verdict};
use proptest::prelude::*;

fn flaw(paths: Paths, path: &str) -> Option<Flaw> {
    paths.judge(path).err()
}

/// Every treatment that changes something.
fn normalising() -> Paths {
    Paths::new()
        .parent_segments(Normalise)
        .dot_segments(Normalise)
        .empty_segments(Normalise)
        .backslashes(Normalise)
        .encoded_slashes(Normalise)
}

#[test]
fn no_spelling_of_a_parent_segment_passes() {
    for path in [
        "/..",
        "/a/..",
        "/../a",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a/.%2e/b",
        "/a/%2E./b",
        "/a/..%2fb",
        "/a%2f..%2Fb",
        "/a/..\\b",
        "/a\\../b",
        "/a/..%5cb",
        "/%5c..",
        "/a/..;/b",
        "/a/..;jsessionid=1/b",
        "/a/%2e%2e%3bx/b",
        "/a//../b",
        "/a/./../b",
    ] {
        for paths in [Paths::new(), Paths::default()] {
            assert_eq!(flaw(paths, path), Some(Flaw::ParentSegment), "{path}");
        }
        assert!(flaw(Paths::strict(), path).is_some(), "{path}");
    }
}

#[test]
fn dots_in_names_are_no_segments() {
    for path in
        ["/...", "/a..", "/..a", "/a..b/c", "/.hidden", "/a.", "/.;", "/a/b.c;v=1..2", "/..%20"]
    {
        assert_eq!(flaw(Paths::new(), path), None, "{path}");
    }
}

#[test]
fn what_hides_in_a_second_encoding_is_refused_or_not_as_configured() {
    for path in [
        "/a/%252e%252e/b",
        "/a/%252e./b",
        "/a/..%252fb",
        "/a%252fb",
        "/a%255cb",
        "/a%2500",
        "/a%250a",
        "/a/%25252e%25252e/b",
        "/a/%25c0%25ae%25c0%25ae/b",
        "/%2525252525252525252525252e",
    ] {
        assert_eq!(flaw(Paths::new(), path), Some(Flaw::DoubleEncoding), "{path}");
        assert_eq!(flaw(Paths::new().double_encoding(Verdict::Allow), path), None, "{path}");
    }
    for path in ["/100%25", "/100%25/a%20b", "/a%2541", "/%2525", "/a%25zz"] {
        assert_eq!(flaw(Paths::new(), path), None, "{path}");
    }
}

#[test]
fn a_character_in_more_bytes_than_it_needs_never_passes() {
    let lenient = Paths::new().invalid_utf8(Verdict::Allow);
    for path in
        ["/a/%c0%ae%c0%ae/b", "/a%c0%afb", "/a/%C1%9c", "/%e0%80%ae", "/%f0%80%80%af", "/%c0%80"]
    {
        assert_eq!(flaw(lenient, path), Some(Flaw::InvalidUtf8), "{path}");
    }
    for path in ["/%ff", "/caf%e9", "/%ed%a0%80", "/%f5%80%80%80"] {
        assert_eq!(flaw(Paths::new(), path), Some(Flaw::InvalidUtf8), "{path}");
        assert_eq!(flaw(lenient, path), None, "{path}");
    }
    assert_eq!(flaw(Paths::strict(), "/caf%c3%a9/%F0%9F%A6%80/ä"), None);
}

#[test]
fn nul_and_what_encodes_nothing_never_pass() {
    for paths in [Paths::new(), Paths::s3(), normalising().control_bytes(Verdict::Allow)] {
        assert_eq!(flaw(paths, "/a%00b"), Some(Flaw::Nul));
        for path in ["/%", "/a%4", "/%zz", "/%%2f", "/%+1", "/%2"] {
            assert_eq!(flaw(paths, path), Some(Flaw::Encoding), "{path}");
        }
    }
}

#[test]
fn what_does_not_begin_at_the_root_is_no_path() {
    for paths in [Paths::new(), Paths::strict(), Paths::s3(), normalising()] {
        for path in ["", "*", ".", "..", "../a", "a/../b", "%2e%2e/a", "\\.."] {
            assert_eq!(flaw(paths, path), Some(Flaw::Encoding), "{path}");
        }
    }
}

#[test]
fn control_characters_are_refused_or_not_as_configured() {
    for path in ["/a%0a", "/%1f", "/%7f", "/%0d%0aset-cookie:a"] {
        assert_eq!(flaw(Paths::new(), path), Some(Flaw::ControlByte), "{path}");
        assert_eq!(flaw(Paths::new().control_bytes(Verdict::Allow), path), None, "{path}");
    }
}

#[test]
fn each_kind_of_oddity_is_refused_normalised_or_left() {
    type Verb = fn(Paths, Treatment) -> Paths;
    let kinds: [(&str, Verb, Flaw, &[&str], &str); 4] = [
        ("/a/./b", Paths::dot_segments, Flaw::DotSegment, &["/a/%2e/b", "/./a/.;x/b"], "/a/b"),
        ("/a//b", Paths::empty_segments, Flaw::EmptySegment, &["//a/b", "/a///b"], "/a/b"),
        ("/a\\b", Paths::backslashes, Flaw::Backslash, &["/a%5cb", "/a%5Cb"], "/a/b"),
        ("/a%2fb", Paths::encoded_slashes, Flaw::EncodedSlash, &["/a%2Fb"], "/a/b"),
    ];
    for (path, verb, expected, others, normal) in kinds {
        for path in others.iter().chain([&path]) {
            assert_eq!(flaw(verb(Paths::new(), Refuse), path), Some(expected), "{path}");
            assert_eq!(verb(Paths::new(), Normalise).judge(path).unwrap(), normal, "{path}");
            let left = verb(Paths::strict(), Allow);
            let left = if path.contains('\\') || !path.contains('%') {
                left
            } else {
                left.backslashes(Allow)
            };
            assert!(matches!(left.judge(path), Ok(Cow::Borrowed(same)) if same == *path), "{path}");
        }
    }
}

#[test]
fn normalising_is_what_rfc_3986_has() {
    // §5.4, as far as they are paths of their own.
    for (path, normal) in [
        ("/b/c/./g", "/b/c/g"),
        ("/b/c/.", "/b/c/"),
        ("/b/c/./", "/b/c/"),
        ("/b/c/..", "/b/"),
        ("/b/c/../", "/b/"),
        ("/b/c/../g", "/b/g"),
        ("/b/c/../..", "/"),
        ("/b/c/../../g", "/g"),
        ("/b/c/./../g", "/b/g"),
        ("/b/c/./g/.", "/b/c/g/"),
        ("/b/c/g/./h", "/b/c/g/h"),
        ("/b/c/g/../h", "/b/c/h"),
        ("/b/c/g;x=1/./y", "/b/c/g;x=1/y"),
        ("/b/c/g;x=1/../y", "/b/c/y"),
        ("/b/%2e%2e/g%20h", "/g%20h"),
        ("/b\\..%2fg//", "/g/"),
    ] {
        assert_eq!(normalising().judge(path).unwrap(), normal, "{path}");
    }
    for path in ["/..", "/../g", "/b/../../g", "/b/%2e%2e%5c..", "/.//.."] {
        assert_eq!(flaw(normalising(), path), Some(Flaw::ParentSegment), "{path}");
    }
}

#[test]
fn where_readers_disagree_about_what_is_climbed_over_nothing_is_normalised() {
    let parents = Paths::new().parent_segments(Normalise);
    for path in ["/a//../b", "/a%2fb/../c", "/a\\b/../c", "/a/./../b", "/a/..%2f", "/a/..//b"] {
        assert_eq!(flaw(parents, path), Some(Flaw::ParentSegment), "{path}");
    }
    assert_eq!(parents.judge("/a/b/../c").unwrap(), "/a/c");
}

#[test]
fn keys_of_s3_pass_as_they_are() {
    for path in [
        "/bucket/a//b///c",
        "/bucket/./a",
        "/bucket/a/../b",
        "/bucket/videos/2014/../../video1.wmv",
        "/bucket/a%2Fb",
        "/bucket/a%5cb\\c",
        "/bucket/100%2525",
        "/bucket/%252e%252e/a",
        "/bucket/a%0ab%7f",
        "/bucket/%E2%82%AC",
        "/bucket/",
    ] {
        let judged = Paths::s3().root(1).judge(path);
        assert!(matches!(judged, Ok(Cow::Borrowed(same)) if same == path), "{path}");
    }
}

#[test]
fn no_key_of_s3_leads_out_of_its_bucket() {
    for path in [
        "/bucket/../other/a",
        "/bucket/a/../../other/a",
        "/bucket/videos/../../video1.wmv",
        "/bucket/%2e%2e/other",
        "/bucket/..%2fother",
        "/bucket//../../other",
        "/bucket/a//../../other",
        "/bucket/a%2fb/../../../other",
        "/bucket/a%2fb/../../other",
        "/bucket/a\\b/../../other",
        "/bucket/a\\b/../../../other",
        "/bucket/./../other",
        "/../bucket/a",
        "/a/../bucket/a",
        "/bucket/a/../..;/other",
    ] {
        assert_eq!(flaw(Paths::s3().root(1), path), Some(Flaw::ParentSegment), "{path}");
    }
    assert_eq!(flaw(Paths::s3(), "/bucket/../other"), None);
    assert_eq!(flaw(Paths::s3(), "/bucket/../../other"), Some(Flaw::ParentSegment));
    let normal = Paths::new().parent_segments(Normalise).root(1);
    assert_eq!(flaw(normal, "/bucket/../other"), Some(Flaw::ParentSegment));
}

#[test]
fn a_policy_tells_whether_it_changes_paths_or_takes_parents() {
    assert!(
        normalising().normalises() && !Paths::s3().normalises() && !Paths::strict().normalises()
    );
    for verb in
        [Paths::dot_segments, Paths::empty_segments, Paths::backslashes, Paths::encoded_slashes]
    {
        assert!(verb(Paths::new(), Normalise).normalises());
    }
    assert!(Paths::s3().takes_parents() && normalising().takes_parents());
    assert!(!Paths::new().takes_parents());
}

fn treatment() -> impl Strategy<Value = Treatment> {
    prop_oneof![Just(Refuse), Just(Normalise), Just(Allow)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Refuse), Just(Verdict::Allow)]
}

fn policy() -> impl Strategy<Value = Paths> {
    let treatments = [treatment(), treatment(), treatment(), treatment(), treatment()];
    (treatments, [verdict(), verdict(), verdict()], 0_usize..3).prop_map(|(five, three, root)| {
        Paths::new()
            .parent_segments(five[0])
            .dot_segments(five[1])
            .empty_segments(five[2])
            .backslashes(five[3])
            .encoded_slashes(five[4])
            .control_bytes(three[0])
            .invalid_utf8(three[1])
            .double_encoding(three[2])
            .root(root)
    })
}

/// Paths with much in them that is odd.
fn odd() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(PARTS), 0..9);
    parts.prop_map(|parts| format!("/{}", parts.concat()))
}

const PARTS: &[&str] = &[
    "a", "b", "/", "/", "/", "a/", "b/", "..", "/..", "/../", ".", "/./", "//", "\\", ";", "%2e",
    "%2E.", "%2f", "%2F", "%5c", "%25", "2e", "2f", "5c", "%252e", "%c0%ae", "%00", "%0a", "%61",
    "%ff", "%",
];

/// What somebody may take a path for who decodes it this often.
fn decoded(path: &str, times: usize) -> Vec<u8> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..times {
        let mut next = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
            let code = code.filter(|code| bytes[at] == b'%' && !code.starts_with('+'));
            match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                Some(byte) => (next.push(byte), at += 3),
                None => (next.push(bytes[at]), at += 1),
            };
        }
        bytes = next;
    }
    bytes
}

/// Whether somebody finds a parent segment there.
fn climbs(bytes: &[u8]) -> bool {
    let segments = bytes.split(|byte| matches!(byte, b'/' | b'\\'));
    segments.into_iter().any(|segment| segment == b".." || segment.starts_with(b"..;"))
}

/// How many segments stay whatever is climbed over, for one reader of a path; none above the first.
fn lowest(segments: &[Vec<u8>], merges: bool) -> Option<usize> {
    let mut depth = 0_usize;
    let mut lowest = usize::MAX;
    for segment in segments {
        match &**segment {
            b"." => {}
            b"" if merges => {}
            b".." => {
                depth = depth.checked_sub(1)?;
                lowest = lowest.min(depth);
            }
            _ => depth += 1,
        }
    }
    Some(lowest)
}

/// The segments of a path for those who split it before they decode it, for those who decode it before, and for those to
/// whom a backslash is a slash, too.
fn readings(path: &str) -> [Vec<Vec<u8>>; 3] {
    let split = |separators: &[u8]| {
        let bytes = decoded(path, 1);
        let segments = bytes.split(|byte| separators.contains(byte)).skip(1);
        segments.map(<[u8]>::to_vec).collect()
    };
    let raw = path.split('/').skip(1).map(|segment| decoded(segment, 1)).collect();
    [raw, split(b"/"), split(b"/\\")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_passes_once_passes_again_and_stays_what_it_is(paths in policy(), path in odd()) {
        if let Ok(judged) = paths.judge(&path) {
            let again = paths.judge(&judged);
            prop_assert!(matches!(again, Ok(Cow::Borrowed(same)) if same == judged), "{} {:?}", judged, again);
            prop_assert!(paths.normalises() || judged == path);
        }
    }

    #[test]
    fn nothing_that_passes_decodes_to_a_traversal(paths in policy(), path in odd()) {
        let paths = paths.double_encoding(Verdict::Refuse);
        if let Ok(judged) = paths.parent_segments(Refuse).judge(&path) {
            for times in 0..4 {
                prop_assert!(!climbs(&decoded(&judged, times)), "{} {}", judged, times);
            }
        }
        if let Ok(judged) = paths.parent_segments(Normalise).judge(&path) {
            prop_assert!(!climbs(&decoded(&judged, 1)), "{}", judged);
        }
    }

    #[test]
    fn no_reader_is_led_above_the_root(paths in policy(), root in 0_usize..3, path in odd()) {
        let paths = paths.parent_segments(Allow).root(root);
        if let Ok(judged) = paths.judge(&path) {
            for segments in readings(&judged) {
                for merges in [false, true] {
                    let lowest = lowest(&segments, merges);
                    prop_assert!(lowest.is_some_and(|lowest| lowest >= root), "{} {:?}", judged, lowest);
                }
            }
        }
    }

    #[test]
    fn no_path_makes_the_judge_panic(paths in policy(), path in "\\PC{0,20}", codes in "[/%.a-f0-9\\\\]{0,24}") {
        let _ = paths.judge(&path);
        let _ = paths.judge(&codes);
    }
}
