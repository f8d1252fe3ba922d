//! Whom an upstream's replicas must be, and who the gateway is to them.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::config::{Config, Problem, Spanned, Upstream};
use crate::upstream::ClientTls;

use super::problem;

pub(super) fn config(
    config: &Config,
    upstream: &Upstream,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Arc<ClientConfig>> {
    let before = problems.len();
    check(upstream, key, problems);
    if problems.len() > before {
        return None;
    }
    let mut tls = ClientTls::new();
    if let Some(path) = &upstream.ca_file {
        tls = tls.trust(config.folder.join(path.get_ref()));
        // By itself first: what is wrong below is not wrong with this file.
        if let Err(message) = tls.config() {
            problems.push(problem(&format!("{key}.ca_file"), path, message));
            return None;
        }
    }
    let mut span = None;
    if let (Some(certificate), Some(private)) = (&upstream.client_certificate, &upstream.client_key)
    {
        span = Some(certificate.span());
        let [certificate, private] =
            [certificate, private].map(|path| config.folder.join(path.get_ref()));
        tls = tls.identity(certificate, private);
    }
    if is_dangerous(upstream) {
        tls = tls.accept_any_certificate();
    }
    let made = tls.config().map_err(|message| {
        problems.push(Problem::new(format!("{key}.client_certificate"), span, message));
    });
    made.ok()
}

/// The name that replaces those of the replicas.
pub(super) fn server_name(
    upstream: &Upstream,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<ServerName<'static>> {
    let section = upstream.server_name.as_ref()?;
    let name = ServerName::try_from(section.get_ref().clone()).map_err(|_| {
        let message = format!("`{}` is no name that a certificate can carry", section.get_ref());
        problems.push(problem(&format!("{key}.server_name"), section, message));
    });
    name.ok()
}

/// Whether an upstream's certificates are not looked at.
fn is_dangerous(upstream: &Upstream) -> bool {
    upstream.danger_accept_any_certificate.as_ref().is_some_and(|danger| *danger.get_ref())
}

/// Says aloud what is not protected.
pub(super) fn warn(config: &Config) {
    for (name, upstream) in &config.upstream {
        if is_dangerous(upstream.get_ref()) {
            tracing::warn!(
                upstream = name,
                "danger_accept_any_certificate: whoever is on the way can read and change all"
            );
        }
    }
}

/// What asks for protection that there is not.
fn check(upstream: &Upstream, key: &str, problems: &mut Vec<Problem>) {
    let Upstream { server_name, client_certificate, client_key, .. } = upstream;
    let mut complain = |name: &str, span, message: &str| {
        problems.push(Problem::new(format!("{key}.{name}"), span, message));
    };
    match (client_certificate, client_key) {
        (Some(alone), None) => {
            complain("client_certificate", alone.span(), "its key is missing: `client_key`");
        }
        (None, Some(alone)) => {
            complain(
                "client_key",
                alone.span(),
                "its certificate is missing: `client_certificate`",
            );
        }
        _ => {}
    }
    let discovered = upstream.discover.iter().map(|section| section.get_ref().dns.get_ref());
    let mut urls = upstream.listed().iter().map(|replica| replica.url.get_ref()).chain(discovered);
    let plain = urls.all(|url| url.uri().scheme_str() != Some("https"));
    if plain {
        let spans = [
            ("client_certificate", client_certificate.as_ref().map(Spanned::span)),
            ("server_name", server_name.as_ref().map(Spanned::span)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                complain(
                    name,
                    span,
                    "no replica is asked over TLS: each `url` begins with `http:`",
                );
            }
        }
    }
    if let Some(danger) =
        upstream.danger_accept_any_certificate.as_ref().filter(|_| is_dangerous(upstream))
    {
        let contradicts = upstream.ca_file.is_some() || server_name.is_some();
        if contradicts {
            let message = "any certificate would do, but `ca_file` or `server_name` says which";
            complain("danger_accept_any_certificate", danger.span(), message);
        }
    }
}
