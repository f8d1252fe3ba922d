//! Credentials where the tools of AWS look for them, from stand-ins of the endpoints that give them.

use std::fs::write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use portcullis_tests::{Process, Recorded, Upstream, get, read_request};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// What instances tell of the token by which they are asked; nobody else minds.
const LIFETIME: &str = "x-aws-ec2-metadata-token-ttl-seconds";

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// An endpoint that answers each request as `answer` says.
async fn endpoint(answer: impl Fn(&Recorded) -> String + Send + Sync + 'static) -> Upstream {
    let answer = Arc::new(answer);
    Upstream::serving(move |mut socket, seen| {
        let answer = answer.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let body = answer(&request);
                seen.send(request).ok();
                let length = format!("content-length: {}", body.len());
                let answer =
                    format!("HTTP/1.1 200 OK\r\n{length}\r\n{LIFETIME}: 21600\r\n\r\n{body}");
                drop(socket.write_all(answer.as_bytes()).await);
            }
        }
    })
    .await
}

/// Keys as endpoints give them.
fn keys(id: &str, lasting: Duration) -> String {
    let expiration = humantime::format_rfc3339_seconds(SystemTime::now() + lasting).to_string();
    let keys = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
        "AccessKeyId": id, "SecretAccessKey": "a secret", "Token": format!("token of {id}"),
        "Expiration": expiration,
    });
    keys.to_string()
}

const HOUR: Duration = Duration::from_secs(3600);

/// A gateway that signs for `upstream` by what it finds in this environment, and in no other. It does not log requests: of
/// many, nobody reads that.
async fn gateway(
    upstream: SocketAddr,
    section: &str,
    environment: &[(&str, &str)],
) -> (Process, SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let config = format!(
        "log.level = 'info,access=off'
         listener = [{{ address = '127.0.0.1:0' }}]
         route = [{{ path = '/', upstream = 'a' }}]
         credentials.found = {{ default_chain = true{section} }}
         [upstream.a]
         replica = [{{ name = 'a', url = 'http://{upstream}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'found' }}"
    );
    write(&file, config).unwrap();
    let nothing = folder.path().join("nothing").display().to_string();
    let mut variables = vec![
        ("HOME", &*nothing),
        ("AWS_CONFIG_FILE", &nothing),
        ("AWS_SHARED_CREDENTIALS_FILE", &nothing),
    ];
    variables.extend(environment);
    let program = env!("CARGO_BIN_EXE_gateway");
    let (process, address, _) = Process::run_in(program, &file, &variables).await;
    (process, address, folder)
}

/// Who signs what the gateway sends to `upstream`, whose session token must be theirs.
async fn signer(gateway: SocketAddr, upstream: &mut Upstream) -> String {
    let response = get(gateway, "/bucket/key").await;
    assert_eq!(response.status, 200, "{}", response.body);
    let request = upstream.seen().await;
    let authorization = request.header("authorization")[0];
    let (_, credential) = authorization.split_once("Credential=").unwrap();
    let (id, _) = credential.split_once('/').unwrap();
    assert_eq!(request.header("x-amz-security-token"), [format!("token of {id}")]);
    id.to_owned()
}

#[tokio::test]
async fn the_keys_of_a_container_are_replaced_before_they_expire() {
    let asked = AtomicUsize::new(0);
    let mut endpoint = endpoint(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => keys("FIRST", Duration::from_secs(8)),
        _ => keys("SECOND", HOUR),
    })
    .await;
    let mut upstream = Upstream::answering(OK).await;
    let uri = format!("http://{}/keys", endpoint.address());
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in"),
    ];
    let (_process, address, _folder) = gateway(upstream.address(), "", &environment).await;

    let started = SystemTime::now();
    assert_eq!(signer(address, &mut upstream).await, "FIRST");
    while signer(address, &mut upstream).await == "FIRST" {
        assert!(started.elapsed().unwrap() < Duration::from_secs(60), "never replaced");
    }

    assert_eq!(signer(address, &mut upstream).await, "SECOND");
    for _ in 0..2 {
        let request = endpoint.seen().await;
        assert_eq!(request.line(), "GET /keys HTTP/1.1");
        assert_eq!(request.header("authorization"), ["let me in"]);
    }
    assert!(endpoint.saw_nothing(), "asked once for each");
}

#[tokio::test]
async fn the_keys_of_an_instance_are_found() {
    let mut endpoint = endpoint(|request| match request.line() {
        "PUT /latest/api/token HTTP/1.1" => "a token of the session".to_owned(),
        line if line.ends_with("/ HTTP/1.1") => "a-role".to_owned(),
        _ => keys("INSTANCE", HOUR),
    })
    .await;
    let mut upstream = Upstream::answering(OK).await;
    let uri = format!("http://{}", endpoint.address());
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*uri)];
    let (_process, address, _folder) = gateway(upstream.address(), "", &environment).await;

    assert_eq!(signer(address, &mut upstream).await, "INSTANCE");
    let token = endpoint.seen().await;
    assert_eq!(token.header(LIFETIME).len(), 1);
    for _ in 0..2 {
        let request = endpoint.seen().await;
        let token = request.header("x-aws-ec2-metadata-token");
        assert_eq!(token, ["a token of the session"], "{}", request.line());
    }
}

/// What STS answers to an action that gives the keys of a role.
fn role(action: &str) -> String {
    let expiration = humantime::format_rfc3339_seconds(SystemTime::now() + HOUR);
    format!(
        "<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>\
         <AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>a secret</SecretAccessKey>\
         <SessionToken>token of ROLE</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></{action}Result></{action}Response>"
    )
}

#[tokio::test]
async fn a_web_identity_is_given_for_a_role() {
    let mut endpoint = endpoint(|_| role("AssumeRoleWithWebIdentity")).await;
    let mut upstream = Upstream::answering(OK).await;
    let identity = tempfile::NamedTempFile::new().unwrap();
    write(identity.path(), "an.identity.token").unwrap();
    let uri = format!("http://{}", endpoint.address());
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", identity.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ("AWS_ENDPOINT_URL_STS", &uri),
        ("AWS_REGION", "eu-west-1"),
    ];
    let (_process, address, _folder) = gateway(upstream.address(), "", &environment).await;

    assert_eq!(signer(address, &mut upstream).await, "ROLE");
    let request = endpoint.seen().await;
    let form = String::from_utf8(request.body).unwrap();
    assert!(form.contains("Action=AssumeRoleWithWebIdentity&"), "{form}");
    assert!(form.contains("&WebIdentityToken=an.identity.token"), "{form}");
    assert!(form.contains("role%2Freader"), "{form}");
}

#[tokio::test]
async fn the_role_of_a_profile_is_assumed_in_the_region_that_the_section_names() {
    let mut endpoint = endpoint(|_| role("AssumeRole")).await;
    let mut upstream = Upstream::answering(OK).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let profiles = "[base]\naws_access_key_id = BASE\naws_secret_access_key = s\n\
        [reader]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n";
    write(file.path(), profiles).unwrap();
    let uri = format!("http://{}", endpoint.address());
    let environment = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &uri),
        ("AWS_REGION", "eu-west-1"),
    ];
    let section = ", profile = 'reader', region = 'us-west-2'";
    let (_process, address, _folder) = gateway(upstream.address(), section, &environment).await;

    assert_eq!(signer(address, &mut upstream).await, "ROLE");
    let request = endpoint.seen().await;
    let authorization = request.header("authorization")[0];
    assert!(authorization.contains("Credential=BASE/"), "{authorization}");
    assert!(authorization.contains("/us-west-2/sts/"), "{authorization}");
}

#[tokio::test]
async fn a_profile_of_the_shared_file_is_found_by_its_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let session = "aws_secret_access_key = s\naws_session_token = token of";
    let profiles = ["default", "other"]
        .map(|name| format!("[{name}]\naws_access_key_id = {name}\n{session} {name}\n"));
    write(file.path(), profiles.concat()).unwrap();
    let mut upstream = Upstream::answering(OK).await;
    let environment = [("AWS_SHARED_CREDENTIALS_FILE", file.path().to_str().unwrap())];
    let profile = ", profile = 'other'";
    let (_process, address, _folder) = gateway(upstream.address(), profile, &environment).await;

    assert_eq!(signer(address, &mut upstream).await, "other");
}

#[tokio::test]
async fn without_keys_anywhere_nothing_is_sent() {
    let mut upstream = Upstream::answering(OK).await;
    let environment = [("AWS_EC2_METADATA_DISABLED", "true")];
    let (_process, address, _folder) = gateway(upstream.address(), "", &environment).await;

    let response = get(address, "/bucket/key").await;

    assert_eq!(response.status, 503, "{}", response.body);
    assert!(upstream.saw_nothing());
}
