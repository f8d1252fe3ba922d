use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{SpanId, TraceId};

/// Where a request is in a trace, as `traceparent` has it (W3C Trace Context, §3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]

pub(crate) struct Context {
    /// The trace.
    pub(crate) trace: TraceId,
    /// The span that the request belongs to.
    pub(crate) span: SpanId,
    /// The flags that mean something: [`SAMPLED`](Self::SAMPLED) and [`RANDOM`](Self::RANDOM).
    pub(crate) flags: u8,
}

impl Context {
    /// The flag of a trace that is recorded.
    pub(crate) const SAMPLED: u8 = 1;

    /// The flag of a trace whose id was made by chance (level 2, §3.2.2.5).
    pub(crate) const RANDOM: u8 = 2;

    /// What the headers say, if there is one line, and it makes sense.
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let line = lines.next().filter(|_| lines.next().is_none())?;
        Self::parse(line.as_bytes())
    }

    /// Reads the value of a `traceparent`.
    #[must_use]
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (known, more) = line.split_at_checked(LENGTH)?;
        let mut fields = known.split(|byte| *byte == b'-');
        let [version] = digits(fields.next()?)?;
        let (trace, span) = (digits(fields.next()?)?, digits(fields.next()?)?);
        let [flags] = digits(fields.next()?)?;
        // Later versions may go on after the flags; this one may not, and `ff` is none.
        let ends = match version {
            0x00 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let flags = flags & (Self::SAMPLED | Self::RANDOM);
        ends.then_some(Self { trace: TraceId::new(trace)?, span: SpanId::new(span)?, flags })
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub(crate) const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The value of a `traceparent`.
    #[must_use]
    pub(crate) fn header(&self) -> HeaderValue {
        let mut line = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let bytes = self.trace.bytes().iter().chain(self.span.bytes()).chain([&self.flags]);
        let digits = bytes.flat_map(|byte| [byte >> 4, byte & 0xf]);
        // The version stays, and so do the dashes.
        let places = line.iter_mut().skip(3).filter(|place| **place != b'-');
        for (place, digit) in places.zip(digits) {
            *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        // Digits and dashes are fit for a header.
        HeaderValue::from_bytes(&line).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// Exactly so many bytes, in lower case digits.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    let mut bytes = [0; N];
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Of all that version 00 knows.
const LENGTH: usize = 55;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_makes_no_sense_begins_no_trace() {
        for line in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-bb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            " 0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Context::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_later_version_may_say_more_and_is_answered_in_this_one() {
        let later = LINE.replacen("00", "cc", 1) + "-more";

        assert_eq!(Context::parse(later.as_bytes()).unwrap().header(), LINE);
    }

    #[test]
    fn two_lines_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(LINE));
        assert!(Context::of(&headers).is_some());

        headers.append(TRACEPARENT, HeaderValue::from_static(LINE));
        assert_eq!(Context::of(&headers), None);
    }

    #[test]
    fn flags_that_mean_nothing_are_taken_off() {
        let all = LINE.replace("-01", "-ff");

        assert_eq!(Context::parse(all.as_bytes()).unwrap().header(), LINE.replace("-01", "-03"));
    }

    /// As the grammar of the standard has it, by other means.
    fn is_valid(line: &str) -> bool {
        let form = "^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?)$";
        let fits = regex::Regex::new(form).unwrap().is_match(line);
        let is_00 = line.starts_with("00");
        let is_zero = |digits: &str| digits.bytes().all(|digit| digit == b'0');
        let has_ids = !line.split('-').skip(1).take(2).any(is_zero);
        fits && has_ids && !line.starts_with("ff") && !(is_00 && line.len() != 55)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in 0..4_u8) {
            let trace = TraceId::new(trace.to_be_bytes()).unwrap();
            let span = SpanId::new(span.to_be_bytes()).unwrap();
            let context = Context { trace, span, flags };

            let header = context.header();

            prop_assert_eq!(Context::parse(header.as_bytes()), Some(context));
            prop_assert_eq!(header, format!("00-{trace}-{span}-{flags:02x}"));
        }

        #[test]
        fn what_fits_the_grammar_is_taken_and_nothing_else(
            line in "(00|[0-9a-f]{2}|[0-9a-g]{1,3})-(0{32}|[0-9a-f]{32}|[0-9A-F]{31,33})-(0{16}|[0-9a-f]{16}|[0-9a-f]{15,17})-(0[01]|[0-9a-fx]{1,3})(-[a-z-]{0,3}|[a-z]?)"
        ) {
            prop_assert_eq!(Context::parse(line.as_bytes()).is_some(), is_valid(&line), "{}", line);
        }

        #[test]
        fn no_bytes_are_too_strange(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(context) = Context::parse(&line) {
                prop_assert!(line.len() >= context.header().len());
            }
        }
    }
}
