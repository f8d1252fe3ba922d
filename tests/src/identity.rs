use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;

/// A certificate that vouches for itself, and its key: in files for as long as this lives.
#[derive(Debug)]
pub struct Identity {
    folder: TempDir,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// An identity of its own for these names and addresses.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        Self::called("somebody", names)
    }

    /// An identity with this common name, for these names, addresses and URIs. It ends with the year 2040.
    #[must_use]
    pub fn called(who: &str, names: &[&str]) -> Self {
        let (uris, hosts): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<_> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params
            .subject_alt_names
            .extend(uris.iter().map(|&uri| SanType::URI(uri.try_into().unwrap())));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, who);
        params.not_after = date_time_ymd(2041, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, certificate: certificate.into(), key: key.into() }
    }

    /// The file with the certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The file with the key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Both files as a configuration names them.
    #[must_use]
    pub fn files(&self) -> String {
        format!(
            "certificate = '{}', key = '{}'",
            self.certificate().display(),
            self.key().display()
        )
    }

    /// Has its files hold what those of another do. Only the files change.
    pub fn become_like(&self, other: &Self) {
        std::fs::copy(other.key(), self.key()).unwrap();
        std::fs::copy(other.certificate(), self.certificate()).unwrap();
    }

    /// A server of this identity that speaks no protocol by ALPN.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let chain = vec![self.certificate.clone()];
        Arc::new(builder.with_single_cert(chain, self.key.clone_key()).unwrap())
    }

    /// A server of this identity that serves `client` alone.
    #[must_use]
    pub fn server_for(&self, client: &Self) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(client.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_client_cert_verifier(verifier.build().unwrap());
        let chain = vec![self.certificate.clone()];
        Arc::new(builder.with_single_cert(chain, self.key.clone_key()).unwrap())
    }

    /// A client that trusts this identity alone, and offers these protocols.
    #[must_use]
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_of(protocols, rustls::ALL_VERSIONS, None)
    }

    /// A client that trusts this identity alone, speaks these versions of TLS, and shows another identity if it is asked.
    #[must_use]
    pub fn client_of(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Self>,
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(self.roots());
        let mut client = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![own.certificate.clone()];
                builder.with_client_auth_cert(chain, own.key.clone_key()).unwrap()
            }
        };
        client.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        client
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}
