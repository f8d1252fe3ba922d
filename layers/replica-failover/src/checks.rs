//! Asks a replica for its health, by a client or a connector of the application's whose type is forgotten.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{CheckFailure, GrpcProbe, HealthCheck, HttpProbe, Probe, grpc_health};

pub(crate) type Checking = Pin<Box<dyn Future<Output = Result<(), CheckFailure>> + Send>>;

/// Begins a check.
pub(crate) type Check = Arc<dyn Fn(&HealthCheck) -> Checking + Send + Sync>;

/// How one replica can be asked.
#[derive(Clone, Default)]
pub(crate) struct Checks {
    client: Option<Check>,
    dial: Option<Check>,
}

impl Checks {
    pub(crate) fn by_client<F, B, RB>(&mut self, client: F)
    where
        F: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        F::Future: Send,
        F::Error: Into<Box<dyn Error + Send + Sync>>,
        B: From<Bytes> + Send + 'static,
        RB: Body + Send + 'static,
        RB::Data: Send,
        RB::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // It is cloned for each check, and only for that it is locked.
        let client = Mutex::new(client);
        self.client = Some(Arc::new(move |check| {
            let client = client.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match check.probe.clone() {
                Probe::Grpc(probe) => Box::pin(ask_grpc(client, probe, check.time_limit)),
                Probe::Http(probe) => Box::pin(ask_http(client, probe)),
                Probe::Tcp => Box::pin(async { Ok(()) }),
            }
        }));
    }

    pub(crate) fn by_connector<C, F, T, E>(&mut self, connect: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.dial = Some(Arc::new(move |_| {
            let connected = connect();
            Box::pin(async { connected.await.map(drop).map_err(CheckFailure::of) })
        }));
    }

    /// What asks as the policy wants it, if that is there.
    pub(crate) const fn of(&self, policy: &HealthCheck) -> Option<&Check> {
        match policy.probe {
            Probe::Tcp => self.dial.as_ref(),
            Probe::Http(_) | Probe::Grpc(_) => self.client.as_ref(),
        }
    }

    /// These, and of what is missing among them, the others.
    pub(crate) fn or(self, others: Self) -> Self {
        Self { client: self.client.or(others.client), dial: self.dial.or(others.dial) }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checks")
    }
}

async fn ask_http<F, B, RB>(client: F, probe: HttpProbe) -> Result<(), CheckFailure>
where
    F: Service<Request<B>, Response = Response<RB>>,
    F::Error: Into<Box<dyn Error + Send + Sync>>,
    B: From<Bytes>,
{
    let status = answer(client, probe.request()).await?.status();
    if probe.expects(status) { Ok(()) } else { Err(CheckFailure::Status(status)) }
}

async fn ask_grpc<F, B, RB>(
    client: F,
    probe: GrpcProbe,
    within: Duration,
) -> Result<(), CheckFailure>
where
    F: Service<Request<B>, Response = Response<RB>>,
    F::Error: Into<Box<dyn Error + Send + Sync>>,
    B: From<Bytes>,
    RB: Body,
    RB::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = answer(client, probe.request(within)).await?.into_parts();
    if !head.status.is_success() {
        return Err(CheckFailure::Status(head.status));
    }
    let (message, trailers) = match grpc_status(&head.headers) {
        Some(_) => (Vec::new(), head.headers), // trailers only
        None => read(body).await?,
    };
    match grpc_status(&trailers).ok_or(CheckFailure::Malformed)? {
        GRPC_OK => match grpc_health::is_serving(&message) {
            Some(true) => Ok(()),
            Some(false) => Err(CheckFailure::NotServing),
            None => Err(CheckFailure::Malformed),
        },
        GRPC_UNIMPLEMENTED if probe.takes_unimplemented_for_up() => Ok(()),
        status => Err(CheckFailure::GrpcStatus(status)),
    }
}

async fn answer<F, B, RB>(mut client: F, request: Request<B>) -> Result<Response<RB>, CheckFailure>
where
    F: Service<Request<B>, Response = Response<RB>>,
    F::Error: Into<Box<dyn Error + Send + Sync>>,
{
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(CheckFailure::of)?;
    client.call(request).await.map_err(CheckFailure::of)
}

async fn read<B>(body: B) -> Result<(Vec<u8>, HeaderMap), CheckFailure>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.map_err(CheckFailure::of)?.into_data() {
            Ok(mut data) => {
                if data.remaining() > MOST.saturating_sub(bytes.len()) {
                    return Err(CheckFailure::Malformed);
                }
                while data.has_remaining() {
                    let chunk = data.chunk();
                    bytes.extend_from_slice(chunk);
                    let read = chunk.len();
                    data.advance(read);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok((bytes, trailers))
}

/// What is no number is `UNKNOWN`.
fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(GRPC_UNKNOWN))
}

const GRPC_OK: u32 = 0;
const GRPC_UNKNOWN: u32 = 2;
const GRPC_UNIMPLEMENTED: u32 = 12;
/// The answer takes seven bytes.
const MOST: usize = 1 << 10;
