use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::plan::Plan;

/// What the last probes of all replicas found. A probe opens a TCP connection and closes it.
#[derive(Debug)]
pub struct Probed(Vec<Replica>);

#[derive(Debug)]
struct Replica {
    upstream: String,
    name: Arc<str>,
    found: Arc<AtomicU8>,
}

const UNKNOWN: u8 = 0;
const DOWN: u8 = 1;
const UP: u8 = 2;

impl Probed {
    /// Nothing has been probed yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let all = plan.upstreams.iter().flat_map(|(upstream, section)| {
            section.replicas.iter().map(|replica| Replica {
                upstream: upstream.clone(),
                name: replica.target.name(),
                found: Arc::new(AtomicU8::new(UNKNOWN)),
            })
        });
        Self(all.collect())
    }

    /// Each replica's upstream and name, and whether it is up, if that is known.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Option<bool>)> {
        self.0.iter().map(|replica| {
            let up = match replica.found.load(Ordering::Relaxed) {
                UNKNOWN => None,
                found => Some(found == UP),
            };
            (replica.upstream.as_str(), &*replica.name, up)
        })
    }

    /// Probes all replicas at once, again and again. A round waits for the slowest, so that probes
    /// never pile up.
    pub(super) async fn watch(&self, plan: &Plan, every: Duration) {
        let mut every = interval(every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let mut round = JoinSet::new();
            let replicas = plan.upstreams.values().flat_map(|upstream| &upstream.replicas);
            for (known, replica) in self.0.iter().zip(replicas) {
                let (connect, timeouts) = (replica.connect.clone(), replica.timeouts);
                let found = known.found.clone();
                round.spawn(async move {
                    let error = connect.tcp(&timeouts).await.err();
                    let now = if error.is_none() { UP } else { DOWN };
                    connect.meters().up(now == UP);
                    if found.swap(now, Ordering::Relaxed) != now {
                        let error = error.map(tracing::field::display);
                        let replica = connect.name();
                        tracing::info!(
                            replica = &*replica,
                            up = now == UP,
                            error,
                            "replica probed"
                        );
                    }
                });
            }
            round.join_all().await;
        }
    }
}
