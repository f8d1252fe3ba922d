use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::HeaderValue;

use crate::NotSigned;

/// An instant as a signature names it: `20130524T000000Z`, in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp([u8; 16]);

impl Stamp {
    /// None before 1970 and after 9999.
    pub(crate) fn of(time: SystemTime) -> Option<Self> {
        let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let (year, month, day) = date(seconds / 86_400)?;
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let mut text = [0; 16];
        write!(&mut text[..], "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
            .ok()?;
        Some(Self(text))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn to_header(self) -> Result<HeaderValue, NotSigned> {
        HeaderValue::from_bytes(&self.0).map_err(|_| NotSigned::NoTime)
    }

    /// The date alone: `20130524`.
    pub(crate) fn date(self) -> [u8; 8] {
        let [y1, y2, y3, y4, m1, m2, d1, d2, ..] = self.0;
        [y1, y2, y3, y4, m1, m2, d1, d2]
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1 January 1970; none after 9999.
fn date(days: u64) -> Option<(u64, u64, u64)> {
    const DAYS_TO_10000: u64 = 2_932_897;
    if days >= DAYS_TO_10000 {
        return None;
    }
    // A year that begins in March has its leap day last, and one that ends in `00` closes a century: so whole
    // centuries, then whole years, come out of divisions. 719_468 days lie between 1 March 0000 and 1970.
    let days = days + 719_468;
    let quarter_days = 4 * days + 3;
    let century = quarter_days / 146_097;
    let quarter_days = quarter_days % 146_097 / 4 * 4 + 3;
    let year_of_century = quarter_days / 1461;
    let day_of_year = quarter_days % 1461 / 4;
    let month = (5 * day_of_year + 2) / 153; // from March; five months are 153 days, over and over
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 100 * century + year_of_century + u64::from(month >= 10);
    Some((year, if month < 10 { month + 3 } else { month - 9 }, day))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stamp(seconds: u64) -> Option<String> {
        let stamp = Stamp::of(UNIX_EPOCH + Duration::from_secs(seconds))?;
        Some(String::from_utf8(stamp.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn an_instant_is_written_in_utc() {
        let known = [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
            (253_402_300_799, "99991231T235959Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(stamp(seconds).as_deref(), Some(text));
        }
    }

    #[test]
    fn there_is_no_stamp_outside_of_1970_to_9999() {
        assert_eq!(stamp(253_402_300_800), None);
        assert_eq!(Stamp::of(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for days in 0..2_932_897 {
            assert_eq!(date(days), Some(expected));
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == length => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
