use std::fmt::Write;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Writes a metric whose numbers somebody else keeps, in the text form of Prometheus: each sample with its labels, `{…}` or
/// nothing. Without samples nothing is written.
pub(super) fn write(
    out: &mut String,
    name: &str,
    kind: Kind,
    help: &str,
    samples: impl IntoIterator<Item = (String, f64)>,
) {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return;
    }
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    // To write to a string does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_without_samples_is_not_there() {
        let mut out = String::new();

        write(&mut out, "a", Kind::Gauge, "A.", None);
        assert_eq!(out, "");

        let samples = [("{b=\"c\"}".to_owned(), 1.5), (String::new(), 2.0)];
        write(&mut out, "a_total", Kind::Counter, "A.", samples);
        assert_eq!(
            out,
            "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\"} 1.5\na_total 2\n\n"
        );
    }
}
