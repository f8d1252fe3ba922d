use std::sync::atomic::{AtomicU64, Ordering};

use crate::meters::{ResumeMeters, ResumeOutcome};

/// What became of responses that broke off.
#[derive(Debug)]
pub(crate) struct Resumes {
    resumed: AtomicU64,
    gave_up: AtomicU64,
    meters: ResumeMeters,
}

impl Resumes {
    pub(crate) const fn new(meters: ResumeMeters) -> Self {
        Self { resumed: AtomicU64::new(0), gave_up: AtomicU64::new(0), meters }
    }

    pub(crate) fn count(&self, outcome: ResumeOutcome) {
        // Relaxed here and below: the numbers guard no other memory.
        match outcome {
            ResumeOutcome::Resumed => _ = self.resumed.fetch_add(1, Ordering::Relaxed),
            ResumeOutcome::GaveUp => _ = self.gave_up.fetch_add(1, Ordering::Relaxed),
            ResumeOutcome::Differs | ResumeOutcome::Failed => {}
        }
        self.meters.count(outcome);
    }

    pub(crate) fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    pub(crate) fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }
}
