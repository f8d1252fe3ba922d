//! What a certificate says of its owner, and until when.

mod der;
mod name;
mod time;
mod pem;

pub(crate) use pem::{read_chain, read_key};

use std::fmt::Write as _;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use self::der::{Der, Value};

/// An X.509 certificate (RFC 5280), as far as it is of interest here.
///
/// Whether it may be believed is not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Certificate {
    /// The subject as RFC 4514 has it, the most specific part first: `CN=alice,O=Example`. It may be empty.
    pub subject: String,
    /// Its alternative names with their kinds before them: `DNS:a.example`, `IP:192.0.2.1`, `URI:spiffe://…`,
    /// `email:a@example.com`.
    pub names: Vec<String>,
    /// SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate in DER; `None` if it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der::new(der).next(der::SEQUENCE)?;
        let mut body = certificate.next(der::SEQUENCE)?;
        body.skip_if(VERSION);
        body.next(der::INTEGER)?; // serial number
        body.next(der::SEQUENCE)?; // signature algorithm
        body.next(der::SEQUENCE)?; // issuer
        let mut validity = body.next(der::SEQUENCE)?;
        validity.any()?; // not before
        let not_after = time::seconds(&validity.any()?)?;
        let subject = name::text(body.next(der::SEQUENCE)?)?;
        body.next(der::SEQUENCE)?; // public key
        Some(Self {
            subject,
            names: names(body).unwrap_or_default(),
            fingerprint: hexadecimal(&Sha256::digest(der)),
            not_after,
        })
    }

    /// The DNS names among its names, wildcards as they are.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| name.strip_prefix("DNS:"))
    }
}

/// The alternative names among the extensions, which come last.
fn names(mut rest: Der<'_>) -> Option<Vec<String>> {
    let mut extensions = loop {
        let value = rest.any()?;
        if value.tag == EXTENSIONS {
            break value.inside().next(der::SEQUENCE)?;
        }
    };
    loop {
        let mut extension = extensions.next(der::SEQUENCE)?;
        if extension.any()?.bytes != SUBJECT_ALT_NAME {
            continue;
        }
        extension.skip_if(der::BOOLEAN); // critical
        let mut all = Der::new(extension.any()?.bytes).next(der::SEQUENCE)?;
        return Some(
            std::iter::from_fn(|| all.any()).filter_map(|value| alternative(&value)).collect(),
        );
    }
}

/// One alternative name, if it is of a kind that is text or an address.
fn alternative(name: &Value<'_>) -> Option<String> {
    let text = || std::str::from_utf8(name.bytes).ok();
    Some(match name.tag {
        EMAIL => format!("email:{}", text()?),
        DNS => format!("DNS:{}", text()?),
        URI => format!("URI:{}", text()?),
        IP => format!("IP:{}", address(name.bytes)?),
        _ => return None,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Nothing can go wrong when a string is written to.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Tags that stand for their place alone: RFC 5280 §4.1, and §4.2.1.6 for names.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn it_says_who_it_is_and_until_when() {
        let der = made(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
            params.distinguished_name.push(DnType::CommonName, "alice");
            params.subject_alt_names.extend([
                SanType::IpAddress([192, 0, 2, 1].into()),
                SanType::URI("spiffe://example/a".try_into().unwrap()),
                SanType::Rfc822Name("a@example.com".try_into().unwrap()),
            ]);
            params.not_after = date_time_ymd(2031, 2, 3);
        });

        let read = Certificate::read(&der).unwrap();

        assert_eq!(read.subject, r"CN=alice,O=Example\, Inc.");
        let names =
            ["DNS:a.example", "IP:192.0.2.1", "URI:spiffe://example/a", "email:a@example.com"];
        assert_eq!(read.names, names);
        assert_eq!(read.dns_names().collect::<Vec<_>>(), ["a.example"]);
        assert_eq!(read.not_after, 1_927_843_200);
        assert_eq!(read.fingerprint, hexadecimal(&Sha256::digest(&der)));
    }

    #[test]
    fn a_time_beyond_2050_is_read_too() {
        let der = made(|params| params.not_after = date_time_ymd(2099, 12, 31));

        assert_eq!(Certificate::read(&der).unwrap().not_after, 4_102_358_400);
    }

    #[test]
    fn a_certificate_may_say_nothing() {
        let der = made(|params| params.subject_alt_names.clear());

        let read = Certificate::read(&der).unwrap();

        assert_eq!((read.subject.as_str(), read.names.as_slice()), ("", &[][..]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_refused(
            at in 0_usize..400, with: Vec<u8>, length in 0_usize..600,
        ) {
            let mut der = made(|params| params.distinguished_name.push(DnType::CommonName, "a"));
            let end = (at + with.len()).min(der.len());
            der.splice(at.min(end)..end, with);
            der.truncate(length);

            // Only that it comes back counts; an ending that was cut off is none.
            let _ = Certificate::read(&der);
        }
    }
}
