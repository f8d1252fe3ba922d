//! What the house rules ask of every crate, read from the tree itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// What is in a folder, but for what git does not know.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().is_some_and(|name| name != "target")).collect()
}

fn layers() -> Vec<PathBuf> {
    let layers = entries(&root().join("layers"));
    assert!(layers.len() >= 8, "{layers:?}");
    layers
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

fn manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

/// The value below these keys.
fn at<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (last, path) = keys.split_last()?;
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?.get(*last)
}

/// The names of normal dependencies, those of one platform or feature included.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let names = |table: &Table| {
        let table = table.get("dependencies").and_then(Value::as_table).cloned();
        table.unwrap_or_default().into_iter().map(|(name, _)| name)
    };
    let targets = manifest.get("target").and_then(Value::as_table);
    // Loom is there for its own tests alone.
    let targets = targets.into_iter().flatten().filter(|(target, _)| *target != "cfg(loom)");
    let targets = targets.filter_map(|(_, table)| table.as_table());
    names(manifest).chain(targets.flat_map(names)).collect()
}

/// All files below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    found
}

/// The Rust files of the gateway and of the layers.
pub(crate) fn sources(root: &Path) -> Vec<PathBuf> {
    ["layers", "server"].iter().flat_map(|folder| files(&root.join(folder), "rs")).collect()
}

/// What stands at the top of the crates that are published.
fn published() -> Vec<PathBuf> {
    layers().into_iter().chain([root().join("server")]).collect()
}

#[test]
fn every_published_crate_brings_its_readme_changelog_and_licences() {
    for crate_ in published() {
        for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            let text = fs::read_to_string(crate_.join(file));

            assert!(text.is_ok_and(|text| text.len() > 100), "{}/{file}", crate_.display());
        }
    }
}

#[test]
fn the_licences_of_all_crates_are_those_of_the_workspace() {
    for crate_ in published() {
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let same = fs::read(crate_.join(file)).ok() == fs::read(root().join(file)).ok();

            assert!(same, "{}/{file}", crate_.display());
        }
    }
}

#[test]
fn every_layer_has_tests_of_its_contract() {
    for layer in layers() {
        let tests = files(&layer.join("tests"), "rs");

        assert!(!tests.is_empty(), "{}", layer.display());
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    let others = ["server", "examples", "tests", "benches"].map(|name| root().join(name));
    for crate_ in layers().into_iter().chain(others) {
        let manifest = manifest(&crate_);

        let inherited = at(&manifest, &["lints", "workspace"]);
        assert_eq!(inherited, Some(&Value::Boolean(true)), "{}", crate_.display());
    }
}

#[test]
fn every_layer_is_named_for_its_folder() {
    for layer in layers() {
        let manifest = manifest(&layer);

        let expected = format!("portcullis-{}", name(&layer));
        assert_eq!(at(&manifest, &["package", "name"]), Some(&expected.into()));
    }
}

#[test]
fn no_layer_knows_another() {
    let shared = ["portcullis-held-body", "portcullis-refusal"];
    for layer in layers() {
        let known = dependencies(&manifest(&layer));
        let others = known.iter().filter(|name| name.starts_with("portcullis"));
        let others: Vec<_> = others.filter(|name| !shared.contains(&name.as_str())).collect();

        assert!(others.is_empty(), "{} depends on {others:?}", layer.display());
    }
}

#[test]
fn no_layer_asks_for_a_framework() {
    for layer in layers() {
        let known = dependencies(&manifest(&layer));

        for framework in ["tower", "hyper", "hyper-util", "futures", "axum", "tonic", "anyhow"] {
            assert!(!known.contains(framework), "{} depends on {framework}", layer.display());
        }
    }
}

#[test]
fn no_layer_has_features_that_are_on_by_default_but_the_choice_of_a_backend() {
    let backend = ("jwt-auth", Value::from(vec!["aws-lc-rs"]));
    for layer in layers() {
        let manifest = manifest(&layer);
        let allowed = layer.ends_with(backend.0).then_some(&backend.1);

        assert_eq!(at(&manifest, &["features", "default"]), allowed, "{}", layer.display());
    }
}

#[test]
fn every_dependency_has_its_version_from_the_workspace() {
    let others = ["server", "examples", "tests", "benches"].map(|name| root().join(name));
    for crate_ in layers().into_iter().chain(others) {
        let manifest = manifest(&crate_);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let section = manifest.get(section).and_then(Value::as_table);
            for (name, dependency) in section.into_iter().flatten() {
                let inherited = dependency.get("workspace").and_then(Value::as_bool);

                assert_eq!(inherited, Some(true), "{name} of {}", crate_.display());
            }
        }
    }
}

/// Folders of the layers that stand in a stack: the other two are parts of these.
fn in_a_stack() -> Vec<String> {
    let names = layers().into_iter().map(|layer| name(&layer).to_owned());
    names.filter(|name| !matches!(name.as_str(), "held-body" | "refusal")).collect()
}

/// The targets of this kind that a manifest names, and their files.
fn targets(folder: &str, kind: &str) -> BTreeSet<(String, PathBuf)> {
    let folder = root().join(folder);
    let manifest = manifest(&folder);
    let targets = manifest.get(kind).and_then(Value::as_array).cloned().unwrap_or_default();
    let target = |target: &Value| {
        let text = |key| target.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, folder.join(text("path")?)))
    };
    targets.iter().filter_map(target).collect()
}

#[test]
fn every_layer_is_shown_in_axum_in_tonic_and_on_hyper() {
    let examples = targets("examples", "example");
    for layer in in_a_stack() {
        for framework in ["axum", "tonic", "hyper"] {
            let wanted = format!("{}_{framework}", layer.replace('-', "_"));
            let found = examples.iter().find(|(name, _)| *name == wanted);

            let (_, file) = found.unwrap_or_else(|| panic!("there is no example {wanted}"));
            let text = fs::read_to_string(file).unwrap();
            let library = format!("portcullis_{}", layer.replace('-', "_"));
            assert!(text.contains(&library) && text.contains(framework), "{wanted}");
        }
    }
}

#[test]
fn examples_are_short_enough_to_be_read() {
    for file in files(&root().join("examples"), "rs") {
        let lines = fs::read_to_string(&file).unwrap().lines().count();

        assert!(lines < 60, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_example_is_run_by_a_test_of_its_own() {
    for (name, file) in targets("examples", "example") {
        let text = fs::read_to_string(file).unwrap();

        assert!(text.contains("test]\n"), "nothing runs {name}");
    }
    let manifest = manifest(&root().join("examples"));
    let examples = manifest["example"].as_array().unwrap();
    let tested = |example: &Value| example.get("test").and_then(Value::as_bool) == Some(true);
    assert!(examples.iter().all(tested));
}

#[test]
fn every_layer_is_measured() {
    let benches = targets("benches", "bench");
    for layer in in_a_stack() {
        let wanted = layer.replace('-', "_");
        let found = benches.iter().any(|(name, file)| *name == wanted && file.exists());

        assert!(found, "there is no bench {wanted}");
    }
}

#[test]
fn every_file_is_named_for_what_is_in_it() {
    for file in files(&root(), "rs") {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap();

        let says_nothing = ["mod", "utils", "util", "helpers", "helper", "common", "types", "misc"];
        assert!(!says_nothing.contains(&name), "{}", file.display());
    }
}

#[test]
fn nothing_stands_at_the_top_but_what_belongs_there() {
    let belongs = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "deny.toml",
        "examples",
        "layers",
        "server",
        "tests",
    ];
    for path in entries(&root()) {
        let name = name(&path);

        assert!(name.starts_with('.') || belongs.contains(&name), "{name}");
    }
}

#[test]
fn the_tests_that_promises_stand_on_are_there() {
    let promises = fs::read_to_string(root().join(".github/SECURITY.md")).unwrap();

    let tests: Vec<_> = promises
        .split('`')
        .filter(|text| text.ends_with(".rs") && *text != "tests/fuzz.rs")
        .collect();

    assert!(tests.len() > 20, "{tests:?}");
    for test in tests {
        assert!(root().join(test).is_file(), "{test}");
    }
}

/// How many crates stand below this one, with its default features.
fn crates_below(package: &str) -> usize {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = "tree --offline --locked --edges normal --prefix none --no-dedupe --package";
    let mut tree = std::process::Command::new(cargo);
    let tree = tree.args(arguments.split(' ')).arg(package).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names =
        tree.lines().filter_map(|line| line.split(" v").next()).filter(|name| !name.is_empty());
    names.collect::<BTreeSet<_>>().len() - 1
}

#[test]
fn the_readme_says_how_many_crates_each_layer_brings_and_they_are_few() {
    let larger = ["jwt-auth", "sigv4-sign", "replica-failover"];
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for layer in layers() {
        let package = format!("portcullis-{}", name(&layer));
        let row = readme.lines().find(|line| line.starts_with(&format!("| [`{package}`]")));
        let said = row
            .and_then(|row| row.split(" | ").nth(2))
            .unwrap_or_else(|| panic!("no row of {package}"));

        let below = crates_below(&package);
        assert_eq!(said, below.to_string(), "{package}");
        assert!(below <= 12 || larger.contains(&name(&layer)), "{package} brings {below}");
    }
}

#[test]
fn every_published_crate_tells_docs_rs_to_show_all_of_it() {
    for crate_ in published() {
        let manifest = manifest(&crate_);

        let all = at(&manifest, &["package", "metadata", "docs", "rs", "all-features"]);
        assert_eq!(all, Some(&Value::Boolean(true)), "{}", crate_.display());
    }
}

#[test]
fn the_workflow_runs_what_can_be_run_here() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (script, workflow) = (read(".ci/crates"), read(".github/workflows/ci.yml"));
    let jobs =
        script.lines().find_map(|line| line.trim().strip_suffix(") (cd \"$root\" && \"$job\") ;;"));
    let jobs: BTreeSet<_> = jobs.unwrap().split(" | ").collect();
    assert!(jobs.len() >= 7, "{jobs:?}");

    let matrix = workflow.split("job: [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    let run = workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: .ci/crates "));
    let run = run.filter(|job| !job.starts_with("${{"));

    assert_eq!(matrix.split(", ").chain(run).collect::<BTreeSet<_>>(), jobs);
    assert!(workflow.contains("- run: .ci/debian\n"));
}
