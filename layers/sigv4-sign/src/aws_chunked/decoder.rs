use bytes::Bytes;

use super::Announced;
use super::chunk::{self, Signed};
use super::line::Line;
use super::trailer::Trailer;
use crate::Unverified;

/// Takes an `aws-chunked` body apart.
///
/// It holds no more than a line, and a chunk if they are signed.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    line: Line,
    left: u64,
    signed: Option<Signed>,
    trailer: Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// In the line that has the size of a chunk.
    Size,
    /// In the data of a chunk, of which so much is to come.
    Data(u64),
    /// After the data of a chunk.
    DataEnd,
    /// After the last chunk.
    Trailer,
    /// After the end of the trailer.
    Done,
    /// After what may follow it.
    Closed,
}

impl Decoder {
    /// Decodes what was announced, and checks the signatures of chunks if it has what they are checked by.
    pub(crate) fn new(announced: Announced, signed: Option<Signed>) -> Self {
        Self {
            state: State::Size,
            line: Line::default(),
            left: announced.length,
            signed,
            trailer: Trailer::new(announced.checksum, announced.has_signed_trailer),
        }
    }

    /// How many decoded bytes are still to be returned.
    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    /// Takes bytes from `input`, and returns decoded ones; none when there is no more to be had from it.
    pub(crate) fn step(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Unverified> {
        while !input.is_empty() {
            self.state = match self.state {
                State::Size => self.size(input)?,
                State::Data(size) => {
                    let (data, state) = self.data(input, size)?;
                    self.state = state;
                    if let Some(data) = data {
                        self.left = self.left.saturating_sub(length(&data));
                        self.trailer.update(&data);
                        return Ok(Some(data));
                    }
                    state
                }
                State::DataEnd => {
                    let is_whole = self.read_line(input, 1, Unverified::MalformedChunk)?;
                    if is_whole && self.line.as_bytes() != b"\r" {
                        return Err(Unverified::MalformedChunk);
                    }
                    self.after(is_whole, State::Size)
                }
                State::Trailer => {
                    if !self.read_line(input, MAX_TRAILER, Unverified::MalformedTrailer)? {
                        return Ok(None);
                    }
                    let is_last = self.trailer.line(self.line.as_bytes(), self.signed.as_mut())?;
                    self.after(true, if is_last { State::Done } else { State::Trailer })
                }
                // Where lines of a trailer end in a bare line feed, one more line end follows.
                State::Done => {
                    let is_whole = self.read_line(input, 1, Unverified::MalformedTrailer)?;
                    if is_whole && !matches!(self.line.as_bytes(), b"" | b"\r") {
                        return Err(Unverified::MalformedTrailer);
                    }
                    self.after(is_whole, State::Closed)
                }
                State::Closed => return Err(Unverified::MalformedTrailer),
            };
        }
        Ok(None)
    }

    /// Whether the body may end here.
    pub(crate) fn end(&self) -> Result<(), Unverified> {
        let is_done = matches!(self.state, State::Done | State::Closed);
        if is_done && self.line.as_bytes().is_empty() {
            Ok(())
        } else {
            Err(Unverified::Incomplete)
        }
    }

    fn size(&mut self, input: &mut Bytes) -> Result<State, Unverified> {
        if !self.read_line(input, MAX_SIZE_LINE, Unverified::MalformedChunk)? {
            return Ok(State::Size);
        }
        let parsed = chunk::parse(self.line.as_bytes());
        let (size, extension) = parsed.ok_or(Unverified::MalformedChunk)?;
        if size > self.left || (size == 0 && self.left > 0) {
            return Err(Unverified::Incomplete);
        }
        if let Some(signed) = &mut self.signed {
            signed.begin(size, extension)?;
            if size == 0 {
                signed.end()?;
            }
        }
        Ok(self.after(true, if size == 0 { State::Trailer } else { State::Data(size) }))
    }

    /// Reads on in a chunk of which `size` bytes are to come.
    fn data(&mut self, input: &mut Bytes, size: u64) -> Result<(Option<Bytes>, State), Unverified> {
        let most = usize::try_from(size).unwrap_or(usize::MAX).min(input.len());
        let piece = input.split_to(most);
        let rest = size.saturating_sub(length(&piece));
        let state = if rest == 0 { State::DataEnd } else { State::Data(rest) };
        let Some(signed) = &mut self.signed else { return Ok((Some(piece), state)) };
        signed.push(piece, rest == 0);
        let chunk = if rest == 0 { Some(signed.end()?) } else { None };
        Ok((chunk, state))
    }

    fn read_line(
        &mut self,
        input: &mut Bytes,
        limit: usize,
        reason: Unverified,
    ) -> Result<bool, Unverified> {
        self.line.read(input, limit).map_err(|_| reason)
    }

    fn after(&mut self, is_whole: bool, next: State) -> State {
        if is_whole {
            self.line.clear();
            next
        } else {
            self.state
        }
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// A size of 16 digits and a signature take 98.
const MAX_SIZE_LINE: usize = 256;

/// A name and a SHA-256 take 66.
const MAX_TRAILER: usize = 256;
