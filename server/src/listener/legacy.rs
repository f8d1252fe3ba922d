use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::config::Address;

use super::{Hold, Listeners, Opened, PathLock, Socket, another, for_each};

/// What another instance hands over of one listener's address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Legacy {
    /// The sockets: one for each of its workers at least.
    pub sockets: Vec<OwnedFd>,
    /// What kept other instances away.
    pub hold: Option<OwnedFd>,
}

impl Opened {
    /// The same sockets once more, to be handed over.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn legacy(&self) -> io::Result<Legacy> {
        let sockets = self.sockets.iter().map(|socket| match socket {
            Socket::Tcp(socket) => socket.as_fd().try_clone_to_owned(),
            Socket::Unix(socket) => socket.as_fd().try_clone_to_owned(),
        });
        Ok(Legacy { sockets: sockets.collect::<io::Result<_>>()?, hold: self.hold.descriptor()? })
    }
}

impl Hold {
    fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Address(lock) => lock.as_fd().try_clone_to_owned().map(Some),
            Self::Path(lock) => lock.try_clone().map(Some),
            _ => Ok(None),
        }
    }

    fn of(address: &Address, descriptor: Option<OwnedFd>) -> Self {
        match (address, descriptor) {
            #[cfg(target_os = "linux")]
            (Address::Tcp(_), Some(lock)) => Self::Address(lock.into()),
            (Address::Unix(_), Some(lock)) => Self::Path(PathLock::from(lock)),
            _ => Self::Nothing,
        }
    }
}

impl Legacy {
    /// The same once more.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
        let hold = self.hold.as_ref().map(OwnedFd::try_clone).transpose()?;
        Ok(Self { sockets, hold })
    }

    /// Takes over the sockets, with all that waits to be accepted from them, and opens more if there are fewer than workers.
    /// If there are more, each is to be accepted from, too: one that is closed resets what waits there.
    ///
    /// # Errors
    ///
    /// When more are needed and cannot be had, or these are no sockets that take connections.
    pub fn open(self, address: &Address, workers: usize) -> io::Result<Opened> {
        let sockets = self.sockets.into_iter().map(Socket::inherited);
        let mut sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let Some(first) = sockets.first() else {
            return Err(io::Error::other("a listener without a socket was handed over"));
        };
        let (name, bound) = first.name()?;
        if let (Address::Tcp(_), Some(bound)) = (address, bound) {
            while sockets.len() < workers {
                sockets.push(Socket::Tcp(another(&[], bound)?));
            }
        } else {
            // Another one at the same path, or of the same name, cannot be had: the workers take turns.
            let missing = workers.saturating_sub(sockets.len());
            let more = first.try_clone()?;
            sockets.extend(for_each(more, missing.max(1))?.into_iter().take(missing));
        }
        let hold = Hold::of(address, self.hold);
        Ok(Opened { name, address: bound, sockets, hold })
    }
}

impl From<Listeners> for Opened {
    fn from(listeners: Listeners) -> Self {
        let Listeners { address, sockets, lock } = listeners;
        let sockets = sockets.into_iter().map(Socket::Tcp).collect();
        let hold = Hold::Address(lock);
        Self { name: address.to_string(), address: Some(address), sockets, hold }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::listener::bind;

    fn any() -> Address {
        Address::Tcp(([127, 0, 0, 1], 0).into())
    }

    fn bound(workers: usize) -> Opened {
        bind(([127, 0, 0, 1], 0).into(), workers).unwrap().into()
    }

    #[test]
    fn what_waits_at_a_socket_survives_that_it_is_handed_over_to_fewer_workers() {
        let first = bound(3);
        let address = first.address.unwrap();
        let mut clients: Vec<_> = (0..30).map(|_| TcpStream::connect(address).unwrap()).collect();

        let second = first.legacy().unwrap().open(&any(), 1).unwrap();
        drop(first);
        assert!(bind(address, 1).is_err(), "the lock was handed over, too");
        assert_eq!((second.address, second.sockets.len()), (Some(address), 3));
        let mut accepted = 0;
        for socket in &second.sockets {
            let Socket::Tcp(socket) = socket else { panic!("another kind of socket") };
            while let Ok((mut stream, _)) = socket.accept() {
                stream.write_all(b"a").unwrap();
                accepted += 1;
            }
        }

        assert_eq!(accepted, 30);
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
    }

    #[test]
    fn more_workers_get_more_sockets() {
        let first = bound(1);

        let second = first.legacy().unwrap().open(&any(), 3).unwrap();

        assert_eq!(second.sockets.len(), 3);
        assert!(second.sockets.iter().all(|socket| socket.name().unwrap().1 == first.address));
    }

    #[test]
    fn a_path_is_handed_over_with_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let address = Address::Unix(path.clone());
        let (socket, lock) =
            super::super::unix::bind(&path, crate::config::SocketMode::default()).unwrap();
        let sockets = vec![Socket::Unix(socket)];
        let first = Opened { name: String::new(), address: None, sockets, hold: Hold::Path(lock) };

        let second = first.legacy().unwrap().open(&address, 2).unwrap();
        drop(first);

        assert_eq!(second.sockets.len(), 2);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        let others = super::super::unix::bind(&path, crate::config::SocketMode::default());
        assert_eq!(others.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
