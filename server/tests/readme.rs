//! What the README shows is right.

use portcullis::config::parse;
use portcullis::plan::Plan;

#[test]
fn the_configuration_in_the_readme_is_right() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (config, _) = rest.split_once("```").unwrap();

    let plan = parse(config, &|_| None).and_then(Plan::new);

    assert!(plan.is_ok(), "{:?}", plan.err());
}
