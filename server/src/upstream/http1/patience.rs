use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for all that is waited for on a connection.
///
/// It is armed when somebody waits and left alone when that is over: most waits end before it, and it only learns then
/// when it is really due.
#[derive(Debug, Default)]
pub(super) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Ready when `limit` has passed since then.
    pub(super) fn poll(
        &mut self,
        since: Instant,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // Beyond what a clock can tell is never.
        let Some(deadline) = since.checked_add(limit) else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end_whatever_the_timer_was_set_to() {
        let mut patience = Patience::default();
        let begin = Instant::now();
        for (limit, end) in [(2, 2), (9, 9), (3, 9), (10, 10)] {
            poll_fn(|cx| patience.poll(begin, SECOND * limit, cx)).await;

            assert_eq!(begin.elapsed(), SECOND * end);
        }
        // One that was set for a long wait, which ended early, is in time for a short one.
        let wait = poll_fn(|cx| patience.poll(begin, SECOND * 100, cx));
        assert!(tokio::time::timeout(SECOND, wait).await.is_err());
        poll_fn(|cx| patience.poll(begin, SECOND * 20, cx)).await;
        assert_eq!(begin.elapsed(), SECOND * 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_time_is_none() {
        let mut patience = Patience::default();
        let wait = poll_fn(|cx| patience.poll(Instant::now(), Duration::MAX, cx));

        assert!(tokio::time::timeout(SECOND * 1000, wait).await.is_err());
    }
}
