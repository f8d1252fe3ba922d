//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use portcullis_drain::{ClosePolicy, Deadlines};

fn read(file: &str) -> Result<Deadlines, toml::de::Error> {
    toml::from_str(file)
}

fn seconds(linger: u64, deadline: u64) -> Deadlines {
    Deadlines::new(Duration::from_secs(linger), Duration::from_secs(deadline)).unwrap()
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(Deadlines::default()));
    assert_eq!(read("linger = '5s'"), Ok(seconds(5, 30)));
    assert_eq!(read("deadline = '2m'"), Ok(seconds(0, 120)));
}

#[test]
fn the_defaults_are_no_lingering_and_half_a_minute() {
    assert_eq!(Deadlines::default(), seconds(0, 30));
}

#[test]
fn clients_are_told_to_close_at_once_unless_the_file_says_otherwise() {
    for (text, close) in [
        ("immediate", ClosePolicy::Immediate),
        ("gradual", ClosePolicy::Gradual),
        ("never", ClosePolicy::Never),
    ] {
        assert_eq!(read(&format!("close = '{text}'")), Ok(seconds(0, 30).closing(close)));
    }
    assert_eq!(read("").unwrap().close(), ClosePolicy::Immediate);
    assert!(read("close = 'soon'").is_err());
}

#[test]
fn a_linger_up_to_the_deadline_is_read() {
    assert_eq!(read("linger = '10s'\ndeadline = '10s'"), Ok(seconds(10, 10)));
    assert_eq!(read("linger = '0s'\ndeadline = '0s'"), Ok(seconds(0, 0)));
}

#[test]
fn a_linger_beyond_the_deadline_is_refused_even_if_that_is_the_default() {
    let error = read("linger = '11s'\ndeadline = '10s'").unwrap_err();
    assert_eq!(error.message(), "a linger of 11s exceeds the deadline of 10s");

    let error = read("linger = '31s'").unwrap_err();
    assert_eq!(error.message(), "a linger of 31s exceeds the deadline of 30s");
}

#[test]
fn a_duration_without_a_unit_below_zero_or_not_as_text_is_refused() {
    for duration in ["'30'", "'-1s'", "30", "''", "'soon'"] {
        assert!(read(&format!("deadline = {duration}")).is_err(), "{duration}");
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    assert!(read("timeout = '5s'").unwrap_err().message().contains("timeout"));
}
