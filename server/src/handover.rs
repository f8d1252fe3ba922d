//! Another process takes the place of this one, and its sockets with it.
//!
//! The old one starts the new one as it was started itself, with one end of a pair of sockets for its standard input, and
//! sends the descriptors of its listeners over the other. The new one says when it serves, or why it cannot; only then
//! does the old one drain. Nobody is refused meanwhile: both accept from the same queues.

mod link;

use std::collections::VecDeque;
use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::stdio::{dup2_stdin, stdin};
use serde::{Deserialize, Serialize};

use crate::listener::Legacy;

use self::link::Link;

/// The process that is to take the place of this one.
#[derive(Debug)]
pub(crate) struct Successor {
    child: Child,
    link: Link,
}

impl Successor {
    /// Starts the program again, with the same arguments, and hands it the sockets of each listener by its name.
    ///
    /// As in a shell, a name without a slash is looked for in `PATH`: what is found there now is started.
    pub(crate) fn start(listeners: Vec<(String, Legacy)>) -> io::Result<Self> {
        if std::process::id() == 1 {
            return Err(io::Error::other("the end of process 1 would be the end of its successor"));
        }
        let mut arguments = env::args_os();
        let program = arguments.next().ok_or_else(|| io::Error::other("no name to start"))?;
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .args(arguments)
            .env(MARK, "1")
            // They were meant for this process.
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let mut successor = Self { child, link: Link::new(ours) };
        match successor.send(listeners) {
            Ok(()) => Ok(successor),
            Err(error) => Err(successor.failed(error.to_string())),
        }
    }

    fn send(&mut self, listeners: Vec<(String, Legacy)>) -> io::Result<()> {
        self.link.patience(PATIENCE)?;
        let heads = listeners.iter().map(|(name, legacy)| Head {
            name: name.clone(),
            sockets: legacy.sockets.len(),
            has_hold: legacy.hold.is_some(),
        });
        self.link.say(&serde_json::to_string(&heads.collect::<Vec<_>>())?)?;
        for (_, Legacy { sockets, hold }) in listeners {
            for descriptor in sockets.into_iter().chain(hold) {
                self.link.give(&descriptor)?;
            }
        }
        Ok(())
    }

    /// Waits until it serves; its process id. If it does not, it is ended, and the error says why. This blocks.
    pub(crate) fn ready(mut self) -> io::Result<Ready> {
        match self.link.hear() {
            Ok(word) if word == READY => Ok(Ready { id: self.child.id(), link: self.link }),
            Ok(why) => Err(self.failed(why)),
            Err(error) => Err(self.failed(match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    "it took too long".to_owned()
                }
                io::ErrorKind::UnexpectedEof => "it ended".to_owned(),
                _ => error.to_string(),
            })),
        }
    }

    fn failed(mut self, why: String) -> io::Error {
        // One that is still there would serve beside this one.
        let _ = self.child.kill();
        let _ = self.child.wait();
        io::Error::other(why)
    }
}

/// A successor that serves. Dropped, it stops: this process was told to stop meanwhile, and so is that one.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Its process id.
    pub(crate) id: u32,
    link: Link,
}

impl Ready {
    /// Leaves it the place.
    pub(crate) fn leave(mut self) {
        // If it has died since, whatever looks after it sees that.
        let _ = self.link.say(YOURS);
    }
}

/// The process whose place this one is to take.
#[derive(Debug)]
pub struct Predecessor {
    link: Link,
    listeners: VecDeque<(String, Legacy)>,
}

impl Predecessor {
    /// The process that started this one to take its place, if one did.
    ///
    /// # Errors
    ///
    /// When it did and does not say what it hands over.
    pub fn find() -> io::Result<Option<Self>> {
        if env::var_os(MARK).is_none() {
            return Ok(None);
        }
        let socket = stdin().try_clone_to_owned()?;
        // Nobody else is to hear what is said here, and nobody to wait for the end of it in vain.
        dup2_stdin(std::fs::File::open("/dev/null")?)?;
        let mut link = Link::new(socket.into());
        link.patience(PATIENCE)?;
        let heads: Vec<Head> = serde_json::from_str(&link.hear()?)?;
        let mut listeners = VecDeque::new();
        for Head { name, sockets, has_hold } in heads {
            let sockets = (0..sockets).map(|_| link.take()).collect::<io::Result<_>>()?;
            let hold = has_hold.then(|| link.take()).transpose()?;
            listeners.push_back((name, Legacy { sockets, hold }));
        }
        Ok(Some(Self { link, listeners }))
    }

    /// The sockets of a listener of this name, unless they were asked for before.
    pub(crate) fn sockets(&mut self, name: &str) -> Option<Legacy> {
        let place = self.listeners.iter().position(|(known, _)| known == name)?;
        self.listeners.remove(place).map(|(_, legacy)| legacy)
    }

    /// Says that this process serves, and waits until the place is its own; whether it ever is. This blocks.
    ///
    /// What was handed over and is not in this process's configuration is closed.
    #[must_use]
    pub fn succeed(mut self) -> bool {
        self.listeners.clear();
        self.link.say(READY).is_ok() && self.link.hear().is_ok_and(|word| word == YOURS)
    }

    /// Says why this process cannot take the place.
    pub fn fail(mut self, why: &str) {
        // If nobody hears it, nobody waits for it.
        let _ = self.link.say(why);
    }
}

/// What is said of a listener before its descriptors are handed over.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    name: String,
    sockets: usize,
    has_hold: bool,
}

/// Says that standard input is the link to a predecessor.
const MARK: &str = "PORTCULLIS_SUCCESSOR";
const READY: &str = "ready";
const YOURS: &str = "yours";

/// What each side waits for the other: a successor reads files and may fetch what it needs.
const PATIENCE: Duration = Duration::from_secs(60);
