use crate::Reason;

/// What an answer of a replica means for the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the answer, whatever it says: no other replica would do better, or it is not this one's fault.
    PassOn,
    /// The replica did not even try, as an open circuit in front of it does not: the next is asked at once, and this was no
    /// attempt.
    Skip,
    /// Another replica may have what this one has not: it is asked, and this was no failure.
    LookFurther,
    /// The replica failed.
    Failed {
        /// Why.
        reason: Reason,
        /// Whether it may have acted on the request all the same. Then only a request that is safe to repeat goes to another.
        may_have_run: bool,
    },
}

impl Verdict {
    /// The replica failed before it could act on the request.
    #[must_use]
    pub const fn unsent(reason: Reason) -> Self {
        Self::Failed { reason, may_have_run: false }
    }

    /// The replica failed, and may have acted on the request.
    #[must_use]
    pub const fn failed(reason: Reason) -> Self {
        Self::Failed { reason, may_have_run: true }
    }
}
