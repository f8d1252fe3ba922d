use std::borrow::Cow;

/// A path as it is judged, never as it is sent: what an upstream could make of it.
///
/// Percent-encodings are decoded, empty and `.` segments are left out. So `/%61dmin`, `//admin` and
/// `/./admin` are the route `/admin`, whatever the upstream thinks of them, and the path goes on just as
/// the client wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged<'a>(Cow<'a, str>);

/// Why a path cannot be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a sentence and no more")]
pub struct BadPath(pub &'static str);

impl<'a> Judged<'a> {
    /// Judges the path of a request target.
    ///
    /// # Errors
    ///
    /// A path with a `..` segment, in whatever encoding, means different things to different servers;
    /// so does one with a NUL byte, or a `%` that encodes nothing. One that does not begin at the root, as `*`, could end
    /// anywhere behind the path of a replica.
    pub fn new(path: &'a str) -> Result<Self, BadPath> {
        if !path.starts_with('/') {
            return Err(BadPath("the path does not begin with a slash"));
        }
        if is_plain(path) {
            return Ok(Self(Cow::Borrowed(path)));
        }
        let decoded = decode(path)?;
        let mut judged = String::with_capacity(decoded.len());
        for segment in decoded.split(['/', '\\']) {
            match segment {
                "" | "." => {}
                // Servlets take parameters off a segment before they look at it.
                segment if is_parent(segment) => {
                    return Err(BadPath("the path has a `..` segment"));
                }
                segment => {
                    judged.push('/');
                    judged.push_str(segment);
                }
            }
        }
        if decoded.ends_with('/') || judged.is_empty() {
            judged.push('/');
        }
        Ok(Self(Cow::Owned(judged)))
    }

    /// The path for those who know parameters of segments (`/a;b=c/d`); none if it has none.
    #[must_use]
    pub fn without_parameters(&self) -> Option<Judged<'static>> {
        let mut bare = String::new();
        for segment in self.0.contains(';').then(|| self.0.split('/').skip(1)).into_iter().flatten()
        {
            bare.push('/');
            bare.push_str(segment.split(';').next().unwrap_or_default());
        }
        // Judged anew, since a segment may have been nothing but parameters.
        let bare = Judged::new(&bare).ok()?;
        self.0.contains(';').then(|| Judged(Cow::Owned(bare.0.into_owned())))
    }

    /// What a path with `..` segments is for those who take them for names, as S3 does, and for those who resolve them.
    ///
    /// None if there are more readings: with empty segments or hidden separators, or above the first segment.
    #[must_use]
    pub fn both(path: &'a str) -> Option<(Self, Self)> {
        let decoded = decode(path).ok()?;
        let segments = decoded.strip_prefix('/')?;
        let hidden = decoded.matches('/').count() > path.matches('/').count();
        if hidden || segments.contains("//") || segments.starts_with('/') || segments.contains('\\')
        {
            return None;
        }
        let (mut named, mut resolved) = (Vec::new(), Vec::new());
        for segment in segments.split('/').filter(|segment| !matches!(*segment, "" | ".")) {
            named.push(segment);
            match segment {
                segment if is_parent(segment) => drop(resolved.pop()?),
                segment => resolved.push(segment),
            }
        }
        let join = |segments: &[&str]| Self(Cow::Owned(format!("/{}", segments.join("/"))));
        Some((join(&named), join(&resolved)))
    }

    /// The path to match.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is left of `path`, as the client wrote it, after its first `segments` segments.
    ///
    /// # Errors
    ///
    /// When one of them hides a separator in an encoding, so that where it ends is open to dispute.
    pub fn after(path: &str, segments: usize) -> Result<&str, BadPath> {
        let mut rest = path;
        for _ in 0..segments {
            // Separators and segments that do not count stand before the one that does.
            loop {
                rest = rest.strip_prefix('/').unwrap_or(rest);
                let end = rest.find('/').unwrap_or(rest.len());
                let (segment, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                rest = after;
                let hides = segment.contains('\\')
                    || ["%2f", "%2F", "%5c", "%5C"].iter().any(|code| segment.contains(code));
                if hides {
                    return Err(BadPath("the path has an encoded slash where its route ends"));
                }
                if !matches!(segment, "" | "." | "%2e" | "%2E") || rest.is_empty() {
                    break;
                }
            }
        }
        Ok(rest)
    }
}

fn is_parent(segment: &str) -> bool {
    segment.strip_prefix("..").is_some_and(|rest| rest.is_empty() || rest.starts_with(';'))
}

/// Most paths are what they seem.
fn is_plain(path: &str) -> bool {
    let odd = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    path.starts_with('/')
        && !path.bytes().any(|byte| matches!(byte, b'%' | b'\\' | 0))
        && !path.as_bytes().windows(2).any(odd)
}

fn decode(path: &str) -> Result<String, BadPath> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or(b'%'),
                    _ => return Err(BadPath("the path has a `%` that encodes nothing")),
                }
            }
            byte => byte,
        };
        if byte == 0 {
            return Err(BadPath("the path has a NUL byte"));
        }
        decoded.push(byte);
    }
    // What is no UTF-8 matches no route by name, and needs no more than to stay what it is.
    Ok(String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(path: &str) -> Result<String, BadPath> {
        Judged::new(path).map(|judged| judged.as_str().to_owned())
    }

    #[test]
    fn a_path_in_disguise_is_judged_as_what_it_is() {
        for path in [
            "/admin",
            "//admin",
            "/./admin",
            "/%61dmin",
            "/%2e/admin",
            "/.//%41dmin",
            "/%2fadmin",
            "/\\admin",
        ] {
            assert!(judge(path).unwrap().eq_ignore_ascii_case("/admin"), "{path}");
        }
        assert_eq!(judge("/a/b/").unwrap(), "/a/b/");
        assert_eq!(judge("/").unwrap(), "/");
        assert_eq!(judge("//").unwrap(), "/");
    }

    #[test]
    fn no_spelling_of_a_parent_segment_passes() {
        for path in [
            "/..",
            "/a/..",
            "/../a",
            "/a/%2e%2e/b",
            "/.%2e",
            "/%2E.",
            "/a/..%2fb",
            "/..\\b",
            "/%5c..",
            "/a%2f../b",
            "/a/..;/b",
            "/a/%2e%2e%3bc/b",
        ] {
            assert!(judge(path).is_err(), "{path}");
        }
        for path in ["/...", "/a..", "/..a", "/a..b/c"] {
            assert!(judge(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for path in ["/%", "/%4", "/%zz", "/%00", "/a%00b"] {
            assert!(judge(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_prefix_comes_off_the_path_as_it_was_written() {
        let after = |path, segments| Judged::after(path, segments).unwrap();

        assert_eq!(after("/photos/a%20b//c", 1), "/a%20b//c");
        assert_eq!(after("/photos//a", 1), "//a");
        assert_eq!(after("//./photos/./a", 1), "/./a");
        assert_eq!(after("/photos", 1), "");
        assert_eq!(after("/photos/", 1), "/");
        assert_eq!(after("/a/b/c", 2), "/c");
        assert_eq!(after("/a", 0), "/a");
        assert!(Judged::after("/photos%2fa", 1).is_err());
        assert!(Judged::after("/photos\\a", 1).is_err());
    }

    #[test]
    fn a_parent_segment_is_a_name_or_leads_back_if_that_is_all_that_it_can_be() {
        let both = |path| {
            Judged::both(path)
                .map(|(named, resolved)| (named.0.into_owned(), resolved.0.into_owned()))
        };

        let expected = ("/a/b/../c".to_owned(), "/a/c".to_owned());
        for path in ["/a/b/../c", "/a/b/%2e%2e/c/", "/a/./b/../c"] {
            assert_eq!(both(path), Some(expected.clone()), "{path}");
        }
        assert_eq!(both("/a/.."), Some(("/a/..".to_owned(), "/".to_owned())));
        for path in
            ["/..", "/a/../../b", "//a/../b", "/a//../b", "/a%2fb/../c", "/a\\b/../c", "/a/../%"]
        {
            assert_eq!(both(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_with_a_parent_segment_passes(path in "/[a./%2eEfF5cC\\\\0-9]{0,24}") {
            if let Ok(judged) = Judged::new(&path) {
                prop_assert!(judged.as_str().split('/').all(|segment| segment != ".."));
                prop_assert!(judged.as_str().starts_with('/'));
                let _ = Judged::after(&path, 2);
            }
        }
    }
}
