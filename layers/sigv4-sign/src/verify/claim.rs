//! What a client says of its signature: who it is, what it signed, and when.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE, HeaderName, HeaderValue};
use http::request::Parts;

use super::presigned::Presigned;
use super::{instant, presigned};
use crate::claims::{X_AMZ_DATE, X_AMZ_SECURITY_TOKEN};
use crate::stamp::Stamp;
use crate::{Unverified, http_date};

/// What a client says of its signature.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) credential: Credential<'a>,
    pub(super) signed_headers: Cow<'a, str>,
    pub(super) signature: Cow<'a, str>,
    pub(super) signed_at: SystemTime,
    pub(super) stamp: Stamp,
    pub(super) session_token: Option<Cow<'a, [u8]>>,
    /// How long a presigned URL lasts; none for a signature in a header.
    pub(super) expires: Option<Duration>,
}

impl<'a> Claim<'a> {
    /// The one claim of a request.
    pub(super) fn of(parts: &'a Parts) -> Result<Self, Unverified> {
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let query = parts.uri.query().unwrap_or_default();
        match (headers.next(), headers.next(), presigned::is_presigned(query)) {
            (Some(header), None, false) => Self::of_header(header.as_bytes(), &parts.headers),
            (None, _, true) => Self::of_query(query),
            (None, _, false) => Err(Unverified::Unsigned),
            (Some(_), Some(_), false) => Err(Unverified::MalformedHeader),
            (Some(_), _, true) => Err(Unverified::TwoSignatures),
        }
    }

    fn of_header(header: &'a [u8], headers: &'a HeaderMap) -> Result<Self, Unverified> {
        if header.len() > MAX_HEADER {
            return Err(Unverified::MalformedHeader);
        }
        let rest = header.strip_prefix(ALGORITHM.as_bytes()).ok_or(Unverified::OtherMechanism)?;
        let rest = rest.strip_prefix(b" ").and_then(|rest| std::str::from_utf8(rest).ok());
        let [credential, signed_headers, signature] =
            rest.and_then(fields).ok_or(Unverified::MalformedHeader)?;
        let credential = Credential::parse(credential.into()).ok_or(Unverified::MalformedHeader)?;

        let signed_at = date(headers)?;
        Ok(Self {
            credential,
            signed_headers: signed_headers.into(),
            signature: signature.into(),
            signed_at,
            stamp: Stamp::of(signed_at).ok_or(Unverified::NoDate)?,
            session_token: only(headers, &X_AMZ_SECURITY_TOKEN, Unverified::WrongToken)?
                .map(Cow::Borrowed),
            expires: None,
        })
    }

    fn of_query(query: &'a str) -> Result<Self, Unverified> {
        let Presigned { algorithm, credential, date, expires, signed_headers, signature, token } =
            Presigned::parse(query)?;
        if algorithm != ALGORITHM {
            return Err(Unverified::MalformedQuery);
        }
        let parsed = || {
            let seconds =
                Some(expires).filter(|text| text.bytes().all(|it| it.is_ascii_digit()))?;
            let expires = seconds.parse().ok().filter(|seconds| EXPIRES.contains(seconds))?;
            let signed_at = instant::basic(date.as_bytes())?;
            Some(Self {
                credential: Credential::parse(credential)?,
                signed_headers,
                signature,
                signed_at,
                stamp: Stamp::of(signed_at)?,
                session_token: token.map(|token| match token {
                    Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
                    Cow::Owned(token) => Cow::Owned(token.into_bytes()),
                }),
                expires: Some(Duration::from_secs(expires)),
            })
        };
        parsed().ok_or(Unverified::MalformedQuery)
    }

    /// The names of the signed headers, which have to be in their order.
    pub(super) fn names(&self) -> Result<Vec<&str>, Unverified> {
        let names: Vec<_> = self.signed_headers.split(';').take(MAX_NAMES + 1).collect();
        let in_order = names.iter().zip(names.iter().skip(1)).all(|(name, next)| name < next);
        let in_lower_case = !self.signed_headers.bytes().any(|byte| byte.is_ascii_uppercase());
        if in_order && in_lower_case && names.len() <= MAX_NAMES {
            Ok(names)
        } else {
            Err(self.malformed())
        }
    }

    /// What a client is told that claims what cannot be.
    pub(super) const fn malformed(&self) -> Unverified {
        match self.expires {
            Some(_) => Unverified::MalformedQuery,
            None => Unverified::MalformedHeader,
        }
    }
}

/// An access key and the scope of a signature by it.
#[derive(Debug)]
pub(super) struct Credential<'a> {
    text: Cow<'a, str>,
    id_length: usize,
}

impl<'a> Credential<'a> {
    /// An id may have slashes, the four parts of a scope have none.
    fn parse(text: Cow<'a, str>) -> Option<Self> {
        let scope = text.rsplitn(5, '/').take(4).map(|part| part.len() + 1).sum();
        let id_length = text.len().checked_sub(scope)?;
        let is_usable = (1..=MAX_ID).contains(&id_length) && text.is_char_boundary(id_length);
        is_usable.then_some(Self { text, id_length })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) const fn id_length(&self) -> usize {
        self.id_length
    }

    pub(super) fn id(&self) -> &str {
        self.text.get(..self.id_length).unwrap_or_default()
    }

    /// Date, region, service and the end.
    pub(super) fn scope(&self) -> &str {
        self.text.get(self.id_length + 1..).unwrap_or_default()
    }
}

/// Credential, signed headers and signature, each once, in any order.
fn fields(text: &str) -> Option<[&str; 3]> {
    let mut fields = [None; 3];
    for field in text.split(',') {
        let (name, value) = field.trim_matches(' ').split_once('=')?;
        let index =
            ["Credential", "SignedHeaders", "Signature"].iter().position(|it| *it == name)?;
        if fields.get_mut(index)?.replace(value).is_some() {
            return None;
        }
    }
    let [credential, signed_headers, signature] = fields;
    Some([credential?, signed_headers?, signature?])
}

/// `x-amz-date`, or `Date` where that is missing.
fn date(headers: &HeaderMap) -> Result<SystemTime, Unverified> {
    let date = match only(headers, &X_AMZ_DATE, Unverified::NoDate)? {
        Some(date) => instant::basic(date),
        None => only(headers, &DATE, Unverified::NoDate)?
            .and_then(|date| http_date::parse(date).or_else(|| instant::basic(date))),
    };
    date.ok_or(Unverified::NoDate)
}

/// The value of a header that may be there once.
pub(super) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    reason: Unverified,
) -> Result<Option<&'a [u8]>, Unverified> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(reason),
        (value, _) => Ok(value.map(HeaderValue::as_bytes)),
    }
}

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Seconds: one to seven days of them.
const EXPIRES: std::ops::RangeInclusive<u64> = 1..=7 * 24 * 60 * 60;
const MAX_HEADER: usize = 8 * 1024;
const MAX_ID: usize = 128;
const MAX_NAMES: usize = 128;
