use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Response, StatusCode, Version};

use super::connection::Connection;
use super::field::{Field, Fields};
use super::list::elements;
use super::upgrade::agrees;
use super::{Asked, HopByHop, Ignored, OnViolation, Removed, Violation};

/// What became of a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stripped {
    ignored: Ignored,
    removed: Removed,
    asked: Asked,
}

impl Stripped {
    /// The elements of `Connection` that had no effect.
    #[must_use]
    pub const fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// The fields that are gone.
    #[must_use]
    pub const fn removed(&self) -> Removed {
        self.removed
    }

    /// The protocol that this message still upgrades to, or asks to: the value of its `Upgrade`.
    #[must_use]
    pub const fn upgrade(&self) -> Option<&HeaderValue> {
        self.asked.upgrade.as_ref()
    }

    /// What a response to this message may do.
    #[must_use]
    pub fn into_asked(self) -> Asked {
        self.asked
    }
}

impl HopByHop {
    /// Removes from a request what is for this connection only.
    ///
    /// An upgrade that may pass is left as one `connection: upgrade` and one `upgrade`, and `te` as exactly `trailers`:
    /// without `connection: te`, which HTTP/1.1 asks for and HTTP/2 forbids.
    ///
    /// # Errors
    ///
    /// [`Violation::AmbiguousFraming`], [`Violation::UnknownCoding`], and under [`OnViolation::Reject`] the first nomination that must not be. The
    /// request is then unchanged.
    pub fn strip_request<B>(&self, request: &mut Request<B>) -> Result<Stripped, Violation> {
        // HTTP/1.0 has no upgrades, and HTTP/2 does without (RFC 9110 §7.8, RFC 9113 §8.6).
        let may_upgrade = request.version() == Version::HTTP_11;
        let mut asked = Asked::of(request);
        let headers = request.headers_mut();
        let fields = self.unwanted(Fields::of(headers));
        if fields.is_empty() && !self.has_extras() {
            return Ok(Stripped { asked, ..Stripped::default() });
        }

        check_framing(fields, headers)?;
        let connection = Connection::read(self, headers);
        if let (OnViolation::Reject, Some(violation)) =
            (self.on_violation, connection.first_violation)
        {
            return Err(violation);
        }
        asked.upgrade =
            (may_upgrade && connection.upgrade).then(|| self.upgrade.choose(headers)).flatten();
        let trailers = fields.has(Field::Te) && accepts_trailers(headers);

        let nominated = connection.remove_nominated(self, headers);
        fields.remove_from(headers);
        if trailers {
            put(headers, TE, HeaderValue::from_static("trailers"));
        }
        let extra = self.remove_extras(headers);
        put_upgrade(headers, asked.upgrade.as_ref());
        // Put in again, they are not gone.
        let kept = u64::from(trailers) + if asked.upgrade.is_some() { 2 } else { 0 };
        let removed = Removed { fixed: fields.len().saturating_sub(kept), nominated, extra };
        Ok(Stripped { ignored: connection.ignored, removed, asked })
    }

    /// Removes from a response what is for this connection only.
    ///
    /// `asked` is what [`Stripped::into_asked`] said of the request: a `101` that agrees is left with one `connection:
    /// upgrade` and one `upgrade`, and what makes a tunnel of a `CONNECT` has no length (RFC 9110 §9.3.6). `Trailer` stays,
    /// as hyper writes no trailers without it.
    ///
    /// # Errors
    ///
    /// [`Violation::UnaskedUpgrade`], [`Violation::AmbiguousFraming`] and [`Violation::UnknownCoding`]. The response is then unchanged. Nominations
    /// are no reason: those that must not be are ignored.
    pub fn strip_response<B>(
        &self,
        response: &mut Response<B>,
        asked: &Asked,
    ) -> Result<Stripped, Violation> {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let opens = asked.tunnel && response.status().is_success();
        let headers = response.headers_mut();
        let upgrade = asked.upgrade.as_ref();
        let upgrade = upgrade.filter(|asked| switches && agrees(headers, asked)).cloned();
        if switches && upgrade.is_none() {
            return Err(Violation::UnaskedUpgrade);
        }
        let mut removed = Removed::default();
        if opens {
            removed.fixed += u64::from(headers.remove(CONTENT_LENGTH).is_some());
        }
        let fields = self.unwanted(Fields::of(headers)).without(Field::Expect);
        if fields.is_empty() && !self.has_extras() {
            return Ok(Stripped { removed, ..Stripped::default() });
        }

        check_framing(fields, headers)?;
        let connection = Connection::read(self, headers);
        removed.nominated = connection.remove_nominated(self, headers);
        let kept = if upgrade.is_some() { 2 } else { 0 };
        removed.fixed += fields.len().saturating_sub(kept);
        fields.remove_from(headers);
        removed.extra = self.remove_extras(headers);
        put_upgrade(headers, upgrade.as_ref());
        let asked = Asked { upgrade, tunnel: false };
        Ok(Stripped { ignored: connection.ignored, removed, asked })
    }
}

/// Without `Transfer-Encoding`, a `Content-Length` beside it would frame another body (RFC 9112 §6.3), and a coding that
/// the server has not taken off would be the content's.
fn check_framing(fields: Fields, headers: &HeaderMap) -> Result<(), Violation> {
    if !fields.has(Field::TransferEncoding) {
        return Ok(());
    }
    if headers.contains_key(CONTENT_LENGTH) {
        return Err(Violation::AmbiguousFraming);
    }
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter().map(HeaderValue::as_bytes);
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Violation::UnknownCoding),
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TE).iter().flat_map(elements);
    codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

fn put_upgrade(headers: &mut HeaderMap, protocol: Option<&HeaderValue>) {
    if let Some(protocol) = protocol {
        put(headers, CONNECTION, HeaderValue::from_static("upgrade"));
        put(headers, UPGRADE, protocol.clone());
    }
}

/// Puts in a field that was removed before, which leaves room for it; a full map loses it rather than panic.
fn put(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}
