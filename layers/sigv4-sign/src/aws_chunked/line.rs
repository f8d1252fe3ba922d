use bytes::{Buf, Bytes};

/// A line that may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<u8>);

/// A line is longer than it may be.
pub(super) struct TooLong;

impl Line {
    /// Moves bytes of `input` here up to a line feed, which is dropped; false if there is none yet.
    pub(super) fn read(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, TooLong> {
        let room = limit.saturating_sub(self.0.len());
        let end = input.iter().take(room + 1).position(|byte| *byte == b'\n');
        let piece = input.split_to(end.unwrap_or_else(|| input.len().min(room + 1)));
        self.0.extend_from_slice(&piece);
        if self.0.len() > limit {
            return Err(TooLong);
        }
        if end.is_some() {
            input.advance(1);
        }
        Ok(end.is_some())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Makes room for the next line.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces_and_ends_at_its_feed() {
        let mut line = Line::default();

        assert!(matches!(line.read(&mut Bytes::from("ab"), 4), Ok(false)));
        let mut input = Bytes::from("cd\nrest");
        assert!(matches!(line.read(&mut input, 4), Ok(true)));

        assert_eq!((line.as_bytes(), &input[..]), (&b"abcd"[..], &b"rest"[..]));
    }

    #[test]
    fn no_line_grows_beyond_its_limit() {
        let mut line = Line::default();
        assert!(line.read(&mut Bytes::from("abcde\n"), 4).is_err());

        let mut line = Line::default();
        assert!(matches!(line.read(&mut Bytes::from("abcd"), 4), Ok(false)));
        assert!(line.read(&mut Bytes::from(vec![b'x'; 1 << 20]), 4).is_err());
        assert_eq!(line.0.len(), 5);
    }
}
