use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::config::SocketMode;

/// Keeps a second instance from a path for as long as it lives: a lock on a file beside the socket, which stays there.
#[derive(Debug)]
#[must_use = "dropped, it lets others have the path"]
pub struct PathLock {
    file: File,
}

impl PathLock {
    pub(super) fn try_clone(&self) -> io::Result<OwnedFd> {
        // The lock is that of the open file, however many descriptors it has.
        Ok(self.file.try_clone()?.into())
    }
}

impl From<OwnedFd> for PathLock {
    fn from(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into() }
    }
}

/// Listens at a path in the file system.
///
/// Clients find the socket with its permissions or not at all, since it gets its name last. In the same moment it takes the
/// place of one that a process left behind.
///
/// # Errors
///
/// When the path is another process's, or what is there is no socket.
pub(super) fn bind(path: &Path, mode: SocketMode) -> io::Result<(UnixListener, PathLock)> {
    let lock = lock(path)?;
    vacant(path)?;
    let unnamed = beside(path, &format!(".{}", std::process::id()));
    // Only a process of the same number can have left it, and it is gone.
    let _ = fs::remove_file(&unnamed);
    let socket = UnixListener::bind(&unnamed)?;
    let named = fs::set_permissions(&unnamed, Permissions::from_mode(mode.bits()))
        .and_then(|()| fs::rename(&unnamed, path));
    if let Err(error) = named {
        let _ = fs::remove_file(&unnamed);
        return Err(error);
    }
    socket.set_nonblocking(true)?;
    Ok((socket, lock))
}

fn lock(path: &Path) -> io::Result<PathLock> {
    let path = beside(path, ".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(PathLock { file }),
        Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Whether nobody is there, or only what somebody left.
fn vacant(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Somebody listens, or only seems not to, for all that we may know.
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn mode() -> SocketMode {
        SocketMode::try_from("0600".to_owned()).unwrap()
    }

    #[test]
    fn it_has_its_permissions_and_takes_connections() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");

        let (socket, _lock) = bind(&path, mode()).unwrap();
        socket.set_nonblocking(false).unwrap();
        UnixStream::connect(&path).unwrap().write_all(b"a").unwrap();
        let mut text = String::new();
        socket.accept().unwrap().0.read_to_string(&mut text).unwrap();

        assert_eq!(text, "a");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_second_instance_is_refused_and_the_first_keeps_its_clients() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let (socket, lock) = bind(&path, mode()).unwrap();

        assert_eq!(bind(&path, mode()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok());

        // Without its lock, too: another program has none.
        drop(lock);
        assert_eq!(bind(&path, mode()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(socket);
    }

    #[test]
    fn what_a_process_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        drop(bind(&path, mode()).unwrap());
        assert!(path.exists() && UnixStream::connect(&path).is_err());

        let _second = bind(&path, mode()).unwrap();

        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();

        assert!(bind(&path, mode()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }
}
