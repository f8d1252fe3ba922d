//! What a running gateway keeps until it is restarted.

use crate::config::{Config, Problem};

/// The keys, and the sections, that a reload does not change; `[]` stands for any of a list.
pub const NEEDS_RESTART: [&str; 6] =
    ["workers", "listener[].address", "listener[].socket_mode", "admin.address", "drain", "log"];

/// Notes what differs and cannot.
pub(super) fn check(before: &Config, now: &Config, problems: &mut Vec<Problem>) {
    let mut fixed = |key: &str, is_same: bool| {
        if !is_same {
            problems.push(Problem::new(
                key,
                None,
                "cannot change while the gateway runs: it needs a restart",
            ));
        }
    };
    fixed("workers", before.workers == now.workers);
    fixed("listener", before.listeners.len() == now.listeners.len());
    for (index, (before, now)) in before.listeners.iter().zip(&now.listeners).enumerate() {
        fixed(&format!("listener[{index}].address"), before.addresses == now.addresses);
        fixed(&format!("listener[{index}].socket_mode"), before.socket_mode == now.socket_mode);
    }
    let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address);
    match (address(before), address(now)) {
        (Some(before), Some(now)) => fixed("admin.address", before == now),
        (before, now) => fixed("admin", before == now),
    }
    fixed("drain", before.drain == now.drain);
    fixed("log", before.log == now.log);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, read};

    const BEFORE: &str = "workers = 2
        listener = [{ address = '127.0.0.1:1' }, { address = '127.0.0.1:2' }]
        admin = { address = '127.0.0.1:3' }\n";

    fn found(now: &str) -> Vec<String> {
        let read = |text: &str| read(text, Format::Toml, &|_| None).unwrap().config;
        let mut problems = Vec::new();
        check(&read(BEFORE), &read(now), &mut problems);
        problems.iter().map(|problem| problem.key().to_owned()).collect()
    }

    #[test]
    fn what_stays_is_no_problem() {
        assert_eq!(found(BEFORE), [""; 0]);
        assert_eq!(found(&BEFORE.replace(":1' }", ":1', timeouts = { send = '1s' } }")), [""; 0]);
        assert_eq!(found(&BEFORE.replace(":3'", ":3', probe_interval = '1s'")), [""; 0]);
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let mut named = std::collections::BTreeSet::new();
        for (from, to, keys) in [
            ("workers = 2", "workers = 3", vec!["workers"]),
            ("workers = 2", "", vec!["workers"]),
            ("0.1:2'", "0.1:4'", vec!["listener[1].address"]),
            ("0.1:2'", "0.1:2', socket_mode = '0600'", vec!["listener[1].socket_mode"]),
            (", { address = '127.0.0.1:2' }", "", vec!["listener"]),
            ("0.1:3'", "0.1:5'", vec!["admin.address"]),
            ("admin = { address = '127.0.0.1:3' }", "", vec!["admin"]),
            ("workers = 2", "drain = { deadline = '1s' }", vec!["workers", "drain"]),
            ("workers = 2", "log = { format = 'text' }\nworkers = 2", vec!["log"]),
        ] {
            let found = found(&BEFORE.replace(from, to));
            assert_eq!(found, keys, "{to}");
            named.extend(found.into_iter().map(|key| key.replace("[1]", "[]")));
        }
        // The sections as a whole are named when there is one more, or one less.
        let parts = ["admin", "listener"].map(str::to_owned);
        named.retain(|key| !parts.contains(key));
        let published = NEEDS_RESTART.map(str::to_owned).into();
        assert_eq!(named, published);
    }
}
