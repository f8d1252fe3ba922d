/// What becomes of paths that are not what they seem, each kind of oddity on its own.
///
/// Between a client and an upstream there are readers who disagree about a path: whether `%2f` is a slash, whether `//` is
/// one, what `..` leads to. What one takes for `/public/x` another takes for `/admin`. A path is decoded here once, to be
/// judged; what goes on is what was sent, unless something is normalised.
///
/// Whatever the policy, a `%` that encodes nothing, a NUL byte and an ASCII character in more bytes than it needs (`%c0%ae`)
/// are refused. So is a `..` together with what makes readers disagree about where it leads: `//`, an encoded slash, a
/// backslash.
///
/// # Configuration
///
/// With the `serde` feature a file has the name of a policy, `"default"`, `"strict"` or `"s3"`, or a table. What the table
/// leaves out is as in `"default"`:
///
/// ```toml
/// [request_guard.paths]
/// parent_segments = "refuse"  # `..`: "refuse", "normalise" or "allow"
/// dot_segments = "allow"      # `.`: the same three
/// empty_segments = "allow"    # `//`: the same three
/// backslashes = "allow"       # `\` and `%5c`: the same three; "normalise" makes them slashes
/// encoded_slashes = "allow"   # `%2f`: the same three
/// control_bytes = "refuse"    # from `%01` to `%1f`, and `%7f`: "refuse" or "allow"
/// invalid_utf8 = "refuse"     # the same two
/// double_encoding = "refuse"  # `%252e%252e`, and what else one more decoding would bring forth: the same two
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a path is judged by it"]
pub struct Paths {
    /// `..`, in whatever encoding, and with parameters (`..;a`).
    pub(crate) parent_segments: Treatment,
    /// `.`, in whatever encoding.
    pub(crate) dot_segments: Treatment,
    /// `//`.
    pub(crate) empty_segments: Treatment,
    /// `\` and `%5c`. Normalised, they are slashes.
    pub(crate) backslashes: Treatment,
    /// `%2f`. Normalised, it is a slash.
    pub(crate) encoded_slashes: Treatment,
    /// Control characters of ASCII, encoded; NUL never passes.
    pub(crate) control_bytes: Verdict,
    /// What is no UTF-8 once it is decoded.
    pub(crate) invalid_utf8: Verdict,
    /// What would be refused if it were decoded once more.
    pub(crate) double_encoding: Verdict,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) root: usize,
}

/// What becomes of a part of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "it is refused, changed or left")]
pub enum Treatment {
    /// The request is refused.
    Refuse,
    /// The path goes on without it.
    Normalise,
    /// The path goes on as it is.
    Allow,
}

/// Whether a path may have something that cannot be taken out of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "it is refused or left")]
pub enum Verdict {
    /// The request is refused.
    Refuse,
    /// The path goes on as it is.
    Allow,
}

impl Paths {
    /// Refuses what is an attack or a mistake anywhere: `..`, control bytes, what is no UTF-8, what is encoded twice to
    /// hide. Leaves `.`, `//`, backslashes and encoded slashes, which some applications live on.
    pub const fn new() -> Self {
        Self {
            parent_segments: Treatment::Refuse,
            dot_segments: Treatment::Allow,
            empty_segments: Treatment::Allow,
            backslashes: Treatment::Allow,
            encoded_slashes: Treatment::Allow,
            control_bytes: Verdict::Refuse,
            invalid_utf8: Verdict::Refuse,
            double_encoding: Verdict::Refuse,
            root: 0,
        }
    }

    /// Refuses every kind of oddity.
    pub const fn strict() -> Self {
        Self {
            dot_segments: Treatment::Refuse,
            empty_segments: Treatment::Refuse,
            backslashes: Treatment::Refuse,
            encoded_slashes: Treatment::Refuse,
            ..Self::new()
        }
    }

    /// Allows what a key of S3 may have: all of UTF-8 but NUL, `..` as long as it does not lead above where the key begins.
    ///
    /// S3 takes `//`, `.` and `..` for names, and decodes once. A `..` that leads above the start of the key it refuses
    /// itself, and so does this policy, since other storage would find another bucket there: see [`root`](Self::root).
    pub const fn s3() -> Self {
        Self {
            parent_segments: Treatment::Allow,
            control_bytes: Verdict::Allow,
            double_encoding: Verdict::Allow,
            ..Self::new()
        }
    }

    /// What becomes of `..`. Allowed or normalised, it still may not lead above the [root](Self::root).
    pub const fn parent_segments(mut self, treatment: Treatment) -> Self {
        self.parent_segments = treatment;
        self
    }

    /// What becomes of `.`.
    pub const fn dot_segments(mut self, treatment: Treatment) -> Self {
        self.dot_segments = treatment;
        self
    }

    /// What becomes of `//`. A slash at the end is none of them.
    pub const fn empty_segments(mut self, treatment: Treatment) -> Self {
        self.empty_segments = treatment;
        self
    }

    /// What becomes of `\` and `%5c`.
    pub const fn backslashes(mut self, treatment: Treatment) -> Self {
        self.backslashes = treatment;
        self
    }

    /// What becomes of `%2f`.
    pub const fn encoded_slashes(mut self, treatment: Treatment) -> Self {
        self.encoded_slashes = treatment;
        self
    }

    /// What becomes of encoded control characters.
    pub const fn control_bytes(mut self, verdict: Verdict) -> Self {
        self.control_bytes = verdict;
        self
    }

    /// What becomes of bytes that are no UTF-8.
    pub const fn invalid_utf8(mut self, verdict: Verdict) -> Self {
        self.invalid_utf8 = verdict;
        self
    }

    /// What becomes of a path that would be refused if it were decoded once more.
    pub const fn double_encoding(mut self, verdict: Verdict) -> Self {
        self.double_encoding = verdict;
        self
    }

    /// No `..` may reach the first `segments` of a path: those of a route, and of a bucket. None by default.
    pub const fn root(mut self, segments: usize) -> Self {
        self.root = segments;
        self
    }

    /// Whether a path may have a `..` at all, be it normalised or not.
    #[must_use]
    pub const fn takes_parents(&self) -> bool {
        !matches!(self.parent_segments, Treatment::Refuse)
    }

    /// Whether paths may go on otherwise than they came, which breaks what a client has signed.
    #[must_use]
    pub const fn normalises(&self) -> bool {
        matches!(self.parent_segments, Treatment::Normalise)
            || matches!(self.dot_segments, Treatment::Normalise)
            || matches!(self.empty_segments, Treatment::Normalise)
            || matches!(self.backslashes, Treatment::Normalise)
            || matches!(self.encoded_slashes, Treatment::Normalise)
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}
