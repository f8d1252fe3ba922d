//! S3 clients that others wrote, through the gateway, to S3 servers that others wrote. `tests/run` installs them.

use std::path::Path;
use std::process::Stdio;

use portcullis_tests::{Identity, InProcess, Process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

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
        let mut command = Command::new(script);
        command.arg(folder.path()).args(["CEPHKEY", "a secret of Ceph"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("Ceph, which `tests/run` installs, before its script ends");
            if let Some(port) = line.strip_prefix("listening ") {
                break port.to_owned();
            }
        };
        let url = format!("http://127.0.0.1:{port}");
        let process = Box::new(Ceph { _stdin: stdin, _child: child, _folder: folder });
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
for name in {CLIENTS:?}:
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
    _stdin: Option<ChildStdin>,
    _child: Child,
    _folder: TempDir,
}

/// Clients, by the names of their scripts.
const CLIENTS: [&str; 5] = ["boto3", "sdk", "awscli", "s3cmd", "rclone"];

/// A gateway to `storage` with keys of its own for clients; with TLS for `identity`.
fn in_front_of(storage: &Storage, identity: Option<&Identity>) -> InProcess {
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
         upstream = 's3'
         sigv4_verify = {{ service = 's3', regions = ['{REGION}'], credentials = ['client'] }}
         [upstream.s3]
         replica = [{{ name = 'a', url = '{url}' }}]
         sigv4_sign = {{ service = 's3', region = '{REGION}', credentials = 'storage', allow = ['x-amz-acl'] }}",
        tls.unwrap_or_default(),
    ))
}

/// Runs the script of a client against `gateway`, which is `identity` if it has TLS.
async fn run(client: &str, gateway: &InProcess, identity: Option<&Identity>, storage: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = match client {
        "boto3" => Command::new(installed("python/bin/python")),
        "sdk" => Command::new("node"),
        _ => Command::new("bash"),
    };
    command.arg(match client {
        "boto3" => scripts.join("s3-boto3.py"),
        "sdk" => installed("node/s3-sdk.mjs"), // beside what it imports
        _ => scripts.join(format!("s3-{client}.sh")),
    });
    let address = gateway.address();
    let endpoint = match identity {
        Some(identity) => {
            let certificate = identity.certificate();
            command.env("AWS_CA_BUNDLE", &certificate).env("NODE_EXTRA_CA_CERTS", certificate);
            format!("https://localhost:{}", address.port())
        }
        None => {
            command.env_remove("AWS_CA_BUNDLE");
            format!("http://{address}")
        }
    };
    command
        .env("ENDPOINT", endpoint)
        .env("BUCKET", format!("for-{client}"))
        .env("SCRATCH", scratch.path())
        .env("PEERS", installed(""))
        .env("STORAGE", storage)
        .env("AWS_ACCESS_KEY_ID", "CLIENTKEY")
        .env("AWS_SECRET_ACCESS_KEY", "a secret of the client")
        .env("AWS_DEFAULT_REGION", REGION)
        .kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.expect("a program that starts");

    let told = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.ends_with("done\n"),
        "{client} to {address}, TLS: {}\n{told}{complaint}",
        identity.is_some()
    );
}

/// Every client, over plain HTTP and over TLS, where they send their bodies in other ways.
async fn all(storage: &Storage, name: &str) {
    let identity = Identity::new(&["localhost"]);
    for identity in [None, Some(&identity)] {
        let gateway = in_front_of(storage, identity);
        for client in CLIENTS {
            run(client, &gateway, identity, name).await;
        }
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
