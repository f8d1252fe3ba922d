//! As much of DER (X.690 §8, §10.1) as an RSA key needs.

/// The two numbers of an `RSAPublicKey` (RFC 8017 §A.1.1), which may be within a `SubjectPublicKeyInfo` (RFC 3279 §2.3.1).
pub(crate) fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let contents = only(SEQUENCE, der)?;
    let numbers = match contents.strip_prefix(RSA_ENCRYPTION) {
        // A bit string begins with how many bits its last byte has to spare.
        Some(key) => only(SEQUENCE, only(BIT_STRING, key)?.strip_prefix(&[0])?)?,
        None => contents,
    };
    let (modulus, rest) = element(INTEGER, numbers)?;
    let exponent = only(INTEGER, rest)?;
    let positive = |number: &[u8]| number.first().is_some_and(|first| *first < 0x80);
    (positive(modulus) && positive(exponent)).then_some((modulus, exponent))
}

/// The contents of an element with nothing behind it.
fn only(tag: u8, der: &[u8]) -> Option<&[u8]> {
    element(tag, der).filter(|(_, rest)| rest.is_empty()).map(|(contents, _)| contents)
}

/// The contents of the first element, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.strip_prefix(&[tag])? {
        // The shortest form of a length is the only one.
        [length @ 0..=0x7f, rest @ ..] | [0x81, length @ 0x80..=0xff, rest @ ..] => {
            (usize::from(*length), rest)
        }
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(tag: u8, contents: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
        let head = match (high, low) {
            (0, 0..0x80) => vec![tag, low],
            (0, _) => vec![tag, 0x81, low],
            _ => vec![tag, 0x82, high, low],
        };
        [&head, contents].concat()
    }

    fn key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let numbers = [written(INTEGER, modulus), written(INTEGER, exponent)].concat();
        written(SEQUENCE, &numbers)
    }

    fn info(key: &[u8]) -> Vec<u8> {
        let bits = written(BIT_STRING, &[&[0], key].concat());
        written(SEQUENCE, &[RSA_ENCRYPTION, &bits].concat())
    }

    #[test]
    fn what_is_not_quite_a_key_is_none() {
        let good = key(&[1; 200], &[3]);
        assert!(rsa_numbers(&good).is_some());
        for bad in [
            vec![],
            vec![SEQUENCE],
            vec![SEQUENCE, 0x80, 0, 0],
            vec![SEQUENCE, 0x81, 6, INTEGER, 1, 1, INTEGER, 1, 1], // not the shortest form
            vec![SEQUENCE, 0x82, 0, 6, INTEGER, 1, 1, INTEGER, 1, 1],
            vec![SEQUENCE, 0x83, 0, 0, 6, INTEGER, 1, 1, INTEGER, 1, 1],
            vec![SEQUENCE, 7, INTEGER, 1, 1, INTEGER, 1, 1], // cut short
            vec![SEQUENCE, 3, INTEGER, 1, 1],
            key(&[0x80], &[3]), // negative
            key(&[1], &[0xff]),
            key(&[], &[3]),
            [good.clone(), vec![0]].concat(),
            info(&[]),
            info(&[good, vec![0]].concat()),
        ] {
            assert_eq!(rsa_numbers(&bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(
            modulus in prop::collection::vec(0..0x80_u8, 1..600),
            exponent in prop::collection::vec(0..0x80_u8, 1..5),
        ) {
            let key = key(&modulus, &exponent);
            prop_assert_eq!(rsa_numbers(&key), Some((&modulus[..], &exponent[..])));
            let info = info(&key);
            prop_assert_eq!(rsa_numbers(&info), Some((&modulus[..], &exponent[..])));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(SEQUENCE), Just(INTEGER), Just(0x82), any::<u8>()], 0..40)) {
            let _ = rsa_numbers(&bytes);
        }
    }
}
