use std::collections::VecDeque;
use std::io::Write;
use std::mem;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::checksum::Summing;
use crate::chunk_signature::{Chain, Signature};
use crate::{Checksum, Streaming};

/// How the body of one request is sent in chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    streaming: Streaming,
    decoded: u64,
    encoded: u64,
}

impl Encoding {
    /// None when a body of `decoded` bytes cannot be counted once it is encoded.
    pub(crate) fn new(streaming: Streaming, decoded: u64) -> Option<Self> {
        let signed = streaming.signed;
        let size = bytes(streaming.chunk_bytes);
        let around = |size: u64| line_length(size, signed) + 2;
        let whole = (size + around(size)).checked_mul(decoded / size)?;
        let last = decoded % size;
        let last = if last > 0 { last + around(last) } else { 0 };
        let trailer = streaming.checksum.map_or(0, |checksum| {
            let checksum = bytes(checksum.header().len()) + 1 + checksum.text_length() + 2;
            let signature = bytes(TRAILER_SIGNATURE.len() + size_of::<Signature>()) + 2;
            if signed { checksum + signature } else { checksum }
        });
        let end = around(0) + trailer;
        let encoded = whole.checked_add(last)?.checked_add(end)?;
        Some(Self { streaming, decoded, encoded })
    }

    /// The length of the body as it came.
    pub(crate) const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// The length of the body as it is sent.
    pub(crate) const fn encoded(&self) -> u64 {
        self.encoded
    }

    /// The checksum that follows the last chunk.
    pub(crate) const fn checksum(&self) -> Option<Checksum> {
        self.streaming.checksum
    }

    /// What is signed for the body in the request.
    pub(crate) const fn name(&self) -> &'static str {
        match (self.streaming.signed, self.streaming.checksum) {
            (true, None) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            (true, Some(_)) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            (false, _) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    /// Begins the body of a request that was signed as `chain` says.
    pub(crate) fn begin(self, chain: impl FnOnce() -> Chain) -> Encoder {
        Encoder {
            chain: self.streaming.signed.then(chain),
            sum: self.streaming.checksum.map(|checksum| (checksum, Summing::new(checksum))),
            chunk_bytes: self.streaming.chunk_bytes,
            awaited: self.decoded,
            encoded: self.encoded,
            frame: Bytes::new(),
            chunk: Chunk::default(),
            first: true,
            out: VecDeque::new(),
        }
    }
}

/// Puts a body into chunks, whatever frames it comes in.
///
/// A signed chunk is held until it is whole, an unsigned one passes as it comes: its size is known by the length of the
/// body. Nothing is copied but pieces of less than 4 KiB in signed chunks, which are put together, each byte once.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    chain: Option<Chain>,
    sum: Option<(Checksum, Summing)>,
    chunk_bytes: usize,
    /// How much of the body has not come yet.
    awaited: u64,
    /// How much of the encoded body has not been sent yet.
    encoded: u64,
    /// What is left of the frame that came last.
    frame: Bytes,
    chunk: Chunk,
    first: bool,
    out: VecDeque<Bytes>,
}

/// The body is longer or shorter than it said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WrongLength {
    Long,
    Short,
}

impl Encoder {
    /// What is to be sent next; none asks for more of the body, or it has ended.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        while self.out.is_empty() && !self.frame.is_empty() {
            self.take();
        }
        let next = self.out.pop_front()?;
        self.encoded = self.encoded.saturating_sub(bytes(next.len()));
        Some(next)
    }

    /// Takes a frame, when there is nothing left to be sent.
    pub(crate) fn push(&mut self, frame: Bytes) -> Result<(), WrongLength> {
        self.awaited = self.awaited.checked_sub(bytes(frame.len())).ok_or(WrongLength::Long)?;
        self.frame = frame;
        Ok(())
    }

    /// The body has come to its end, and nothing is left to be sent.
    pub(crate) fn finish(&mut self) -> Result<(), WrongLength> {
        if self.awaited > 0 {
            return Err(WrongLength::Short);
        }
        let mut end = self.header(0);
        if let Some((checksum, sum)) = self.sum.take() {
            let (name, value) = (checksum.header(), sum.text());
            write(&mut end, &[name.as_bytes(), b":", value.as_bytes(), b"\r\n"]);
            if let Some(chain) = &mut self.chain {
                let signature = chain.trailer(&Sha256::digest(format!("{name}:{value}\n")).into());
                write(&mut end, &[TRAILER_SIGNATURE, &signature, b"\r\n"]);
            }
        }
        write(&mut end, &[b"\r\n"]);
        self.out.push_back(end.into());
        Ok(())
    }

    /// Sends nothing more.
    pub(crate) fn abort(&mut self) {
        self.encoded = 0;
        self.out.clear();
    }

    /// How much is still to be sent.
    pub(crate) const fn left(&self) -> u64 {
        self.encoded
    }

    /// Moves a piece of the frame into the chunk.
    fn take(&mut self) {
        if self.chunk.left == 0 {
            let rest = self.awaited.saturating_add(bytes(self.frame.len()));
            self.chunk.left = usize::try_from(rest).unwrap_or(usize::MAX).min(self.chunk_bytes);
            self.chunk.size = self.chunk.left;
            if self.chain.is_none() {
                let header = self.header(self.chunk.size);
                self.out.push_back(header.into());
            }
        }
        let piece = self.frame.split_to(self.frame.len().min(self.chunk.left));
        self.chunk.left -= piece.len();
        if let Some((_, sum)) = &mut self.sum {
            sum.update(&piece);
        }
        if self.chain.is_none() {
            self.out.push_back(piece);
            return;
        }
        self.chunk.push(piece);
        if self.chunk.left == 0 {
            let header = self.header(self.chunk.size);
            self.out.push_back(header.into());
            self.chunk.release(&mut self.out);
        }
    }

    /// The line above a chunk, after the end of the chunk before it.
    fn header(&mut self, size: usize) -> Vec<u8> {
        // Of the exact size, so that it is sent from where it is.
        let length = line_length(bytes(size), self.chain.is_some());
        let end: &[u8] = if mem::take(&mut self.first) { b"" } else { b"\r\n" };
        let mut line = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + end.len());
        line.extend_from_slice(end);
        // Writing to a vector does not fail.
        let _ = write!(line, "{size:x}");
        if let Some(chain) = &mut self.chain {
            let signature = chain.chunk(&self.chunk.hash.finalize_reset().into());
            write(&mut line, &[SIGNATURE, &signature]);
        }
        write(&mut line, &[b"\r\n"]);
        line
    }
}

/// A chunk that is held until it is whole.
#[derive(Clone, Debug, Default)]
struct Chunk {
    size: usize,
    left: usize,
    hash: Sha256,
    pieces: VecDeque<Bytes>,
    /// Pieces that are too small to be kept as they are: each may hold much more memory than it shows.
    joined: BytesMut,
}

impl Chunk {
    fn push(&mut self, piece: Bytes) {
        self.hash.update(&piece);
        if piece.len() >= SMALL {
            self.join();
            self.pieces.push_back(piece);
            return;
        }
        if self.joined.capacity() - self.joined.len() < piece.len() {
            self.join();
            self.joined = BytesMut::with_capacity(BLOCK);
        }
        self.joined.extend_from_slice(&piece);
    }

    fn join(&mut self) {
        if !self.joined.is_empty() {
            self.pieces.push_back(self.joined.split().freeze());
        }
    }

    fn release(&mut self, out: &mut VecDeque<Bytes>) {
        self.join();
        out.append(&mut self.pieces);
    }
}

fn write(text: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        text.extend_from_slice(part);
    }
}

/// The length of the line above a chunk, with its end.
fn line_length(size: u64, signed: bool) -> u64 {
    let digits = size.checked_ilog2().map_or(1, |bits| bits / 4 + 1);
    let signature = if signed { SIGNATURE.len() + size_of::<Signature>() } else { 0 };
    u64::from(digits) + bytes(signature) + 2
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

const SIGNATURE: &[u8] = b";chunk-signature=";
const TRAILER_SIGNATURE: &[u8] = b"x-amz-trailer-signature:";

/// What is smaller than this is copied.
const SMALL: usize = 4 << 10;

/// Into blocks of this size.
const BLOCK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use aws_credential_types::Credentials;
    use aws_sigv4::sign::v4::{SigningParams, generate_signing_key, sign_chunk};
    use proptest::prelude::*;

    use super::*;

    fn time() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_369_353_600)
    }

    /// The chain of the example in the S3 API reference.
    fn chain(seed: &[u8; 64]) -> Chain {
        let key = generate_signing_key(SECRET, time(), "us-east-1", "s3");
        let key = key.as_ref().try_into().unwrap();
        Chain::new(key, b"20130524T000000Z", b"20130524/us-east-1/s3/aws4_request", *seed)
    }

    fn chunks_of(chunk_bytes: usize, streaming: Streaming) -> Streaming {
        Streaming { chunk_bytes, ..streaming }
    }

    /// The frames that `body` becomes, and what was announced of them.
    fn encode(streaming: Streaming, seed: &[u8; 64], body: &[Bytes]) -> (Encoding, Vec<Bytes>) {
        let length: usize = body.iter().map(Bytes::len).sum();
        let encoding = Encoding::new(streaming, bytes(length)).unwrap();
        let mut encoder = encoding.begin(|| chain(seed));
        let mut sent = Vec::new();
        let mut left = encoding.encoded();
        let mut send = |encoder: &mut Encoder| {
            while let Some(frame) = encoder.next() {
                left -= bytes(frame.len());
                assert_eq!(encoder.left(), left);
                sent.push(frame);
            }
        };
        for frame in body {
            encoder.push(frame.clone()).unwrap();
            send(&mut encoder);
        }
        encoder.finish().unwrap();
        send(&mut encoder);
        assert_eq!(left, 0);
        (encoding, sent)
    }

    fn example(streaming: Streaming, seed: &[u8; 64]) -> (Encoding, String) {
        let (encoding, sent) = encode(streaming, seed, &[vec![b'a'; 66_560].into()]);
        (encoding, String::from_utf8(sent.concat()).unwrap())
    }

    #[test]
    fn the_published_example_is_sent_as_it_says() {
        let (encoding, sent) = example(Streaming::signed(), SEED);

        assert_eq!(encoding.encoded(), 66_824);
        assert_eq!(
            sent,
            format!(
                "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n\
                 {}\r\n\
                 400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n\
                 {}\r\n\
                 0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\
                 \r\n",
                "a".repeat(65_536),
                "a".repeat(1024)
            )
        );
    }

    #[test]
    fn the_published_example_with_a_trailer_is_sent_as_it_says() {
        let seed = b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        let (_, sent) = example(Streaming::signed().checksum(Checksum::Crc32c), seed);

        let (_, end) = sent.split_once("a\r\n0;").unwrap();
        assert_eq!(
            end,
            "chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n\
             x-amz-checksum-crc32c:sOO8/Q==\r\n\
             x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\
             \r\n"
        );
    }

    #[test]
    fn an_unsigned_stream_has_sizes_and_a_checksum_alone() {
        let (_, sent) = example(Streaming::unsigned(Checksum::Crc32c), SEED);

        let (whole, last) = ("a".repeat(65_536), "a".repeat(1024));
        let end = "0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n";
        assert_eq!(sent, format!("10000\r\n{whole}\r\n400\r\n{last}\r\n{end}"));
    }

    #[test]
    fn nothing_of_a_signed_chunk_is_sent_before_all_of_it_has_come() {
        let streaming = chunks_of(8, Streaming::signed());
        let mut encoder = Encoding::new(streaming, 10).unwrap().begin(|| chain(SEED));

        encoder.push(Bytes::from("1234567")).unwrap();
        assert_eq!(encoder.next(), None);
        encoder.push(Bytes::from("89")).unwrap();
        assert!(encoder.next().unwrap().starts_with(b"8;chunk-signature="));
        assert_eq!(encoder.next().unwrap(), "12345678");
        assert_eq!(encoder.next(), None);
    }

    #[test]
    fn an_unsigned_chunk_passes_as_it_comes() {
        let streaming = chunks_of(8, Streaming::unsigned(Checksum::Crc32));
        let mut encoder = Encoding::new(streaming, 10).unwrap().begin(|| chain(SEED));

        encoder.push(Bytes::from("123")).unwrap();
        assert_eq!(encoder.next().unwrap(), "8\r\n");
        assert_eq!(encoder.next().unwrap(), "123");
        assert_eq!(encoder.next(), None);
    }

    #[test]
    fn large_pieces_are_sent_from_where_they_are() {
        let frame = Bytes::from(vec![7; 3 * SMALL]);
        for streaming in [Streaming::signed(), Streaming::unsigned(Checksum::Crc32)] {
            let streaming = chunks_of(2 * SMALL, streaming);
            let (_, sent) = encode(streaming, SEED, std::slice::from_ref(&frame));

            assert_eq!(sent[1].as_ptr(), frame.as_ptr());
            assert_eq!(sent[3].as_ptr(), frame[2 * SMALL..].as_ptr());
        }
    }

    #[test]
    fn small_pieces_are_put_together() {
        let frames = vec![Bytes::from_static(b"."); 2 * BLOCK];
        let (_, sent) = encode(chunks_of(2 * BLOCK, Streaming::signed()), SEED, &frames);

        let sizes: Vec<usize> = sent.iter().map(Bytes::len).collect();
        assert_eq!(sizes[1..3], [BLOCK, BLOCK]);
    }

    #[test]
    fn a_body_that_is_longer_or_shorter_than_it_said_is_not_ended() {
        let begin = || Encoding::new(Streaming::signed(), 5).unwrap().begin(|| chain(SEED));

        let mut long = begin();
        assert_eq!(long.push(Bytes::from("123456")), Err(WrongLength::Long));
        assert_eq!(long.next(), None);

        let mut short = begin();
        assert_eq!(short.push(Bytes::from("1234")), Ok(()));
        assert_eq!(short.next(), None);
        assert_eq!(short.finish(), Err(WrongLength::Short));
        assert_eq!(short.next(), None);
    }

    #[test]
    fn a_length_that_cannot_be_counted_is_none() {
        assert!(Encoding::new(Streaming::signed(), u64::MAX).is_none());
        assert!(Encoding::new(Streaming::signed(), u64::MAX / 2).is_some());
    }

    /// The chunks of a body, each with what follows its size, and what comes after the last of them.
    fn decode(mut body: &[u8]) -> (Vec<(&str, &[u8])>, &str) {
        let mut chunks = Vec::new();
        loop {
            let end = body.windows(2).position(|pair| pair == b"\r\n").unwrap();
            let line = std::str::from_utf8(&body[..end]).unwrap();
            let digits = line.find(';').unwrap_or(line.len());
            let (size, extension) = line.split_at(digits);
            let size = usize::from_str_radix(size, 16).unwrap();
            body = &body[end + 2..];
            chunks.push((extension, &body[..size]));
            if size == 0 {
                return (chunks, std::str::from_utf8(body).unwrap());
            }
            assert_eq!(&body[size..size + 2], b"\r\n");
            body = &body[size + 2..];
        }
    }

    fn any_streaming() -> impl Strategy<Value = Streaming> {
        let checksum = prop_oneof![
            Just(Checksum::Crc32),
            Just(Checksum::Crc32c),
            Just(Checksum::Crc64Nvme),
            Just(Checksum::Sha1),
            Just(Checksum::Sha256)
        ];
        let streaming =
            (any::<bool>(), proptest::option::of(checksum)).prop_map(|choice| match choice {
                (true, None) => Streaming::signed(),
                (true, Some(checksum)) => Streaming::signed().checksum(checksum),
                (false, checksum) => Streaming::unsigned(checksum.unwrap_or(Checksum::Crc32)),
            });
        (1_usize..40, streaming).prop_map(|(size, streaming)| chunks_of(size, streaming))
    }

    proptest! {
        #[test]
        fn what_is_sent_depends_on_the_bytes_and_not_on_the_frames(
            streaming in any_streaming(),
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8),
        ) {
            let body = frames.concat();
            let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let (encoding, sent) = encode(streaming, SEED, &frames);
            let sent = sent.concat();

            let (_, whole) = encode(streaming, SEED, &[body.clone().into()]);
            prop_assert_eq!(&sent, &whole.concat());
            prop_assert_eq!(bytes(sent.len()), encoding.encoded());
            let (chunks, _) = decode(&sent);
            prop_assert_eq!(chunks.iter().flat_map(|(_, data)| *data).copied().collect::<Vec<_>>(), body);
            let (_, full) = chunks.split_last().unwrap();
            let full = full.split_last().map_or(full, |(_, full)| full);
            prop_assert!(full.iter().all(|(_, data)| data.len() == streaming.chunk_bytes));
        }

        #[test]
        fn aws_sigv4_makes_the_same_signatures(body: Vec<u8>, size in 1_usize..40) {
            let streaming = chunks_of(size, Streaming::signed());
            let (_, sent) = encode(streaming, SEED, &[body.into()]);
            let sent = sent.concat();

            let identity = Credentials::new("id", SECRET, None, None, "test").into();
            let params = SigningParams::builder()
                .identity(&identity)
                .region("us-east-1")
                .name("s3")
                .time(time())
                .settings(())
                .build()
                .unwrap();
            let mut previous = std::str::from_utf8(SEED).unwrap().to_owned();
            for (extension, data) in decode(&sent).0 {
                let output = sign_chunk(&Bytes::copy_from_slice(data), &previous, &params).unwrap();
                previous = output.signature().to_owned();
                prop_assert_eq!(extension, format!(";chunk-signature={previous}"));
            }
        }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const SEED: &[u8; 64] = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
}
