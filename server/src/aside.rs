use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// Waits for `future`, and polls it only when it has woken: it may wait for many things that hardly ever happen, beside
/// something that happens all the time and wakes the same task.
pub(crate) async fn aside<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut bell: Option<Arc<Bell>> = None;
    poll_fn(|cx| match &bell {
        Some(heard) if heard.task.will_wake(cx.waker()) => heard.answer(future.as_mut()),
        // It has not been polled, or by another task.
        _ => bell.insert(Bell::rung(cx)).answer(future.as_mut()),
    })
    .await
}

/// Tells whose wake a task was woken by.
struct Bell {
    task: Waker,
    rung: AtomicBool,
}

impl Bell {
    fn rung(cx: &Context<'_>) -> Arc<Self> {
        Arc::new(Self { task: cx.waker().clone(), rung: AtomicBool::new(true) })
    }

    fn answer<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        if !self.rung.load(SeqCst) {
            return Poll::Pending;
        }
        // Before the poll: what wakes during it is to be looked at, too.
        self.rung.store(false, SeqCst);
        future.poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, SeqCst);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Notify;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    use super::*;

    #[test]
    fn what_others_wake_the_task_for_is_nothing_to_what_stands_aside() {
        let (polls, notify) = (Cell::new(0), Notify::new());
        let looked = async {
            let mut notified = pin!(notify.notified());
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                notified.as_mut().poll(cx)
            })
            .await;
            "told"
        };
        let mut task = task::spawn(aside(looked));
        for _ in 0..3 {
            assert_pending!(task.poll());
        }
        assert_eq!(polls.get(), 1);

        notify.notify_one();

        assert!(task.is_woken());
        assert_ready_eq!(task.poll(), "told");
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn a_wake_during_the_poll_is_not_lost() {
        let first = Cell::new(true);
        let again = poll_fn(|cx| {
            if first.replace(false) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        });
        let mut task = task::spawn(aside(again));

        assert_pending!(task.poll());
        assert!(task.is_woken());
        assert_ready_eq!(task.poll(), ());
    }

    #[tokio::test]
    async fn whoever_polls_last_is_woken() {
        let notify = Arc::new(Notify::new());
        let told = notify.clone();
        let mut waits = Box::pin(aside(async move { told.notified().await }));
        tokio::select! {
            biased;
            () = waits.as_mut() => unreachable!("nobody has told"),
            () = std::future::ready(()) => {}
        }

        let elsewhere = tokio::spawn(waits);
        tokio::task::yield_now().await;
        notify.notify_one();

        elsewhere.await.unwrap();
    }
}
