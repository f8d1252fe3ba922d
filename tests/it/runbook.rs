//! What the runbook says to do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use portcullis_tests::{Nowhere, Process, Upstream};
use tempfile::TempDir;
use tokio::process::Command;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
const RUNBOOK: &str = include_str!("../../server/docs/runbook.md");

/// The blocks of commands that say to be tested.
fn tested() -> Vec<&'static str> {
    let blocks = RUNBOOK.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.starts_with("# tested\n")).collect()
}

/// A folder with a configuration, whose admin listener is at this address.
fn folder(admin: &str, upstream: &Upstream) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '{admin}', token = 'the token', probe_interval = '50ms' }}
         log = {{ format = 'json' }}
         upstream.app.replica = [{{ name = 'one', url = 'http://{0}' }}, {{ name = 'two', url = 'http://{0}' }}]
         route = [{{ path = '/', upstream = 'app' }}]",
        upstream.address()
    );
    fs::write(folder.path().join("gateway.toml"), config).unwrap();
    symlink(GATEWAY, folder.path().join("portcullis")).unwrap();
    folder
}

/// Runs commands in a folder, in whose path the program is. The first that fails ends it.
async fn run(commands: &str, admin: &str, folder: &Path) -> Output {
    let commands = commands.replace("127.0.0.1:9090", admin);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &commands]).current_dir(folder);
    bash.env("PATH", path).env("TOKEN", "the token").kill_on_drop(true).output().await.unwrap()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn what_it_says_to_do_can_be_done() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let tested = tested();
    let (start, rest) = tested.split_first().unwrap();
    assert!(start.contains("portcullis run") && rest.len() == 3, "{tested:#?}");

    let admin = Nowhere::take().address().to_string();
    let own = folder(&admin, &upstream);
    let output = run(start, &admin, own.path()).await;
    assert_eq!(output.status.code(), Some(0), "{}", says(&output));

    let own = folder("127.0.0.1:0", &upstream);
    let (_process, _, admin) = Process::run(GATEWAY, &own.path().join("gateway.toml")).await;
    let admin = admin.unwrap().to_string();
    for commands in rest {
        let output = run(commands, &admin, own.path()).await;

        assert!(output.status.success(), "{commands}\n{}", says(&output));
    }
}

#[test]
fn every_reason_that_it_explains_is_one_that_the_gateway_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = String::new();
    for file in crate::house::sources(root) {
        sources += &fs::read_to_string(file).unwrap();
    }
    let rows = RUNBOOK.lines().skip_while(|line| !line.starts_with("| reason ")).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 10);
    for row in rows {
        let reasons = row.split(" | ").next().unwrap().split('`').skip(1).step_by(2);
        for reason in reasons.filter(|reason| *reason != "_timeout") {
            assert!(sources.contains(&format!("\"{reason}\"")), "{reason}");
        }
    }
}
