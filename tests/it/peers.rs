//! The gateway with software that others wrote. `tests/run` installs it; without it these tests fail.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use portcullis_tests::{InProcess, Process, Upstream, ask, gateway, get};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Where `tests/run` puts what is not for the whole system.
pub(crate) fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join(path)
}

/// Runs a program to its end; from the folder of peers, or else from the system.
async fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let own = installed(program);
    let path = if own.exists() { own.as_os_str() } else { program.as_ref() };
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn();
    let missing = child.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    assert!(!missing, "`{program}` is not here: `tests/run` installs it");
    let mut child = child.expect("a program that starts");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

/// Stops a thread of a process until what is returned is dropped.
pub(crate) async fn stop(thread: u32) -> Child {
    let mut tracer = Command::new(installed("python/bin/python"))
        .args(["-c", STOP, &thread.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tracer.stdout.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("stopped"));
    tracer
}

/// Stops a thread for as long as standard input is open, and says when it has.
const STOP: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
thread = int(sys.argv[1])
if libc.ptrace(16, thread, 0, 0): # PTRACE_ATTACH
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(thread, 0x40000000) # __WALL
print('stopped', flush=True)
sys.stdin.read()";

/// What a program says that must succeed and complain of nothing.
pub(crate) async fn said(program: &str, arguments: &[&str], input: &str) -> String {
    let output = run(program, arguments, input).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// An upstream and a route for all there is to it, and what `more` says.
fn to(upstream: SocketAddr, more: &str) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', methods = ['GET', 'PUT'], upstream = 'a' }}]
         {more}"
    )
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_of_in_the_metrics() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let config = to(upstream.address(), "request_guard = { max_uri = '100B' }");
    let gateway = gateway(&config);
    let long = format!("GET /{}", "a".repeat(200));
    for what in ["GET /", "PUT /a", "POST /", "GET /%2e%2e/", &long] {
        ask(gateway.address(), what, &[]).await;
    }
    drop(upstream);
    get(gateway.address(), "/").await;
    portcullis_tests::send(gateway.address(), "no HTTP\r\n\r\n").await;
    gateway.until_metric("portcullis_connection_errors_total{reason=\"not_http\"}", 1.0).await;

    let scrape = get(gateway.admin(), "/metrics").await.body;
    let complaints = said("promtool", &["check", "metrics"], &scrape).await;

    assert_eq!(complaints, "");
    for name in ["requests_total", "refusals_total", "replica_up", "drain_phase"] {
        assert!(scrape.contains(&format!("\nportcullis_{name}")), "no {name} in {scrape}");
    }
}

/// Runs a script of Python's that has `s3`, a client of boto3 without credentials of its own, which
/// reads through a gateway that signs for the demo's S3 server.
async fn boto3(script: &str) -> String {
    let (_demo, facts) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
    let (url, access_key, secret_key) = (&facts["S3"], &facts["ACCESS_KEY"], &facts["SECRET_KEY"]);
    let gateway = gateway(&format!(
        "credentials.a = {{ access_key = '{access_key}', secret_key = '{secret_key}' }}
         route = [{{ path = '/', upstream = 's3' }}]
         [upstream.s3]
         replica = [{{ name = 'a', url = '{url}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'a' }}"
    ));
    let script = format!(
        "import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
config = Config(signature_version=UNSIGNED, s3={{'addressing_style': 'path'}}, retries={{'total_max_attempts': 1}})
s3 = boto3.client('s3', endpoint_url='http://{}', region_name='eu-west-1', config=config)
{script}",
        gateway.address()
    );
    said("python/bin/python", &["-"], &script).await
}

#[tokio::test]
async fn boto3_gets_an_object() {
    let printed = boto3(
        "got = s3.get_object(Bucket='photos', Key='hello.txt')
print(got['ContentLength'], got['Body'].read())",
    )
    .await;

    assert_eq!(printed, "42 b'Hello from the other side of the gateway.\\n'\n");
}

#[tokio::test]
async fn boto3_gets_an_object_whose_key_has_to_be_encoded() {
    let printed = boto3(
        "got = s3.get_object(Bucket='photos', Key='a b+c%/\\u00fc.txt')
print(got['Body'].read())",
    )
    .await;

    let expected = "b'This key has a space, a plus, a percent sign and an umlaut.\\n'\n";
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn boto3_gets_a_range() {
    let printed = boto3(
        "got = s3.get_object(Bucket='photos', Key='hello.txt', Range='bytes=6-9')
print(got['ResponseMetadata']['HTTPStatusCode'], got['ContentRange'], got['Body'].read())",
    )
    .await;

    assert_eq!(printed, "206 bytes 6-9/42 b'from'\n");
}

#[tokio::test]
async fn boto3_heads_an_object() {
    let printed = boto3(
        "head = s3.head_object(Bucket='photos', Key='hello.txt')
print(head['ContentLength'])",
    )
    .await;

    assert_eq!(printed, "42\n");
}

#[tokio::test]
async fn boto3_lists_a_bucket() {
    let printed = boto3(
        "# The server says that it encodes keys, and does not, so nothing may be decoded.
listed = s3.list_objects_v2(Bucket='photos', EncodingType='url')
print(sorted(one['Key'] for one in listed['Contents']))",
    )
    .await;

    assert_eq!(printed, "['a b+c%/ü.txt', 'empty', 'hello.txt']\n");
}

#[tokio::test]
async fn boto3_reads_why_an_object_is_not_there() {
    let printed = boto3(
        "try:
    s3.get_object(Bucket='photos', Key='missing')
except ClientError as error:
    print(error.response['Error']['Code'], error.response['ResponseMetadata']['HTTPStatusCode'])",
    )
    .await;

    assert_eq!(printed, "NoSuchKey 404\n");
}

/// Asks curl for a URL; the version of HTTP, the status, and how many bytes came.
async fn curl(arguments: &[&str], url: &str) -> String {
    let common = ["--silent", "--show-error", "--max-time", "60", "--output", "/dev/null"];
    let told = ["--write-out", "%{http_version} %{http_code} %{size_download}"];
    let arguments: Vec<_> = common.iter().chain(&told).chain(arguments).chain([&url]).collect();
    let arguments: Vec<_> = arguments.into_iter().copied().collect();
    said("curl", &arguments, "").await
}

const MEGABYTES: usize = 20_000_000;

#[tokio::test]
async fn curl_downloads_over_http_2() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {MEGABYTES}\r\n\r\n");
    let upstream = Upstream::answering(head + &"a".repeat(MEGABYTES)).await;
    let gateway = gateway(&to(upstream.address(), ""));

    let url = format!("http://{}/a", gateway.address());
    let told = curl(&["--http2-prior-knowledge"], &url).await;

    assert_eq!(told, format!("2 200 {MEGABYTES}"));
}

/// A file of these many bytes.
fn file(folder: &Path, length: usize) -> String {
    let file = folder.join("upload");
    std::fs::write(&file, vec![b'a'; length]).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn curl_reads_the_answer_to_an_upload_that_is_too_large() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let gateway = gateway(&to(upstream.address(), "request_guard = { max_body = '1MiB' }"));
    let folder = tempfile::tempdir().unwrap();
    let upload = file(folder.path(), MEGABYTES);

    let url = format!("http://{}/a", gateway.address());
    for (version, told) in [("--http1.1", "1.1 413"), ("--http2-prior-knowledge", "2 413")] {
        for framing in ["expect:", "transfer-encoding: chunked"] {
            if version != "--http1.1" && framing != "expect:" {
                continue; // HTTP/2 has no chunks
            }
            let arguments = [version, "--upload-file", &upload, "--header", framing];
            let answer = curl(&arguments, &url).await;

            assert!(answer.starts_with(told), "{version}, {framing}: {answer}");
        }
    }
}

/// Sends 5,000 requests over 10 connections, 20 at once on each, and reads what came of them.
async fn h2load(url: &str) {
    let told = said("h2load", &["-n", "5000", "-c", "10", "-m", "20", url], "").await;

    let expected = "5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(told.contains(expected), "{told}");
    assert!(told.contains("status codes: 5000 2xx"), "{told}");
    assert!(told.contains("Application protocol: h2"), "{told}");
}

#[tokio::test]
async fn h2load_sees_no_error_with_prior_knowledge() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let gateway = gateway(&to(upstream.address(), ""));

    h2load(&format!("http://{}/a", gateway.address())).await;
}

#[tokio::test]
async fn h2load_sees_no_error_over_tls() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let listener = format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0', tls = {{ certificate = '{}', key = '{}' }} }}]\n",
        certificate.display(),
        key.display()
    );
    let gateway = InProcess::start(&(listener + &to(upstream.address(), "")));

    h2load(&format!("https://localhost:{}/a", gateway.address().port())).await;
}

/// Attacks a gateway with 200 connections, for a minute or until none is left, and reads how that ended.
async fn attack(gateway: &InProcess, how: &[&str]) -> String {
    let url = format!("http://{}/a", gateway.address());
    let common = ["-c", "200", "-r", "200", "-i", "10", "-l", "60", "-p", "30", "-u", &url];
    let arguments: Vec<_> = how.iter().chain(&common).copied().collect();
    said("slowhttptest", &arguments, "").await
}

#[tokio::test]
async fn slow_clients_do_not_stay() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let timeouts = "request_header = '1s', request_body = '1s', send = '1s', first_byte = '1s'";
    let listener = format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', timeouts = {{ {timeouts} }} }}]
         admin = {{ address = '127.0.0.1:0' }}\n"
    );
    let gateway = InProcess::start(&(listener + &to(upstream.address(), "")));

    // Heads that do not end, and bodies.
    for how in [&["-H"][..], &["-B", "-s", "8192", "-t", "PUT"]] {
        let told = attack(&gateway, how).await;

        assert!(told.contains("No open connections left"), "{how:?}: {told}");
        gateway.until_metric("portcullis_connections_open", 0.0).await;
    }
}
