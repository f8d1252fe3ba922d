//! The `Date` of a response (RFC 9110 §5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The instant that `text` names in the form that senders have to use: `Sun, 06 Nov 1994 08:49:37 GMT`. The obsolete
/// forms are not read, nor is the day of the week.
pub(crate) fn parse(text: &[u8]) -> Option<SystemTime> {
    let [_, _, _, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', rest @ ..] = text else {
        return None;
    };
    let [y1, y2, y3, y4, b' ', h1, h2, b':', min1, min2, b':', s1, s2, b' ', b'G', b'M', b'T'] =
        rest
    else {
        return None;
    };
    let month = MONTHS.iter().position(|month| *month == [*m1, *m2, *m3])?;
    let days = days(number(&[*y1, *y2, *y3, *y4])?, month, number(&[*d1, *d2])?)?;
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*min1, *min2])?);
    let second = number(&[*s1, *s2])?;
    // A leap second is the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Days after 1 January 1970 of a day in the Gregorian calendar; the month counts from zero.
pub(crate) fn days(year: u64, month: usize, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if year < 1970 || day == 0 || lengths.get(month).is_none_or(|length| day > *length) {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477; // of the years before 1970
    let in_year: u64 = lengths.iter().take(month).sum();
    Some((year - 1970) * 365 + leap_days + in_year + day - 1)
}

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stamp::Stamp;

    #[test]
    fn the_example_of_the_standard_is_read() {
        let date = parse(b"Sun, 06 Nov 1994 08:49:37 GMT");

        assert_eq!(date, Some(UNIX_EPOCH + Duration::from_secs(784_111_777)));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_is_read_as_it_is_written(seconds in 0..253_402_300_800_u64) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let stamp = Stamp::of(time).unwrap();
            let part = |range| std::str::from_utf8(&stamp.as_bytes()[range]).unwrap();
            let month = MONTHS[part(4..6).parse::<usize>().unwrap() - 1];
            let month = std::str::from_utf8(&month).unwrap();
            let (year, day) = (part(0..4), part(6..8));
            let (hour, minute, second) = (part(9..11), part(11..13), part(13..15));

            let text = format!("Xxx, {day} {month} {year} {hour}:{minute}:{second} GMT");
            prop_assert_eq!(parse(text.as_bytes()), Some(time));
        }
    }
}
