//! The header in which a gRPC client says how long it waits, and the next hop is told how much of that is left.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the client waits for the whole of its call; none, if it does not say so as gRPC has it: up to eight digits and a
/// unit.
pub(crate) fn said(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(GRPC_TIMEOUT)?.as_bytes().split_last()?;
    let valid = (1..=DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let digits = digits.iter().filter(|_| valid);
    let number = digits.map(|digit| u64::from(digit - b'0')).reduce(|all, one| all * 10 + one)?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// How long an attempt has, for headers which say that in milliseconds: never less than one, which may mean for ever.
pub(crate) fn millis(left: Duration) -> HeaderValue {
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1).into()
}

/// The time as the header has it: never longer, and shorter by no more than eight digits make it.
pub(crate) fn text(time: Duration) -> HeaderValue {
    let seconds = u128::from(time.as_secs());
    let all = [
        (time.as_nanos(), 'n'),
        (time.as_micros(), 'u'),
        (time.as_millis(), 'm'),
        (seconds, 'S'),
        (seconds / 60, 'M'),
        (seconds / 3600, 'H'),
    ];
    // The finest that fits, and of those that say the same the shortest.
    let mut fitting = all.into_iter().skip_while(|(number, _)| *number > MOST).peekable();
    while let Some((number, unit)) = fitting.next() {
        let coarser = fitting.peek().filter(|(coarser, _)| coarser * 1000 == number);
        if unit == 'S' || coarser.is_none() {
            return value(number, unit);
        }
    }
    value(MOST, 'H')
}

fn value(number: u128, unit: char) -> HeaderValue {
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("0n"))
}

const DIGITS: usize = 8;
const MOST: u128 = 99_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Option<Duration> {
        let value = HeaderValue::from_bytes(value).unwrap();
        said(&HeaderMap::from_iter([(GRPC_TIMEOUT, value)]))
    }

    #[test]
    fn each_unit_is_what_grpc_says_it_is() {
        for (value, time) in [
            ("2H", Duration::from_secs(7200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("2m", Duration::from_millis(2)),
            ("2u", Duration::from_micros(2)),
            ("2n", Duration::from_nanos(2)),
            ("0n", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(read(value.as_bytes()), Some(time), "{value}");
        }
    }

    #[test]
    fn what_grpc_does_not_have_says_nothing() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "1h",
            "-1S",
            "+1S",
            "1.5S",
            " 1S",
            "1 S",
            "1S ",
            "100000000n",
            "1SS",
        ] {
            assert_eq!(read(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(read("²S".as_bytes()), None);
        assert_eq!(said(&HeaderMap::new()), None);
    }

    #[test]
    fn a_time_is_told_in_the_shortest_way_that_is_exact() {
        for (time, value) in [
            (Duration::from_millis(500), "500m"),
            (Duration::from_secs(20), "20S"),
            (Duration::from_secs(3600), "3600S"),
            (Duration::from_nanos(1_500), "1500n"),
            (Duration::from_nanos(123_456_789), "123456u"),
            (Duration::ZERO, "0S"),
            (Duration::from_secs(100_000_000 * 60), "1666666H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(text(time), value, "{time:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_never_more_and_hardly_less(
            nanos in prop_oneof![any::<u32>().prop_map(u64::from), any::<u64>()],
        ) {
            let time = Duration::from_nanos(nanos);

            let told = read(text(time).as_bytes()).unwrap();

            prop_assert!(told <= time, "{told:?} of {time:?}");
            prop_assert!(time - told <= time / 10_000 , "{told:?} of {time:?}");
        }

        #[test]
        fn any_header_is_a_time_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let value = HeaderValue::from_bytes(&bytes);
            if let Ok(value) = value {
                let read = said(&HeaderMap::from_iter([(GRPC_TIMEOUT, value)]));
                let text = std::str::from_utf8(&bytes).unwrap_or("-");
                let number = text.get(..text.len().saturating_sub(1)).unwrap_or("-");
                let grpc = text.ends_with(['H', 'M', 'S', 'm', 'u', 'n'])
                    && number.len() <= 8
                    && !number.starts_with('+')
                    && number.parse::<u32>().is_ok();
                prop_assert_eq!(read.is_some(), grpc);
            }
        }

        #[test]
        fn a_time_in_hours_minutes_or_less_is_read_as_it_is_written(
            number in 0_u32..=99_999_999, unit in prop::sample::select(&[
                ('H', 3_600_000_000_000_u128), ('M', 60_000_000_000), ('S', 1_000_000_000),
                ('m', 1_000_000), ('u', 1_000), ('n', 1),
            ][..]),
        ) {
            let (name, nanos) = unit;
            let read = read(format!("{number}{name}").as_bytes());
            prop_assert_eq!(read.map(|time| time.as_nanos()), Some(u128::from(number) * nanos));
        }
    }
}
