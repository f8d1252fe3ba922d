use super::Violation;

/// How many elements of `Connection` were ignored, and why.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ignored {
    pub(super) malformed: u64,
    pub(super) protected: u64,
    pub(super) excess: u64,
}

impl Ignored {
    /// Those that are no header names.
    #[must_use]
    pub const fn malformed(self) -> u64 {
        self.malformed
    }

    /// Those that name a protected field.
    #[must_use]
    pub const fn protected(self) -> u64 {
        self.protected
    }

    /// Those beyond the most that the policy obeys.
    #[must_use]
    pub const fn excess(self) -> u64 {
        self.excess
    }

    /// Whether nothing was ignored.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.malformed == 0 && self.protected == 0 && self.excess == 0
    }

    pub(super) const fn count(&mut self, violation: Violation) {
        match violation {
            Violation::MalformedNomination => self.malformed += 1,
            Violation::ProtectedNomination => self.protected += 1,
            Violation::TooManyNominations => self.excess += 1,
            Violation::AmbiguousFraming | Violation::UnknownCoding | Violation::UnaskedUpgrade => {} // never ignored
        }
    }
}
