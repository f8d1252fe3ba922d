use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, ReadBuf};

/// Writes pieces that are few bytes together as one piece: the kernel takes that by a shorter way than a list of them.
pub(crate) fn poll_write_together<W: AsyncWrite>(
    io: Pin<&mut W>,
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let mut bytes = [const { MaybeUninit::uninit() }; FEW];
    let mut together = ReadBuf::uninit(&mut bytes);
    for piece in pieces {
        if piece.len() > together.remaining() {
            return io.poll_write_vectored(cx, pieces);
        }
        together.put_slice(piece);
    }
    io.poll_write(cx, together.filled())
}

/// To copy as much costs far less than it saves.
const FEW: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    /// How each write came.
    #[derive(Default)]
    struct Written {
        single: Vec<Vec<u8>>,
        lists: Vec<usize>,
    }

    impl AsyncWrite for Written {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.single.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let length = pieces.iter().map(|piece| piece.len()).sum();
            self.lists.push(length);
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn pieces_go_as_one_in_their_order_up_to_a_size_and_beyond_it_as_they_are() {
        let half = vec![b'b'; FEW / 2];
        for (last, single) in [(0, true), (FEW / 2 - 1, true), (FEW / 2, false), (FEW * 9, false)] {
            let last = vec![b'c'; last];
            let pieces = [&b"a"[..], &half, &last].map(IoSlice::new);
            let mut written = pin!(Written::default());
            let mut cx = Context::from_waker(std::task::Waker::noop());

            let polled = poll_write_together(written.as_mut(), &mut cx, &pieces);

            let all = [&b"a"[..], &half, &last].concat();
            assert!(matches!(polled, Poll::Ready(Ok(length)) if length == all.len()));
            let (ones, lists) =
                if single { (vec![all], vec![]) } else { (vec![], vec![all.len()]) };
            assert_eq!((&written.single, &written.lists), (&ones, &lists));
        }
    }
}
