//! What threads share keys by, or loom's models of it.

pub(crate) use self::imp::{Mutex, MutexGuard, Swap, watch};

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::{Mutex, MutexGuard};

    pub(crate) use arc_swap::ArcSwap as Swap;
    pub(crate) use tokio::sync::watch;
}

#[cfg(loom)]
mod imp {
    use std::ops::Deref;
    use std::sync::Arc;

    pub(crate) use loom::sync::{Mutex, MutexGuard};

    /// What is used of arc-swap, as it promises it.
    #[derive(Debug, Default)]
    pub(crate) struct Swap<T>(Mutex<Arc<T>>);

    impl<T> Swap<T> {
        pub(crate) fn load(&self) -> Guard<T> {
            Guard(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            *self.0.lock().unwrap() = value;
        }
    }

    pub(crate) struct Guard<T>(Arc<T>);

    impl<T> Deref for Guard<T> {
        type Target = Arc<T>;

        fn deref(&self) -> &Arc<T> {
            &self.0
        }
    }

    /// What is used of tokio's, as it promises it.
    pub(crate) mod watch {
        use std::future::poll_fn;
        use std::sync::Arc;
        use std::task::{Poll, Waker};

        use loom::sync::Mutex;

        #[derive(Debug)]
        pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

        #[derive(Debug)]
        pub(crate) struct Receiver<T> {
            state: Arc<Mutex<State<T>>>,
            seen: usize,
        }

        #[derive(Debug)]
        struct State<T> {
            value: T,
            version: usize,
            closed: bool,
            wakers: Vec<Waker>,
        }

        impl<T> Sender<T> {
            pub(crate) fn new(value: T) -> Self {
                let state = State { value, version: 0, closed: false, wakers: Vec::new() };
                Self(Arc::new(Mutex::new(state)))
            }

            pub(crate) fn subscribe(&self) -> Receiver<T> {
                Receiver { state: self.0.clone(), seen: self.0.lock().unwrap().version }
            }

            pub(crate) fn send_modify(&self, modify: impl FnOnce(&mut T)) {
                let mut state = self.0.lock().unwrap();
                modify(&mut state.value);
                state.version += 1;
                state.wakers.drain(..).for_each(Waker::wake);
            }
        }

        impl<T> Drop for Sender<T> {
            fn drop(&mut self) {
                let mut state = self.0.lock().unwrap();
                state.closed = true;
                state.wakers.drain(..).for_each(Waker::wake);
            }
        }

        impl<T> Receiver<T> {
            pub(crate) async fn changed(&mut self) -> Result<(), ()> {
                poll_fn(|cx| {
                    let mut state = self.state.lock().unwrap();
                    if state.version != self.seen {
                        self.seen = state.version;
                        return Poll::Ready(Ok(()));
                    }
                    if state.closed {
                        return Poll::Ready(Err(()));
                    }
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                })
                .await
            }
        }
    }
}
