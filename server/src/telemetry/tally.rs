use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{CounterFn, GaugeFn};

use super::parts::Parts;

/// A counter that workers do not share until somebody asks for its value.
#[derive(Debug, Default)]
pub(super) struct Counter(Parts<AtomicU64>);

impl Counter {
    /// What has been counted until now.
    pub(super) fn value(&self) -> u64 {
        self.0.iter().map(|part| part.load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl CounterFn for Counter {
    fn increment(&self, value: u64) {
        self.0.own().fetch_add(value, Relaxed);
    }

    /// By one thread, of what is not counted here besides.
    fn absolute(&self, value: u64) {
        self.increment(value.saturating_sub(self.value()));
    }
}

/// A gauge that workers do not share until somebody asks for its value.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// What it would be if nobody had changed it.
    base: Float,
    changes: Parts<Float>,
}

/// The bits of a number.
#[derive(Debug, Default)]
struct Float(AtomicU64);

impl Gauge {
    /// What it is now.
    pub(super) fn value(&self) -> f64 {
        self.base.get() + self.changed()
    }

    fn changed(&self) -> f64 {
        self.changes.iter().map(Float::get).sum()
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, value: f64) {
        self.changes.own().add(value);
    }

    fn decrement(&self, value: f64) {
        self.changes.own().add(-value);
    }

    /// Whoever sets it does not change it.
    fn set(&self, value: f64) {
        self.base.0.store((value - self.changed()).to_bits(), Relaxed);
    }
}

impl Float {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn add(&self, value: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.0.fetch_update(Relaxed, Relaxed, sum); // there always is a sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_what_all_threads_counted() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for step in 1..=20 {
                let counter = &counter;
                scope.spawn(move || (0..100).for_each(|_| counter.increment(step)));
            }
        });
        assert_eq!(counter.value(), 21_000);
    }

    #[test]
    fn a_counter_that_is_told_its_value_never_falls() {
        let counter = Counter::default();
        for (told, value) in [(5, 5), (7, 7), (6, 7)] {
            counter.absolute(told);
            assert_eq!(counter.value(), value);
        }
    }

    #[test]
    fn a_gauge_that_one_thread_raises_and_another_lowers_is_where_it_was() {
        let gauge = Gauge::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..100).for_each(|_| gauge.increment(1.0)));
            }
        });
        assert!((gauge.value() - 2000.0).abs() < 1e-9);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..100).for_each(|_| gauge.decrement(1.0)));
            }
        });
        assert!(gauge.value().abs() < 1e-9);
    }

    #[test]
    fn a_gauge_is_what_it_is_set_to_whatever_was_before() {
        let gauge = Gauge::default();
        gauge.increment(3.0);
        for value in [7.5, -1.0, 0.0] {
            gauge.set(value);
            assert!((gauge.value() - value).abs() < 1e-9);
        }
    }
}
