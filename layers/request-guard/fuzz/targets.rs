use portcullis_request_guard::{HostPattern, MediaRange, Part, Paths, Policy, Treatment};

/// What passes has nothing that its policy refuses, whoever decodes it; what was normalised is normal, and what one policy
/// lets through, so does a milder one.
pub(crate) fn path(input: &[u8]) {
    let Ok(path) = std::str::from_utf8(input) else { return };
    let mild = Paths::new().judge(path);
    if let Ok(same) = Paths::strict().judge(path) {
        assert!(same == path && mild.is_ok(), "{path:?}");
        let decoded = decoded(path);
        assert!(
            !decoded.contains(&b'\\') && !decoded.windows(2).any(|pair| pair == b"//"),
            "{path:?}"
        );
        assert!(segments(&decoded).all(|segment| !is_dots(segment, b".")), "{path:?}");
    }
    if let Ok(same) = mild {
        assert_eq!(same, path);
        let decoded = decoded(path);
        assert!(!decoded.iter().any(u8::is_ascii_control), "{path:?}");
        assert!(segments(&decoded).all(|segment| !is_dots(segment, b"..")), "{path:?}");
    }
    if let Ok(same) = Paths::s3().root(ROOT).judge(path) {
        assert_eq!(same, path);
        assert!(stays_below_the_root(&decoded(path)), "{path:?}");
    }
    if let Ok(normal) = normalising().judge(path) {
        assert_eq!(normalising().judge(&normal).as_deref(), Ok(&*normal), "{path:?}");
        assert!(Paths::strict().judge(&normal).is_ok(), "{path:?} {normal:?}");
    }
}

fn normalising() -> Paths {
    Paths::new()
        .parent_segments(Treatment::Normalise)
        .dot_segments(Treatment::Normalise)
        .empty_segments(Treatment::Normalise)
        .backslashes(Treatment::Normalise)
        .encoded_slashes(Treatment::Normalise)
}

/// Where a path leads that has no `..` into its first segments, for those to whom `.` is none.
fn stays_below_the_root(decoded: &[u8]) -> bool {
    let mut depth = 0;
    segments(decoded).all(|segment| {
        if is_dots(segment, b"..") {
            let stays = depth > ROOT;
            depth -= usize::from(stays);
            return stays;
        }
        depth += usize::from(!segment.is_empty() && !is_dots(segment, b"."));
        true
    })
}

fn segments(decoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    decoded.split(|byte| b"/\\".contains(byte))
}

fn is_dots(segment: &[u8], dots: &[u8]) -> bool {
    segment.split(|byte| *byte == b';').next() == Some(dots)
}

fn decoded(path: &str) -> Vec<u8> {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        decoded.push(u8::from_str_radix(digits, 16).expect("what passes is encoded well"));
        decoded.extend_from_slice(rest.as_bytes());
    }
    decoded
}

const ROOT: usize = 2;

/// A size is digits and a unit, and what they make.
pub(crate) fn size(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let section = toml::Table::from_iter([("max_body".to_owned(), text.into())]);
    let read = section.try_into().ok().and_then(|policy: Policy| policy.limit(Part::Body));

    let unit = text.trim_start_matches(|byte: char| byte.is_ascii_digit());
    let number = text.strip_suffix(unit).filter(|number| !number.is_empty());
    let number = number.and_then(|number| number.parse::<u128>().ok());
    let factor: Option<u128> = match unit.strip_prefix(' ').unwrap_or(unit) {
        "B" => Some(1),
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        "GiB" => Some(1024 * 1024 * 1024),
        _ => None,
    };
    let bytes = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    assert_eq!(read, bytes.and_then(|bytes| bytes.try_into().ok()), "{text:?}");
}

/// The first line, if it is a pattern, means just what it ends in; the second is a host.
pub(crate) fn host(input: &[u8]) {
    let Some((text, host)) = lines(input) else { return };
    let Ok(pattern) = text.parse::<HostPattern>() else { return };
    let name = text.trim_matches(['[', ']']).to_ascii_lowercase();
    let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let expected = match name.strip_prefix('*') {
        Some(domain) => bare.ends_with(domain) && bare != domain,
        None => bare == name,
    };
    assert_eq!(pattern.matches(host), expected, "{text:?} {host:?}");
}

/// The first line, if it is a range, means itself if it is a type, and nothing that is none; the second is a type.
pub(crate) fn media_range(input: &[u8]) {
    let Some((text, content_type)) = lines(input) else { return };
    let Ok(range) = text.parse::<MediaRange>() else { return };
    assert_eq!(range.to_string().parse().as_ref(), Ok(&range), "{text:?}");
    if !text.contains('*') {
        let loud = text.to_ascii_uppercase();
        assert!(range.matches(&format!(" {loud} ; charset=utf-8")), "{text:?}");
    }
    let any: MediaRange = "*/*".parse().expect("all types");
    assert!(!range.matches(content_type) || any.matches(content_type), "{content_type:?}");
    let kind = text.split('/').next().unwrap_or_default();
    let is_kind =
        content_type.trim().get(..kind.len()).is_some_and(|it| it.eq_ignore_ascii_case(kind));
    assert!(!range.matches(content_type) || kind == "*" || is_kind, "{content_type:?}");
}

fn lines(input: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(input).ok()?.split_once('\n')
}
