use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The gateway as a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it has written to standard output so far.
    seen: Vec<String>,
    /// Where it puts its temporary files, which it cannot remove when it is killed.
    _folder: TempDir,
}

impl Process {
    /// Starts `program` (`env!("CARGO_BIN_EXE_gateway")`) with these arguments.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_in(program, arguments, &[])
    }

    /// Starts it with these variables besides.
    #[must_use]
    pub fn start_in(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts it as systemd does, with this socket under this name.
    #[must_use]
    pub fn inheriting(program: &str, arguments: &[&str], name: &str, socket: OwnedFd) -> Self {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 && LISTEN_PID=$$ exec \"$0\" \"$@\"";
        command.args(["-c", script, program]).args(arguments).stdin(socket);
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = command
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a program that starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines, seen: Vec::new(), _folder: folder }
    }

    /// Starts it with a configuration file, and waits until it serves; its address, and that of its admin
    /// listener.
    pub async fn run(program: &str, config: &Path) -> (Self, SocketAddr, Option<SocketAddr>) {
        Self::run_in(program, config, &[]).await
    }

    /// The same, with these variables in its environment.
    pub async fn run_in(
        program: &str,
        config: &Path,
        environment: &[(&str, &str)],
    ) -> (Self, SocketAddr, Option<SocketAddr>) {
        let arguments = ["run", "--config", config.to_str().expect("a path")];
        let mut process = Self::start_in(program, &arguments, environment);
        let (listening, admin) = process.serves().await;
        (process, listening, admin)
    }

    /// Waits until it serves; its address, and that of its admin listener.
    pub async fn serves(&mut self) -> (SocketAddr, Option<SocketAddr>) {
        self.line(|line| line.contains("\"serving\"")).await;
        let address = |message: &str| {
            let line = self.seen.iter().find(|line| line.contains(message))?;
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line.get("address")?.as_str()?.parse().ok()
        };
        let listening = address("\"listening\"").expect("an address");
        let admin = address("\"admin listening\"");
        (listening, admin)
    }

    /// Starts it with this configuration, as [`Process::run`] does.
    pub async fn serve(program: &str, config: &str) -> (Self, SocketAddr, Option<SocketAddr>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, config).expect("a file");
        Self::run(program, &file).await
    }

    /// Starts the demo on free ports, and waits for the facts that it prints.
    pub async fn demo(program: &str) -> (Self, BTreeMap<String, String>) {
        let mut process = Self::start(program, &["demo"]);
        process.line(|line| line.starts_with("STRANGER=")).await;
        let facts = process.seen.iter().filter_map(|line| line.split_once('='));
        let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        (process, facts)
    }

    /// Waits for a line of its output, and returns it. Lines that were waited for before count.
    pub async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        loop {
            let line =
                self.lines.next_line().await.expect("output").expect("the line before the end");
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits for the line with this message, and reads the address in it.
    pub async fn address(&mut self, message: &str) -> SocketAddr {
        let line = self.line(|line| line.contains(message)).await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let address = line.get("address").and_then(serde_json::Value::as_str);
        address.and_then(|address| address.parse().ok()).expect("an address")
    }

    /// Waits for a line that was not waited for before.
    pub async fn next_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let seen = self.seen.len();
        loop {
            let line =
                self.lines.next_line().await.expect("output").expect("the line before the end");
            self.seen.push(line);
            if let Some(line) = self.seen.iter().skip(seen).find(|line| wanted(line)) {
                return line.clone();
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("a process that runs")
    }

    /// The id of its thread of this name.
    #[must_use]
    pub fn thread(&self, name: &str) -> u32 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("its threads");
        let mut threads = threads.map(|thread| thread.expect("a thread").path());
        let is_named = |thread: &std::path::PathBuf| {
            std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        let thread = threads.find(is_named).expect("a thread of this name");
        thread.file_name().and_then(|id| id.to_str()?.parse().ok()).expect("its id")
    }

    /// Sends it a signal by name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        signal(self.id(), name).await;
    }

    /// The most memory it has had, in KiB.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits for its end, whoever else writes to its output, and says how it ended.
    pub async fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().await.expect("its end").code()
    }

    /// Waits for its end; how it ended, and all that it wrote.
    pub async fn end(mut self) -> (ExitStatus, Vec<String>) {
        while let Ok(Some(line)) = self.lines.next_line().await {
            self.seen.push(line);
        }
        (self.child.wait().await.expect("its end"), self.seen)
    }
}

/// Sends a process a signal by name.
pub async fn signal(id: u32, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &id.to_string()]).status().await;
    assert!(kill.expect("kill").success());
}

/// A process that another one started. Dropped, it is killed.
#[derive(Debug)]
pub struct Successor(u32);

impl Successor {
    /// The process with this id.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// Its process id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.0
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let mut kill = std::process::Command::new("kill");
        // It may have ended by itself.
        drop(kill.args(["-s", "KILL", &self.0.to_string()]).stderr(Stdio::null()).status());
    }
}
