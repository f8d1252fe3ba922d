use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};
use tokio::time::{Instant, timeout};

use crate::{Answer, Demands, Store, Verdict, script};

/// Shares allowances between machines, in Redis or Valkey.
///
/// A request is one call of a script, which goes by the clock of the server, and takes from all limits or from none. Keys
/// expire when their allowance is whole again. All clones share one connection, on which calls are pipelined; it is made
/// by the first request, and made anew when it breaks. [`anew`](Self::anew) has one of its own.
///
/// Outside of a Tokio runtime with time and IO enabled, a request panics.
#[derive(Clone)]
#[must_use = "a store does nothing until a layer uses it"]
pub struct Redis {
    settings: Arc<Settings>,
    connection: Arc<Connection>,
}

#[derive(Clone)]
struct Settings {
    client: Client,
    prefix: Arc<str>,
    time_limit: Duration,
    when_away: WhenAway,
}

/// What is let through while the store is away.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum WhenAway {
    /// What the memory of this process lets through, which has the whole quota for itself.
    #[default]
    Local,
    /// All.
    Open,
    /// Nothing: `503`.
    Closed,
}

/// Says that text is no URL of a Redis server, without the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidUrl;

/// The answer that [`Redis`] waits for; dropped, the request may have been taken for.
#[must_use = "a future does nothing unless it is polled"]
pub struct RedisAnswer(Pin<Box<dyn Future<Output = Verdict> + Send>>);

struct Connection {
    manager: OnceLock<ConnectionManager>,
    born: Instant,
    /// In milliseconds since birth, until when nobody asks; zero while it is there.
    away_until: AtomicU64,
}

impl Redis {
    /// The server at a URL, as in `redis://host:6379/0`, `redis+unix:///path`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// When it is no such URL.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        let settings = Settings {
            client: Client::open(url).map_err(|_| InvalidUrl)?,
            prefix: Arc::from("rate-limit"),
            time_limit: Duration::from_millis(100),
            when_away: WhenAway::Local,
        };
        Ok(Self { settings: Arc::new(settings), connection: Arc::default() })
    }

    /// Begins the names of all keys with `prefix`, `rate-limit` by default. Who has the same prefix, and the same names of
    /// limits, shares them.
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.settings_mut().prefix = prefix.into();
        self
    }

    /// Waits for an answer up to `limit`, 100 ms by default.
    ///
    /// After one that did not come, or was an error, the store counts as away: one request each second goes on to ask it.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.settings_mut().time_limit = limit;
        self
    }

    /// Decides what is let through while the store is away: by default what the memory of this process says.
    pub fn when_away(mut self, when_away: WhenAway) -> Self {
        self.settings_mut().when_away = when_away;
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// The same with a connection of its own: for a worker with a runtime of its own.
    pub fn anew(&self) -> Self {
        Self { settings: self.settings.clone(), connection: Arc::default() }
    }
}

impl Store for Redis {
    type Future = RedisAnswer;

    fn take(&self, demands: Demands<'_>) -> Answer<RedisAnswer> {
        if !self.connection.may_be_asked() {
            return Answer::Now(self.settings.when_away.verdict(demands));
        }
        let invocation = script::invocation(&self.settings.prefix, demands);
        let (redis, demands) = (self.clone(), demands.keep());
        Answer::Later(RedisAnswer(Box::pin(async move {
            let asked = async {
                let mut manager = redis.connection.manager(&redis.settings)?;
                invocation.invoke_async::<Vec<u64>>(&mut manager).await
            };
            let answer = timeout(redis.settings.time_limit, asked).await;
            let error = match answer {
                Ok(Ok(answer)) => match script::verdict(demands.demands(), &answer) {
                    Some(verdict) => {
                        redis.connection.is_there();
                        return verdict;
                    }
                    None => "it answers what makes no sense".to_owned(),
                },
                Ok(Err(error)) => error.to_string(),
                Err(late) => late.to_string(),
            };
            redis.connection.is_away(&error);
            redis.settings.when_away.verdict(demands.demands())
        })))
    }
}

impl WhenAway {
    fn verdict(self, demands: Demands<'_>) -> Verdict {
        self.count();
        match self {
            Self::Local => demands.take_in_memory(),
            Self::Open => Verdict::admitted(),
            Self::Closed => Verdict::unavailable(),
        }
    }

    #[cfg(feature = "metrics")]
    fn count(self) {
        let answer = match self {
            Self::Local => "local",
            Self::Open => "open",
            Self::Closed => "closed",
        };
        metrics::counter!("rate_limit_store_away_total", "answer" => answer).increment(1);
    }

    #[cfg(not(feature = "metrics"))]
    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    const fn count(self) {}
}

impl Connection {
    /// Within the runtime of whoever asks first.
    fn manager(&self, settings: &Settings) -> RedisResult<ConnectionManager> {
        if let Some(manager) = self.manager.get() {
            return Ok(manager.clone());
        }
        // Trying again is up to requests: between them nobody needs a connection.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(BETWEEN_ATTEMPTS))
            .set_response_timeout(Some(settings.time_limit));
        let manager = ConnectionManager::new_lazy_with_config(settings.client.clone(), config)?;
        Ok(self.manager.get_or_init(|| manager).clone())
    }

    /// Whether the store is there, or it is this request's turn to find out.
    fn may_be_asked(&self) -> bool {
        let until = self.away_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now();
        // Of all that come when the time is over one moves it on, and asks. It guards nothing else.
        now >= until
            && self
                .away_until
                .compare_exchange(until, later(now), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn is_there(&self) {
        if self.away_until.load(Ordering::Relaxed) != 0
            && self.away_until.swap(0, Ordering::Relaxed) != 0
        {
            tracing::info!("the store of limits is back");
        }
    }

    fn is_away(&self, error: &str) {
        if self.away_until.swap(later(self.now()), Ordering::Relaxed) == 0 {
            tracing::warn!(error, "the store of limits is away");
        }
    }

    fn now(&self) -> u64 {
        let age = Instant::now().saturating_duration_since(self.born);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self { manager: OnceLock::new(), born: Instant::now(), away_until: AtomicU64::new(0) }
    }
}

impl Future for RedisAnswer {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for RedisAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAnswer").finish_non_exhaustive()
    }
}

// Without the URL, which may have a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.settings.prefix)
            .field("time_limit", &self.settings.time_limit)
            .field("when_away", &self.settings.when_away)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL like \"redis://host:6379/0\" is needed here")
    }
}

impl std::error::Error for InvalidUrl {}

/// When it is asked again.
fn later(now: u64) -> u64 {
    now.saturating_add(u64::try_from(BETWEEN_ATTEMPTS.as_millis()).unwrap_or(u64::MAX))
}

const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);
