//! The signatures inside of an `aws-chunked` body, each of which covers the one before it.

use std::fmt;

use aws_sigv4::sign::v4::calculate_signature;

use crate::percent::hex;

/// A signature in lower-case hex.
pub(crate) type Signature = [u8; 64];

/// What the signatures of one body have in common, and the last of them.
#[derive(Clone)]
pub(crate) struct Chain {
    key: [u8; 32],
    /// The lines that name time and scope.
    scope: Box<[u8]>,
    previous: Signature,
}

impl Chain {
    /// The chain that begins at `seed`, the signature of the request.
    ///
    /// `stamp` is its `x-amz-date`, `scope` what follows the access key in its `Credential`, `key` what both derive.
    pub(crate) fn new(key: [u8; 32], stamp: &[u8], scope: &[u8], seed: Signature) -> Self {
        Self { key, scope: [stamp, b"\n", scope, b"\n"].concat().into(), previous: seed }
    }

    /// The signature of the next chunk, of which `hash` is the SHA-256; the last chunk is empty.
    pub(crate) fn chunk(&mut self, hash: &[u8; 32]) -> Signature {
        let algorithm: &[u8] = b"AWS4-HMAC-SHA256-PAYLOAD\n";
        self.next(
            &[algorithm, &self.scope, &self.previous, b"\n", EMPTY, b"\n", &hex(hash)].concat(),
        )
    }

    /// The signature of the trailers: `hash` is that of their lines, `name:value` and a line feed each.
    pub(crate) fn trailer(&mut self, hash: &[u8; 32]) -> Signature {
        let algorithm: &[u8] = b"AWS4-HMAC-SHA256-TRAILER\n";
        self.next(&[algorithm, &self.scope, &self.previous, b"\n", &hex(hash)].concat())
    }

    fn next(&mut self, text: &[u8]) -> Signature {
        let signature = calculate_signature(self.key, text);
        #[expect(clippy::expect_used, reason = "an HMAC-SHA-256 is 64 digits long")]
        let signature = signature.as_bytes().try_into().expect("64 digits");
        self.previous = signature;
        signature
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}

/// The SHA-256 of nothing.
const EMPTY: &[u8; 64] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_sigv4::sign::v4::generate_signing_key;
    use sha2::{Digest, Sha256};

    use super::*;

    /// The example of the S3 API reference: 65 KiB of `a` in chunks of 64 KiB, put by the example's credentials.
    fn example(seed: &[u8; 64]) -> Chain {
        let time = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let key = generate_signing_key(secret, time, "us-east-1", "s3");
        let key = key.as_ref().try_into().unwrap();
        Chain::new(key, b"20130524T000000Z", b"20130524/us-east-1/s3/aws4_request", *seed)
    }

    fn hash(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn the_chunks_of_the_published_example_have_their_signatures() {
        let seed = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let mut chain = example(seed);

        let signatures: [&[u8; 64]; 3] = [
            b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ];
        for (size, signature) in [65_536, 1024, 0].into_iter().zip(signatures) {
            assert_eq!(&chain.chunk(&hash(&vec![b'a'; size])), signature);
        }
    }

    #[test]
    fn the_chunks_and_the_trailer_of_the_published_example_have_their_signatures() {
        let seed = b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        let mut chain = example(seed);

        let signatures: [&[u8; 64]; 3] = [
            b"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ];
        for (size, signature) in [65_536, 1024, 0].into_iter().zip(signatures) {
            assert_eq!(&chain.chunk(&hash(&vec![b'a'; size])), signature);
        }
        assert_eq!(
            &chain.trailer(&hash(b"x-amz-checksum-crc32c:sOO8/Q==\n")),
            b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
        );
    }
}
