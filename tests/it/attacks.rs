//! What is sent to do harm: no server behind the gateway, and no other client, hears of it.

mod framing;
mod downgrade;
mod answers;
mod floods;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// Goes through a table to its end, whatever fails on the way, so that all that fails is seen.
#[derive(Debug, Default)]
struct Table {
    failed: Vec<&'static str>,
}

impl Table {
    /// Checks a row, which may not hang.
    async fn row(&mut self, name: &'static str, check: impl Future<Output = ()>) {
        let mut check = pin!(timeout(Duration::from_secs(30), check));
        let passed =
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| check.as_mut().poll(cx))) {
                Ok(polled) => polled.map(|checked| checked.is_ok()),
                Err(_) => Poll::Ready(false),
            });
        if !passed.await {
            self.failed.push(name);
        }
    }

    fn end(self) {
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
    }
}
