use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Which certificate is shown to whom: the name that a client asks for decides (SNI, RFC 6066 §3).
///
/// An exact name goes before a wildcard, which stands for one label. Who asks for another name, or for none, gets the first.
#[derive(Debug)]
pub struct Certificates {
    first: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Shows `first` to everybody, and [others](Certificates::add) to some.
    #[must_use]
    pub fn new(first: Arc<CertifiedKey>) -> Self {
        Self { first, exact: HashMap::new(), wildcard: HashMap::new() }
    }

    /// Shows `certificate` to who asks for `host`: a name, or a wildcard like `*.example.com`. Of two for one host the first
    /// is kept.
    pub fn add(&mut self, host: &str, certificate: &Arc<CertifiedKey>) {
        let host = host.to_ascii_lowercase();
        let known = match host.strip_prefix("*.") {
            Some(parent) => self.wildcard.entry(parent.to_owned()),
            None => self.exact.entry(host),
        };
        known.or_insert_with(|| certificate.clone());
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        // Upper case is no other name, and neither is one with the final dot of the root.
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(&name).or_else(wildcard).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(hello.server_name().map_or(&self.first, |name| self.find(name)).clone())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn certificate() -> Arc<CertifiedKey> {
        let Made { cert, signing_key } = generate_simple_self_signed([]).unwrap();
        let provider = aws_lc_rs::default_provider();
        let chain = vec![cert.into()];
        Arc::new(CertifiedKey::from_der(chain, signing_key.into(), &provider).unwrap())
    }

    #[test]
    fn the_most_exact_name_decides_and_the_first_is_for_all_others() {
        let [first, exact, wildcard] = [certificate(), certificate(), certificate()];
        let mut all = Certificates::new(first.clone());
        all.add("first.example", &first);
        all.add("A.wild.example", &exact);
        all.add("*.wild.example", &wildcard);
        all.add("*.wild.example", &exact); // too late

        for (name, expected) in [
            ("first.example", &first),
            ("a.wild.example", &exact),
            ("A.WILD.example", &exact),
            ("a.wild.example.", &exact),
            ("b.wild.example", &wildcard),
            ("a.b.wild.example", &first),
            ("wild.example", &first),
            ("other.example", &first),
            ("", &first),
        ] {
            assert!(Arc::ptr_eq(all.find(name), expected), "{name}");
        }
    }
}
