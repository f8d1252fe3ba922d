//! What is counted of an issuer's key set.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meters;

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::OnceLock;
    use std::time::{SystemTime, UNIX_EPOCH};

    use metrics::{Counter, Gauge, counter, gauge};

    use crate::RefreshError;

    /// Handles, made once the issuer has a layer.
    pub(crate) struct Meters(OnceLock<Handles>);

    struct Handles {
        refreshes: Vec<(&'static str, Counter)>,
        unknown: Counter,
        keys: Gauge,
        skipped: Gauge,
        confirmed: Gauge,
    }

    impl Meters {
        pub(crate) const fn new() -> Self {
            Self(OnceLock::new())
        }

        pub(crate) fn start(&self, issuer: impl FnOnce() -> String) {
            self.0.get_or_init(|| {
                let issuer = issuer();
                let refreshes = RefreshError::REASONS.iter().chain(&["ok"]).map(|outcome| {
                    let issuer = issuer.clone();
                    (*outcome, counter!("jwt_auth_key_set_refreshes_total", "issuer" => issuer, "outcome" => *outcome))
                });
                Handles {
                    refreshes: refreshes.collect(),
                    unknown: counter!("jwt_auth_unknown_keys_total", "issuer" => issuer.clone()),
                    keys: gauge!("jwt_auth_keys", "issuer" => issuer.clone(), "state" => "usable"),
                    skipped: gauge!("jwt_auth_keys", "issuer" => issuer.clone(), "state" => "skipped"),
                    confirmed: gauge!("jwt_auth_key_set_timestamp_seconds", "issuer" => issuer),
                }
            });
        }

        pub(crate) fn asked(&self, outcome: &str) {
            let Some(handles) = self.0.get() else { return };
            for (_, counter) in handles.refreshes.iter().filter(|(name, _)| *name == outcome) {
                counter.increment(1);
            }
        }

        pub(crate) fn unknown_key(&self) {
            if let Some(handles) = self.0.get() {
                handles.unknown.increment(1);
            }
        }

        #[expect(clippy::cast_precision_loss, reason = "a set has few keys")]
        pub(crate) fn keys(&self, usable: usize, skipped: usize) {
            let Some(handles) = self.0.get() else { return };
            handles.keys.set(usable as f64);
            handles.skipped.set(skipped as f64);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            handles.confirmed.set(now.as_secs_f64());
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn start(&self, _: impl FnOnce() -> String) {}
        pub(crate) fn asked(&self, _: &str) {}
        pub(crate) fn unknown_key(&self) {}
        pub(crate) fn keys(&self, _: usize, _: usize) {}
    }
}
