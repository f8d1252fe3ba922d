use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::time::timeout_at;

use crate::refresh::Need;
use crate::store::Store;

/// Keeps the key sets of a layer fresh, for as long as it is polled: hand it to `tokio::spawn`.
///
/// It asks at once for what is not there, and then ahead of the end of each lifetime, so that no request waits for keys but
/// one with a new `kid`. Without it requests see to the same: the first one waits, and later ones have keys refreshed
/// ahead of time if there are enough of them. It ends when the layer, what it wraps and its handles are gone; dropped
/// before, it leaves the rest to requests.
#[must_use = "futures do nothing unless polled"]
pub struct Refresher(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>); // never locked; it makes this `Sync`

impl Refresher {
    pub(crate) fn new(stores: impl Iterator<Item = Arc<Store>>) -> Self {
        let stores: Vec<_> = stores.map(|store| Arc::downgrade(&store)).collect();
        Self(Mutex::new(Box::pin(all(stores.into_iter(), keep))))
    }
}

/// Does it for each, at once.
pub(crate) fn all<T, F: Future<Output = ()>>(
    each: impl Iterator<Item = T>,
    act: impl Fn(T) -> F,
) -> impl Future<Output = ()> {
    let mut running: Vec<_> = each.map(|one| Box::pin(act(one))).collect();
    poll_fn(move |cx| {
        running.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
}

async fn keep(store: Weak<Store>) {
    loop {
        // While it waits it holds no store, so that the end of the last layer ends it.
        let Some(asked) = store.upgrade().map(|store| store.refresh(Need::Due)) else { return };
        asked.await;
        let Some((due, mut landings)) =
            store.upgrade().map(|store| (store.snapshot().due, store.watch()))
        else {
            return;
        };
        let Some(due) = due else { continue };
        if let Ok(Err(_gone)) = timeout_at(due, landings.changed()).await {
            return;
        }
    }
}

impl Future for Refresher {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresher")
    }
}
