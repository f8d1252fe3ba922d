use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::phase::Event;
use crate::shard::Newcomer;
use crate::shutdown::Shutdown;
use crate::{DrainSignal, InFlight, Phase, Report, Tracked};

/// Shuts down the services of one [`DrainLayer`](crate::DrainLayer), and tells how far that has come.
///
/// Clones are handles to the same shutdown.
#[derive(Clone, Debug)]
#[must_use = "nothing shuts down before `drain` is awaited"]
pub struct DrainHandle {
    shutdown: Arc<Shutdown>,
}

impl DrainHandle {
    pub(crate) const fn new(shutdown: Arc<Shutdown>) -> Self {
        Self { shutdown }
    }

    /// Begins the shutdown, takes it through its phases, and reports what came of it.
    ///
    /// It lingers for the whole of the time set, then ends as soon as nothing is in flight ([`Phase::Done`]), or at the
    /// deadline ([`Phase::Forced`]). In the latter case it does not wait for the requests that it reports as cut: cutting
    /// them is up to the server, and when the last of them is gone the phase becomes `Done`.
    ///
    /// The signal, from which both times count, is the first poll of the first call. All calls return the same report.
    ///
    /// Cancel safe: dropping the future leaves the phase where it is. The deadline is then not kept until `drain` is
    /// called again, which goes on from the time of the first signal; a shutdown that already drains still becomes
    /// `Done` by itself.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer enabled, if it has to wait.
    pub async fn drain(&self) -> Report {
        self.drain_lingering(Duration::ZERO).await
    }

    /// As [`drain`](Self::drain), but lingers for at least this long, within the deadline: where another process serves
    /// already, nothing is lost by it, and clients that come again meanwhile learn to connect anew.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn drain_lingering(&self, least: Duration) -> Report {
        let began = self.shutdown.begin();
        let deadlines = self.shutdown.deadlines();

        let linger = deadlines.linger().max(least).min(deadlines.deadline());
        if let Some(report) = self.reported_by(began, linger).await {
            return report;
        }
        self.shutdown.apply(Event::Lingered);

        if let Some(report) = self.reported_by(began, deadlines.deadline()).await {
            return report;
        }
        self.shutdown.apply(Event::Force);
        self.shutdown.reported().await
    }

    /// Ends the shutdown at once, whether it has begun or not: what a second signal is for.
    ///
    /// Requests are refused from now on, and those in flight are reported as cut. Does nothing once the phase is
    /// [`Phase::Forced`] or [`Phase::Done`].
    pub fn force(&self) {
        self.shutdown.apply(Event::Force);
    }

    /// The phase the shutdown is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shutdown.phase()
    }

    /// Follows the phase: for readiness, which is true in [`Phase::Ready`] alone, and for the server, which stops
    /// accepting at [`Phase::Draining`] and cuts connections at [`Phase::Forced`].
    ///
    /// A phase that passes at once may be skipped; wait for `phase >= Phase::Draining`. A borrow of the receiver's value
    /// holds up the next change of phase, and with it whoever makes it: let go of it before anything else is done.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.shutdown.subscribe()
    }

    /// Tells of this shutdown, to whoever goes on until it is told to end.
    pub fn signal(&self) -> DrainSignal {
        DrainSignal::new(self.shutdown.tasks().clone())
    }

    /// Keeps the shutdown from being done before `task` is: a job in the background, or what a connection was upgraded to.
    ///
    /// It is in flight from this call until it is done or dropped, and is known by `name` in the report. It is not run
    /// by this, nor told to end: see [`signal`](Self::signal). One that comes when the time is up runs uncounted.
    pub fn track<F: Future>(&self, name: impl Into<Cow<'static, str>>, task: F) -> Tracked<F> {
        let name = name.into();
        Tracked::new(task, InFlight::enter(self.shutdown.tasks(), &Newcomer::task(&name)))
    }

    /// How many requests, tunnels and tasks are in flight.
    ///
    /// The sum of what each service counts for itself, taken now: meant for a report or a metric, not for every request.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shutdown.in_flight()
    }

    /// The report, if there is one before `limit` has passed since the signal.
    async fn reported_by(&self, began: Instant, limit: Duration) -> Option<Report> {
        let left = limit.saturating_sub(began.elapsed());
        match self.shutdown.report() {
            // A timer would take until its next tick to find that no time is left.
            None if !left.is_zero() => timeout(left, self.shutdown.reported()).await.ok(),
            report => report,
        }
    }
}
