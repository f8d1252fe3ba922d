/// Where a gateway is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// The plan is made; nothing runs.
    Initializing,
    /// Sockets are bound, threads begin.
    Starting,
    /// All workers serve.
    Running,
    /// It stops as soon as nothing is in flight, or at the deadline.
    Draining,
    /// For good.
    Stopped(Outcome),
}

/// How a gateway ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every request was answered to its last byte.
    Drained,
    /// The deadline passed, and this many requests were cut off.
    Cut(usize),
    /// A second signal ended it at once.
    Forced,
    /// A thread died.
    Broken,
}

/// What happens to a gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The sockets are bound.
    Bound,
    /// All workers serve.
    Serving,
    /// Somebody wants it to stop.
    Signal,
    /// The drain is over, and this many requests were cut off.
    Drained(usize),
    /// A thread died that should not have.
    ThreadDied,
    /// Somebody wants another process to take its place.
    HandOver,
    /// Another process serves, and could take its place.
    Replaced,
    /// The other process does not serve.
    NotReplaced,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Nothing.
    Wait,
    /// Start the workers.
    Start,
    /// Begin to drain.
    Drain,
    /// Start a process to take its place.
    HandOver,
    /// End at once.
    End,
}

impl State {
    /// What follows from an event: the only place where a gateway's life is decided.
    #[must_use]
    pub const fn next(self, event: Event) -> (Self, Action) {
        match (self, event) {
            // First, so that nothing can wake what has stopped.
            (Self::Stopped(_), _) => (self, Action::Wait),
            (_, Event::ThreadDied) => (Self::Stopped(Outcome::Broken), Action::End),
            (Self::Initializing, Event::Bound) => (Self::Starting, Action::Start),
            (Self::Starting, Event::Serving) => (Self::Running, Action::Wait),
            // A signal that comes before it serves finds nothing to drain; only one that serves has a place to give.
            (Self::Starting | Self::Running, Event::Signal) | (Self::Running, Event::Replaced) => {
                (Self::Draining, Action::Drain)
            }
            (Self::Draining, Event::Drained(0)) => (Self::Stopped(Outcome::Drained), Action::End),
            (Self::Draining, Event::Drained(cut)) => {
                (Self::Stopped(Outcome::Cut(cut)), Action::End)
            }
            (_, Event::Signal) => (Self::Stopped(Outcome::Forced), Action::End),
            (Self::Running, Event::HandOver) => (self, Action::HandOver),
            (_, _) => (self, Action::Wait),
        }
    }

    /// Whether a new configuration may be taken.
    #[must_use]
    pub const fn reloads(self) -> bool {
        matches!(self, Self::Running)
    }

    /// The name in answers, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped(_) => "stopped",
        }
    }

    /// All names, in the order in which a life has them.
    pub const NAMES: [&str; 5] = ["initializing", "starting", "running", "draining", "stopped"];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(events: &[Event]) -> State {
        events.iter().fold(State::Initializing, |state, event| state.next(*event).0)
    }

    #[test]
    fn a_signal_drains_and_the_drain_ends_it() {
        let running = [Event::Bound, Event::Serving];
        assert_eq!(live(&running), State::Running);
        assert_eq!(State::Running.next(Event::Signal), (State::Draining, Action::Drain));
        assert_eq!(
            State::Draining.next(Event::Drained(0)),
            (State::Stopped(Outcome::Drained), Action::End)
        );
        assert_eq!(
            State::Draining.next(Event::Drained(2)),
            (State::Stopped(Outcome::Cut(2)), Action::End)
        );
    }

    #[test]
    fn a_second_signal_or_one_before_there_are_sockets_ends_it_at_once() {
        for state in [State::Initializing, State::Draining] {
            assert_eq!(state.next(Event::Signal), (State::Stopped(Outcome::Forced), Action::End));
        }
    }

    #[test]
    fn a_signal_between_sockets_and_service_drains() {
        assert_eq!(State::Starting.next(Event::Signal), (State::Draining, Action::Drain));
        assert_eq!(State::Draining.next(Event::Serving), (State::Draining, Action::Wait));
    }

    #[test]
    fn only_one_that_runs_hands_over_or_takes_a_configuration() {
        let events = [Event::HandOver, Event::Replaced, Event::NotReplaced];
        for state in [State::Initializing, State::Starting, State::Draining] {
            assert!(!state.reloads());
            for event in events {
                assert_eq!(state.next(event), (state, Action::Wait));
            }
        }
        assert!(State::Running.reloads());
        assert_eq!(State::Running.next(Event::HandOver), (State::Running, Action::HandOver));
        assert_eq!(State::Running.next(Event::Replaced), (State::Draining, Action::Drain));
        assert_eq!(State::Running.next(Event::NotReplaced), (State::Running, Action::Wait));
    }

    #[test]
    fn each_state_has_a_name_of_its_own() {
        let states = [State::Initializing, State::Starting, State::Running, State::Draining];
        let all = states.into_iter().chain([State::Stopped(Outcome::Drained)]);
        assert!(all.map(State::name).eq(State::NAMES));
    }

    #[test]
    fn a_dead_thread_ends_it_whatever_it_does() {
        for state in [State::Starting, State::Running, State::Draining] {
            assert_eq!(
                state.next(Event::ThreadDied),
                (State::Stopped(Outcome::Broken), Action::End)
            );
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Bound),
            Just(Event::Serving),
            Just(Event::Signal),
            (0..3_usize).prop_map(Event::Drained),
            Just(Event::ThreadDied),
            Just(Event::HandOver),
            Just(Event::Replaced),
            Just(Event::NotReplaced),
        ]
    }

    proptest! {
        #[test]
        fn what_has_stopped_stays_stopped_and_every_end_acts(events in proptest::collection::vec(event(), 0..12)) {
            let mut state = State::Initializing;
            for event in events {
                let (next, action) = state.next(event);
                if let State::Stopped(_) = state {
                    prop_assert_eq!((next, action), (state, Action::Wait));
                } else {
                    prop_assert_eq!(matches!(next, State::Stopped(_)), action == Action::End);
                }
                state = next;
            }
        }
    }
}
