use std::io::{self, Write};
use std::mem::{swap, take};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Lines on their way to where they are written, which a thread of its own does.
///
/// Whoever logs only leaves a line here, so that an output that takes nothing stops no request and no drain. There is
/// room for [`ROOM`] bytes: when it is taken, lines are dropped and counted, and those of the access log leave a part of
/// it to all others. What comes within [`BREATH`] is written at once.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    work: Condvar,
    /// Tells who waits for the end that the writer has moved on.
    moved: Condvar,
    /// All lines that were never written.
    dropped: AtomicU64,
    output: Box<dyn Fn() -> io::Result<Box<dyn Write>> + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writer: Writer,
    /// How many pieces have been written, or could not be.
    pieces: u64,
    /// Lines dropped since the log last said so.
    untold: u64,
    /// Whether somebody waits for all of it to be written.
    hurries: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Writer {
    /// There is no thread.
    #[default]
    Gone,
    /// It waits for the first line.
    Idle,
    /// It waits for the others that come with it.
    Collecting,
    Writing,
}

impl Lines {
    /// Lines for what `output` opens, which it does once, and again after a panic of the writer.
    pub(crate) fn to(
        output: impl Fn() -> io::Result<Box<dyn Write>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            moved: Condvar::new(),
            dropped: AtomicU64::new(0),
            output: Box::new(output),
        }))
    }

    /// How many lines were never written.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Waits until all is written that was logged before, for as long as the output takes something within `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let mut state = self.state();
        state.hurries = true;
        self.0.work.notify_one();
        while state.is_pending() {
            let before = state.pieces;
            let stuck = |state: &mut State| state.is_pending() && state.pieces == before;
            let waited = self.0.moved.wait_timeout_while(state, patience, stuck);
            let (now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if waited.timed_out() {
                break;
            }
        }
        state.hurries = false;
    }

    /// Takes a line of the access log.
    pub(super) fn access(&self, line: &[u8]) {
        self.push(line, ROOM - RESERVE);
    }

    fn push(&self, line: &[u8], room: usize) {
        let mut state = self.state();
        let before = state.waiting.len();
        let after = before.saturating_add(line.len());
        if after > room {
            state.untold += 1;
            self.0.dropped.fetch_add(1, Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        match state.writer {
            Writer::Gone => self.start(&mut state),
            // A thread that is not waited for by the kernel is not woken: that would be a call for each line.
            Writer::Idle => self.0.work.notify_one(),
            Writer::Collecting if before < BATCH && after >= BATCH => self.0.work.notify_one(),
            Writer::Collecting | Writer::Writing => {}
        }
    }

    fn start(&self, state: &mut State) {
        let writer = Begun(self.clone(), Vec::new());
        let begun = thread::Builder::new().name("log".to_owned()).spawn(|| writer.run());
        // Without a thread the next line tries again.
        if begun.is_ok() {
            state.writer = Writer::Collecting;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self, lines: u64) {
        self.0.dropped.fetch_add(lines, Relaxed);
    }
}

impl State {
    fn is_pending(&self) -> bool {
        let writes = self.writer == Writer::Writing;
        writes || (self.writer != Writer::Gone && !self.waiting.is_empty())
    }
}

/// The thread that writes, and what it is about to write. When it panics, the next line starts another.
struct Begun(Lines, Vec<u8>);

impl Begun {
    fn run(mut self) {
        let mut output = None;
        loop {
            let untold = self.take();
            self.write(&mut output);
            self.1.clear();
            // What a flood has needed is not needed after it.
            self.1.shrink_to(BATCH);
            if untold > 0 {
                tracing::warn!(
                    lines = untold,
                    "lines of the log were dropped, since they were not taken in time"
                );
            }
        }
    }

    /// Waits for lines, and takes them; how many were dropped since it was last said.
    fn take(&mut self) -> u64 {
        let shared = &*self.0.0;
        let mut state = self.0.state();
        state.writer = Writer::Idle;
        shared.moved.notify_all();
        let nothing = |state: &mut State| state.waiting.is_empty();
        state = shared.work.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        state.writer = Writer::Collecting;
        let few = |state: &mut State| state.waiting.len() < BATCH && !state.hurries;
        let collected = shared.work.wait_timeout_while(state, BREATH, few);
        state = collected.unwrap_or_else(PoisonError::into_inner).0;
        state.writer = Writer::Writing;
        swap(&mut self.1, &mut state.waiting);
        take(&mut state.untold)
    }

    fn write(&self, output: &mut Option<Box<dyn Write>>) {
        for piece in self.1.chunks(PIECE) {
            let written = match output {
                Some(output) => write(output, piece),
                None => (self.0.0.output)().and_then(|opened| write(output.insert(opened), piece)),
            };
            if written.is_err() {
                // Nobody could be told that the log cannot be written.
                self.0.lost(lines(piece));
            }
            self.0.state().pieces += 1;
            self.0.0.moved.notify_all();
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.lost(lines(&self.1));
        self.0.state().writer = Writer::Gone;
        self.0.0.moved.notify_all();
    }
}

/// As [`Write::write_all`], for an output that does not block: it takes more a little later.
fn write(output: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::park_timeout(BREATH); // nobody unparks it
            }
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self, ROOM)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line(self, if metadata.target() == ACCESS { ROOM - RESERVE } else { ROOM })
    }
}

/// Where one line is written to: as a whole, in one call.
#[derive(Debug)]
pub(crate) struct Line<'a>(&'a Lines, usize);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line, self.1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// What the lines of the access log are called.
pub(super) const ACCESS: &str = "access";

/// The bytes that wait at most, and how many of them the access log leaves to other lines.
const ROOM: usize = 4 << 20;
const RESERVE: usize = 64 << 10;

/// What is written without waiting for more.
const BATCH: usize = 64 << 10;

/// What is written in one call, so that a flush can tell a slow output from one that is stuck.
const PIECE: usize = 64 << 10;

/// How long a line waits for others.
const BREATH: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::mem::replace;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// An output that tells each write, and waits to be allowed it.
    struct Gate {
        written: Sender<Vec<u8>>,
        allowed: Arc<Mutex<Receiver<io::Result<()>>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Whoever has dropped the other end has seen enough.
            self.written.send(bytes.to_vec()).ok();
            self.allowed.lock().unwrap().recv().unwrap_or(Ok(()))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Lines, Receiver<Vec<u8>>, Sender<io::Result<()>>) {
        let ((written, seen), (allow, allowed)) = (channel(), channel());
        let allowed = Arc::new(Mutex::new(allowed));
        let written = Mutex::new(written);
        let lines = Lines::to(move || {
            let written = written.lock().unwrap().clone();
            Ok(Box::new(Gate { written, allowed: allowed.clone() }))
        });
        (lines, seen, allow)
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_comes_while_a_batch_is_written_is_the_next_one_in_one_write() {
        let (lines, seen, allow) = gated();
        lines.push(b"first\n", ROOM);
        assert_eq!(seen.recv().unwrap(), b"first\n");

        for line in ["second\n", "third\n", "fourth\n"] {
            lines.push(line.as_bytes(), ROOM);
        }
        allow.send(Ok(())).unwrap();

        assert_eq!(seen.recv().unwrap(), b"second\nthird\nfourth\n");
    }

    #[test]
    fn an_output_that_takes_nothing_stops_nobody_and_what_it_missed_is_counted() {
        let (lines, seen, _allow) = gated();
        let line = [&[b'a'; 1023][..], b"\n"].concat();
        lines.push(&line, ROOM);
        seen.recv().unwrap();

        for _ in 0..ROOM / line.len() + 5 {
            lines.push(&line, ROOM);
        }
        lines.flush(Duration::from_millis(1));

        assert_eq!(lines.dropped(), 5);
        assert_eq!(lines.state().waiting.len(), ROOM);
    }

    #[test]
    fn the_access_log_leaves_room_for_other_lines() {
        let (lines, seen, _allow) = gated();
        lines.push(b"first\n", ROOM);
        seen.recv().unwrap();
        lines.push(&vec![b'a'; ROOM - RESERVE], ROOM - RESERVE);

        lines.push(b"access\n", ROOM - RESERVE);
        lines.push(b"warning\n", ROOM);

        assert_eq!(lines.dropped(), 1);
        assert!(lines.state().waiting.ends_with(b"warning\n"));
    }

    #[test]
    fn a_flush_waits_for_what_an_output_takes_slowly() {
        let (lines, seen, allow) = gated();
        let text = vec![b'a'; 5 * PIECE];
        lines.push(&text, ROOM);

        let flushing = {
            let lines = lines.clone();
            thread::spawn(move || lines.flush(PATIENCE))
        };
        let mut written = 0;
        while written < text.len() {
            written += seen.recv().unwrap().len();
            assert!(!flushing.is_finished());
            allow.send(Ok(())).unwrap();
        }
        flushing.join().unwrap();

        assert!(!lines.state().is_pending());
    }

    #[test]
    fn an_output_that_fails_loses_its_lines_and_is_tried_again() {
        let (lines, seen, allow) = gated();
        allow.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        lines.push(b"lost\nlost, too\n", ROOM);
        seen.recv().unwrap();
        lines.flush(PATIENCE);
        assert_eq!(lines.dropped(), 2);

        allow.send(Ok(())).unwrap();
        lines.push(b"written\n", ROOM);
        lines.flush(PATIENCE);

        assert_eq!((seen.recv().unwrap(), lines.dropped()), (b"written\n".to_vec(), 2));
    }

    #[test]
    fn a_writer_that_panics_is_followed_by_another() {
        let (written, seen) = channel();
        let written = Mutex::new((written, false));
        let lines = Lines::to(move || {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(replace(&mut written.1, true), "the first time");
            let (_, never) = channel();
            let allowed = Arc::new(Mutex::new(never));
            Ok(Box::new(Gate { written: written.0.clone(), allowed }))
        });
        lines.push(b"lost\n", ROOM);
        lines.flush(PATIENCE);
        assert_eq!(lines.dropped(), 1);

        lines.push(b"written\n", ROOM);
        lines.flush(PATIENCE);

        assert_eq!((seen.recv().unwrap(), lines.dropped()), (b"written\n".to_vec(), 1));
    }
}
