/// How far a shutdown has come.
///
/// Phases come in this order and never go back: `phase >= Phase::Forced` says that requests are refused. One that
/// passes at once may never be seen by a subscriber, so compare and do not wait for equality.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Phase {
    /// Nobody has asked for a shutdown.
    #[default]
    Ready,
    /// Requests are served, readiness probes should fail, and HTTP/1 connections are told to close.
    Lingering,
    /// Requests are still served; the server stops accepting and waits for nothing to be in flight.
    Draining,
    /// Time is up: requests are refused, and the server cuts the connections of those in flight.
    Forced,
    /// Nothing is in flight, and nothing will be.
    Done,
}

/// What moves a shutdown on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// The signal.
    Begin,
    /// The time to linger is over.
    Lingered,
    /// Nothing is in flight.
    Idle,
    /// The deadline, or a second signal.
    Force,
}

impl Phase {
    /// The phase after `event`; an event that comes too early, too late or twice changes nothing.
    pub(crate) const fn next(self, event: Event) -> Self {
        match (self, event) {
            (Self::Done, _) | (Self::Draining | Self::Forced, Event::Idle) => Self::Done,
            (Self::Ready, Event::Begin) => Self::Lingering,
            (Self::Lingering, Event::Lingered) => Self::Draining,
            (Self::Ready | Self::Lingering | Self::Draining, Event::Force) => Self::Forced,
            (phase, _) => phase,
        }
    }

    /// The phase that `as u8` made this number of.
    pub(crate) const fn from_u8(number: u8) -> Self {
        match number {
            0 => Self::Ready,
            1 => Self::Lingering,
            2 => Self::Draining,
            3 => Self::Forced,
            _ => Self::Done,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHASES: [Phase; 5] =
        [Phase::Ready, Phase::Lingering, Phase::Draining, Phase::Forced, Phase::Done];

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Begin),
            Just(Event::Lingered),
            Just(Event::Idle),
            Just(Event::Force)
        ]
    }

    #[test]
    fn a_phase_survives_being_a_number() {
        for phase in PHASES {
            assert_eq!(Phase::from_u8(phase as u8), phase);
        }
    }

    #[test]
    fn a_shutdown_that_is_not_disturbed_takes_every_phase_in_turn() {
        let undisturbed = [Event::Begin, Event::Lingered, Event::Force, Event::Idle];
        let mut phase = Phase::Ready;
        for (event, after) in undisturbed.into_iter().zip(&PHASES[1..]) {
            phase = phase.next(event);
            assert_eq!(phase, *after);
        }
    }

    proptest! {
        #[test]
        fn no_event_leads_back_and_none_does_anything_twice(events in prop::collection::vec(event(), 0..20)) {
            let mut phase = Phase::Ready;
            for event in events {
                let next = phase.next(event);
                prop_assert!(next >= phase);
                prop_assert_eq!(next.next(event), next);
                phase = next;
            }
        }

        #[test]
        fn nothing_but_a_signal_begins_and_idleness_is_no_end_while_lingering(event in event()) {
            let begins = matches!(event, Event::Begin | Event::Force);
            prop_assert_eq!(Phase::Ready.next(event) != Phase::Ready, begins);
            prop_assert_ne!(Phase::Lingering.next(event), Phase::Done);
        }

        #[test]
        fn after_force_only_idleness_matters(events in prop::collection::vec(event(), 0..20), rest in prop::collection::vec(event(), 0..20)) {
            let phase = events.iter().fold(Phase::Ready, |phase, event| phase.next(*event)).next(Event::Force);
            let end = rest.iter().fold(phase, |phase, event| phase.next(*event));

            let done = phase == Phase::Done || rest.contains(&Event::Idle);
            prop_assert_eq!(end, if done { Phase::Done } else { Phase::Forced });
        }
    }
}
