//! On what terms clients are served at each listener.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{Address, Config, Listener, Problem, Tls};
use crate::listener::{ListenerTls, Terms, TlsMeters};
use crate::telemetry::Recorder;

use super::{Plan, problem};

/// Those that are unchanged are kept; their TLS is made all the same, to see whether its files are right.
pub(super) fn plan(
    config: &Config,
    before: Option<&Plan>,
    recorder: &Arc<Recorder>,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Terms>> {
    if config.listeners.is_empty() {
        problems.push(Problem::new("listener", None, "no `[[listener]]`, so nobody could connect"));
    }
    check_addresses(config, problems);
    let listeners = config.listeners.iter().enumerate();
    let terms = listeners.map(|(index, listener)| {
        let key = format!("listener[{index}]");
        check(listener, &key, problems);
        let tls = tls(config, listener, &format!("{key}.tls"), recorder, problems);
        let same = before.filter(|before| before.config.listeners.get(index) == Some(listener));
        // What counts its connections, and what resumes its sessions.
        let kept = same.and_then(|before| before.terms.get(index)).cloned();
        kept.unwrap_or_else(|| Arc::new(Terms::new(listener, tls.map(Arc::new))))
    });
    terms.collect()
}

/// Nobody can have an address twice.
fn check_addresses(config: &Config, problems: &mut Vec<Problem>) {
    let admin = config.admin.iter().map(|admin| Address::Tcp(admin.address));
    let mut seen: BTreeSet<_> = admin.collect();
    for (index, listener) in config.listeners.iter().enumerate() {
        let key = format!("listener[{index}].address");
        if listener.addresses.is_empty() {
            problems.push(Problem::new(&key, None, "at least one address is needed"));
        }
        for address in &listener.addresses {
            let is_any = matches!(address, Address::Tcp(address) if address.port() == 0);
            if !is_any && !seen.insert(address.clone()) {
                let message = format!("{address} is taken by another listener");
                problems.push(Problem::new(&key, None, message));
            }
        }
    }
}

/// What asks for something that there is not.
fn check(listener: &Listener, key: &str, problems: &mut Vec<Problem>) {
    let is_unix = |address: &Address| matches!(address, Address::Unix(_));
    if let Some(mode) = &listener.socket_mode
        && !listener.addresses.iter().any(is_unix)
    {
        let message = "no address of this listener is a path: `unix:PATH`";
        problems.push(problem(&format!("{key}.socket_mode"), mode, message));
    }
    if let Some(proxies) = &listener.proxy_protocol
        && proxies.get_ref().from.is_empty()
    {
        let message = "at least one network is needed, from which the header is trusted";
        problems.push(problem(&format!("{key}.proxy_protocol.from"), proxies, message));
    }
}

fn tls(
    config: &Config,
    listener: &Listener,
    key: &str,
    recorder: &Arc<Recorder>,
    problems: &mut Vec<Problem>,
) -> Option<ListenerTls> {
    let section = listener.tls.as_ref()?;
    let made = check_tls(section.get_ref()).and_then(|()| {
        let meters = TlsMeters::new(section.get_ref(), recorder);
        ListenerTls::new(section.get_ref().clone(), config.folder.path(), meters)
    });
    made.map_err(|message| problems.push(problem(key, section, message))).ok()
}

fn check_tls(tls: &Tls) -> Result<(), String> {
    let only = (tls.certificate.is_some(), tls.key.is_some());
    let message = match (only, tls.certificates.is_empty()) {
        ((true, true), true) | ((false, false), false) => return Ok(()),
        ((true, false), _) => "`certificate` needs its `key`",
        ((false, true), _) => "`key` needs its `certificate`",
        ((true, true), false) => "either `certificate` and `key`, or `certificates`",
        ((false, false), true) => "`certificate` and `key`, or `certificates`, are needed",
    };
    Err(message.to_owned())
}
