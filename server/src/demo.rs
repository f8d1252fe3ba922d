//! The gateway with all that it needs to be tried: an S3 server that verifies signatures, an upstream
//! that echoes and streams events, and an issuer of tokens, in one process.

mod issuer;
mod s3;
mod upstream;

pub use issuer::Issuer;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustls::crypto::aws_lc_rs;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::{self, Format, Problems};
use crate::gateway::Gateway;
use crate::plan::Plan;

/// Where the demo listens.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct Options {
    /// Where clients connect; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where health, readiness and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub admin: SocketAddr,
}

/// What the demo's gateway is told.
const CONFIG: &str = include_str!("demo/gateway.toml");

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    gateway: Gateway,
    facts: Facts,
    /// The S3 server and the upstream.
    _servers: [Server; 2],
    /// Removed, with all objects, when the demo is dropped.
    _folder: TempDir,
}

#[derive(Debug)]
struct Facts {
    gateway: SocketAddr,
    admin: SocketAddr,
    s3: SocketAddr,
    access_key: String,
    secret_key: String,
    token: String,
    stranger: String,
}

/// Starts everything.
///
/// # Errors
///
/// When a port or the temporary folder cannot be had.
pub async fn start(options: &Options) -> io::Result<Demo> {
    let folder = tempfile::tempdir()?;
    fill(folder.path())?;
    let issuer = Issuer::new(&secret()?);
    let (access_key, secret_key) = ("demo".to_owned(), secret()?);
    let s3 = Server::start(s3::service(folder.path(), &access_key, &secret_key)?).await?;
    let upstream = upstream::start().await?;

    let known = |name: &str| match name {
        "LISTEN" => Some(options.listen.to_string()),
        "ADMIN" => Some(options.admin.to_string()),
        "S3" => Some(s3.address.to_string()),
        "UPSTREAM" => Some(upstream.address.to_string()),
        "ACCESS_KEY" => Some(access_key.clone()),
        "SECRET_KEY" => Some(secret_key.clone()),
        "TOKEN_SECRET" => Some(issuer.secret().to_owned()),
        _ => None,
    };
    let plan =
        config::read(CONFIG, Format::Toml, &known).and_then(Plan::of).map_err(|problems| {
            io::Error::other(Problems::new(Path::new("gateway.toml"), CONFIG, problems))
        })?;
    crate::telemetry::subscribe(&plan.config.log).map_err(io::Error::other)?;
    let gateway = Gateway::start(plan)?;

    let (Some(address), Some(admin)) = (gateway.addresses().first(), gateway.admin()) else {
        return Err(io::Error::other("the demo's configuration has both listeners"));
    };
    let facts = Facts {
        gateway: *address,
        admin,
        s3: s3.address,
        access_key,
        secret_key,
        token: issuer.token("alice", "reader"),
        stranger: issuer.token("mallory", "stranger"),
    };
    Ok(Demo { gateway, facts, _servers: [s3, upstream], _folder: folder })
}

impl Demo {
    /// The gateway.
    pub const fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }
}

/// What to try, and the facts for scripts, one a line.
impl fmt::Display for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { gateway, admin, s3, access_key, secret_key, token, stranger } = &self.facts;
        write!(
            f,
            "GATEWAY=http://{gateway}
ADMIN=http://{admin}
S3=http://{s3}
ACCESS_KEY={access_key}
SECRET_KEY={secret_key}
TOKEN={token}
STRANGER={stranger}

# An object, signed for by the gateway; then without a token, and with one that lacks the claim.
curl -i -H 'authorization: Bearer {token}' http://{gateway}/photos/hello.txt
curl -i http://{gateway}/photos/hello.txt
curl -i -H 'authorization: Bearer {stranger}' http://{gateway}/photos/hello.txt

# A range, and a key that has to be encoded; the token may be in the query, too.
curl -H 'authorization: Bearer {token}' -r 0-4 http://{gateway}/photos/hello.txt
curl 'http://{gateway}/photos/a%20b%2Bc%25/%C3%BC.txt?token={token}'

# What the upstream sees: the injected header, and no header that `Connection` names.
curl -H 'connection: x-feature' http://{gateway}/api/echo

# Events, one a second, as they come.
curl -N http://{gateway}/api/events

# For probes and scrapes.
curl http://{admin}/readyz
curl http://{admin}/metrics
"
        )
    }
}

/// A server in a task of its own, which ends with this.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<F>(serve: impl FnOnce(TcpListener) -> F) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(serve(listener)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Objects of several kinds, in the bucket `photos`.
fn fill(folder: &Path) -> io::Result<()> {
    let bucket = folder.join("photos");
    for (key, object) in [
        ("hello.txt", "Hello from the other side of the gateway.\n"),
        ("a b+c%/ü.txt", "This key has a space, a plus, a percent sign and an umlaut.\n"),
        ("empty", ""),
    ] {
        let path = bucket.join(key);
        std::fs::create_dir_all(path.parent().unwrap_or(&bucket))?;
        std::fs::write(path, object)?;
    }
    Ok(())
}

/// 256 random bits, in hexadecimal.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
