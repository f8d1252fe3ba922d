use http::header::{CONTENT_TYPE, HeaderMap};

/// What a client understands as a refusal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// A status of 4xx or 5xx.
    #[default]
    Http,
    /// A trailers-only gRPC response: `200` with the outcome in `grpc-status`.
    Grpc,
}

impl Dialect {
    /// The dialect of a request with these headers.
    ///
    /// gRPC is `content-type: application/grpc`, with or without `+proto`, `+json` or parameters; gRPC-Web, which frames
    /// its trailers in the body, is not.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let grpc = content_type.split_at_checked(GRPC.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        });
        if grpc { Self::Grpc } else { Self::Http }
    }
}

const GRPC: &[u8] = b"application/grpc";
