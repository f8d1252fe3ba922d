use std::time::Duration;

use http::StatusCode;

/// What has come of a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// The collector took it, but for so many spans, and said why.
    Taken { rejected: u64, why: String },
    /// It did not, and may have said when to try again.
    Refused { status: StatusCode, after: Option<Duration> },
    /// There was no answer.
    None(String),
}

impl Answer {
    /// How long to wait before it is tried again, after so many `tries`; not at all if `None`.
    ///
    /// What is tried again is what OTLP says (§"Failures", §"OTLP/HTTP Throttling"), and for that long; `chance` spreads the
    /// deliveries of those that failed at once.
    pub(super) fn pause(&self, tries: u32, chance: u64) -> Option<Duration> {
        let after = match self {
            Self::Taken { .. } => return None,
            Self::Refused { status, after } => {
                if !RETRIED.contains(status) {
                    return None;
                }
                *after
            }
            Self::None(_) => None,
        };
        if tries >= MOST_TRIES {
            return None;
        }
        let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
        // From a half of it to one and a half.
        let spread =
            doubled / 2 + doubled.saturating_mul(u32::try_from(chance % 1000).unwrap_or(0)) / 1000;
        Some(after.map_or(spread, |after| after.min(LONGEST).max(spread)))
    }
}

const RETRIED: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

const MOST_TRIES: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(status: u16, after: Option<u64>) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::Refused { status, after: after.map(Duration::from_secs) }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in 300..600 {
            let again = matches!(status, 429 | 502 | 503 | 504);
            assert_eq!(refused(status, Some(1)).pause(1, 0).is_some(), again, "{status}");
        }
        assert!(Answer::None("gone".to_owned()).pause(1, 0).is_some());
        assert_eq!(Answer::Taken { rejected: 1, why: String::new() }.pause(1, 0), None);
    }

    #[test]
    fn a_collector_says_when_to_come_again_and_is_not_waited_for_for_ever() {
        assert_eq!(refused(503, Some(7)).pause(1, 0), Some(Duration::from_secs(7)));
        assert_eq!(refused(503, Some(7000)).pause(1, 0), Some(LONGEST));
        assert_eq!(refused(503, Some(0)).pause(1, 0), Some(FIRST / 2));
    }

    proptest! {
        #[test]
        fn each_pause_is_bounded_and_so_is_their_number(tries in 1..100_u32, chance: u64, after in proptest::option::of(any::<u64>())) {
            match refused(429, after).pause(tries, chance) {
                Some(pause) => prop_assert!(tries < MOST_TRIES && pause >= FIRST / 2 && pause <= LONGEST * 3 / 2),
                None => prop_assert!(tries >= MOST_TRIES),
            }
        }
    }
}
