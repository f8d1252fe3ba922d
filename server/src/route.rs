//! Host and path become a backend.

mod path;
mod rewrite;
mod table;
mod redirect;
mod fixed;
mod answer;
mod nothing;

pub use answer::Answer;
pub use fixed::Fixed;
pub use nothing::Nothing;
pub use path::{BadPath, Judged};
pub use redirect::Redirect;
pub use rewrite::{BadSubstitute, Rewrite, RewriteLayer, Rewritten, Substitute};
pub use table::{Conflict, Match, Rule, Table};

use std::sync::Arc;

use http::header::{ALLOW, HOST, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use portcullis_refusal::{Dialect, Refusal};

use crate::body::Body;
use crate::cors;
use crate::facts::{Facts, Known, Voice};
use crate::seam::{Answering, Backend};
use crate::telemetry::RouteMeters;
use crate::upstream;

/// Sends each request to the backend of its route, or refuses it: 404 without one, 405 with the
/// methods that the path has.
#[derive(Clone, Debug)]
pub struct Routes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Arc<Table>,
    targets: Vec<RouteTarget>,
}

/// What a row of the table leads to.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by a worker, field by field")]
pub struct RouteTarget {
    /// The stack behind the route.
    pub backend: Backend,
    /// Its name, and what is counted of it.
    pub meters: Arc<RouteMeters>,
    /// How clients are refused below it, unless they speak gRPC.
    pub voice: Voice,
    /// Whether a path with a `..` may be for it, which its guard judges.
    pub takes_parents: bool,
    /// Whether preflights are for the route of the method that they are about, if it is this one.
    pub answers_preflights: bool,
}

impl RouteTarget {
    /// Refusals are in the language of the route from here on, unless the client speaks gRPC.
    fn speak(&self, known: &mut Known) {
        if known.voice == Voice::Plain {
            known.voice = self.voice;
        }
    }
}

impl Routes {
    /// Targets in the order of the table's rules.
    #[must_use]
    pub fn new(table: Arc<Table>, targets: impl IntoIterator<Item = RouteTarget>) -> Self {
        Self(Arc::new(Shared { table, targets: targets.into_iter().collect() }))
    }

    /// The language of refusals for a request that did not come as far as its route.
    pub(crate) fn voice(&self, method: &Method, uri: &Uri, header: Option<&HeaderValue>) -> Voice {
        let judged = Judged::new(uri.path()).ok();
        let index =
            judged.and_then(|judged| match self.0.table.find(host(uri, header), &judged, method) {
                Match::Route(index) | Match::OtherMethods { index, .. } => Some(index),
                Match::Nothing => None,
            });
        let target = index.and_then(|index| self.0.targets.get(index));
        target.map_or_else(Voice::default, |target| target.voice)
    }

    /// The row for a request; one that every reader of its path would take.
    fn find(&self, request: &Request<Body>) -> Result<Match, Box<Refusal>> {
        let path = request.uri().path();
        let host = host(request.uri(), request.headers().get(HOST));
        let preflight = cors::preflight(request);
        let find = |judged: &Judged<'_>| {
            let about = preflight.as_ref().map(|method| self.0.table.find(host, judged, method));
            let answers =
                |index: usize| self.0.targets.get(index).is_some_and(|it| it.answers_preflights);
            match about {
                Some(Match::Route(index)) if answers(index) => Match::Route(index),
                _ => self.0.table.find(host, judged, request.method()),
            }
        };
        let bad = match Judged::new(path) {
            Ok(judged) => {
                let matched = find(&judged);
                // Servlets look at a path without them, and would find what another route protects.
                return match judged.without_parameters() {
                    Some(bare) if find(&bare) != matched => Err(refuse_path(PARAMETERS)),
                    _ => Ok(matched),
                };
            }
            Err(bad) => bad,
        };
        let both = Judged::both(path).map(|(named, resolved)| (find(&named), find(&resolved)));
        match both {
            Some((Match::Route(one), Match::Route(other)))
                if one == other && self.0.targets.get(one).is_some_and(|it| it.takes_parents) =>
            {
                Ok(Match::Route(one))
            }
            _ => Err(refuse_path(bad)),
        }
    }

    fn route(&self, request: &Request<Body>) -> Result<&Backend, Box<Refusal>> {
        if request.method() == Method::CONNECT {
            let detail = "no tunnels are made here";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "connect", detail).into());
        }
        let matched = self.find(request)?;
        let target = match matched {
            Match::Route(index) => self.0.targets.get(index),
            Match::OtherMethods { index, methods } => {
                if let (Some(facts), Some(target)) =
                    (Facts::get(request), self.0.targets.get(index))
                {
                    target.speak(&mut facts.known());
                }
                return Err(refuse_method(&methods).into());
            }
            Match::Nothing => None,
        };
        let Some(target) = target else {
            return Err(Nothing::refusal().into());
        };
        if let Some(facts) = Facts::get(request) {
            let mut known = facts.known();
            known.route = Some(target.meters.clone());
            target.speak(&mut known);
        }
        Ok(&target.backend)
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Answering<upstream::Error> {
        match self.route(&request) {
            Ok(backend) => backend.send(request),
            Err(refusal) => {
                let dialect = Dialect::of(request.headers());
                Box::pin(async move { Ok(refusal.into_response(dialect, Body::empty())) })
            }
        }
    }
}

/// The host that the client asked for, without its port: the target's own, where it has one, outranks
/// the header (RFC 9112 §3.2.2), and is all that HTTP/2 sends.
fn host<'a>(uri: &'a Uri, header: Option<&'a HeaderValue>) -> &'a str {
    let host = match uri.authority() {
        Some(authority) => authority.host(),
        None => header.and_then(|host| host.to_str().ok()).unwrap_or(""),
    };
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        // What searches text for less than a line takes longer to begin than to search.
        None => match host.bytes().position(|byte| byte == b':') {
            Some(end) => host.get(..end).unwrap_or(host),
            None => host,
        },
    }
}

fn refuse_path(BadPath(detail): BadPath) -> Box<Refusal> {
    Refusal::new(StatusCode::BAD_REQUEST, "bad_path", detail).into()
}

const PARAMETERS: BadPath = BadPath("without its parameters the path is that of another route");

fn refuse_method(methods: &[Method]) -> Refusal {
    let refusal =
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path has other methods");
    let list = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    match HeaderValue::try_from(list) {
        Ok(list) => refusal.header(ALLOW, list),
        Err(_) => refusal,
    }
}
