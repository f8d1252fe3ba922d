mod proxy;

pub use proxy::{Malformed, Origin, Progress, read_header};

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

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

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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
