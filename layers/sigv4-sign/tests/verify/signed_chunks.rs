use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Request;
use portcullis_sigv4_sign::{
    FixedKeys, PlainBodyError, SecretKey, ServiceName, SigV4VerifyLayer, Unverified, Verifying,
};
use proptest::prelude::*;

use crate::frames::{Arrived, Frames, send};
use crate::sdk::Sdk;
use crate::wire::sha256_line;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

fn layer(max_chunk: u64) -> SigV4VerifyLayer {
    let verifying = Verifying::new(ServiceName::new("s3").unwrap()).max_chunk(max_chunk);
    SigV4VerifyLayer::new(verifying, FixedKeys::new([("id", SecretKey::new("secret"))])).clock(now)
}

fn sdk() -> Sdk {
    Sdk::new("id", "secret", now())
}

fn put() -> Request<()> {
    Request::put("https://a.example/k").body(()).unwrap()
}

async fn fault(request: Request<()>, wire: &[u8]) -> (Vec<u8>, Unverified) {
    let (arrived, refused) = send(&layer(8), request.map(|()| Frames::of(wire, 5))).await;
    let Arrived { data, broken, .. } = arrived.unwrap();
    assert!(matches!(broken, Some(PlainBodyError::Unverified(why)) if Some(why) == refused));
    (data, refused.unwrap())
}

#[tokio::test]
async fn a_chunk_passes_only_after_its_signature() {
    let (request, wire) = sdk().signed_chunks(put(), b"0123456789", 4, None);
    let wire = String::from_utf8(wire).unwrap().replace("4567", "4568");

    assert_eq!(
        fault(request, wire.as_bytes()).await,
        (b"0123".to_vec(), Unverified::WrongChunkSignature)
    );
}

#[tokio::test]
async fn chunks_keep_their_order() {
    let (request, wire) = sdk().signed_chunks(put(), b"aaaabbbb", 4, None);
    let chunk = "4;chunk-signature=\r\naaaa\r\n".len() + 64;
    let swapped = [&wire[chunk..2 * chunk], &wire[..chunk], &wire[2 * chunk..]].concat();

    assert_eq!(fault(request, &swapped).await, (vec![], Unverified::WrongChunkSignature));
}

#[tokio::test]
async fn a_signed_chunk_has_a_signature_and_a_bound() {
    let (request, wire) = sdk().signed_chunks(put(), b"123456789", 9, None);
    assert_eq!(fault(request, &wire).await, (vec![], Unverified::ChunkTooLarge));

    for extension in ["", ";", ";chunk-signature=", ";chunk-signature=0", ";other=1"] {
        let (request, _) = sdk().signed_chunks(put(), b"abc", 9, None);
        let wire = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        assert_eq!(fault(request, wire.as_bytes()).await, (vec![], Unverified::MalformedChunk));
    }
}

#[tokio::test]
async fn the_last_chunk_is_signed_too() {
    let (request, wire) = sdk().signed_chunks(put(), b"abc", 3, None);
    let at = wire.len() - 6;
    let mut changed = wire;
    changed[at] ^= 1;

    assert_eq!(fault(request, &changed).await, (vec![], Unverified::WrongChunkSignature));
}

#[tokio::test]
async fn a_trailer_of_signed_chunks_is_signed() {
    let line = sha256_line(b"abc");
    let signed = || sdk().signed_chunks(put(), b"abc", 3, Some(&line));
    let (request, wire) = signed();
    let (arrived, refused) = send(&layer(8), request.map(|()| Frames::of(&wire, 5))).await;
    assert_eq!((arrived.unwrap().data, refused), (b"abc".to_vec(), None));

    let (request, wire) = signed();
    let wire = String::from_utf8(wire).unwrap();
    let (body, signature) = wire.split_once("x-amz-trailer-signature:").unwrap();
    let other = signature.replacen(|it: char| it.is_ascii_hexdigit(), "x", 1);
    for (wire, why) in [
        (format!("{body}x-amz-trailer-signature:{other}"), Unverified::WrongChunkSignature),
        (format!("{body}x-amz-trailer-signature:\r\n\r\n"), Unverified::WrongChunkSignature),
        (format!("{body}\r\n\r\n"), Unverified::MalformedTrailer),
        (wire.replace(&line, ""), Unverified::WrongChunkSignature),
        (wire.replace(&line, &sha256_line(b"abd")), Unverified::WrongChecksum),
    ] {
        let request = request.clone();
        assert_eq!(fault(request, wire.as_bytes()).await, (vec![], why), "{wire}");
    }
}

#[tokio::test]
async fn a_trailer_whose_lines_end_in_a_line_feed_is_signed_as_well() {
    let line = sha256_line(b"abc").replace("\r\n", "\n");
    let (request, wire) = sdk().signed_chunks(put(), b"abc", 3, Some(&line));
    let wire = String::from_utf8(wire).unwrap().replace(&line, &format!("{line}\r\n"));

    let (arrived, refused) =
        send(&layer(8), request.map(|()| Frames::of(wire.as_bytes(), 5))).await;

    assert_eq!((arrived.unwrap().data, refused), (b"abc".to_vec(), None));
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn what_a_client_signs_in_chunks_arrives(
        data in proptest::collection::vec(any::<u8>(), 0..100),
        size in 1_usize..40,
        frame in 1_usize..300,
        has_trailer: bool,
    ) {
        let line = sha256_line(&data);
        let trailer = has_trailer.then_some(&*line);
        let (request, wire) = sdk().signed_chunks(put(), &data, size, trailer);

        let (arrived, refused) =
            block_on(send(&layer(40), request.map(|()| Frames::of(&wire, frame))));

        prop_assert_eq!(refused, None);
        prop_assert_eq!(arrived.unwrap().data, data);
    }

    #[test]
    fn no_changed_byte_completes_a_body(
        data in proptest::collection::vec(any::<u8>(), 1..60),
        at: proptest::sample::Index,
        bit in 0_u8..7,
        has_trailer: bool,
    ) {
        let line = sha256_line(&data);
        let trailer = has_trailer.then_some(&*line);
        let (request, mut wire) = sdk().signed_chunks(put(), &data, 20, trailer);
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        // The case of a size, of a name, and the spaces around a value mean nothing.
        let means_nothing =
            wire[at].is_ascii_whitespace() || (bit == 5 && wire[at].is_ascii_alphabetic());

        let (arrived, refused) =
            block_on(send(&layer(40), request.map(|()| Frames::of(&wire, 16))));

        let arrived = arrived.unwrap();
        if refused.is_none() {
            prop_assert!(means_nothing, "{}", String::from_utf8_lossy(&wire));
            prop_assert_eq!(arrived.data, data);
        } else {
            prop_assert!(arrived.data.len() < data.len());
            prop_assert!(data.starts_with(&arrived.data));
        }
    }
}
