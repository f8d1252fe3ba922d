//! What a configuration file may say.

use std::time::Duration;

use portcullis_sigv4_sign::{Region, ServiceName, Verifying};

fn read(rest: &str) -> Result<Verifying, toml::de::Error> {
    toml::from_str(&format!("service = 's3'\n{rest}"))
}

fn s3() -> Verifying {
    Verifying::new(ServiceName::new("s3").unwrap())
}

#[test]
fn the_service_is_enough() {
    assert_eq!(read(""), Ok(s3()));
}

#[test]
fn every_key_is_read() {
    let file = "regions = ['eu-west-1', 'auto']\nclock_skew = '5m'\npresigned = false\n\
        unsigned_bodies = false\nmax_chunk = '64KiB'";
    let regions = ["eu-west-1", "auto"].map(|region| Region::new(region).unwrap());

    let verifying = s3()
        .regions(regions)
        .clock_skew(Duration::from_secs(300))
        .refuse_presigned()
        .refuse_unsigned_bodies()
        .max_chunk(65_536);
    assert_eq!(read(file), Ok(verifying));
}

#[test]
fn a_default_may_be_written_out() {
    let file = "clock_skew = '15m'\npresigned = true\nunsigned_bodies = true\nmax_chunk = 1048576";
    assert_eq!(read(file), Ok(s3()));
    assert_ne!(read("regions = []"), Ok(s3()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for rest in [
        "regions = 'eu-west-1'",
        "regions = ['eu west']",
        "clock_skew = 900",
        "clock_skew = '15 parsecs'",
        "presigned = 'no'",
        "max_chunk = -1",
        "max_chunk = '1 Mib'",
        "keys = []",
    ] {
        assert!(read(rest).is_err(), "{rest}");
    }
    assert!(toml::from_str::<Verifying>("regions = ['eu']").is_err());

    let error = read("clock_skew = 'soon'").unwrap_err().to_string();
    assert!(error.contains("a duration like \"30s\" or \"5m\""), "{error}");
}
