//! The trace id of a `traceparent` header: W3C Trace Context level 2, §3.2.

use http::HeaderMap;

use crate::RequestId;

/// The trace id, if there is one line, and it makes sense.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<RequestId> {
    let mut lines = headers.get_all("traceparent").iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    let mut parts = line.to_str().ok()?.split('-');
    let [version, trace, parent, flags] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let well_formed = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Later versions may go on after the flags; this one may not, and `ff` is none.
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    let zero = |text: &str| text.bytes().all(|digit| digit == b'0');
    (well_formed && known && !zero(trace) && !zero(parent)).then(|| trace.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn of(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("traceparent", line.parse().unwrap());
        }
        trace_id(&headers).map(|id| id.to_string())
    }

    #[test]
    fn the_trace_id_of_what_makes_sense_is_found() {
        for line in [
            format!("00-{TRACE}-b7ad6b7169203331-01"),
            format!("01-{TRACE}-b7ad6b7169203331-01-more"),
            format!("cc-{TRACE}-b7ad6b7169203331-00"),
        ] {
            assert_eq!(of(&[&line]).as_deref(), Some(TRACE), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_has_none() {
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        for line in [
            "".to_owned(),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}0-b7ad6b7169203331-01"),
        ] {
            assert_eq!(of(&[&line]), None, "{line}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&good, &good]), None);
    }
}
