use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::{Recorded, Upstream, read_request};

/// A server of one large object, whose bytes are made as they are sent; it can be told to break off.
#[derive(Debug)]
pub struct Store {
    upstream: Upstream,
    cuts: Arc<Cuts>,
}

/// Where downloads break off: each at a random byte of what is asked for, as long as there are cuts left.
#[derive(Debug)]
struct Cuts {
    left: AtomicI64,
    random: AtomicU64,
}

impl Cuts {
    fn next(&self, length: u64) -> Option<u64> {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return None;
        }
        // The SplitMix64 generator.
        let state = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ (mixed >> 31)) % length)
    }
}

impl Store {
    /// Serves so many bytes of [`piece`]s under this strong `ETag`.
    pub async fn serving(length: u64, etag: &'static str, seed: u64) -> Self {
        let cuts = Arc::new(Cuts { left: AtomicI64::new(0), random: AtomicU64::new(seed) });
        let cutting = cuts.clone();
        let upstream = Upstream::serving(move |mut socket, _| {
            let cuts = cutting.clone();
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    if answer(&mut socket, &request, length, etag, &cuts).await.is_none() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { upstream, cuts }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// Breaks off the next so many downloads.
    pub fn cut(&self, count: u32) {
        self.cuts.left.store(count.into(), Ordering::Relaxed);
    }
}

async fn answer(
    socket: &mut TcpStream,
    request: &Recorded,
    length: u64,
    etag: &str,
    cuts: &Cuts,
) -> Option<()> {
    let matches = |name| request.header(name).first().is_none_or(|wanted| *wanted == etag);
    let from = request
        .header("range")
        .first()
        .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<u64>().ok());
    let (status, from) = match from {
        _ if !matches("if-match") => ("412 Precondition Failed", length),
        Some(from) if matches("if-range") => ("206 Partial Content", from),
        _ => ("200 OK", 0),
    };
    let range = match status.starts_with("206") {
        true => format!("content-range: bytes {from}-{}/{length}\r\n", length - 1),
        false => String::new(),
    };
    let rest = length - from;
    let head =
        format!("HTTP/1.1 {status}\r\netag: {etag}\r\n{range}content-length: {rest}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.ok()?;
    let cut = if rest > 0 { cuts.next(rest) } else { None };
    let end = cut.map_or(length, |cut| from + cut);
    let mut at = from;
    let pattern = pattern();
    while at < end {
        let bytes = piece(&pattern, at, end - at);
        socket.write_all(bytes).await.ok()?;
        at += u64::try_from(bytes.len()).unwrap();
    }
    cut.is_none().then_some(())
}

/// What an object repeats. Its length is a prime, so that no piece of it looks like one from elsewhere.
#[must_use]
pub fn pattern() -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..65_521).map(next).collect()
}

/// Some bytes of an object from this one on, at most so many.
#[must_use]
pub fn piece(pattern: &[u8], at: u64, most: u64) -> &[u8] {
    let start = usize::try_from(at % u64::try_from(pattern.len()).unwrap()).unwrap();
    let rest = &pattern[start..];
    &rest[..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))]
}
