use super::der::{GENERALIZED_TIME, UTC_TIME, Value};

/// A time as certificates have it (RFC 5280 §4.1.2.5), in seconds since 1970.
pub(super) fn seconds(time: &Value<'_>) -> Option<i64> {
    let digits = time.bytes.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut pairs = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')));
    let mut pair = || pairs.next();
    let year = match time.tag {
        UTC_TIME if digits.len() == 12 => {
            let year = pair()?;
            if year < 50 { 2000 + year } else { 1900 + year }
        }
        GENERALIZED_TIME if digits.len() == 14 => pair()? * 100 + pair()?,
        _ => return None,
    };
    let (month, day, hour, minute, second) = (pair()?, pair()?, pair()?, pair()?, pair()?);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days since 1970 in the calendar of today. Years begin in March, so that a leap day is the last of one.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Option<i64> {
        seconds(&Value { tag, bytes: text.as_bytes() })
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, expected) in [
            ("19700101000000Z", 0),
            ("19691231235959Z", -1),
            ("20000229000000Z", 951_782_400),
            ("20240229123456Z", 1_709_210_096),
            ("21000301000000Z", 4_107_542_400),
            ("99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(read(GENERALIZED_TIME, text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_one_between_1950_and_2049() {
        assert_eq!(read(UTC_TIME, "491231235959Z"), read(GENERALIZED_TIME, "20491231235959Z"));
        assert_eq!(read(UTC_TIME, "500101000000Z"), read(GENERALIZED_TIME, "19500101000000Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "Z", "20240229123456", "2024022912345Z", "20241329123456Z", "2024-2-9123456Z"]
        {
            assert_eq!(read(GENERALIZED_TIME, text), None, "{text}");
        }
        assert_eq!(read(UTC_TIME, "20240229123456Z"), None);
    }
}
