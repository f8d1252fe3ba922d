use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use crate::meters::Gauge;

/// What has been read of a request body, as far as it is kept.
pub(crate) struct Kept {
    cap: usize,
    /// The first bytes of the body.
    buffer: Vec<u8>,
    /// How many bytes have been read off the client.
    total: usize,
    /// The last frame, until somebody takes it.
    fresh: Option<Bytes>,
    trailers: Option<HeaderMap>,
    gauge: Gauge,
}

/// What a reader finds at its place.
pub(crate) enum Next {
    Data(Bytes),
    /// It was read by another, and not kept.
    Lost,
    /// All that has been read so far was here before.
    NotYet,
}

impl Kept {
    pub(crate) const fn new(cap: usize, gauge: Gauge) -> Self {
        Self { cap, buffer: Vec::new(), total: 0, fresh: None, trailers: None, gauge }
    }

    /// Whether a reader that begins now will see every byte.
    pub(crate) fn is_whole(&self) -> bool {
        self.buffer.len() >= self.before_fresh()
    }

    /// Whether a reader that has read this much has nothing before it, trailers included.
    pub(crate) const fn is_all_read(&self, read: usize) -> bool {
        read == self.total && self.trailers.is_none()
    }

    pub(crate) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Adds a frame that was read off the client by somebody who had read all before.
    pub(crate) fn arrived(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                // Counted before it is copied. Copied, since a frame of one byte may share a buffer of many.
                if self.buffer.len() == self.total
                    && data.len() <= self.cap.saturating_sub(self.total)
                {
                    self.buffer.extend_from_slice(&data);
                    self.gauge.add(data.len());
                }
                self.total = self.total.saturating_add(data.len());
                self.fresh = Some(data);
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
    }

    /// What comes after the first `read` bytes.
    ///
    /// When the reader is `alone`, it takes what no one will ask for again.
    pub(crate) fn next(&mut self, read: usize, alone: bool) -> Next {
        let next = if self.fresh.is_some() && read == self.before_fresh() {
            self.fresh.take().map_or(Next::NotYet, Next::Data)
        } else {
            match self.buffer.get(read..) {
                Some(kept) if !kept.is_empty() => Next::Data(Bytes::copy_from_slice(kept)),
                _ if read < self.total => Next::Lost,
                _ => Next::NotYet,
            }
        };
        if alone && read >= self.buffer.len() && (self.cap == 0 || !self.is_whole()) {
            self.let_go();
        }
        next
    }

    /// Keeps nothing that comes from now on: no reader will begin again.
    pub(crate) const fn close(&mut self) {
        self.cap = 0;
    }

    #[cfg(test)]
    pub(crate) const fn held(&self) -> usize {
        self.buffer.len()
    }

    fn before_fresh(&self) -> usize {
        self.total.saturating_sub(self.fresh.as_ref().map_or(0, Bytes::len))
    }

    fn let_go(&mut self) {
        self.gauge.sub(self.buffer.len());
        self.buffer = Vec::new();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.let_go();
    }
}
