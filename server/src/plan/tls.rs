use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, Problem, Tls};

use super::problem;

/// The TLS of each listener, in their order.
pub(super) fn listeners(
    config: &Config,
    problems: &mut Vec<Problem>,
) -> Vec<Option<Arc<ServerConfig>>> {
    let listeners = config.listeners.iter().enumerate();
    let tls = listeners.map(|(index, listener)| {
        let section = listener.tls.as_ref()?;
        let made = server_config(&config.folder, section.get_ref());
        let key = format!("listener[{index}].tls");
        made.map_err(|message| problems.push(problem(&key, section, message))).ok()
    });
    tls.collect()
}

fn server_config(folder: &Path, tls: &Tls) -> Result<Arc<ServerConfig>, String> {
    let (certificate, key) = (folder.join(&tls.certificate), folder.join(&tls.key));
    let unreadable = |path: &Path, error| format!("cannot read {}: {error}", path.display());
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&certificate, error))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate in PEM", certificate.display()));
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, error))?;

    // The provider is named, since a second one in the same process would make the default panic.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("the certificate and the key cannot be used: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
