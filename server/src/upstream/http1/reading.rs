use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::Io;

/// Reads what has come behind what is in `read`, where `left` bytes of a body are sure to come; how much it was.
///
/// A connection has no memory of its own for that: all that a worker reads goes into blocks that many small responses, and
/// nobody who only waits, have a share of. A client that is slow keeps the whole block that its piece is in, so that only
/// large bodies are read into large ones.
pub(super) fn poll_read(
    io: &mut Io,
    read: &mut Bytes,
    left: u64,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let blocks = if left > LARGE { &LARGE_BLOCK } else { &SMALL_BLOCK };
    blocks.with_borrow_mut(|(block, size)| {
        if block.capacity() < *size / 4 {
            *block = BytesMut::with_capacity(*size);
        }
        let count = ready!(pin!(io.read_buf(block)).poll(cx))?;
        let more = block.split().freeze();
        *read = if read.is_empty() { more } else { joined(std::mem::take(read), &more) };
        Poll::Ready(Ok(count))
    })
}

/// What came before, and what came now, in memory that grows by doubling.
fn joined(before: Bytes, more: &[u8]) -> Bytes {
    let mut joined = before.try_into_mut().unwrap_or_else(|before| BytesMut::from(&*before));
    joined.extend_from_slice(more);
    joined.freeze()
}

thread_local! {
    static SMALL_BLOCK: RefCell<(BytesMut, usize)> = RefCell::new((BytesMut::new(), 16 << 10));
    static LARGE_BLOCK: RefCell<(BytesMut, usize)> = RefCell::new((BytesMut::new(), 128 << 10));
}

/// A body with more than that to come is read in larger pieces.
const LARGE: u64 = 16 << 10;
