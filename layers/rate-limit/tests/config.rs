//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use portcullis_rate_limit::{Headers, InvalidQuota, LimitPolicy, MissingKey, Mode, Quota, Wait};
use proptest::prelude::*;

fn read(file: &str) -> Result<LimitPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message(file: &str) -> String {
    read(file).expect_err(file).message().to_owned()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn a_quota_is_enough() {
    let expected = LimitPolicy::new(Quota::per_second(number(100)).burst(number(20)));

    assert_eq!(read("quota = '100/s burst 20'"), Ok(expected));
}

#[test]
fn all_of_it_is_read() {
    let file = "quota = '5/m'\nkeys = 1000\nmissing_key = 'refuse'\nmode = 'shadow'\nheaders = 'always'\n\
        wait = { longest = '250ms', waiters = 64 }";

    let expected = LimitPolicy::new(Quota::per_minute(number(5)))
        .keys(NonZeroUsize::new(1000).unwrap())
        .missing_key(MissingKey::Refuse)
        .mode(Mode::Shadow)
        .headers(Headers::Always)
        .wait(Wait::new(Duration::from_millis(250), NonZeroUsize::new(64).unwrap()));
    assert_eq!(read(file), Ok(expected));
}

#[test]
fn what_the_documentation_shows_is_the_default() {
    let file = "quota = '100/s burst 20'\nkeys = 65536\nmissing_key = 'share'\nmode = 'enforce'\nheaders = 'refusals'";

    assert_eq!(read(file), read("quota = '100/s burst 20'"));
}

#[test]
fn mistakes_are_explained() {
    assert!(message("").contains("missing field `quota`"));
    assert!(message("quota = '1/s'\nburst = 1").contains("unknown field `burst`"));
    assert!(message("quota = '1/s'\nkeys = 0").contains("nonzero"));
    assert!(message("quota = '1/s'\nmode = 'off'").contains("unknown variant `off`"));
    assert_eq!(message("quota = 'many'"), InvalidQuota::Form.to_string());
}

#[test]
fn a_wait_is_read() {
    let wait: Wait = toml::from_str("longest = '250ms'\nwaiters = 64").unwrap();

    assert_eq!(wait, Wait::new(Duration::from_millis(250), NonZeroUsize::new(64).unwrap()));
    for wrong in ["longest = 250\nwaiters = 1", "longest = '1s'", "longest = '1s'\nwaiters = 0"] {
        assert!(toml::from_str::<Wait>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn quotas_are_written_in_many_ways() {
    let every = |millis| Quota::every(Duration::from_millis(millis)).unwrap();
    for (text, quota) in [
        ("100/s", Quota::per_second(number(100))),
        ("  100/s   burst  20 ", Quota::per_second(number(100)).burst(number(20))),
        ("5/m burst 1", Quota::per_minute(number(5)).burst(number(1))),
        ("5000/h", Quota::per_hour(number(5000))),
        ("1/250ms", every(250)),
        ("1/d", every(86_400_000)),
        ("3/10s", Quota::per(number(3), Duration::from_secs(10)).unwrap()),
    ] {
        assert_eq!(text.parse(), Ok(quota), "{text}");
    }
}

#[test]
fn what_is_no_quota_is_refused() {
    for (text, error) in [
        ("", InvalidQuota::Form),
        ("100", InvalidQuota::Form),
        ("100/", InvalidQuota::Form),
        ("/s", InvalidQuota::Form),
        ("-1/s", InvalidQuota::Form),
        ("+1/s", InvalidQuota::Form),
        ("NaN/s", InvalidQuota::Form),
        ("1.5/s", InvalidQuota::Form),
        ("100/fortnight", InvalidQuota::Form),
        ("100/s 20", InvalidQuota::Form),
        ("100/s burst", InvalidQuota::Form),
        ("100/s burst 20 30", InvalidQuota::Form),
        ("0/s", InvalidQuota::Number),
        ("1/0s", InvalidQuota::Period),
        ("1/s burst 0", InvalidQuota::Number),
        ("4294967296/s", InvalidQuota::Number),
        ("1/400d", InvalidQuota::Period),
        ("1/d burst 4294967295", InvalidQuota::Period),
        ("1/4294967295d", InvalidQuota::Period),
    ] {
        assert_eq!(text.parse::<Quota>(), Err(error), "{text}");
    }
    assert_eq!(Quota::every(Duration::ZERO), Err(InvalidQuota::Period));
    assert_eq!(Quota::every(Duration::MAX), Err(InvalidQuota::Period));
}

#[test]
fn what_comes_back_is_never_more_than_was_said() {
    assert_eq!(Quota::per_second(number(3)).interval_of_one(), Duration::from_nanos(333_333_334));
    let most = Quota::per_hour(number(1)).burst(NonZeroU32::MAX).most();
    assert_eq!(most.get(), 366 * 24, "what comes back in a year");
}

proptest! {
    #[test]
    fn no_text_makes_a_quota_panic(text in ".{0,40}") {
        let _ = text.parse::<Quota>();
    }

    #[test]
    fn what_is_printed_is_read_again(units in 1..100_000_u32, burst in 1..100_000_u32, period in "[smhd]|[1-9][0-9]{0,2}(ms|us|ns|s)") {
        if let Ok(quota) = format!("{units}/{period} burst {burst}").parse::<Quota>() {
            prop_assert_eq!(quota.to_string().parse(), Ok(quota));
        }
    }
}
