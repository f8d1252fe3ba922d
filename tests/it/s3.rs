//! S3 clients that others wrote, through the gateway, to S3 servers that others wrote. `tests/run` installs them.

use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use portcullis_tests::{Identity, InProcess, Process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};

use crate::peers::{installed, said};

/// The region that all agree on.
const REGION: &str = "us-east-1";

/// A server with an empty bucket for each client, and the keys that it knows.
struct Storage {
    url: String,
    access_key: String,
    secret_key: String,
    /// What runs it: it ends when this is dropped.
    _process: Box<dyn Send>,
}

impl Storage {
    /// The file system behind s3s, which is part of the demo.
    async fn files() -> Self {
        let (demo, mut facts) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
        let mut fact = |name: &str| facts.remove(name).expect("a fact of the demo");
        let (url, access_key, secret_key) = (fact("S3"), fact("ACCESS_KEY"), fact("SECRET_KEY"));
        Self::with_buckets(url, &access_key, &secret_key, Box::new(demo)).await
    }

    /// Ceph's gateway, with all that is below it.
    async fn ceph() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/ceph");
        let mut command = std::process::Command::new(script);
        command.arg(folder.path()).args(["CEPHKEY", "a secret of Ceph"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash");
        let stdout = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let process = Box::new(Ceph { stdin: child.stdin.take(), child, _folder: folder });
        let port = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("Ceph, which `tests/run` installs, before its script ends");
            if let Some(port) = line.strip_prefix("listening ") {
                break port.to_owned();
            }
        };
        let url = format!("http://127.0.0.1:{port}");
        Self::with_buckets(url, "CEPHKEY", "a secret of Ceph", process).await
    }

    async fn with_buckets(
        url: String,
        access_key: &str,
        secret_key: &str,
        process: Box<dyn Send>,
    ) -> Self {
        let script = format!(
            "import boto3
s3 = boto3.client('s3', endpoint_url='{url}', region_name='{REGION}',
    aws_access_key_id='{access_key}', aws_secret_access_key='{secret_key}')
for name in {BUCKETS:?}:
    s3.create_bucket(Bucket='for-' + name)"
        );
        said("python/bin/python", &["-"], &script).await;
        Self {
            url,
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            _process: process,
        }
    }
}

/// Its script ends it when nobody holds the other end of its input.
struct Ceph {
    stdin: Option<ChildStdin>,
    child: Child,
    _folder: TempDir,
}

impl Drop for Ceph {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Else it would outlive the test, and hold on to its output.
        self.child.wait().ok();
    }
}

/// Clients, by the names of their scripts.
const CLIENTS: [&str; 5] = ["boto3", "sdk", "awscli", "s3cmd", "rclone"];

/// Scripts with a bucket of their own.
const BUCKETS: [&str; 6] = ["boto3", "sdk", "awscli", "s3cmd", "rclone", "answers"];

/// A gateway to `storage` with keys of its own for clients, who may send these headers; with TLS for `identity`.
fn in_front_of(storage: &Storage, identity: Option<&Identity>, allowed: &str) -> InProcess {
    let Storage { url, access_key, secret_key, .. } = storage;
    let tls = identity.map(|identity| {
        let (certificate, key) = (identity.certificate(), identity.key());
        format!(
            ", tls = {{ certificate = '{}', key = '{}' }}",
            certificate.display(),
            key.display()
        )
    });
    InProcess::start(&format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0'{} }}]
         admin = {{ address = '127.0.0.1:0' }}
         credentials.client = {{ access_key = 'CLIENTKEY', secret_key = 'a secret of the client' }}
         credentials.storage = {{ access_key = '{access_key}', secret_key = '{secret_key}' }}
         [[route]]
         path = '/'
         virtual_host = 'localhost'
         upstream = 's3'
         sigv4_verify = {{ service = 's3', regions = ['{REGION}'], credentials = ['client'] }}
         [upstream.s3]
         replica = [{{ name = 'a', url = '{url}' }}]
         sigv4_sign = {{ service = 's3', region = '{REGION}', credentials = 'storage', allow = [{allowed}] }}",
        tls.unwrap_or_default(),
    ))
}

/// What a client has to know of a gateway, which is `identity` if it has TLS, and of the storage behind it.
fn told(command: &mut Command, gateway: &InProcess, identity: Option<&Identity>, storage: &str) {
    let address = gateway.address();
    let endpoint = match identity {
        Some(identity) => {
            let certificate = identity.certificate();
            command.env("AWS_CA_BUNDLE", &certificate).env("NODE_EXTRA_CA_CERTS", certificate);
            format!("https://localhost:{}", address.port())
        }
        None => {
            command.env_remove("AWS_CA_BUNDLE");
            format!("http://localhost:{}", address.port())
        }
    };
    command
        .env("ENDPOINT", endpoint)
        .env("PEERS", installed(""))
        .env("STORAGE", storage)
        .env("AWS_ACCESS_KEY_ID", "CLIENTKEY")
        .env("AWS_SECRET_ACCESS_KEY", "a secret of the client")
        .env("AWS_DEFAULT_REGION", REGION);
}

/// The script of a client.
fn script(client: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let (program, script) = match client {
        "boto3" | "answers" => {
            (installed("python/bin/python"), scripts.join(format!("s3-{client}.py")))
        }
        "sdk" => ("node".into(), installed("node/s3-sdk.mjs")), // beside what it imports
        _ => ("bash".into(), scripts.join(format!("s3-{client}.sh"))),
    };
    let mut command = Command::new(program);
    command.arg(script).env("BUCKET", format!("for-{client}"));
    command
}

/// Runs a script, which says `done` at its end.
async fn run(mut command: Command) {
    let scratch = tempfile::tempdir().unwrap();
    command.env("SCRATCH", scratch.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("a program that starts");

    let told = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let well = output.status.success() && told.ends_with("done\n");
    assert!(well, "{:?}\n{told}{complaint}", command.as_std());
}

/// Every client, over plain HTTP and over TLS, where they send their bodies in other ways.
async fn all(storage: &Storage, name: &str) {
    let identity = Identity::new(&["localhost", "for-boto3.localhost"]);
    for identity in [None, Some(&identity)] {
        let gateway = in_front_of(storage, identity, "'x-amz-acl'");
        for client in CLIENTS {
            let mut command = script(client);
            told(&mut command, &gateway, identity, name);
            run(command).await;
        }
        let mut command = script("boto3");
        told(&mut command, &gateway, identity, name);
        command.env("STYLE", "virtual");
        run(command).await;
    }
}

#[tokio::test]
async fn every_client_reads_and_writes_files_behind_s3s() {
    all(&Storage::files().await, "files").await;
}

#[tokio::test]
async fn every_client_reads_and_writes_objects_in_ceph() {
    all(&Storage::ceph().await, "ceph").await;
}

#[tokio::test]
async fn what_ceph_answers_passes_as_it_is() {
    let storage = Storage::ceph().await;
    let gateway = in_front_of(&storage, None, "");
    let generous = in_front_of(&storage, None, "'x-amz-copy-source*'");

    let mut command = script("answers");
    told(&mut command, &gateway, None, "ceph");
    command
        .env("GENEROUS", format!("http://{}", generous.address()))
        .env("DIRECT", &storage.url)
        .env("DIRECT_ACCESS_KEY_ID", &storage.access_key)
        .env("DIRECT_SECRET_ACCESS_KEY", &storage.secret_key);
    run(command).await;
}
