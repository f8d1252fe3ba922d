mod stream;
mod unix;
mod inherited;
mod legacy;
mod proxy;
mod terms;
mod quiet;
mod certificates;
mod tls;

pub use certificates::Certificates;
pub use inherited::Inherited;
pub use legacy::Legacy;
pub use proxy::{Malformed, Origin, Progress, read_header};
pub use stream::{OpenSocket, Socket, Stream};
pub use terms::{Admission, Terms};
pub use tls::{ListenerTls, TlsMeters};
pub use unix::PathLock;

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::config::{Address, SocketMode};

/// All that one listener takes connections with at an address, one for each worker.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// What it is called in the log.
    pub name: String,
    /// The address, with its real port; a unix socket has none.
    pub address: Option<SocketAddr>,
    /// One socket for each worker.
    pub sockets: Vec<Socket>,
    /// Keeps a second instance away.
    pub hold: Hold,
}

/// What keeps a second instance from an address.
#[derive(Debug)]
#[non_exhaustive]
pub enum Hold {
    /// From an address and port.
    Address(Lock),
    /// From a path.
    Path(PathLock),
    /// Whoever hands sockets over sees to that.
    Nothing,
}

/// Opens what `address` says; several sockets may have been inherited under one name.
///
/// # Errors
///
/// When it cannot be had, because another process has it above all.
pub fn open(
    address: &Address,
    mode: SocketMode,
    workers: usize,
    inherited: &mut Inherited,
) -> io::Result<Vec<Opened>> {
    match address {
        Address::Tcp(address) => {
            let Listeners { address, sockets, lock } = bind(*address, workers)?;
            let sockets = sockets.into_iter().map(Socket::Tcp).collect();
            let (name, hold) = (address.to_string(), Hold::Address(lock));
            Ok(vec![Opened { name, address: Some(address), sockets, hold }])
        }
        Address::Unix(path) => {
            let (socket, lock) = unix::bind(path, mode)?;
            let sockets = for_each(Socket::Unix(socket), workers)?;
            let name = format!("unix:{}", path.display());
            Ok(vec![Opened { name, address: None, sockets, hold: Hold::Path(lock) }])
        }
        Address::Inherited(name) => inherited
            .take(name)?
            .into_iter()
            .map(|socket| {
                let (name, address) = socket.name()?;
                let sockets = for_each(socket, workers)?;
                Ok(Opened { name, address, sockets, hold: Hold::Nothing })
            })
            .collect(),
    }
}

/// One socket, at which the workers take turns.
fn for_each(socket: Socket, workers: usize) -> io::Result<Vec<Socket>> {
    let mut sockets = vec![socket];
    while let Some(socket) = sockets.first().filter(|_| sockets.len() < workers) {
        sockets.push(socket.try_clone()?);
    }
    Ok(sockets)
}

/// A socket for each worker, all at one address: the kernel spreads connections over them.
///
/// # Errors
///
/// When the address cannot be had, because another process has it above all: one that listens with
/// `SO_REUSEPORT`, as this does, would otherwise share it in silence.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Listeners> {
    let first = socket(address)?;
    // Port 0 has become a real one.
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    // Before it listens: it would get connections of the instance that has the address.
    let lock = lock(address)?;
    first.listen(BACKLOG)?;
    let mut sockets = vec![TcpListener::from(first)];
    while sockets.len() < workers {
        sockets.push(another(&sockets, address)?);
    }
    Ok(Listeners { address, sockets, lock })
}

/// The sockets of one address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listeners {
    /// The address, with its real port.
    pub address: SocketAddr,
    /// One socket for each worker.
    pub sockets: Vec<TcpListener>,
    /// Keeps a second instance from the address for as long as it lives.
    pub lock: Lock,
}

fn socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn another(_: &[TcpListener], address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Elsewhere a second socket would not get its share: the workers take turns at one.
#[cfg(not(target_os = "linux"))]
fn another(sockets: &[TcpListener], _: SocketAddr) -> io::Result<TcpListener> {
    sockets.first().map_or_else(|| Err(io::ErrorKind::NotFound.into()), TcpListener::try_clone)
}

/// A name that one process can have, in the network namespace that the address is in.
#[cfg(target_os = "linux")]
pub type Lock = std::os::unix::net::UnixListener;

#[cfg(target_os = "linux")]
fn lock(address: SocketAddr) -> io::Result<Lock> {
    use std::os::linux::net::SocketAddrExt;

    let name = format!("portcullis {address}");
    let name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    Lock::bind_addr(&name)
}

/// Elsewhere the address itself can be had by one process only.
#[cfg(not(target_os = "linux"))]
pub type Lock = ();

#[cfg(not(target_os = "linux"))]
fn lock(_: SocketAddr) -> io::Result<Lock> {
    Ok(())
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_second_instance_does_not_share_the_port() {
        let first = bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        assert_eq!(first.sockets.len(), 2);

        let second = bind(first.address, 1);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);

        let address = first.address;
        drop(first);
        assert!(bind(address, 1).is_ok());
    }

    #[test]
    fn a_second_instance_takes_no_connection_from_the_first() {
        const CONNECTIONS: usize = 500;
        let mut first = bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let (address, socket) = (first.address, first.sockets.remove(0));
        socket.set_nonblocking(false).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let others = done.clone();
        let second = thread::spawn(move || {
            while !others.load(Ordering::Relaxed) {
                assert!(bind(address, 1).is_err());
            }
        });
        let serve = thread::spawn(move || {
            for _ in 0..CONNECTIONS {
                socket.accept().unwrap().0.write_all(b"a").unwrap();
            }
        });

        for _ in 0..CONNECTIONS {
            TcpStream::connect(address).unwrap().read_exact(&mut [0]).unwrap();
        }

        done.store(true, Ordering::Relaxed);
        serve.join().unwrap();
        second.join().unwrap();
    }
}
