//! What systemd, or whoever else looks after the process, is told over the socket in `NOTIFY_SOCKET`.

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::lifecycle::State;
use crate::workers::Orders;

/// It serves.
pub(crate) fn ready() {
    say(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// A new configuration is being read; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// It serves by the configuration of before, since that of now is wrong.
pub(crate) fn unchanged() {
    let status = "serving by the last configuration that was right: the present one is wrong";
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It stops.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Another process is the one to look after.
pub(crate) fn replaced(id: u32) {
    say(&[NotifyState::MainPid(id)]);
}

/// Says that the process is well for as long as all workers answer, twice in the time that `WATCHDOG_USEC` allows.
pub(crate) async fn watchdog(orders: Orders, mut state: watch::Receiver<State>) {
    let Some(most) = sd_notify::watchdog_enabled() else { return };
    // Before that there are no workers to answer.
    drop(state.wait_for(|state| !matches!(state, State::Initializing | State::Starting)).await);
    loop {
        let next = Instant::now() + most / 2;
        let silent = orders.silent(next).await;
        if silent.is_empty() {
            say(&[NotifyState::Watchdog]);
        } else {
            // Not the log: it may be what they wait for, and then this thread would, too.
            let status = format!("workers that do not answer: {silent:?}");
            say(&[NotifyState::Status(&status)]);
        }
        sleep_until(next).await;
    }
}

fn say(what: &[NotifyState<'_>]) {
    // Without the socket nobody wants to know.
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "cannot notify");
    }
}
