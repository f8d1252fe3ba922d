//! What all services of a layer share, and where a request's id is from.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;

use crate::meters::Meters;
use crate::policy::Lengths;
use crate::trace_parent::trace_id;
use crate::{MakeRequestId, RequestId, RequestIdPolicy, Trust};

pub(crate) struct Gate<G> {
    pub(crate) policy: RequestIdPolicy,
    pub(crate) lengths: Lengths,
    pub(crate) generator: G,
    pub(crate) settings: Settings,
    pub(crate) meters: Meters,
}

/// What a layer does, apart from its policy.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) peer: Option<Arc<dyn PeerOf>>,
    pub(crate) trusted_if: Option<Arc<dyn TrustedIf>>,
    pub(crate) keeps_current: bool,
    pub(crate) in_span: bool,
    pub(crate) spares_response: bool,
    pub(crate) is_unindexed: bool,
}

pub(crate) trait PeerOf: Send + Sync {
    fn peer(&self, parts: &Parts) -> Option<IpAddr>;
}

impl<F: Fn(&Parts) -> Option<IpAddr> + Send + Sync> PeerOf for F {
    fn peer(&self, parts: &Parts) -> Option<IpAddr> {
        self(parts)
    }
}

pub(crate) trait TrustedIf: Send + Sync {
    fn is_trusted(&self, parts: &Parts) -> bool;
}

impl<F: Fn(&Parts) -> bool + Send + Sync> TrustedIf for F {
    fn is_trusted(&self, parts: &Parts) -> bool {
        self(parts)
    }
}

/// Where an id is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// Nobody sent one.
    Generated,
    /// It was sent by who is trusted.
    Accepted,
    /// What was sent is none.
    Invalid,
    /// Who sent it is not trusted.
    Untrusted,
}

impl<G> Gate<G> {
    /// The id as it goes into a header.
    pub(crate) fn header(&self, mut value: HeaderValue) -> HeaderValue {
        value.set_sensitive(self.settings.is_unindexed);
        value
    }
}

impl<G: MakeRequestId> Gate<G> {
    /// The id of a request, and what was sent in its place that is not believed.
    pub(crate) fn id(&self, parts: &Parts) -> (RequestId, Option<HeaderValue>) {
        let sent = self.sent(parts);
        let (id, source) = match &sent {
            _ if !self.is_asked(parts, sent.is_some()) => (None, Source::Generated),
            sent if !self.is_trusted(parts) => (
                None,
                match sent {
                    Some(_) => Source::Untrusted,
                    None => Source::Generated,
                },
            ),
            Some(Ok(value)) => match RequestId::parse(value) {
                Ok(id) => (Some(id), Source::Accepted),
                Err(_) => (None, Source::Invalid),
            },
            Some(Err(_)) => (None, Source::Invalid),
            None => match trace_id(&parts.headers) {
                Some(id) => (Some(id), Source::Accepted),
                None => (None, Source::Generated),
            },
        };
        self.meters.count(source);
        let not_believed = sent.filter(|_| id.is_none()).map(|sent| match sent {
            Ok(value) | Err(value) => value.clone(),
        });
        (id.unwrap_or_else(|| self.generator.make(parts)), not_believed)
    }

    /// What was sent, in the first header that was; the error is the first of several lines.
    fn sent<'a>(&self, parts: &'a Parts) -> Option<Result<&'a HeaderValue, &'a HeaderValue>> {
        self.policy.accepted().iter().find_map(|name| {
            let mut lines = parts.headers.get_all(name).iter();
            let first = lines.next()?;
            Some(if lines.next().is_none() { Ok(first) } else { Err(first) })
        })
    }

    /// Whether anything was sent that could be an id.
    fn is_asked(&self, parts: &Parts, sent: bool) -> bool {
        sent || self.policy.trace_parent && parts.headers.contains_key("traceparent")
    }

    fn is_trusted(&self, parts: &Parts) -> bool {
        let by_policy = match &self.policy.trusted {
            Trust::None => false,
            Trust::All => true,
            Trust::Networks(networks) => {
                let peer = self.settings.peer.as_ref().and_then(|peer| peer.peer(parts));
                let peer = peer.map(|peer| peer.to_canonical());
                peer.is_some_and(|peer| networks.iter().any(|it| it.contains(&peer)))
            }
        };
        by_policy || self.settings.trusted_if.as_ref().is_some_and(|it| it.is_trusted(parts))
    }
}

impl<G> fmt::Debug for Gate<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
