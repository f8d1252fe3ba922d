use http::request::Parts;

/// Says which circuit a request belongs to.
///
/// Closures over the parts of a request do: `|parts: &Parts| parts.uri.host().map(str::to_owned)`.
pub trait KeyOf<K> {
    /// The key of a request; one without a key is let through, and not counted.
    fn key(&self, parts: &Parts) -> Option<K>;
}

impl<K, F: Fn(&Parts) -> Option<K>> KeyOf<K> for F {
    fn key(&self, parts: &Parts) -> Option<K> {
        self(parts)
    }
}
