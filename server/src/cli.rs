mod health;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Problems};
use crate::gateway::{Beginning, Gateway};
use crate::handover::Predecessor;
use crate::lifecycle::Outcome;
use crate::plan::Plan;
use crate::telemetry::{self, subscribe};

/// A gateway of tower layers: checks tokens, signs for S3, injects headers, streams both ways.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves what a configuration file asks for, until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the
    /// file again; SIGUSR2 starts the program again, hands it the sockets, and stops when it serves
    Run {
        /// The configuration file, in TOML or YAML
        #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
        config: PathBuf,
    },
    /// Says all that is wrong with a configuration file, and starts nothing
    Check {
        /// The configuration file, in TOML or YAML
        #[arg(value_name = "FILE", env = "PORTCULLIS_CONFIG")]
        config: PathBuf,
    },
    /// Prints the JSON schema of the configuration file, for editors
    Schema,
    /// Asks a gateway's admin listener whether its process is alive, as a container's health check does
    Health {
        /// Where the admin listener is
        #[arg(value_name = "ADDRESS", env = "PORTCULLIS_ADMIN", default_value = "127.0.0.1:9090")]
        admin: SocketAddr,
    },
    /// Starts a gateway with an S3 server, an event stream and a token issuer behind it, to try
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
}

const EXIT_CODES: &str = "Exit codes:
  0    stopped, and every request was answered to its last byte; or the file is right; or the gateway is alive
  1    could not start, or a thread died; or the gateway is not alive
  2    the command line or the configuration file is wrong
  3    stopped at the drain deadline, and requests were cut off
  4    ended at once by a second signal";

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { config } => run(&config),
        Command::Check { config } => check(&config),
        Command::Schema => say(format_args!("{:#}", config::schema())),
        Command::Health { admin } => {
            health::ask(admin).map(|()| ExitCode::SUCCESS).map_err(Failure::Start)
        }
        #[cfg(feature = "demo")]
        Command::Demo(options) => demo(&options),
    };
    // What is on its way to the log would end with the process.
    telemetry::flush();
    result.unwrap_or_else(|failure| {
        #[expect(clippy::print_stderr, reason = "there may be no log yet")]
        {
            eprintln!("{failure}");
        }
        ExitCode::from(match failure {
            Failure::Config(_) => 2,
            Failure::Start(_) => 1,
        })
    })
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(Problems),
    #[error("portcullis: {0}")]
    Start(#[from] io::Error),
}

fn plan(file: &Path) -> Result<Plan, Failure> {
    let (reading, text) = config::load(file).map_err(Failure::Config)?;
    Plan::of(reading).map_err(|found| Failure::Config(Problems::new(file, &text, found)))
}

fn check(file: &Path) -> Result<ExitCode, Failure> {
    plan(file)?;
    say(format_args!("{}: right", file.display()))
}

/// Gives an answer. Who does not read it to its end, as `head` does, has what it wanted.
fn say(answer: impl Display) -> Result<ExitCode, Failure> {
    match writeln!(io::stdout(), "{answer}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn run(file: &Path) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::catch() })?;
    let mut predecessor = Predecessor::find()?;
    let mut gateway = match begin(file, predecessor.as_mut()) {
        Ok(gateway) => gateway,
        Err(failure) => {
            if let Some(predecessor) = predecessor {
                predecessor.fail(&failure.to_string());
            }
            return Err(failure);
        }
    };
    if let Some(predecessor) = predecessor
        && !predecessor.succeed()
    {
        tracing::warn!("the place of the predecessor is not left to this process");
        gateway.stop();
    }
    Ok(runtime.block_on(until_stopped(&mut gateway, signals)))
}

fn begin(file: &Path, predecessor: Option<&mut Predecessor>) -> Result<Gateway, Failure> {
    let plan = plan(file)?;
    subscribe(&plan.config.log).map_err(io::Error::other)?;
    let beginning = Beginning { file: Some(file.to_owned()), predecessor };
    Ok(Gateway::begin(plan, beginning)?)
}

#[cfg(feature = "demo")]
fn demo(options: &crate::demo::Options) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::catch() })?;
    let mut demo = runtime.block_on(crate::demo::start(options))?;
    #[expect(clippy::print_stdout, reason = "the demo shows itself")]
    {
        println!("{demo}");
    }
    Ok(runtime.block_on(until_stopped(demo.gateway(), signals)))
}

/// What a gateway is told: caught from before it starts, since one that comes uncaught would kill it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    hand_over: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let (reload, hand_over) =
            (signal(SignalKind::hangup())?, signal(SignalKind::user_defined2())?);
        Ok(Self { terminate, interrupt, reload, hand_over })
    }
}

async fn until_stopped(gateway: &mut Gateway, mut signals: Signals) -> ExitCode {
    let outcome = loop {
        tokio::select! {
            outcome = gateway.stopped() => break outcome,
            _ = signals.terminate.recv() => gateway.stop(),
            _ = signals.interrupt.recv() => gateway.stop(),
            _ = signals.reload.recv() => gateway.reload_soon(),
            _ = signals.hand_over.recv() => gateway.hand_over(),
        }
    };
    ExitCode::from(match outcome {
        Outcome::Drained => 0,
        Outcome::Cut(_) => 3,
        Outcome::Forced => 4,
        _ => 1,
    })
}

/// For signals, and for what the demo runs beside the gateway.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
