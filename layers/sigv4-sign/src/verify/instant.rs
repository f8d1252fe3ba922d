//! Times as clients write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http_date::{days, number};

/// Reads `20130524T000000Z`.
pub(super) fn basic(text: &[u8]) -> Option<SystemTime> {
    let [y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, min1, min2, s1, s2, b'Z'] = text else {
        return None;
    };
    let month = usize::try_from(number(&[*m1, *m2])?).ok()?.checked_sub(1)?;
    let days = days(number(&[*y1, *y2, *y3, *y4])?, month, number(&[*d1, *d2])?)?;
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*min1, *min2])?);
    let second = number(&[*s1, *s2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stamp::Stamp;

    fn seconds(time: Option<SystemTime>) -> Option<u64> {
        Some(time?.duration_since(UNIX_EPOCH).unwrap().as_secs())
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
    }

    proptest! {
        #[test]
        fn every_instant_is_read_as_it_is_written(second in 0_u64..253_402_300_800) {
            let stamp = Stamp::of(UNIX_EPOCH + Duration::from_secs(second)).unwrap();

            prop_assert_eq!(seconds(basic(stamp.as_bytes())), Some(second));
        }
    }
}
