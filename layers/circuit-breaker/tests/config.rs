//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use portcullis_circuit_breaker::{
    CircuitBreakerPolicy, HalfOpen, InvalidPolicy, Mode, OpenTime, RampUp, Rate, SlowCalls, Until,
    Window,
};

fn read(file: &str) -> Result<CircuitBreakerPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message(file: &str) -> String {
    read(file).expect_err(file).message().to_owned()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(CircuitBreakerPolicy::new()));
    assert_eq!(read("[window]\n[open]\n[half_open]"), Ok(CircuitBreakerPolicy::new()));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let number = |number| NonZeroU16::new(number).unwrap();
    let documented = CircuitBreakerPolicy::new()
        .window(Window::time(seconds(30), 20).unwrap())
        .failure_rate(Rate::new(0.5).unwrap())
        .open_time(OpenTime::new(seconds(5), seconds(60)).unwrap().jitter(Rate::percent(10)))
        .half_open(HalfOpen::new(number(1), number(2), seconds(30)).unwrap())
        .record_at(Until::Headers)
        .mode(Mode::Automatic);

    assert_eq!(documented, CircuitBreakerPolicy::default());
}

#[test]
fn all_of_it_is_read() {
    let number = |number| NonZeroU16::new(number).unwrap();
    let slow = SlowCalls::new(seconds(2), Rate::percent(80)).unwrap().until(Until::LastByte);
    let open = OpenTime::new(seconds(1), seconds(60)).unwrap();
    let expected = CircuitBreakerPolicy::new()
        .window(Window::calls(100, 10).unwrap())
        .failure_rate(Rate::ONE)
        .consecutive_failures(NonZeroU32::new(5).unwrap())
        .slow_calls(slow)
        .open_time(open.jitter(Rate::percent(20)).retry_after_up_to(seconds(300)))
        .half_open(HalfOpen::new(number(3), number(4), seconds(10)).unwrap())
        .ramp_up(RampUp::new(seconds(10), Rate::percent(5)).unwrap())
        .record_at(Until::LastByte)
        .mode(Mode::MetricsOnly);

    let file = r#"
        failure_rate = 1
        consecutive_failures = 5
        record_at = "last_byte"
        mode = "metrics_only"
        window = { calls = 100, minimum_calls = 10 }
        slow_calls = { threshold = "2s", rate = 0.8, until = "last_byte" }
        open = { first = "1s", longest = "1m", jitter = 0.2, retry_after_up_to = "5m" }
        half_open = { concurrent = 3, successes = 4, deadline = "10s" }
        ramp_up = { time = "10s", from = 0.05 }
    "#;

    assert_eq!(read(file), Ok(expected));
}

#[test]
fn what_the_documentation_shows_is_the_default_but_for_what_is_off() {
    let file = r#"
        failure_rate = 0.5
        record_at = "headers"
        mode = "automatic"

        [window]
        time = "30s"
        minimum_calls = 20

        [open]
        first = "5s"
        longest = "1m"
        jitter = 0.1

        [half_open]
        concurrent = 1
        successes = 2
        deadline = "30s"
    "#;

    assert_eq!(read(file), Ok(CircuitBreakerPolicy::new()));
}

#[test]
fn a_small_window_lowers_the_minimum_that_is_not_given() {
    let window = Window::calls(5, 5).unwrap();
    assert_eq!(read("window.calls = 5"), Ok(CircuitBreakerPolicy::new().window(window)));

    let window = Window::time(seconds(30), 3).unwrap();
    assert_eq!(read("window.minimum_calls = 3"), Ok(CircuitBreakerPolicy::new().window(window)));
}

#[test]
fn no_jitter_is_zero() {
    let open = OpenTime::default().without_jitter();
    assert_eq!(read("open.jitter = 0"), Ok(CircuitBreakerPolicy::new().open_time(open)));
}

#[test]
fn a_ramp_starts_with_a_tenth() {
    let ramp_up = RampUp::new(seconds(10), Rate::percent(10)).unwrap();
    assert_eq!(read("ramp_up.time = '10s'"), Ok(CircuitBreakerPolicy::new().ramp_up(ramp_up)));
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let wanted = "a rate has to be above 0 and at most 1";
    for rate in ["0", "0.0", "-0.5", "1.01", "50", "nan", "inf", "-inf", "1e-9"] {
        assert_eq!(message(&format!("failure_rate = {rate}")), wanted, "{rate}");
        let slow = format!("slow_calls = {{ threshold = '1s', rate = {rate} }}");
        assert_eq!(message(&slow), wanted, "{rate}");
    }
    assert_eq!(message("open.jitter = 1.5"), wanted);
    assert_eq!(message("open.jitter = nan"), wanted);
    assert_eq!(message("ramp_up = { time = '1s', from = 0 }"), wanted);
}

#[test]
fn a_window_that_could_never_be_judged_is_refused() {
    let minimum = "the minimum of calls has to be at least one and fit into the window";
    assert_eq!(message("window = { calls = 10, minimum_calls = 11 }"), minimum);
    assert_eq!(message("window = { calls = 10, minimum_calls = 0 }"), minimum);
    assert_eq!(message("window = { time = '1s', minimum_calls = 0 }"), minimum);
    assert_eq!(message("window = { minimum_calls = 0 }"), minimum);
    let calls = "a window has to hold between one and a million calls";
    assert_eq!(message("window.calls = 0"), calls);
    assert_eq!(message("window.calls = 1000001"), calls);
    let both = "a window is of a time or of calls, not of both";
    assert_eq!(message("window = { calls = 10, time = '1s' }"), both);
    assert_eq!(message("window.time = '9ms'"), "the window is too short");
}

#[test]
fn times_that_make_no_sense_are_refused() {
    assert_eq!(message("open.first = '0s'"), "the first time open is too short");
    assert_eq!(message("open.first = '2m'"), "the first time open exceeds the longest");
    assert_eq!(message("half_open.deadline = '0s'"), "the deadline of probes is too short");
    assert_eq!(message("ramp_up.time = '0s'"), "the time to ramp up is too short");
    let slow = "slow_calls = { threshold = '0s', rate = 1 }";
    assert_eq!(message(slow), "the threshold of slow calls is too short");
}

#[test]
fn a_duration_without_a_unit_below_zero_or_not_as_text_is_refused() {
    for duration in ["'30'", "'-1s'", "30", "''", "'soon'"] {
        assert!(read(&format!("open.longest = {duration}")).is_err(), "{duration}");
    }
}

#[test]
fn a_number_that_has_to_be_positive_is() {
    for key in ["consecutive_failures", "half_open.concurrent", "half_open.successes"] {
        assert!(read(&format!("{key} = 0")).is_err(), "{key}");
        assert!(read(&format!("{key} = -1")).is_err(), "{key}");
    }
}

#[test]
fn a_slow_call_is_not_guessed() {
    assert!(message("[slow_calls]\nrate = 0.5").contains("threshold"));
    assert!(message("[slow_calls]\nthreshold = '1s'").contains("rate"));
    assert!(message("[ramp_up]").contains("time"));
}

#[test]
fn an_unknown_key_or_mode_is_refused_by_name() {
    for section in ["", "window.", "open.", "half_open."] {
        assert!(message(&format!("{section}threshold = 5")).contains("threshold"), "{section}");
    }
    assert!(message("mode = 'off'").contains("off"));
    assert!(message("record_at = 'trailers'").contains("trailers"));
}

#[test]
fn constructors_refuse_what_a_file_may_not_say() {
    assert_eq!(Rate::new(f64::NAN), Err(InvalidPolicy::Rate));
    assert_eq!(Window::calls(10, 11), Err(InvalidPolicy::MinimumCalls));
    assert_eq!(Window::time(Duration::ZERO, 1), Err(InvalidPolicy::TooShort("the window")));
}
