use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};
use metrics_exporter_prometheus::{LabelSet, PrometheusBuilder, PrometheusRecorder};

use super::histogram::{Counted, Histogram};
use super::tally::{Counter, Gauge};

/// What is measured of a gateway: one for each, so that two in a process do not mix.
///
/// It is `metrics-exporter-prometheus` that writes it down. In its place it is counted here: its counters and gauges are changed
/// by all workers in the same memory, and its histograms keep every sample until somebody looks, which is megabytes a second at
/// full load.
pub struct Recorder {
    exporter: PrometheusRecorder,
    counters: Mutex<BTreeMap<Key, Told<Counter, metrics::Counter>>>,
    gauges: Mutex<BTreeMap<Key, Told<Gauge, metrics::Gauge>>>,
    histograms: Mutex<BTreeMap<String, Family>>,
}

/// What is counted here, and whom the exporter reads it from.
struct Told<T, H> {
    tally: Arc<T>,
    exported: H,
}

#[derive(Default)]
struct Family {
    description: SharedString,
    /// By their labels.
    series: BTreeMap<Key, Arc<Histogram>>,
}

impl Recorder {
    /// All that has been measured, in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        for counter in lock(&self.counters).values() {
            counter.exported.absolute(counter.tally.value());
        }
        for gauge in lock(&self.gauges).values() {
            gauge.exported.set(gauge.tally.value());
        }
        let mut text = self.exporter.handle().render();
        for (name, family) in &*lock(&self.histograms) {
            family.render(name, &mut text);
        }
        text
    }
}

/// That of a key, which the exporter knows, too.
fn tally<T: Default, H>(
    known: &Mutex<BTreeMap<Key, Told<T, H>>>,
    key: &Key,
    export: impl FnOnce(&Key) -> H,
) -> Arc<T> {
    let mut known = lock(known);
    if let Some(told) = known.get(key) {
        return told.tally.clone();
    }
    let key = key.to_retained();
    let told = Told { tally: Arc::default(), exported: export(&key) };
    known.entry(key).or_insert(told).tally.clone()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Recorder {
    fn default() -> Self {
        let exporter = PrometheusBuilder::new().build_recorder();
        let (counters, gauges, histograms) = Default::default();
        Self { exporter, counters, gauges, histograms }
    }
}

impl Family {
    fn render(&self, name: &str, text: &mut String) {
        if self.series.is_empty() {
            return;
        }
        if !self.description.is_empty() {
            write_help_line(text, name, None, None, &self.description);
        }
        write_type_line(text, name, None, None, "histogram");
        for (key, histogram) in &self.series {
            let labels = LabelSet::from_key_and_global(key, &Default::default());
            let Counted { buckets, count, sum } = histogram.counted();
            let mut bucket = |bound: &str, count| {
                write_metric_line(
                    text,
                    name,
                    Some("bucket"),
                    &labels,
                    Some(("le", bound)),
                    count,
                    None,
                );
            };
            for (bound, count) in buckets {
                bucket(&bound.to_string(), count);
            }
            bucket("+Inf", count);
            write_metric_line::<&str, _>(text, name, Some("sum"), &labels, None, sum, None);
            write_metric_line::<&str, _>(text, name, Some("count"), &labels, None, count, None);
        }
        text.push('\n');
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        lock(&self.histograms).entry(key.as_str().to_owned()).or_default().description =
            description;
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        let export = |key: &Key| self.exporter.register_counter(key, metadata);
        metrics::Counter::from_arc(tally(&self.counters, key, export))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        let export = |key: &Key| self.exporter.register_gauge(key, metadata);
        metrics::Gauge::from_arc(tally(&self.gauges, key, export))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let mut histograms = lock(&self.histograms);
        let series = &mut histograms.entry(key.name().to_owned()).or_default().series;
        let new = || Arc::new(Histogram::new(bounds(key.name())));
        let histogram = series.entry(key.clone()).or_insert_with(new);
        metrics::Histogram::from_arc(histogram.clone())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

fn bounds(name: &str) -> &'static [f64] {
    if name == "jwt_auth_verify_seconds" { FRACTIONS } else { SECONDS }
}

/// Seconds, from a cache's answer to a large download's.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Seconds, for what takes microseconds, or something is wrong.
const FRACTIONS: &[f64] = &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.01];

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_histogram, gauge, histogram, with_local_recorder};

    use super::super::histogram::BOUNDS;
    use super::*;

    #[test]
    fn a_scrape_has_each_series_of_a_histogram_beside_what_else_there_is() {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, || {
            counter!("b_total").increment(1);
            describe_histogram!("a_seconds", "How long.");
            describe_histogram!("never_seconds", "Nothing is measured.");
            histogram!("a_seconds", "route" => "x\"y").record(0.002);
            histogram!("a_seconds", "route" => "x\"y").record(0.5);
            histogram!("bare_seconds").record(1000.0);
        });

        let text = recorder.render();

        assert!(text.starts_with("# TYPE b_total counter\nb_total 1\n"), "{text}");
        let (_, text) = text.split_once("\n\n").unwrap();
        assert!(
            text.starts_with(
                "# HELP a_seconds How long.
# TYPE a_seconds histogram
a_seconds_bucket{route=\"x\\\"y\",le=\"0.001\"} 0
a_seconds_bucket{route=\"x\\\"y\",le=\"0.0025\"} 1
"
            ),
            "{text}"
        );
        assert!(
            text.ends_with(
                "bare_seconds_bucket{le=\"300\"} 0
bare_seconds_bucket{le=\"+Inf\"} 1
bare_seconds_sum 1000
bare_seconds_count 1

"
            ),
            "{text}"
        );
        assert!(text.contains("a_seconds_sum{route=\"x\\\"y\"} 0.502\n"), "{text}");
        assert!(!text.contains("never_seconds"), "{text}");
    }

    #[test]
    fn what_counts_by_the_same_name_and_labels_counts_as_one() {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, || {
            for step in 1..=3 {
                counter!("asked_total", "by" => step.to_string()).increment(step);
                counter!("asked_total", "by" => "2").increment(10);
                gauge!("open").increment(2.0);
                gauge!("open").decrement(0.5);
                gauge!("time").set(1_700_000_000.25);
            }
        });

        for _ in 0..2 {
            let text = recorder.render();
            for line in [
                "asked_total{by=\"1\"} 1\n",
                "asked_total{by=\"2\"} 32\n",
                "asked_total{by=\"3\"} 3\n",
                "open 4.5\n",
                "time 1700000000.25\n",
            ] {
                assert_eq!(text.matches(line).count(), 1, "{line}{text}");
            }
        }
    }

    #[test]
    fn all_bounds_have_a_bucket_and_rise() {
        for bounds in [SECONDS, FRACTIONS] {
            assert!(bounds.len() <= BOUNDS);
            assert!(bounds.is_sorted_by(|one, next| one < next));
        }
    }
}
