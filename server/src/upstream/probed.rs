use std::sync::atomic::{AtomicU8, Ordering};

/// What the last probe of a replica found, if there was one. A probe opens a TCP connection and closes it.
#[derive(Debug, Default)]
pub struct Probed(AtomicU8);

const DOWN: u8 = 1;
const UP: u8 = 2;

impl Probed {
    /// Whether it takes connections, if that is known.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            UP => Some(true),
            DOWN => Some(false),
            _ => None,
        }
    }

    /// Keeps what a probe found; whether that is news.
    pub fn found(&self, up: bool) -> bool {
        let now = if up { UP } else { DOWN };
        self.0.swap(now, Ordering::Relaxed) != now
    }
}
