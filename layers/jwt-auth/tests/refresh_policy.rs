//! What a configuration file may say of when issuers are asked.
#![cfg(feature = "serde")]

use std::time::Duration;

use portcullis_jwt_auth::RefreshPolicy;

fn read(file: &str) -> Result<RefreshPolicy, String> {
    toml::from_str(file).map_err(|error| error.message().to_owned())
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(RefreshPolicy::new()));
    assert_eq!(
        read("max_stale = '1h'"),
        Ok(RefreshPolicy::new().max_stale(Duration::from_secs(3600)))
    );
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    let documented = "
        lifetime = '10m'
        shortest_lifetime = '1m'
        longest_lifetime = '1h'
        max_stale = '24h'
        time_limit = '5s'
        max_bytes = 65536
        unknown_kid_interval = '30s'
        first_backoff = '1s'
        longest_backoff = '1m'
    ";

    assert_eq!(read(documented), Ok(RefreshPolicy::new()));
}

#[test]
fn a_whole_section_is_read() {
    let file = "
        lifetime = '9s'
        shortest_lifetime = '1s'
        longest_lifetime = '2s'
        max_stale = '3s'
        time_limit = '4s'
        max_bytes = 5
        unknown_kid_interval = '6s'
        first_backoff = '7s'
        longest_backoff = '8s'
    ";
    let [one, two, three, four, six, seven, eight, nine] =
        [1, 2, 3, 4, 6, 7, 8, 9].map(Duration::from_secs);
    let policy = RefreshPolicy::new()
        .lifetime(nine)
        .lifetime_between(one, two)
        .max_stale(three)
        .time_limit(four)
        .max_bytes(5)
        .unknown_kid_interval(six)
        .backoff(seven, eight);

    assert_eq!(read(file), Ok(policy));
}

#[test]
fn nobody_asks_without_a_pause() {
    for key in [
        "lifetime",
        "shortest_lifetime",
        "longest_lifetime",
        "time_limit",
        "first_backoff",
        "longest_backoff",
    ] {
        let error = read(&format!("{key} = '0s'"));
        assert_eq!(error, Err("a duration above zero is needed".to_owned()), "{key}");
    }
    for key in ["max_stale", "unknown_kid_interval"] {
        assert!(read(&format!("{key} = '0s'")).is_ok(), "{key}");
    }
}

#[test]
fn a_mistake_is_an_error() {
    for (file, expected) in [
        ("lifetime = 10", "invalid type: integer `10`, expected a string"),
        ("lifetime = '10'", "a duration like \"30s\" or \"5m\" is needed here"),
        ("max_bytes = -1", "invalid value: integer `-1`, expected usize"),
        ("shortest = '1m'", "unknown field `shortest`, expected one of `lifetime`"),
    ] {
        let error = read(file).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
