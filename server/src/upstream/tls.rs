use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::certificate::{read_chain, read_key};

/// Whom to trust over TLS, and who to be there.
///
/// The public roots of Mozilla's list are trusted, and the gateway is nobody, unless this says otherwise.
#[derive(Clone, Debug, Default)]
#[must_use = "this only says what TLS is to be"]
pub struct ClientTls {
    ca_file: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    any_certificate: bool,
}

impl ClientTls {
    /// Trusts the public roots alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts those in this PEM file, too.
    pub fn trust(mut self, ca_file: PathBuf) -> Self {
        self.ca_file = Some(ca_file);
        self
    }

    /// Shows the certificate in this PEM file, its own first, whose private key is in another.
    pub fn identity(mut self, certificate: PathBuf, key: PathBuf) -> Self {
        self.identity = Some((certificate, key));
        self
    }

    /// Trusts everybody, under any name: what is sent may be read and changed by whoever is on the way.
    pub const fn accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
        self
    }

    /// The configuration, for HTTP/1.1.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or holds nothing of use, or the key is not that of the certificate. The message names
    /// the file.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        // The provider is named, since a second one in the same process would make the default panic.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.any_certificate {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = read_chain(certificate)?;
                let unusable = |error| format!("{} cannot be used: {error}", certificate.display());
                builder.with_client_auth_cert(chain, read_key(key)?).map_err(unusable)?
            }
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = &self.ca_file {
            for certificate in read_chain(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        Ok(roots)
    }
}

/// Takes any certificate, of whoever has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
