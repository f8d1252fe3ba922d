use std::net::IpAddr;

use portcullis_request_id::Trust;

use super::{Context, TraceId};

/// Which requests are traced.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// Of the 2^56 that the last seven bytes of an id can be, how many are traced.
    below: u64,
    parent_based: bool,
    trusted: Trust,
}

/// What becomes of a request: the flag, and what it belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Decision {
    pub(super) is_sampled: bool,
    /// The span of somebody who is trusted.
    pub(super) parent: Option<Context>,
    /// The span of somebody who is not.
    pub(super) link: Option<Context>,
    pub(super) trace: TraceId,
}

impl Sampling {
    /// Traces this share, from 0 to 1, of what is not decided by somebody who is trusted.
    pub(crate) fn new(ratio: f64, parent_based: bool, trusted: Trust) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of 2^56 is a whole number below 2^57"
        )]
        let below = (ratio.clamp(0.0, 1.0) * ALL as f64).round() as u64;
        Self { below, parent_based, trusted }
    }

    /// Decides of a request from `peer` that says that it belongs to `context`.
    ///
    /// Whoever is not trusted has no say: its ids are not used either, since it could choose those that are always traced.
    pub(super) fn decide(
        &self,
        peer: Option<IpAddr>,
        context: Option<Context>,
        new: impl FnOnce() -> TraceId,
    ) -> Decision {
        let (parent, link) = match context {
            Some(context) if self.trusts(peer) => (Some(context), None),
            other => (None, other),
        };
        let trace = parent.map_or_else(new, |parent| parent.trace);
        let is_sampled = match parent {
            Some(parent) if self.parent_based => parent.is_sampled(),
            _ => self.takes(trace),
        };
        Decision { is_sampled, parent, link, trace }
    }

    /// By the part of the id that is made by chance whoever made it, so that all who go by a share agree.
    fn takes(&self, trace: TraceId) -> bool {
        let chance = u128::from_be_bytes(*trace.bytes()) & u128::from(ALL - 1);
        chance < u128::from(self.below)
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match &self.trusted {
            Trust::All => true,
            Trust::Networks(networks) => peer.is_some_and(|peer| {
                networks.iter().any(|network| network.contains(&peer.to_canonical()))
            }),
            _ => false,
        }
    }
}

/// What seven bytes can be: that much of an id is made by chance (level 2, §3.2.2.5.1).
const ALL: u64 = 1 << 56;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::SpanId;

    fn context(flags: u8) -> Context {
        let (trace, span) = (TraceId::random(), SpanId::random());
        Context { trace, span, flags }
    }

    fn near() -> Trust {
        Trust::Networks(vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn who_is_trusted_decides() {
        let sampling = Sampling::new(0.0, true, near());
        for (flags, is_sampled) in [(Context::SAMPLED, true), (0, false)] {
            let parent = context(flags);
            for peer in [peer("10.1.2.3"), peer("::ffff:10.1.2.3")] {
                let decided = sampling.decide(peer, Some(parent), || panic!("it has an id"));

                let trace = parent.trace;
                let expected = Decision { is_sampled, parent: Some(parent), link: None, trace };
                assert_eq!(decided, expected);
            }
        }
    }

    #[test]
    fn who_is_not_trusted_chooses_neither_whether_nor_by_which_id() {
        for (ratio, is_sampled) in [(0.0, false), (1.0, true)] {
            for (trusted, peer) in [(near(), peer("11.1.2.3")), (near(), None), (Trust::None, None)]
            {
                let (theirs, own) = (context(u8::from(!is_sampled)), TraceId::random());
                let decided =
                    Sampling::new(ratio, true, trusted).decide(peer, Some(theirs), || own);

                let expected =
                    Decision { is_sampled, parent: None, link: Some(theirs), trace: own };
                assert_eq!(decided, expected);
            }
        }
    }

    #[test]
    fn the_share_decides_of_all_where_parents_do_not() {
        let sampling = Sampling::new(0.0, false, Trust::All);

        let decided = sampling.decide(None, Some(context(Context::SAMPLED)), TraceId::random);

        assert!(!decided.is_sampled && decided.parent.is_some());
    }

    #[test]
    fn about_the_share_of_many_ids_is_taken() {
        let sampling = Sampling::new(0.25, true, Trust::None);

        let taken = (0..10_000).filter(|_| sampling.takes(TraceId::random())).count();

        // Seven deviations to either side.
        assert!((2200..2800).contains(&taken), "{taken}");
    }

    proptest! {
        #[test]
        fn what_a_share_takes_a_larger_one_takes_too(id in 1..=u128::MAX, one in 0.0..=1.0, other in 0.0..=1.0) {
            let id = TraceId::new(id.to_be_bytes()).unwrap();
            let takes = |ratio: f64| Sampling::new(ratio, true, Trust::None).takes(id);

            prop_assert!(!takes(f64::min(one, other)) || takes(f64::max(one, other)));
            prop_assert!(takes(1.0) && !takes(0.0));
        }
    }
}
