use std::cell::Cell;
use std::iter::{once, repeat_with};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;

/// What many threads change, each in a part of its own: a processor that changes memory takes it from all others.
#[derive(Debug)]
pub(super) struct Parts<T> {
    first: Part<T>,
    others: Box<[Part<T>]>,
}

/// Two lines of a cache, which some processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part<T>(T);

impl<T> Parts<T> {
    /// That of this thread; if there are more threads than processors, others may have it, too.
    pub(super) fn own(&self) -> &T {
        let part = number().checked_sub(1).and_then(|other| self.others.get(other));
        &part.unwrap_or(&self.first).0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        once(&self.first).chain(&self.others).map(|part| &part.0)
    }
}

impl<T: Default> Default for Parts<T> {
    fn default() -> Self {
        let others = repeat_with(Part::default).take(*PARTS - 1).collect();
        Self { first: Part::default(), others }
    }
}

/// The number of this thread's part.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<Option<usize>> = const { Cell::new(None) });
    NUMBER.with(|number| match number.get() {
        Some(number) => number,
        None => {
            let next = NEXT.fetch_add(1, Relaxed) % *PARTS;
            number.set(Some(next));
            next
        }
    })
}

/// As many as processors, up to what is worth its memory.
static PARTS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, |processors| processors.get().min(MOST)));

const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn whatever_part_a_thread_has_nothing_is_lost_and_nothing_counts_twice() {
        let parts = Parts::<AtomicU64>::default();
        assert_eq!(parts.iter().count(), *PARTS);

        // Others may have threads, too, and take numbers in between.
        let threads = 100 * *PARTS;
        for _ in 0..threads / 10 {
            std::thread::scope(|scope| {
                for _ in 0..10 {
                    scope.spawn(|| parts.own().fetch_add(1, Relaxed));
                }
            });
        }

        let each: Vec<_> = parts.iter().map(|part| part.load(Relaxed)).collect();
        assert_eq!(each.iter().sum::<u64>(), threads as u64);
        assert!(each.iter().all(|part| *part > 0), "{each:?}");
    }
}
