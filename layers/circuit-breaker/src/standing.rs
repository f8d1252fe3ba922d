//! The state word: all that a decision depends on, changed in one step.

use crate::CircuitState;

/// What one word of memory says of a circuit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) state: CircuitState,
    /// How often it has opened since it was last closed for good, up to 31.
    pub(crate) trips: u8,
    /// Who belongs to it: the result of a call that was let in under another one says nothing about this one.
    pub(crate) generation: u32,
    pub(crate) probes: u16,
    pub(crate) successes: u16,
}

impl Standing {
    pub(crate) const fn new(state: CircuitState) -> Self {
        Self { state, trips: 0, generation: 0, probes: 0, successes: 0 }
    }

    /// The same circuit in another state, which starts from nothing.
    pub(crate) const fn next(self, state: CircuitState) -> Self {
        let generation = self.generation.wrapping_add(1) & GENERATION;
        Self { state, trips: self.trips, generation, probes: 0, successes: 0 }
    }

    pub(crate) const fn opened(self) -> Self {
        let trips = if self.trips < TRIPS { self.trips + 1 } else { TRIPS };
        Self { trips, ..self.next(CircuitState::Open) }
    }

    /// With the first probe on its way.
    pub(crate) const fn half_opened(self) -> Self {
        Self { probes: 1, ..self.next(CircuitState::HalfOpen) }
    }

    /// Ramped up: the calls under way go on to count.
    pub(crate) const fn ramped_up(self) -> Self {
        Self { state: CircuitState::Closed, trips: 0, ..self }
    }

    pub(crate) const fn forced(self, state: CircuitState) -> Self {
        Self { trips: 0, ..self.next(state) }
    }

    pub(crate) const fn from_word(word: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "parts of a word")]
        Self {
            state: CircuitState::from_bits(word >> 61),
            trips: (word >> 56) as u8 & TRIPS,
            generation: (word >> 32) as u32 & GENERATION,
            probes: (word >> 16) as u16,
            successes: word as u16,
        }
    }

    pub(crate) const fn word(self) -> u64 {
        (self.state as u64) << 61
            | (self.trips as u64) << 56
            | (self.generation as u64) << 32
            | (self.probes as u64) << 16
            | self.successes as u64
    }
}

/// Until when a state lasts, in milliseconds, and the generation that it is said of: a word beside the state word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Until {
    pub(crate) generation: u32,
    pub(crate) millis: u64,
}

impl Until {
    pub(crate) const fn from_word(word: u64) -> Self {
        Self { generation: (word >> 40) as u32, millis: word & MILLIS }
    }

    pub(crate) const fn word(self) -> u64 {
        let millis = if self.millis < MILLIS { self.millis } else { MILLIS };
        (self.generation as u64) << 40 | millis
    }

    /// Whether it is said of an earlier generation than that of `other`; they wrap.
    pub(crate) const fn is_older_than(self, other: Self) -> bool {
        let ahead = other.generation.wrapping_sub(self.generation) & GENERATION;
        ahead != 0 && ahead < GENERATION / 2
    }
}

const TRIPS: u8 = 31;
const GENERATION: u32 = (1 << 24) - 1;
const MILLIS: u64 = (1 << 40) - 1; // 34 years

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing() -> impl Strategy<Value = Standing> {
        any::<(u8, u8, u32, u16, u16)>().prop_map(
            |(state, trips, generation, probes, successes)| Standing {
                state: CircuitState::from_bits(state.into()),
                trips: trips & TRIPS,
                generation: generation & GENERATION,
                probes,
                successes,
            },
        )
    }

    proptest! {
        #[test]
        fn a_standing_survives_being_a_word(standing in standing()) {
            prop_assert_eq!(Standing::from_word(standing.word()), standing);
        }

        #[test]
        fn a_limit_survives_being_a_word(generation in 0..=GENERATION, millis in 0..=MILLIS) {
            let until = Until { generation, millis };
            prop_assert_eq!(Until::from_word(until.word()), until);
        }

        #[test]
        fn a_generation_is_older_than_the_next_and_not_the_other_way_round(generation in 0..=GENERATION) {
            let standing = Standing { generation, ..Standing::new(CircuitState::Open) };
            let this = Until { generation, millis: 0 };
            let next = Until { generation: standing.opened().generation, millis: 0 };
            prop_assert!(this.is_older_than(next) && !next.is_older_than(this));
            prop_assert!(!this.is_older_than(this));
        }
    }

    #[test]
    fn a_time_beyond_what_fits_is_the_latest_that_does() {
        let until = Until { generation: 3, millis: u64::MAX };
        assert_eq!(Until::from_word(until.word()), Until { generation: 3, millis: MILLIS });
    }

    #[test]
    fn trips_are_counted_until_it_is_closed_for_good() {
        let mut standing = Standing::new(CircuitState::Closed);
        for trips in 1..100 {
            standing = standing.opened();
            assert_eq!(standing.trips, trips.min(TRIPS));
            standing = standing.half_opened().next(CircuitState::RampUp);
        }
        assert_eq!(standing.ramped_up().trips, 0);
    }
}
