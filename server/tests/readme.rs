//! What the README shows is right.

use portcullis::config::{Format, read};
use portcullis::plan::Plan;

#[test]
fn the_configuration_in_the_readme_is_right() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (config, _) = rest.split_once("```").unwrap();

    let plan = read(config, Format::Toml, &|_| None).and_then(Plan::of);

    assert!(plan.is_ok(), "{:?}", plan.err());
}
