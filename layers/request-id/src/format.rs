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

impl Text {
    pub(crate) fn as_bytes(&self) -> &[u8] {
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
    let digits = hex(bits);
    let mut bytes = [b'-'; 36];
    let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
    for (place, digit) in places.zip(digits.as_bytes()) {
        if let Some(byte) = bytes.get_mut(place) {
            *byte = *digit;
        }
    }
    Text { bytes, length: 36 }
}

fn hex(bits: u128) -> Text {
    digits(bits, 4, 32, b"0123456789abcdef")
}

/// Base 32 without letters that are taken for others.
fn crockford(bits: u128) -> Text {
    digits(bits, 5, 26, b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
}

fn digits(mut bits: u128, bits_of_one: u32, length: usize, alphabet: &[u8]) -> Text {
    let mut bytes = [0; 36];
    for byte in bytes.iter_mut().take(length).rev() {
        let digit = usize::try_from(bits & ((1 << bits_of_one) - 1)).unwrap_or(0);
        *byte = alphabet.get(digit).copied().unwrap_or(b'0');
        bits >>= bits_of_one;
    }
    Text { bytes, length }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::{Uuid, Variant};

    use super::*;

    fn text(format: Format, millis: u64, chance: u128) -> String {
        String::from_utf8(format.text(millis, chance).as_bytes().to_vec()).unwrap()
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
