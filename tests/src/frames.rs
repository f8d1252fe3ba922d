use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One side of a connection of HTTP/2 that says what it likes, frame by frame (RFC 9113 §4.1).
#[derive(Debug)]
pub struct Frames {
    socket: TcpStream,
    /// Whether it answers pings and settings of the other side.
    pub polite: bool,
}

/// A frame.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// What it is: see the constants of [`Frames`].
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream that it is of.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// It was answered to the end: a status, and a body.
    Answered(u16, Vec<u8>),
    /// Its stream was reset with this code.
    Reset(u32),
    /// The connection was, with this code.
    Gone(u32),
    /// The connection was closed without a word.
    Closed,
}

impl Frames {
    /// A piece of a body.
    pub const DATA: u8 = 0;
    /// The beginning of a head.
    pub const HEADERS: u8 = 1;
    /// The end of a stream, before its time.
    pub const RST_STREAM: u8 = 3;
    /// What one side asks of the other.
    pub const SETTINGS: u8 = 4;
    /// Something to be answered.
    pub const PING: u8 = 6;
    /// The end of the connection.
    pub const GOAWAY: u8 = 7;
    /// Leave to send more.
    pub const WINDOW_UPDATE: u8 = 8;
    /// The rest of a head.
    pub const CONTINUATION: u8 = 9;

    /// Flag: nothing comes behind this.
    pub const END_STREAM: u8 = 1;
    /// Flag: an answer, to settings or a ping.
    pub const ACK: u8 = 1;
    /// Flag: the head is whole.
    pub const END_HEADERS: u8 = 4;

    /// Connects, and begins with these settings.
    pub async fn open(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpStream::connect(to).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut frames = Self { socket, polite: true };
        frames.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.settings(settings).await;
        frames
    }

    /// Takes a connection of a client that knows beforehand what is spoken, and begins with no settings.
    ///
    /// None if it closes without a word, as a probe does.
    pub async fn accept(mut socket: TcpStream) -> Option<Self> {
        let mut preface = [0; 24];
        socket.read_exact(&mut preface).await.ok()?;
        let mut frames = Self { socket, polite: true };
        frames.settings(&[]).await;
        Some(frames)
    }

    /// Sends settings.
    pub async fn settings(&mut self, settings: &[(u16, u32)]) {
        let pair =
            |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(pair).collect();
        self.frame(Self::SETTINGS, 0, 0, &payload).await;
    }

    /// Sends a whole head in one frame.
    pub async fn head(&mut self, stream: u32, fields: &[(&[u8], &[u8])], flags: u8) {
        self.frame(Self::HEADERS, Self::END_HEADERS | flags, stream, &block(fields)).await;
    }

    /// Asks for a path, without a body.
    pub async fn get(&mut self, stream: u32, path: &str) {
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"a"),
            (b":path", path.as_bytes()),
        ];
        self.head(stream, &fields, Self::END_STREAM).await;
    }

    /// Sends a frame; whether the other side still takes any.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&bytes(kind, flags, stream, payload)).await
    }

    /// Sends bytes; whether the other side still takes any.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    /// The next frame; none when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        self.socket.read_exact(&mut payload).await.ok()?;
        if self.polite && flags & Self::ACK == 0 && matches!(kind, Self::SETTINGS | Self::PING) {
            let answer = if kind == Self::PING { &payload[..] } else { &[] };
            self.frame(kind, Self::ACK, 0, answer).await;
        }
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream) & !(1 << 31), payload })
    }

    /// Waits for the end of a stream.
    pub async fn end(&mut self, stream: u32) -> End {
        let (mut status, mut body) = (0, Vec::new());
        while let Some(frame) = self.next().await {
            match frame.kind {
                Self::GOAWAY if code(&frame.payload[4..]) != 0 => {
                    return End::Gone(code(&frame.payload[4..]));
                }
                _ if frame.stream != stream => continue,
                Self::RST_STREAM => return End::Reset(code(&frame.payload)),
                Self::HEADERS if status == 0 => status = self::status(&frame.payload),
                Self::DATA => body.extend(frame.payload),
                _ => {}
            }
            if matches!(frame.kind, Self::HEADERS | Self::DATA)
                && frame.flags & Self::END_STREAM != 0
            {
                return End::Answered(status, body);
            }
        }
        End::Closed
    }
}

/// A frame as bytes.
#[must_use]
pub fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields that are written out, and not to be remembered (RFC 7541 §6.2.2).
#[must_use]
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(*text);
        }
    }
    block
}

/// A number of seven bits and more (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else {
        return block.push(u8::try_from(number).unwrap());
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// The status at the beginning of a head, where it must be; zero if it is not written as h2 writes it.
fn status(head: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match head {
        [index @ 0x88..=0x8e, ..] => INDEXED[usize::from(index - 0x88)],
        // The name by its number, and three digits.
        [0x48 | 0x08, 3, a, b, c, ..] => {
            [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(**digit - b'0'))
        }
        [0x48 | 0x08, length @ 0x82..=0x83, rest @ ..] => huffman(&rest[..usize::from(length & 7)]),
        _ => 0,
    }
}

/// Three digits in Huffman's code (RFC 7541, appendix B): `0` to `2` have five bits, the others six.
fn huffman(bytes: &[u8]) -> u16 {
    let mut bits =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut code = bits.by_ref().take(5).fold(0, |code, bit| code << 1 | bit);
        if code > 2 {
            code = (code << 1 | bits.next().unwrap_or(0)) - 0b01_1001 + 3;
        }
        number = number * 10 + code;
    }
    number
}
