use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum that S3 checks a body by and keeps with the object.
///
/// Read from a configuration file as `"crc32"`, `"crc32c"`, `"crc64nvme"`, `"sha1"` or `"sha256"`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32, which every S3 server with checksums knows.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, by which S3 itself keeps an object that came without a checksum.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Checksum {
    /// The header, or trailer, in which it is sent.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The length of its value in text.
    pub(crate) const fn text_length(self) -> u64 {
        let bytes = match self {
            Self::Crc32 | Self::Crc32c => 4_u64,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        };
        bytes.div_ceil(3) * 4
    }
}

/// A checksum on the way over a body.
#[derive(Clone, Debug)]
pub(crate) enum Summing {
    Crc32(crc_fast::Digest),
    Crc64(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Summing {
    pub(crate) fn new(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Crc32 => Self::Crc32(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            Checksum::Crc32c => Self::Crc32(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            Checksum::Crc64Nvme => Self::Crc64(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            Checksum::Sha1 => Self::Sha1(Sha1::new()),
            Checksum::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc32(crc) | Self::Crc64(crc) => crc.update(data),
            Self::Sha1(hash) => hash.update(data),
            Self::Sha256(hash) => hash.update(data),
        }
    }

    /// The value of its header: in Base64, the high byte of a CRC first.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Crc32(crc) => {
                let [_, _, _, _, value @ ..] = crc.finalize().to_be_bytes();
                base64(&value)
            }
            Self::Crc64(crc) => base64(&crc.finalize().to_be_bytes()),
            Self::Sha1(hash) => base64(&hash.finalize()),
            Self::Sha256(hash) => base64(&hash.finalize()),
        }
    }
}

/// Base64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    let digit = |bits: u32| match (bits & 63).to_le_bytes()[0] {
        value @ 0..26 => b'A' + value,
        value @ 26..52 => b'a' + (value - 26),
        value @ 52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index| group.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if index > group.len() { '=' } else { digit(bits >> shift).into() });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Checksum; 5] =
        [Checksum::Crc32, Checksum::Crc32c, Checksum::Crc64Nvme, Checksum::Sha1, Checksum::Sha256];

    /// `123456789`, by which catalogues show an algorithm, and the same in two pieces.
    #[test]
    fn each_has_its_known_value() {
        let known = [
            "y/Q5Jg==",     // cbf43926
            "4waSgw==",     // e3069283
            "rosUhgp5mIg=", // ae8b14860a799888
            "98O8HYCOBHMq32eZZczDTKeuNEE=",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ];
        for (checksum, expected) in ALL.into_iter().zip(known) {
            let mut whole = Summing::new(checksum);
            whole.update(b"123456789");
            assert_eq!(whole.text(), expected, "{checksum:?}");

            let mut pieces = Summing::new(checksum);
            for piece in [&b"1234"[..], b"", b"56789"] {
                pieces.update(piece);
            }
            assert_eq!(pieces.text(), expected, "{checksum:?}");
        }
    }

    #[test]
    fn name_and_length_of_a_value_are_known_before_it_is() {
        for checksum in ALL {
            assert!(checksum.header().starts_with("x-amz-checksum-"));
            let text = Summing::new(checksum).text();
            assert_eq!(u64::try_from(text.len()), Ok(checksum.text_length()), "{checksum:?}");
        }
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, text) in known {
            assert_eq!(base64(plain.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xef, 0xff]), "++//");
    }
}
