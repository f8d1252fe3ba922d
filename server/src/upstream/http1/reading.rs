use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::Io;

/// How much is to be read at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ahead {
    /// A head, and of the body next to nothing, as it need not be read.
    Head,
    /// A head, and with it mostly a whole response.
    Small,
    /// So many bytes of a body, which are sure to come.
    Body(u64),
}

/// Reads what has come behind what is in `read`; how much it was.
///
/// A connection has no memory of its own for that: all that a worker reads goes into blocks that many small responses, and
/// nobody who only waits, have a share of. A client that is slow keeps the whole block that its piece is in, so that only
/// large bodies are read into large ones.
pub(super) fn poll_read(
    io: &mut Io,
    read: &mut Bytes,
    ahead: Ahead,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let (blocks, most) = match ahead {
        Ahead::Head => (&SMALL_BLOCK, HEAD),
        Ahead::Body(left) if left > LARGE => (&LARGE_BLOCK, usize::MAX),
        Ahead::Small | Ahead::Body(_) => (&SMALL_BLOCK, usize::MAX),
    };
    blocks.with_borrow_mut(|(block, size)| {
        if block.capacity() < *size / 4 {
            *block = BytesMut::with_capacity(*size);
        }
        let count = ready!(pin!(io.read_buf(&mut (&mut *block).limit(most))).poll(cx))?;
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

/// What most heads have room in.
const HEAD: usize = 2 << 10;
