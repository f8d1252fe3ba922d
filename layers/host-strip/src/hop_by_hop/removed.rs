/// How many headers were removed, by name: one that stood in several lines is one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    pub(super) fixed: u64,
    pub(super) nominated: u64,
    pub(super) extra: u64,
}

impl Removed {
    /// Those that are always for one connection only, or are unless they are kept.
    #[must_use]
    pub const fn fixed(self) -> u64 {
        self.fixed
    }

    /// Those that `Connection` named.
    #[must_use]
    pub const fn nominated(self) -> u64 {
        self.nominated
    }

    /// Those that the policy removes besides.
    #[must_use]
    pub const fn extra(self) -> u64 {
        self.extra
    }
}
