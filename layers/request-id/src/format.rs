//! Ids of many forms, of the time and of chance.

/// The form of an id that is made here.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Format {
    /// A UUID of version 7 (RFC 9562 §5.7): the time in milliseconds, and 74 bits of chance. It sorts by time, and tells it.
    #[default]
    UuidV7,
    /// A UUID of version 4 (RFC 9562 §5.4): 122 bits of chance.
    UuidV4,
    /// A ULID: the time in milliseconds, and 80 bits of chance, in 26 letters and digits. It sorts by time, and tells it.
    Ulid,
    /// 128 bits of chance as 32 hexadecimal digits, as a W3C trace id has them.
    Hex,
}

/// An id's text; no longer than that of a UUID.
pub(crate) struct Text {
    bytes: [u8; 36],
    length: usize,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

impl Format {
    /// At so many milliseconds since 1970, by this chance.
    pub(crate) fn text(self, millis: u64, chance: u128) -> Text {
        let timed = u128::from(millis) << 80 | chance & (u128::MAX >> 48);
        match self {
            Self::UuidV7 => uuid(timed, 7),
            Self::UuidV4 => uuid(chance, 4),
            Self::Ulid => crockford(timed),
            // All zeros is no trace id.
            Self::Hex => hex(chance.max(1)),
        }
    }
}

/// With the version and the variant in the place of what is there.
fn uuid(bits: u128, version: u128) -> Text {
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | version << 76 | 0b10 << 62;
    let (high, low) = (digits(bits >> 64), digits(bits));
    let mut bytes = [b'-'; 36];
    bytes[..8].copy_from_slice(&high[..8]);
    bytes[9..13].copy_from_slice(&high[8..12]);
    bytes[14..18].copy_from_slice(&high[12..]);
    bytes[19..23].copy_from_slice(&low[..4]);
    bytes[24..].copy_from_slice(&low[4..]);
    Text { bytes, length: 36 }
}

fn hex(bits: u128) -> Text {
    let mut bytes = [0; 36];
    bytes[..16].copy_from_slice(&digits(bits >> 64));
    bytes[16..32].copy_from_slice(&digits(bits));
    Text { bytes, length: 32 }
}

/// The hexadecimal digits of the lower half, all at once.
fn digits(bits: u128) -> [u8; 16] {
    const EACH: u128 = u128::MAX / 0xff;
    let bits = bits & 0xffff_ffff_ffff_ffff;
    let fours = (bits | bits << 32) & 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff;
    let twos = (fours | fours << 16) & 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff;
    let bytes = (twos | twos << 8) & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f;
    // Above nine, six more reach the next bit; letters are that much further on than digits.
    let letters = (nibbles + EACH * 6) >> 4 & EACH;
    (nibbles + EACH * u128::from(b'0') + letters * u128::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// Base 32 without letters that are taken for others.
fn crockford(mut bits: u128) -> Text {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0; 36];
    for byte in bytes.iter_mut().take(26).rev() {
        let digit = usize::try_from(bits & 0x1f).unwrap_or(0);
        *byte = ALPHABET.get(digit).copied().unwrap_or(b'0');
        bits >>= 5;
    }
    Text { bytes, length: 26 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::{Uuid, Variant};

    use super::*;

    fn text(format: Format, millis: u64, chance: u128) -> String {
        String::from_utf8(format.text(millis, chance).as_ref().to_vec()).unwrap()
    }

    const LATEST: u64 = (1 << 48) - 1;

    proptest! {
        #[test]
        fn uuids_are_what_a_parser_of_uuids_says_they_are(millis in 0..=LATEST, chance: u128) {
            for (format, version) in [(Format::UuidV7, 7), (Format::UuidV4, 4)] {
                let text = text(format, millis, chance);
                let uuid = Uuid::parse_str(&text).unwrap();

                prop_assert_eq!(uuid.hyphenated().to_string(), text);
                prop_assert_eq!(uuid.get_version_num(), version);
                prop_assert_eq!(uuid.get_variant(), Variant::RFC4122);
            }
            let v7 = Uuid::parse_str(&text(Format::UuidV7, millis, chance)).unwrap();
            let (seconds, nanos) = v7.get_timestamp().unwrap().to_unix();
            prop_assert_eq!(seconds * 1000 + u64::from(nanos) / 1_000_000, millis);
        }

        #[test]
        fn later_ids_sort_after_earlier_ones(
            millis in 0..LATEST, later in 1..1000_u64, chance: u128, other: u128,
        ) {
            let later = (millis + later).min(LATEST);
            for format in [Format::UuidV7, Format::Ulid] {
                prop_assert!(text(format, millis, chance) < text(format, later, other));
            }
        }

        #[test]
        fn different_chance_makes_different_ids(millis in 0..=LATEST, chance: u64, other: u64) {
            prop_assume!(chance != other);
            // What a UUID fixes is left out: bits of the lower half of what there is.
            let spread = |chance: u64| u128::from(chance) & 0x3fff_ffff_ffff_ffff;
            prop_assume!(spread(chance).max(1) != spread(other).max(1));
            for format in [Format::UuidV7, Format::UuidV4, Format::Ulid, Format::Hex] {
                prop_assert_ne!(text(format, millis, spread(chance)), text(format, millis, spread(other)));
            }
        }
    }

    #[test]
    fn a_ulid_is_written_as_its_specification_has_it() {
        // The time of the example `01ARZ3NDEKTSV4RRFFQ69G5FAV`.
        assert_eq!(text(Format::Ulid, 1_469_922_850_259, 0), "01ARZ3NDEK0000000000000000");
        assert_eq!(text(Format::Ulid, LATEST, u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn hex_is_a_trace_id() {
        assert_eq!(text(Format::Hex, 0, 0), "00000000000000000000000000000001");
        assert_eq!(text(Format::Hex, 0, u128::MAX), "f".repeat(32));
    }
}
