use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An upstream of HTTP/1.1 that keeps every byte of every connection, and reads them as the strictest of servers would:
/// what has two readings has none.
#[derive(Debug)]
pub struct Tape {
    address: SocketAddr,
    reels: watch::Receiver<Vec<Reel>>,
    task: JoinHandle<()>,
}

/// What came over one connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reel {
    /// The requests that came whole, as [`Taped`].
    pub whole: Vec<Taped>,
    /// What came behind the last whole one.
    pub rest: Vec<u8>,
    /// What is wrong with the rest, if it can become no request any more.
    pub fault: Option<String>,
    /// Whether the gateway has closed the connection.
    pub ended: bool,
}

/// A whole request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Taped {
    /// The request line.
    pub line: String,
    /// The lines of the head behind it.
    pub fields: Vec<String>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The lines of the trailers.
    pub trailers: Vec<String>,
}

impl Taped {
    /// What the client made of it: all but what a gateway says of itself and of the way the request came.
    #[must_use]
    pub fn told(&self) -> String {
        const OWN: [&str; 6] =
            ["host", "x-request-id", "traceparent", "tracestate", "via", "forwarded"];
        let is_own = |line: &&String| {
            let name = line.split(':').next().unwrap_or_default();
            OWN.contains(&name) || name.starts_with("x-forwarded-")
        };
        let fields = self.fields.iter().filter(|line| !is_own(line));
        let lines: Vec<&str> = [&self.line].into_iter().chain(fields).map(String::as_str).collect();
        let trailers: String = self.trailers.iter().map(|line| format!("\n{line}")).collect();
        format!("{}\n\n{}{trailers}", lines.join("\n"), String::from_utf8_lossy(&self.body))
    }

    /// The values of a field, in their order.
    #[must_use]
    pub fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
    }
}

impl Tape {
    /// Answers each whole request with `answer`, and keeps the connection.
    pub async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tape, reels) = watch::channel(Vec::new());
        let tape = Arc::new(tape);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(record(socket, answer, tape.clone()));
            }
        });
        Self { address, reels, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections over which anything came.
    #[must_use]
    pub fn reels(&self) -> Vec<Reel> {
        let reels = self.reels.borrow();
        reels
            .iter()
            .filter(|reel| !reel.rest.is_empty() || !reel.whole.is_empty())
            .cloned()
            .collect()
    }

    /// All whole requests, connection by connection.
    #[must_use]
    pub fn requests(&self) -> Vec<Taped> {
        self.reels().into_iter().flat_map(|reel| reel.whole).collect()
    }

    /// Waits until what came is as wanted.
    pub async fn until(&mut self, wanted: impl Fn(&[Reel]) -> bool) {
        self.reels.wait_for(|reels| wanted(reels)).await.unwrap();
    }

    /// Waits until each connection has ended.
    pub async fn ended(&mut self) {
        self.until(|reels| reels.iter().all(|reel| reel.ended)).await;
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(mut socket: TcpStream, answer: &str, tape: Arc<watch::Sender<Vec<Reel>>>) {
    let mut number = 0;
    tape.send_modify(|reels| {
        number = reels.len();
        reels.push(Reel::default());
    });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        let mut answers = 0;
        tape.send_modify(|reels| {
            let reel = &mut reels[number];
            reel.ended = read == 0;
            reel.rest.extend(&buffer[..read]);
            answers = reel.advance();
        });
        for _ in 0..answers {
            if socket.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
        if read == 0 {
            return;
        }
    }
}

impl Reel {
    /// Takes the whole requests off the rest; how many there were.
    fn advance(&mut self) -> usize {
        let before = self.whole.len();
        while self.fault.is_none() {
            let mut bytes = &self.rest[..];
            match request(&mut bytes) {
                Ok(Some(taped)) => {
                    self.whole.push(taped);
                    self.rest = bytes.to_vec();
                }
                Ok(None) => break,
                Err(fault) => self.fault = Some(fault),
            }
        }
        self.whole.len() - before
    }
}

/// Reads one request off `bytes`; none if there is more to come.
fn request(bytes: &mut &[u8]) -> Result<Option<Taped>, String> {
    let mut taped = Taped::default();
    let Some(line) = line(bytes)? else { return Ok(None) };
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("no request line: {line:?}"));
    };
    if !method.bytes().all(is_tchar) || !target.bytes().all(|byte| byte > b' ' && byte != 127) {
        return Err(format!("no request line: {line:?}"));
    }
    taped.line = line;
    let Some(fields) = fields(bytes)? else { return Ok(None) };
    taped.fields = fields;
    let [_] = taped.field("host")[..] else {
        return Err(format!("not one host: {:?}", taped.fields));
    };
    match (&taped.field("content-length")[..], &taped.field("transfer-encoding")[..]) {
        ([], []) => {}
        ([length], []) => {
            let number = length.parse::<usize>().map_err(|error| format!("{length:?}: {error}"))?;
            if number.to_string() != *length {
                return Err(format!("a length of many readings: {length:?}"));
            }
            let Some((body, rest)) = bytes.split_at_checked(number) else { return Ok(None) };
            taped.body = body.to_vec();
            *bytes = rest;
        }
        ([], ["chunked"]) => loop {
            let Some(size) = self::line(bytes)? else { return Ok(None) };
            let number =
                usize::from_str_radix(&size, 16).map_err(|error| format!("{size:?}: {error}"))?;
            if !format!("{number:x}").eq_ignore_ascii_case(&size) {
                return Err(format!("a size of many readings: {size:?}"));
            }
            if number == 0 {
                let Some(trailers) = self::fields(bytes)? else { return Ok(None) };
                taped.trailers = trailers;
                break;
            }
            let Some((chunk, rest)) = bytes.split_at_checked(number + 2) else { return Ok(None) };
            let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
                return Err("a chunk that does not end".to_owned());
            };
            taped.body.extend(chunk);
            *bytes = rest;
        },
        framing => return Err(format!("a framing of many readings: {framing:?}")),
    }
    Ok(Some(taped))
}

/// Reads the lines up to an empty one.
fn fields(bytes: &mut &[u8]) -> Result<Option<Vec<String>>, String> {
    let mut fields = Vec::new();
    loop {
        match line(bytes)? {
            None => return Ok(None),
            Some(line) if line.is_empty() => return Ok(Some(fields)),
            Some(line) => match line.split_once(':') {
                Some((name, _)) if !name.is_empty() && name.bytes().all(is_tchar) => {
                    fields.push(line);
                }
                _ => return Err(format!("no field: {line:?}")),
            },
        }
    }
}

/// Reads up to CR LF.
fn line(bytes: &mut &[u8]) -> Result<Option<String>, String> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n");
    let (line, rest) = match end {
        Some(end) => (&bytes[..end], Some(&bytes[end + 2..])),
        None => (bytes.strip_suffix(b"\r").unwrap_or(bytes), None),
    };
    if let Some(byte) = line.iter().find(|byte| byte.is_ascii_control() && **byte != b'\t') {
        return Err(format!("a control byte {byte:#x} in {:?}", String::from_utf8_lossy(line)));
    }
    let Some(rest) = rest else { return Ok(None) };
    *bytes = rest;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
