use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, counter, gauge, with_local_recorder};
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, client, version};
use tokio::time::{MissedTickBehavior, interval};

use crate::certificate::{Certificate, read_chain, read_key};
use crate::config::{ClientCertificates, Tls, TlsVersion};
use crate::telemetry::Recorder;

use super::Certificates;

/// The TLS of a listener, which follows the files that it is made of.
///
/// A new connection has what was in the files when they were last looked at, and an old one what it had. While something is
/// wrong with the files, all stays as it was.
pub struct ListenerTls {
    section: Tls,
    folder: PathBuf,
    current: ArcSwap<ServerConfig>,
    /// What the files held when they were last looked at.
    seen: Mutex<Contents>,
    meters: TlsMeters,
}

/// What is counted of the TLS of a listener.
pub struct TlsMeters {
    reloaded: Counter,
    failed: Counter,
    expiry: Vec<Gauge>,
}

/// Each file, and what is in it; `None` if it cannot be read.
type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl ListenerTls {
    /// Reads the files that `section` names, from `folder` on.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or holds nothing of use, a key is not that of its certificate, or a certificate is not for
    /// a host that it is to be shown for. The message names the file.
    pub fn new(section: Tls, folder: &Path, meters: TlsMeters) -> Result<Self, String> {
        let seen = contents(&section, folder);
        let ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        let (config, expiry) = server_config(&section, folder, ticketer)?;
        meters.expires(&expiry);
        Ok(Self {
            section,
            folder: folder.to_owned(),
            current: ArcSwap::new(config),
            seen: Mutex::new(seen),
            meters,
        })
    }

    /// What new clients are served with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Looks at the files again and again, for as long as it is polled.
    pub async fn refresh(self: Arc<Self>) {
        let mut every = interval(self.section.reload_interval);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let tls = self.clone();
            // A file system may be slow.
            let looked = tokio::task::spawn_blocking(move || tls.look()).await;
            if looked.is_err() {
                tracing::error!("could not look at the files of TLS");
            }
        }
    }

    /// Takes what is new in the files, if it is right.
    pub fn look(&self) {
        let now = contents(&self.section, &self.folder);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        match self.read_again(&seen, &now) {
            Ok(expiry) => {
                self.meters.expires(&expiry);
                self.meters.reloaded.increment(1);
                tracing::info!("TLS has new files");
            }
            Err(error) => {
                self.meters.failed.increment(1);
                tracing::warn!(error, "the new files of TLS cannot be used; the old ones are");
            }
        }
        *seen = now;
    }

    fn read_again(&self, before: &Contents, now: &Contents) -> Result<Vec<i64>, String> {
        // Who shows a ticket is not asked for a certificate again, so whom the old file let in would stay.
        let vouchers = self.section.client_certificates.as_ref().map(|section| {
            let path = self.folder.join(&section.ca_file);
            before.get(&path) == now.get(&path)
        });
        let ticketer = match vouchers {
            Some(false) => Ticketer::new().map_err(|error| error.to_string())?,
            _ => self.current.load().ticketer.clone(),
        };
        let (config, expiry) = server_config(&self.section, &self.folder, ticketer)?;
        self.current.store(config);
        Ok(expiry)
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls").field("section", &self.section).finish_non_exhaustive()
    }
}

impl TlsMeters {
    /// Makes the handles for the TLS of `section`, by the names of its files.
    #[must_use]
    pub fn new(section: &Tls, recorder: &Arc<Recorder>) -> Self {
        with_local_recorder(&**recorder, || {
            let reloads = |outcome| counter!("portcullis_tls_reloads_total", "outcome" => outcome);
            let expiry = section.pairs().map(|(certificate, ..)| {
                let file = certificate.display().to_string();
                gauge!("portcullis_tls_certificate_expiry_timestamp_seconds", "file" => file)
            });
            Self { reloaded: reloads("ok"), failed: reloads("failed"), expiry: expiry.collect() }
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a time is exact for as long as there are certificates"
    )]
    fn expires(&self, times: &[i64]) {
        for (gauge, time) in self.expiry.iter().zip(times) {
            gauge.set(*time as f64);
        }
    }
}

impl fmt::Debug for TlsMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsMeters")
    }
}

fn contents(section: &Tls, folder: &Path) -> Contents {
    let pairs = section.pairs().flat_map(|(certificate, key, _)| [certificate, key]);
    let vouchers = section.client_certificates.iter().map(|section| &*section.ca_file);
    let files = pairs.chain(vouchers).map(|path| folder.join(path));
    files.map(|path| (path.clone(), fs::read(path).ok())).collect()
}

/// The configuration, and when each certificate ends.
fn server_config(
    section: &Tls,
    folder: &Path,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<(Arc<ServerConfig>, Vec<i64>), String> {
    let (certificates, expiry) = certificates(section, folder)?;
    let versions = match section.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12][..],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    // The provider is named, since a second one in the same process would make the default panic.
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let builder = match &section.client_certificates {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(clients, folder)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ticketer;
    Ok((Arc::new(config), expiry))
}

fn certificates(section: &Tls, folder: &Path) -> Result<(Certificates, Vec<i64>), String> {
    let mut all: Option<Certificates> = None;
    let mut expiry = Vec::new();
    for (certificate, key, hosts) in section.pairs() {
        let (path, key) = (folder.join(certificate), folder.join(key));
        let chain = read_chain(&path)?;
        let unusable = |error: &dyn fmt::Display| {
            format!("{} and {} cannot be used: {error}", path.display(), key.display())
        };
        let read = chain.first().and_then(|own| Certificate::read(own));
        let read = read.ok_or_else(|| unusable(&"the first certificate cannot be read"))?;
        check_hosts(&path, &chain, hosts)?;
        let provider = aws_lc_rs::default_provider();
        let pair = CertifiedKey::from_der(chain, read_key(&key)?, &provider);
        let pair = Arc::new(pair.map_err(|error| unusable(&error))?);
        let all = all.get_or_insert_with(|| Certificates::new(pair.clone()));
        if hosts.is_empty() {
            read.dns_names().for_each(|host| all.add(host, &pair));
        } else {
            hosts.iter().for_each(|host| all.add(host, &pair));
        }
        expiry.push(read.not_after);
    }
    let all =
        all.ok_or("no certificate: `certificate` and `key`, or `certificates`, are needed")?;
    Ok((all, expiry))
}

/// Nobody would believe a certificate that is shown under a name that it does not have.
fn check_hosts(
    path: &Path,
    chain: &[rustls::pki_types::CertificateDer<'_>],
    hosts: &[String],
) -> Result<(), String> {
    let [own, ..] = chain else { return Ok(()) };
    let unusable = |error| format!("{} cannot be used: {error}", path.display());
    let parsed = ParsedCertificate::try_from(own).map_err(unusable)?;
    for host in hosts {
        // A wildcard is good for any label, so the certificate must be, too.
        let name =
            host.strip_prefix("*.").map_or_else(|| host.clone(), |parent| format!("any.{parent}"));
        let name =
            ServerName::try_from(name).map_err(|_| format!("`{host}` is no name of a host"))?;
        if client::verify_server_name(&parsed, &name).is_err() {
            return Err(format!("{} is not for `{host}`", path.display()));
        }
    }
    Ok(())
}

fn verifier(
    section: &ClientCertificates,
    folder: &Path,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let path = folder.join(&section.ca_file);
    let unusable = |error: &dyn fmt::Display| format!("{} cannot be used: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(&path)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if section.optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| unusable(&error))
}
