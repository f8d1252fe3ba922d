//! What the system says of this process, under the names that Prometheus has for it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::family::{Kind, write};

/// What cannot be found out is left out: there is no `/proc` but on Linux.
pub(super) fn show(out: &mut String, started: SystemTime) {
    let one = |out: &mut String, name, kind, help, value: Option<f64>| {
        write(out, name, kind, help, value.map(|value| (String::new(), value)));
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    one(
        out,
        "process_cpu_seconds_total",
        Kind::Counter,
        "Time of processors that the process has used, its own and the system's for it.",
        cpu_seconds(&stat, rustix::param::clock_ticks_per_second()),
    );
    one(
        out,
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory that the process has.",
        bytes(&status, "VmRSS:"),
    );
    one(
        out,
        "process_virtual_memory_bytes",
        Kind::Gauge,
        "Memory that the process has asked for.",
        bytes(&status, "VmSize:"),
    );
    one(out, "process_threads", Kind::Gauge, "Threads of the process.", field(&status, "Threads:"));
    one(
        out,
        "process_open_fds",
        Kind::Gauge,
        "Descriptors that the process has open.",
        open_descriptors(),
    );
    one(
        out,
        "process_max_fds",
        Kind::Gauge,
        "Descriptors that the process may have open.",
        field(&limits, "Max open files"),
    );
    one(
        out,
        "process_start_time_seconds",
        Kind::Gauge,
        "When the gateway began, since 1970.",
        started.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64()),
    );
}

/// proc(5): `utime` and `stime`, the fields 14 and 15, in ticks. The name, field 2, may have anything in it, but for what
/// follows its last parenthesis.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<_, _>>().ok()?;
    Some(f64::from(ticks) / f64::from(u32::try_from(ticks_per_second).ok()?))
}

/// The number that follows this.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn bytes(status: &str, name: &str) -> Option<f64> {
    field(status, name).map(|kib| kib * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // That of the folder itself is not counted.
    Some(f64::from(u32::try_from(open.saturating_sub(1)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 9 8 7 6 150 50 0 0 20 0 3 0 1 2 3";

        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
        assert_eq!(cpu_seconds("", 100), None);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let status = "VmSize:\t  2048 kB\nThreads:\t3\n";

        assert_eq!(bytes(status, "VmSize:"), Some(2_097_152.0));
        assert_eq!(bytes(status, "VmRSS:"), None);
        assert_eq!(
            field("Max open files            1024    4096   files", "Max open files"),
            Some(1024.0)
        );
        assert_eq!(field("Max open files            unlimited  unlimited", "Max open files"), None);
    }
}
