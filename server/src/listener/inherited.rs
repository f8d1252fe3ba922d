use std::fmt;
use std::io;

use listenfd::ListenFd;

use super::Socket;

/// The sockets that the process was started with, as systemd hands them over (`sd_listen_fds(3)`).
#[must_use = "dropped, it closes what was not taken"]
pub struct Inherited {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Inherited {
    /// Takes what the environment says was inherited; the next call finds nothing.
    pub fn from_environment() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self { sockets: ListenFd::from_env(), names: names.split(':').map(str::to_owned).collect() }
    }

    /// The sockets of this name, which may be several.
    ///
    /// # Errors
    ///
    /// When there is none, or one does not take connections of streams.
    pub fn take(&mut self, name: &str) -> io::Result<Vec<Socket>> {
        let mut found = Vec::new();
        for (index, _) in self.names.iter().enumerate().filter(|(_, known)| *known == name) {
            let socket = match self.sockets.take_unix_listener(index) {
                Ok(Some(socket)) => Socket::Unix(socket),
                Ok(None) => continue, // fewer sockets than names
                Err(_) => match self.sockets.take_tcp_listener(index)? {
                    Some(socket) => Socket::Tcp(socket),
                    None => continue,
                },
            };
            socket.set_nonblocking()?;
            found.push(socket);
        }
        if found.is_empty() {
            let message = "the process was not started with a socket of this name (LISTEN_FDNAMES)";
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(found)
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").field("names", &self.names).finish_non_exhaustive()
    }
}
