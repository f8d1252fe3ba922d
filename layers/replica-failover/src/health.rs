/// What the checks of a replica came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// No check has told yet, or none is made: see [`InitialHealth`](crate::InitialHealth).
    #[default]
    Unchecked,
    /// It has requests.
    Healthy,
    /// It is skipped.
    Unhealthy,
}
