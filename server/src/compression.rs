//! Compresses responses. Codings, and which of them a client likes best, are tower-http's business; which responses may be
//! compressed at all, and what else has to change in them, is said here.

mod marked;
mod validators;

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, HeaderMap, HeaderName};
use http::{Extensions, Response, StatusCode, Version};
use http_body_util::BodyExt;
use portcullis_request_guard::MediaRange;
use tower::Layer;
use tower::util::MapResponse;
use tower_http::compression::{Compression, CompressionBody, CompressionLevel};

use crate::body::{Body, Error, Side};
use crate::config::{self, Encoding, Level};

use self::marked::Before;

pub use self::marked::Marked;

/// Compresses what is worth it.
#[derive(Clone, Debug)]
pub struct CompressionLayer(Arc<Policy>);

/// What is compressed, and how.
#[derive(Debug)]
struct Policy {
    encodings: Vec<Encoding>,
    min_size: u64,
    content_types: Vec<MediaRange>,
    level: CompressionLevel,
}

impl CompressionLayer {
    /// A layer that does what the section says with these types.
    pub(crate) fn new(section: &config::Compression, content_types: Vec<MediaRange>) -> Self {
        let all = || vec![Encoding::Zstd, Encoding::Br, Encoding::Gzip];
        Self(Arc::new(Policy {
            encodings: section.encodings.clone().unwrap_or_else(all),
            min_size: section.min_size,
            content_types,
            level: match section.level {
                Level::Fastest => CompressionLevel::Fastest,
                Level::Default => CompressionLevel::Default,
                Level::Best => CompressionLevel::Best,
            },
        }))
    }
}

/// A service that compresses what the one below it says.
pub type Compressing<S> = MapResponse<Compression<Marked<S>, Chosen>, Finish>;

type Chosen = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;
type Finish = fn(Response<CompressionBody<Body>>) -> Response<Body>;

impl<S> Layer<S> for CompressionLayer {
    type Service = Compressing<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let (when, finish): (Chosen, Finish) = (is_chosen, finish);
        let has = |encoding| self.0.encodings.contains(&encoding);
        let compression = Compression::new(Marked::new(inner, self.0.clone()))
            .zstd(has(Encoding::Zstd))
            .br(has(Encoding::Br))
            .gzip(has(Encoding::Gzip))
            .quality(self.0.level)
            .compress_when(when);
        MapResponse::new(compression, finish)
    }
}

fn is_chosen(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Before>().is_some_and(|before| before.is_chosen)
}

/// Makes the rest of a response fit what has become of its body.
fn finish(mut response: Response<CompressionBody<Body>>) -> Response<Body> {
    let Some(before) = response.extensions_mut().remove::<Before>() else {
        return response.map(plain);
    };
    // RFC 9110 §12.5.3 leaves it to the server: what was done is told, in whatever coding, rather than "not acceptable".
    *response.status_mut() = before.status;
    if before.is_chosen && response.headers().contains_key(CONTENT_ENCODING) {
        validators::weaken(response.headers_mut());
        for name in DIGESTS {
            response.headers_mut().remove(name);
        }
    }
    if before.is_head {
        // What compressing nothing would make of it.
        return response.map(|_| Body::empty());
    }
    response.map(plain)
}

/// Digests of what a client does not get any more.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

fn plain(body: CompressionBody<Body>) -> Body {
    Body::new(body.map_err(|error| match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(other) => Error::new(Side::Upstream, other),
    }))
}
