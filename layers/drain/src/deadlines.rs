use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::ClosePolicy;

/// How long a shutdown may take.
///
/// # Configuration
///
/// With the `serde` feature it is read straight from a configuration file. Every key may be left out; an unknown key, or
/// a `linger` beyond the `deadline`, is an error.
///
/// ```toml
/// linger = "0s"       # how long to go on as if nothing were, but for failing readiness
/// deadline = "30s"    # when what is still in flight is given up, counted from the signal
/// close = "immediate" # or "gradual", "never": when clients are told to close; see `ClosePolicy`
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "Section"))]
#[cfg_attr(feature = "schema", schemars(with = "Section"))]
pub struct Deadlines {
    linger: Duration,
    deadline: Duration,
    close: ClosePolicy,
}

impl Deadlines {
    /// Lingers for `linger`, and gives up what is still in flight `deadline` after the signal, lingering included.
    ///
    /// A `linger` of zero does without lingering; a `deadline` of zero waits for nobody. The deadline should leave a
    /// margin in what the platform grants (`terminationGracePeriodSeconds`), and lingering should outlast the time in
    /// which a load balancer notices (`periodSeconds × failureThreshold`).
    ///
    /// # Errors
    ///
    /// When `linger` exceeds `deadline`.
    pub const fn new(linger: Duration, deadline: Duration) -> Result<Self, LingerTooLong> {
        if linger.as_nanos() > deadline.as_nanos() {
            return Err(LingerTooLong { linger, deadline });
        }
        Ok(Self { linger, deadline, close: ClosePolicy::Immediate })
    }

    /// Says when clients are told to close: at once by default.
    #[must_use]
    pub const fn closing(self, close: ClosePolicy) -> Self {
        Self { close, ..self }
    }

    /// How long requests are served as before.
    #[must_use]
    pub const fn linger(&self) -> Duration {
        self.linger
    }

    /// How long after the signal what is still in flight is given up.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// When clients are told to close.
    #[must_use]
    pub const fn close(&self) -> ClosePolicy {
        self.close
    }
}

/// No lingering, and 30 seconds.
impl Default for Deadlines {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            deadline: Duration::from_secs(30),
            close: ClosePolicy::Immediate,
        }
    }
}

/// Says that [`Deadlines`] were to linger past their own deadline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LingerTooLong {
    linger: Duration,
    deadline: Duration,
}

impl fmt::Display for LingerTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { linger, deadline } = self;
        write!(f, "a linger of {linger:?} exceeds the deadline of {deadline:?}")
    }
}

impl Error for LingerTooLong {}

/// What the file says, before the one is held against the other.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// How long to go on as before, but for failing readiness.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    linger: Duration,
    /// When what is still in flight is given up, counted from the signal.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    deadline: Duration,
    /// When clients are told to close.
    close: ClosePolicy,
}

#[cfg(feature = "serde")]
impl Default for Section {
    fn default() -> Self {
        let Deadlines { linger, deadline, close } = Deadlines::default();
        Self { linger, deadline, close }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Section> for Deadlines {
    type Error = LingerTooLong;

    fn try_from(section: Section) -> Result<Self, LingerTooLong> {
        Ok(Self::new(section.linger, section.deadline)?.closing(section.close))
    }
}

#[cfg(feature = "serde")]
fn duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text: String = serde::Deserialize::deserialize(input)?;
    humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom("a duration like \"250ms\", \"30s\" or \"5m\" is needed here")
    })
}
