//! What runs the gateway elsewhere, in the eyes of the tools that are for that.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::peers::{installed, said};

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/deploy").join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn the_dockerfile_is_clean() {
    let file = deploy("Dockerfile");

    let complaints = said("python/bin/hadolint", &["--no-color", text(&file)], "").await;

    assert_eq!(complaints, "");
}

#[test]
fn the_image_is_built_by_the_toolchain_that_the_gateway_asks_for() {
    let file = fs::read_to_string(deploy("Dockerfile")).unwrap();
    let manifest = fs::read_to_string(deploy("../Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let version = manifest["package"]["rust-version"].as_str().unwrap();

    assert!(file.contains(&format!("\nFROM rust:{version}-bookworm AS build\n")), "{version}");
}

/// The manifests of an overlay, as they would be applied.
async fn built(overlay: &str) -> String {
    let folder = deploy("kubernetes/overlays").join(overlay);
    said("kubectl", &["kustomize", text(&folder)], "").await
}

#[tokio::test]
async fn the_manifests_are_what_the_api_server_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    for overlay in ["development", "production"] {
        let file = folder.path().join(format!("{overlay}.yaml"));
        let manifests = built(overlay).await;
        fs::write(&file, &manifests).unwrap();

        let validate = installed("python/bin/kubernetes-validate");
        let validated =
            Command::new(validate).args(["--strict", text(&file)]).output().await.unwrap();

        let told = String::from_utf8(validated.stdout).unwrap();
        assert!(validated.status.success(), "{told}");
        let passed = told.lines().filter(|line| line.contains(" passed for resource ")).count();
        // Of the operator's own kinds it has no schema.
        let foreign = manifests.matches("\nkind: ServiceMonitor\n").count();
        assert_eq!(passed + foreign, manifests.matches("\nkind: ").count(), "{told}");
    }
}

#[tokio::test]
async fn the_manifests_fit_together_and_give_away_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/manifests.py");
    for overlay in ["development", "production"] {
        let file = folder.path().join(format!("{overlay}.yaml"));
        fs::write(&file, built(overlay).await).unwrap();

        let wrong = said("python/bin/python", &[text(&check), text(&file)], "").await;

        assert_eq!(wrong, "", "{overlay}");
    }
}

#[tokio::test]
async fn the_configurations_that_are_deployed_are_right() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "a token").unwrap();
    for file in ["kubernetes/base", "kubernetes/overlays/production", "systemd"] {
        let config = fs::read_to_string(deploy(file).join("gateway.toml")).unwrap();
        let here = config.replace("/run/secrets/portcullis/admin-token", "token");
        let path = folder.path().join("gateway.toml");
        fs::write(&path, here).unwrap();

        let checked = said(GATEWAY, &["check", text(&path)], "").await;

        assert_eq!(checked, format!("{}: right\n", path.display()), "{file}");
    }
}

/// The units, where the program is.
fn units(folder: &Path) -> Vec<String> {
    let units = ["portcullis.service", "portcullis.socket"].map(|name| {
        let unit = fs::read_to_string(deploy("systemd").join(name)).unwrap();
        let file = folder.join(name);
        fs::write(&file, unit.replace("/usr/bin/portcullis", GATEWAY)).unwrap();
        text(&file).to_owned()
    });
    units.into()
}

#[tokio::test]
async fn the_units_say_nothing_that_systemd_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());

    let complaints =
        said("systemd-analyze", &["verify", "--man=no", &units[0], &units[1]], "").await;

    assert_eq!(complaints, "");
}

#[tokio::test]
async fn the_unit_leaves_little_to_whoever_breaks_in() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());

    // In tenths of what `systemd-analyze` calls the exposure; it fails beyond.
    let arguments = ["security", "--no-pager", "--offline=true", "--threshold=15", &units[0]];
    let told = said("systemd-analyze", &arguments, "").await;

    assert!(told.contains("Overall exposure level"), "{told}");
}
