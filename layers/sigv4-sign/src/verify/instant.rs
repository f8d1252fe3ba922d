//! Times as clients write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::stamp::Stamp;

/// Reads `20130524T000000Z`.
pub(super) fn basic(text: &[u8]) -> Option<SystemTime> {
    let [y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, min1, min2, s1, s2, b'Z'] = text else {
        return None;
    };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let [month, day] = [number(&[*m1, *m2])?, number(&[*d1, *d2])?];
    let time = [number(&[*h1, *h2])?, number(&[*min1, *min2])?, number(&[*s1, *s2])?];
    let time = at(year, month, day, time)?;
    // No day that is not in the calendar, and no second sixty, comes back as it was.
    (Stamp::of(time)?.as_bytes() == text).then_some(time)
}

/// Reads `Fri, 24 May 2013 00:00:00 GMT` (RFC 9110 §5.6.7), but for the day of the week.
pub(super) fn http_date(text: &[u8]) -> Option<SystemTime> {
    let mut words = text.split(|byte| *byte == b' ').skip(1);
    let day = words.next().filter(|day| day.len() == 2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| name.as_bytes() == month)?;
    let year = words.next().filter(|year| year.len() == 4)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = words.next()? else { return None };
    let time = [number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?];
    let (b"GMT", None) = (words.next()?, words.next()) else { return None };
    let month = u64::try_from(month).ok()? + 1;
    let (year, day) = (number(year)?, number(day)?);
    let is_valid = (1..=31).contains(&day) && matches!(time, [0..24, 0..60, 0..60]);
    is_valid.then(|| at(year, month, day, time)).flatten()
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// None before 1970, or if no month is so called.
fn at(year: u64, month: u64, day: u64, [hour, minute, second]: [u64; 3]) -> Option<SystemTime> {
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    // A year that begins in March has its leap day last. 719_468 days lie between 1 March 0000 and 1970.
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    let days = days.checked_sub(719_469)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(time: Option<SystemTime>) -> Option<u64> {
        Some(time?.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_date_of_http_is_read() {
        let known = [
            ("Fri, 24 May 2013 00:00:00 GMT", 1_369_353_600),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ];
        for (text, expected) in known {
            assert_eq!(seconds(http_date(text.as_bytes())), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "20130229T000000Z",
            "20130524T240000Z",
            "20130524T000060Z",
            "20131324T000000Z",
            "20130024T000000Z",
            "20130524 000000Z",
            "+0130524T000000Z",
            "19691231T235959Z",
            "20130524T000000Z0",
        ] {
            assert_eq!(basic(text.as_bytes()), None, "{text}");
        }
        for text in [
            "Fri, 24 May 2013 00:00:00",
            "Fri, 24 May 2013 00:00:00 UTC",
            "Fri, 24 May 2013 00:00:00 GMT 1",
            "Fri, 4 May 2013 00:00:00 GMT",
            "Fri, 24 may 2013 00:00:00 GMT",
            "Fri, 24 May 2013 24:00:00 GMT",
            "Fri, 99 May 2013 00:00:00 GMT",
            "Fri, 24 May 1969 00:00:00 GMT",
            "Friday, 24-May-13 00:00:00 GMT",
        ] {
            assert_eq!(http_date(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_is_read_as_it_is_written(second in 0_u64..253_402_300_800) {
            let stamp = Stamp::of(UNIX_EPOCH + Duration::from_secs(second)).unwrap();

            prop_assert_eq!(seconds(basic(stamp.as_bytes())), Some(second));
        }
    }
}
