use std::time::Duration;

use crate::target::PathRules;
use crate::{Region, ServiceName};

/// Which signatures are accepted.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. `service` is required, an unknown key is an error.
///
/// ```toml
/// service = "s3"
/// regions = ["eu-west-1"]    # any by default; none are accepted where the list is empty
/// clock_skew = "15m"         # the default
/// presigned = true           # the default
/// unsigned_bodies = true     # the default
/// max_chunk = "1MiB"         # the default
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct Verifying {
    /// The name of the service: `s3`.
    service: ServiceName,
    /// The regions; any when left out.
    #[cfg_attr(feature = "serde", serde(default))]
    regions: Option<Vec<Region>>,
    /// How far clocks may differ.
    #[cfg_attr(feature = "serde", serde(default = "skew", deserialize_with = "de::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    clock_skew: Duration,
    /// Accepts signatures in the query, too.
    #[cfg_attr(feature = "serde", serde(default = "yes"))]
    presigned: bool,
    /// Accepts bodies that are not signed.
    #[cfg_attr(feature = "serde", serde(default = "yes"))]
    unsigned_bodies: bool,
    /// The largest chunk of a body, in bytes.
    #[cfg_attr(feature = "serde", serde(default = "max_chunk", deserialize_with = "de::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_chunk: u64,
}

impl Verifying {
    /// Accepts signatures for `service`, in any region, in headers or in presigned URLs, with bodies signed or not.
    pub const fn new(service: ServiceName) -> Self {
        Self {
            service,
            regions: None,
            clock_skew: skew(),
            presigned: yes(),
            unsigned_bodies: yes(),
            max_chunk: max_chunk(),
        }
    }

    /// The service that signatures are for.
    #[must_use]
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Accepts signatures for these regions alone; for none if there are none.
    pub fn regions(mut self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.regions = Some(regions.into_iter().collect());
        self
    }

    /// Accepts clocks that differ by up to `skew` in either direction: 15 minutes by default, as AWS does.
    ///
    /// So long, too, can a request be sent again by whoever saw it.
    pub const fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Refuses presigned URLs.
    pub const fn refuse_presigned(mut self) -> Self {
        self.presigned = false;
        self
    }

    /// Refuses bodies that are not signed, which whoever is on the way can replace where there is no TLS.
    ///
    /// SDKs sign their bodies over plain `http` and do not over `https`, and no body that is sent to a presigned URL is.
    pub const fn refuse_unsigned_bodies(mut self) -> Self {
        self.unsigned_bodies = false;
        self
    }

    /// Refuses signed chunks of more than `bytes`, each of which is held in memory until its signature is checked.
    ///
    /// 1 MiB by default; SDKs make them of 64 KiB to 1 MiB. Chunks that are not signed have no limit, and pass as they
    /// come.
    pub const fn max_chunk(mut self, bytes: u64) -> Self {
        self.max_chunk = bytes;
        self
    }

    pub(super) fn accepts_region(&self, region: &str) -> bool {
        match &self.regions {
            Some(regions) => regions.iter().any(|accepted| accepted.as_str() == region),
            None => (1..=MAX_REGION).contains(&region.len()),
        }
    }

    pub(super) const fn allowed_skew(&self) -> Duration {
        self.clock_skew
    }

    pub(super) const fn accepts_presigned(&self) -> bool {
        self.presigned
    }

    pub(super) const fn accepts_unsigned_bodies(&self) -> bool {
        self.unsigned_bodies
    }

    pub(super) const fn largest_chunk(&self) -> u64 {
        self.max_chunk
    }

    pub(super) fn path_rules(&self) -> PathRules {
        if self.service.is_s3() { PathRules::S3 } else { PathRules::OTHERS }
    }
}

const fn skew() -> Duration {
    Duration::from_secs(15 * 60)
}

const fn yes() -> bool {
    true
}

const fn max_chunk() -> u64 {
    1 << 20
}

#[cfg(feature = "serde")]
mod de {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer, Error};

    use crate::payload::Size;

    pub(super) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(input)?;
        humantime::parse_duration(&text)
            .map_err(|_| D::Error::custom("a duration like \"30s\" or \"5m\" is needed here"))
    }

    pub(super) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
        Size::deserialize(input).map(|Size(bytes)| bytes)
    }
}

const MAX_REGION: usize = 64;
