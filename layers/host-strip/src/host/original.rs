use http::uri::Authority;

/// The host that the client asked for, as `host[:port]`: found in the request's extensions.
///
/// It is there below a [`HostStripLayer`](crate::HostStripLayer) that was told to
/// [`remember`](crate::HostStripLayer::remember), and outranks the URI and `Host` in those further down.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OriginalHost(Authority);

impl OriginalHost {
    pub(super) const fn new(authority: Authority) -> Self {
        Self(authority)
    }

    /// The host and port, without userinfo, in the client's own letter case.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.0
    }
}
