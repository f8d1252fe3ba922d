//! The JSON schema that the gateway prints, in the eyes of a validator that others wrote.

use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use crate::peers::said;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// Says what is wrong with each file, by the schema: a line each.
const VALIDATE: &str = r#"
import json, jsonschema, sys, tomllib, yaml
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
for name in sys.argv[2:]:
    read = tomllib.load if name.endswith("toml") else yaml.safe_load
    for error in jsonschema.Draft202012Validator(schema).iter_errors(read(open(name, "rb"))):
        print(error.json_path)
"#;

const AS_YAML: &str = r#"
import sys, tomllib, yaml
print(yaml.safe_dump(tomllib.load(sys.stdin.buffer), sort_keys=False))
"#;

/// The configuration in the README.
fn shown() -> &'static str {
    let readme = include_str!("../../server/README.md");
    let file = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    file.expect("a file in the readme")
}

async fn schema(folder: &Path) -> String {
    let output = Command::new(GATEWAY).arg("schema").output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let file = folder.join("schema.json");
    std::fs::write(&file, output.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What a validator says of this file.
async fn verdict(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, name, text);
    let schema = schema(folder.path()).await;
    said("python/bin/python", &["-c", VALIDATE, &schema, &file], "").await
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_files_that_are_shown_are_valid_by_the_schema() {
    let demo = include_str!("../../server/src/demo/gateway.toml");

    assert_eq!(verdict("readme.toml", shown()).await, "");
    assert_eq!(verdict("demo.toml", demo).await, "");
}

#[tokio::test]
async fn the_schema_knows_what_is_wrong() {
    for (right, wrong, expected) in [
        ("workers = 2", "workers = 2.5", "$.workers\n"),
        ("address = [\"127.0.0.1:8080\"", "address = [\"localhost\"", "$.listener[0].address\n"),
        ("connect = \"1s\"", "connect = \"soon\"", "$.upstream.photos.timeouts.connect\n"),
        ("max_uri = \"8KiB\"", "max_uri = \"8 apples\"", "$.request_guard.max_uri\n"),
        ("level = \"info\"", "levle = \"info\"", "$.log\n"),
        ("upstream = \"photos\"", "", "$.route[0]\n"),
        ("format = \"json\"", "format = \"xml\"", "$.log.format\n"),
        ("service = \"s3\", region", "region", "$.upstream.photos.sigv4_sign\n"),
    ] {
        assert!(shown().contains(right), "{right}");

        let said = verdict("wrong.toml", &shown().replacen(right, wrong, 1)).await;

        assert_eq!(said, expected, "{wrong}");
    }
}

#[tokio::test]
async fn the_file_of_the_readme_says_the_same_in_yaml() {
    let yaml = said("python/bin/python", &["-c", AS_YAML], shown()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "gateway.yaml", &yaml);

    let checked = said(GATEWAY, &["check", &file], "").await;

    assert_eq!(checked, format!("{file}: right\n"));
    assert_eq!(verdict("gateway.yaml", &yaml).await, "");
}
