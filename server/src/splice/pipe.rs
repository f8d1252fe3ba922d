use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// A pipe in the kernel.
#[derive(Debug)]
pub(super) struct Pipe {
    start: OwnedFd,
    end: OwnedFd,
}

impl Pipe {
    /// An empty one that this worker has, or another; none if there is no descriptor left.
    pub(super) fn take() -> Option<Self> {
        if let Some(pipe) = EMPTY.with_borrow_mut(Vec::pop) {
            return Some(pipe);
        }
        let (start, end) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        // One that stays small is slower, and no worse.
        let _ = fcntl_setpipe_size(&end, ROOM);
        Some(Self { start, end })
    }

    /// Leaves one that is empty to others of this worker.
    pub(super) fn give_back(self) {
        EMPTY.with_borrow_mut(|empty| {
            if empty.len() < SPARE {
                empty.push(self);
            }
        });
    }

    /// Where bytes come out.
    pub(super) fn start(&self) -> BorrowedFd<'_> {
        self.start.as_fd()
    }

    /// Where bytes go in.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// How many are kept for a worker's next bodies.
const SPARE: usize = 64;

/// What the kernel lets anybody have.
const ROOM: usize = 1 << 20;
