//! The examples of the S3 API reference, with the signatures that it prints.

use std::time::{Duration, UNIX_EPOCH};

use http::Request;
use portcullis_sigv4_sign::{FixedKeys, SecretKey, ServiceName, SigV4VerifyLayer, Verifying};

use crate::frames::{Arrived, Frames, send};
use crate::sdk::EMPTY;

fn layer() -> SigV4VerifyLayer {
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let keys = FixedKeys::new([("AKIAIOSFODNN7EXAMPLE", secret)]);
    SigV4VerifyLayer::new(Verifying::new(ServiceName::new("s3").unwrap()), keys)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_369_353_600))
}

async fn check(
    request: http::request::Builder,
    names: &str,
    signature: &str,
    body: Frames,
) -> Arrived {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={names},Signature={signature}"
    );
    let request =
        request.header("authorization", authorization).header("x-amz-date", "20130524T000000Z");
    let (arrived, refused) = send(&layer(), request.body(body).unwrap()).await;
    assert_eq!(refused, None);
    arrived.unwrap()
}

fn object(method: &str, target: &str) -> http::request::Builder {
    Request::builder().method(method).uri(target).header("host", "examplebucket.s3.amazonaws.com")
}

#[tokio::test]
async fn get_object() {
    let request = object("GET", "/test.txt")
        .header("range", "bytes=0-9")
        .header("x-amz-content-sha256", EMPTY);
    let names = "host;range;x-amz-content-sha256;x-amz-date";
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    check(request, names, signature, Frames::default()).await;
}

#[tokio::test]
async fn put_object() {
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let request = object("PUT", "/test$file.text")
        .header("date", "Fri, 24 May 2013 00:00:00 GMT")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("x-amz-content-sha256", hash);
    let names = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class";
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";

    let arrived = check(request, names, signature, Frames::new(["Welcome to Amazon S3."])).await;
    assert_eq!(arrived.data, b"Welcome to Amazon S3.");
}

#[tokio::test]
async fn get_bucket_lifecycle() {
    let request = object("GET", "/?lifecycle").header("x-amz-content-sha256", EMPTY);
    let signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";

    check(request, "host;x-amz-content-sha256;x-amz-date", signature, Frames::default()).await;
}

#[tokio::test]
async fn list_objects() {
    let request = object("GET", "/?max-keys=2&prefix=J").header("x-amz-content-sha256", EMPTY);
    let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";

    check(request, "host;x-amz-content-sha256;x-amz-date", signature, Frames::default()).await;
}

#[tokio::test]
async fn a_presigned_url() {
    let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

    let (arrived, refused) =
        send(&layer(), object("GET", target).body(Frames::default()).unwrap()).await;

    assert_eq!(refused, None);
    assert_eq!(arrived.unwrap().parts.uri, "/test.txt");
}

fn chunked_upload() -> http::request::Builder {
    Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
}

/// The example's body, with these signatures.
fn wire(signatures: [&str; 3], trailer: &str) -> Frames {
    let [first, second, last] = signatures;
    let (large, small) = ("a".repeat(65_536), "a".repeat(1024));
    let wire = format!(
        "10000;chunk-signature={first}\r\n{large}\r\n400;chunk-signature={second}\r\n{small}\r\n\
         0;chunk-signature={last}\r\n{trailer}\r\n"
    );
    Frames::of(wire.as_bytes(), 8192)
}

#[tokio::test]
async fn an_upload_in_chunks() {
    let request = chunked_upload()
        .header("content-length", "66824")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let names = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
        x-amz-decoded-content-length;x-amz-storage-class";
    let signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let body = wire(
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
        "",
    );

    let Arrived { parts, data, .. } = check(request, names, signature, body).await;

    assert_eq!(data, [b'a'; 66_560]);
    assert_eq!(parts.headers["content-length"], "66560");
    assert_eq!(parts.headers["x-amz-storage-class"], "REDUCED_REDUNDANCY");
    assert_eq!(parts.headers.len(), 3);
}

#[tokio::test]
async fn an_upload_in_chunks_with_a_trailer() {
    let request = chunked_upload()
        .header("x-amz-trailer", "x-amz-checksum-crc32c")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    let names = "content-encoding;host;x-amz-content-sha256;x-amz-date;\
        x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer";
    let signature = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let body = wire(
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
        "x-amz-checksum-crc32c:sOO8/Q==\r\n\
         x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
    );

    assert_eq!(check(request, names, signature, body).await.data, [b'a'; 66_560]);
}
