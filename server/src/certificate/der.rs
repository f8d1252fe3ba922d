/// What stands in a DER value, one after the other (ITU-T X.690).
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(&'a [u8]);

/// One value with its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) bytes: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value, if it is whole. None has a tag of several bytes in certificates.
    pub(super) fn any(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0, |all, digit| all << 8 | u32::from(*digit));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Value { tag, bytes })
    }

    /// What is in the next value, which must have this tag.
    pub(super) fn next(&mut self, tag: u8) -> Option<Self> {
        let value = self.any()?;
        (value.tag == tag).then(|| value.inside())
    }

    /// Passes over the next value, if it has this tag.
    pub(super) fn skip_if(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            // One that is not whole is found by whoever reads on.
            let _ = self.any();
        }
    }
}

impl<'a> Value<'a> {
    /// The values in this value.
    pub(super) const fn inside(&self) -> Der<'a> {
        Der(self.bytes)
    }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const TELETEX_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
