//! Asks name servers, where that is compiled in.

use std::net::IpAddr;
use std::time::Duration;

#[cfg(feature = "dns")]
pub(super) use self::hickory::Resolver;
#[cfg(not(feature = "dns"))]
pub(super) use self::nothing::Resolver;

/// What a name stands for, and for how long.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) good_for: Duration,
}

#[cfg(feature = "dns")]
mod hickory {
    use std::fmt;
    use std::net::SocketAddr;
    use std::time::Duration;

    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
        ResolverOpts,
    };
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::time::{Instant, timeout};

    use super::Found;

    pub(crate) struct Resolver(TokioResolver);

    impl Resolver {
        /// Asks this server, or else those of the system.
        pub(crate) fn new(server: Option<SocketAddr>) -> Result<Self, String> {
            let mut builder = match server {
                None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
                Some(server) => {
                    let config = ResolverConfig::from_parts(None, Vec::new(), vec![at(server)]);
                    let provider = TokioRuntimeProvider::default();
                    let mut builder = TokioResolver::builder_with_config(config, provider);
                    builder.options_mut().use_hosts_file = ResolveHosts::Never;
                    builder
                }
            };
            settle(builder.options_mut());
            Ok(Self(builder.build().map_err(|error| error.to_string())?))
        }

        pub(crate) async fn lookup(&self, host: &str) -> Result<Found, String> {
            let answer = timeout(LIMIT, self.0.lookup_ip(host)).await;
            let answer =
                answer.map_err(|_| "no answer in time")?.map_err(|error| error.to_string())?;
            let end = Instant::from_std(answer.valid_until());
            let good_for = end.saturating_duration_since(Instant::now());
            Ok(Found { addresses: answer.iter().collect(), good_for })
        }
    }

    impl fmt::Debug for Resolver {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Resolver")
        }
    }

    fn settle(options: &mut ResolverOpts) {
        // A server that has addresses of both kinds is one replica, not two.
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        // An answer is kept, as long as it is good, by not asking.
        options.cache_size = 0;
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
    }

    fn at(server: SocketAddr) -> NameServerConfig {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
        NameServerConfig::new(server.ip(), true, connections.into())
    }

    /// For all servers, and all forms of the name.
    const LIMIT: Duration = Duration::from_secs(10);
}

#[cfg(not(feature = "dns"))]
mod nothing {
    use std::convert::Infallible;
    use std::net::SocketAddr;

    use super::Found;

    #[derive(Debug)]
    pub(crate) struct Resolver(Infallible);

    impl Resolver {
        pub(crate) fn new(_: Option<SocketAddr>) -> Result<Self, String> {
            Err("this program was built without the feature `dns`".to_owned())
        }

        pub(crate) async fn lookup(&self, _: &str) -> Result<Found, String> {
            match self.0 {}
        }
    }
}
