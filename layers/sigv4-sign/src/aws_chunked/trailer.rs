use sha2::{Digest, Sha256};

use super::chunk::Signed;
use crate::Unverified;
use crate::checksum::{Checksum, Summing};

/// What follows the chunks: the checksum that was announced, and a signature if the chunks have one.
#[derive(Debug)]
pub(super) struct Trailer {
    announced: Option<Checksum>,
    sum: Option<Summing>, // taken when the checksum was checked
    is_signed: bool,      // and its signature is still to come
    lines: Sha256,
    blank: bool,
}

impl Trailer {
    pub(super) fn new(announced: Option<Checksum>, is_signed: bool) -> Self {
        let sum = announced.map(Summing::new);
        Self { announced, sum, is_signed, lines: Sha256::new(), blank: false }
    }

    /// Sums up what passes.
    pub(super) fn update(&mut self, data: &[u8]) {
        if let Some(sum) = &mut self.sum {
            sum.update(data);
        }
    }

    /// Takes a line without its feed; true if the trailer ends with it. Its signature is checked if the chunks' are.
    ///
    /// Some clients end the lines of a signed trailer with a bare line feed and have an empty one before the signature,
    /// as the reference of S3 prints it.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        signed: Option<&mut Signed>,
    ) -> Result<bool, Unverified> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            let is_before_signature = self.is_signed && !self.blank;
            self.blank = true;
            return if is_before_signature { Ok(false) } else { self.end().map(|()| true) };
        }
        let at = line.iter().position(|byte| *byte == b':').ok_or(Unverified::MalformedTrailer)?;
        let (name, value) = line.split_at_checked(at).ok_or(Unverified::MalformedTrailer)?;
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();

        if name.eq_ignore_ascii_case(b"x-amz-trailer-signature") {
            return self.signature(value, signed).map(|()| false);
        }
        let announced =
            self.announced.filter(|sum| name.eq_ignore_ascii_case(sum.header().as_bytes()));
        let (Some(announced), Some(sum)) = (announced, self.sum.take()) else {
            return Err(Unverified::MalformedTrailer);
        };
        for part in [announced.header().as_bytes(), b":", value, b"\n"] {
            self.lines.update(part);
        }
        if sum.text().as_bytes() == value { Ok(false) } else { Err(Unverified::WrongChecksum) }
    }

    fn signature(&mut self, value: &[u8], signed: Option<&mut Signed>) -> Result<(), Unverified> {
        if !std::mem::take(&mut self.is_signed) {
            return Err(Unverified::MalformedTrailer);
        }
        let lines = std::mem::take(&mut self.lines);
        signed.map_or(Ok(()), |signed| signed.check_trailer(lines, value))
    }

    /// Whether all is there that must be.
    fn end(&self) -> Result<(), Unverified> {
        if self.sum.is_some() || self.is_signed {
            return Err(Unverified::MalformedTrailer);
        }
        Ok(())
    }
}
