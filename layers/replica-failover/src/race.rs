//! Attempts of one request that are under way at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::InFlight;
use crate::hedging::Hedged;

/// The attempts, and when another joins them.
pub(crate) struct Race<F> {
    racers: Vec<(Entry, Pin<Box<F>>)>,
    pub(crate) due: Option<Instant>,
}

/// An attempt, but for what comes of it.
pub(crate) struct Entry {
    pub(crate) index: usize,
    pub(crate) began: Instant,
    pub(crate) in_flight: Option<InFlight>,
    /// Who reads the request's body for it.
    pub(crate) reader: Option<u64>,
    /// None for one that no other was under way before.
    pub(crate) hedge: Option<Hedged>,
}

impl Entry {
    /// An attempt that no other is made beside.
    pub(crate) const fn alone(index: usize, began: Instant, in_flight: Option<InFlight>) -> Self {
        Self { index, began, in_flight, reader: None, hedge: None }
    }
}

impl<F> Race<F> {
    pub(crate) const fn new(due: Option<Instant>) -> Self {
        Self { racers: Vec::new(), due }
    }

    pub(crate) fn enter(&mut self, entry: Entry, response: F) {
        self.racers.push((entry, Box::pin(response)));
    }

    pub(crate) fn is_over(&self) -> bool {
        self.racers.is_empty()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.racers.iter().map(|(entry, _)| entry)
    }

    /// One of those that are done, with what came of it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Entry, F::Output)>
    where
        F: Future,
    {
        let done = self.racers.iter_mut().enumerate().find_map(|(place, (_, response))| {
            match response.as_mut().poll(cx) {
                Poll::Ready(output) => Some((place, output)),
                Poll::Pending => None,
            }
        });
        match done {
            Some((place, output)) => Poll::Ready((self.racers.remove(place).0, output)),
            None => Poll::Pending,
        }
    }

    /// When something happens by time alone, where an attempt that began then has until `limit`.
    pub(crate) fn next_event(&self, limit: impl Fn(Instant) -> Option<Instant>) -> Option<Instant> {
        self.entries().filter_map(|entry| limit(entry.began)).chain(self.due).min()
    }

    /// One whose time is over.
    pub(crate) fn expired(
        &mut self,
        limit: impl Fn(Instant) -> Option<Instant>,
        now: Instant,
    ) -> Option<Entry> {
        let is_over = |entry: &Entry| limit(entry.began).is_some_and(|limit| limit <= now);
        let place = self.entries().position(is_over)?;
        Some(self.racers.remove(place).0)
    }
}
