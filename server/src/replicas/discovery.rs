use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::time::sleep;

use crate::config::{Discover, Url};
use crate::upstream::Target;

use super::addresses::Addresses;
use super::pace::Pace;
use super::resolver::{Found, Resolver};
use super::{Making, Own, ReplicaPlan, Replicas};

/// Finds the replicas of an upstream: each address of a name is one.
///
/// Of names that have IPv4 addresses, those alone are used. Replicas are `dns-1`, `dns-2` and so on, whatever their
/// addresses.
#[derive(Debug)]
pub struct Discovery {
    url: Url,
    host: String,
    resolver: Resolver,
    most: usize,
    making: Making,
    own: Own,
    replicas: Arc<Replicas>,
}

impl Discovery {
    pub(crate) fn new(
        section: &Discover,
        making: Making,
        own: Own,
        replicas: Arc<Replicas>,
    ) -> Result<Self, String> {
        let url = section.dns.get_ref().clone();
        let target = Target::new("", &url)?;
        let host = target.address().0.to_owned();
        if host.parse::<IpAddr>().is_ok() {
            return Err(format!("`{host}` is an address, and not a name to look up"));
        }
        let resolver = Resolver::new(section.resolver)?;
        Ok(Self { url, host, resolver, most: section.max_replicas.get(), making, own, replicas })
    }

    /// Has replicas at the addresses of these, as they are made now, until the name is looked up.
    pub(crate) fn begin_with(&self, known: &[ReplicaPlan]) {
        let made = known.iter().filter_map(|known| {
            let address = known.target.address().0.parse().ok()?;
            let target = Target::new(&known.target.name(), &self.url).ok()?;
            Some(self.making.make(target.at(address), &self.own))
        });
        self.replicas.replace(made.collect());
    }

    /// Keeps the replicas up to date, for as long as it is polled.
    ///
    /// When the name server fails, or knows no address, the last replicas stay.
    pub async fn run(self: Arc<Self>) {
        let meters = Meters::new(self.making.upstream());
        let mut addresses = Addresses::new(self.most);
        let mut pace = Pace::default();
        loop {
            let found = self.resolver.lookup(&self.host).await;
            let found = found.and_then(|found| match found.addresses.is_empty() {
                true => Err("the name has no address".to_owned()),
                false => Ok(found),
            });
            let wait = match found {
                Ok(found) => self.learn(found, &mut addresses, &mut pace, &meters),
                Err(error) => self.keep(&error, &mut pace, &meters),
            };
            sleep(wait).await;
        }
    }

    fn learn(
        &self,
        found: Found,
        addresses: &mut Addresses,
        pace: &mut Pace,
        meters: &Meters,
    ) -> Duration {
        meters.answered.increment(1);
        let (wait, failed) = pace.answered(found.good_for);
        let (upstream, host) = (self.making.upstream(), &*self.host);
        if failed {
            tracing::info!(upstream, host, "replicas can be discovered again");
        }
        let count = found.addresses.len();
        if addresses.follow(found.addresses) {
            self.replace(addresses);
            let used = addresses.iter().count();
            meters.replicas.set(f64::from(u32::try_from(used).unwrap_or(u32::MAX)));
            if used < count {
                tracing::warn!(upstream, host, count, used, "more addresses than `max_replicas`");
            }
        }
        wait
    }

    fn keep(&self, error: &str, pace: &mut Pace, meters: &Meters) -> Duration {
        meters.failed.increment(1);
        let (wait, is_first) = pace.failed();
        if is_first {
            let (upstream, host) = (self.making.upstream(), &*self.host);
            let kept = self.replicas.current().len();
            tracing::warn!(upstream, host, error, kept, "replicas cannot be discovered");
        }
        wait
    }

    /// Those that stay are the same, with their circuits and their connections.
    fn replace(&self, addresses: &Addresses) {
        let upstream = self.making.upstream();
        let before = self.replicas.current();
        let mut now = Vec::new();
        for (address, number) in addresses.iter() {
            let name = format!("dns-{number}");
            match before.iter().find(|known| is_at(known, &name, address)) {
                Some(known) => now.push(known.clone()),
                // The URL was found right when this was made.
                None => now.extend(Target::new(&name, &self.url).ok().map(|target| {
                    tracing::info!(upstream, replica = name, %address, "replica discovered");
                    self.making.make(target.at(address), &self.own)
                })),
            }
        }
        for gone in before.iter() {
            if !now.iter().any(|known| Arc::ptr_eq(&known.target, &gone.target)) {
                let (replica, address) = (&*gone.target.name(), gone.target.address().0);
                tracing::info!(upstream, replica, address, "replica gone");
                gone.connect.meters().up(false);
            }
        }
        self.replicas.replace(now);
    }
}

fn is_at(replica: &ReplicaPlan, name: &str, address: IpAddr) -> bool {
    *replica.target.name() == *name && replica.target.address().0 == address.to_string()
}

/// What is counted of a discovery.
struct Meters {
    answered: Counter,
    failed: Counter,
    replicas: Gauge,
}

impl Meters {
    fn new(upstream: &str) -> Self {
        let outcome = |outcome: &'static str| counter!("portcullis_discoveries_total", "upstream" => upstream.to_owned(), "outcome" => outcome);
        Self {
            answered: outcome("ok"),
            failed: outcome("failed"),
            replicas: gauge!("portcullis_replicas_discovered", "upstream" => upstream.to_owned()),
        }
    }
}
