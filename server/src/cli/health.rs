use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks the admin listener at `address` whether its process is alive, without a runtime: the answer is there at once, or the
/// process is not well.
pub(super) fn ask(address: SocketAddr) -> io::Result<()> {
    let answer = status(address).map_err(|error| {
        io::Error::new(error.kind(), format!("{address} does not answer: {error}"))
    })?;
    match answer {
        OK => Ok(()),
        other => {
            let answer = String::from_utf8_lossy(&other).escape_debug().to_string();
            Err(io::Error::other(format!("{address} is not alive: it says \"{answer}\"")))
        }
    }
}

/// The beginning of the response's first line.
fn status(address: SocketAddr) -> io::Result<[u8; OK.len()]> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; OK.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

const OK: [u8; 12] = *b"HTTP/1.1 200";

/// Less than what asks for health usually grants.
const PATIENCE: Duration = Duration::from_secs(2);
