use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{Request, Response, StatusCode};
use portcullis_refusal::{DefaultBody, Refused};
use portcullis_sigv4_sign::{
    FixedKeys, PlainBody, PlainBodyError, Region, SecretKey, SecretKeys, ServiceName, SigV4Verify,
    SigV4VerifyLayer, Unverified, Verified, Verifying,
};
use tokio_test::assert_ready_ok;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::frames::{Arrived, Frames, send};
use crate::sdk::{EMPTY, Sdk};
use crate::wire::sha256_line;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

fn verifying() -> Verifying {
    Verifying::new(ServiceName::new("s3").unwrap())
}

fn keys() -> FixedKeys {
    FixedKeys::new([
        ("alice", SecretKey::new("secret of alice")),
        ("tem/porary", SecretKey::temporary("secret", "a token")),
    ])
}

fn layer() -> SigV4VerifyLayer {
    SigV4VerifyLayer::new(verifying(), keys()).clock(now)
}

fn sdk() -> Sdk {
    Sdk::new("alice", "secret of alice", now())
}

fn get() -> Request<()> {
    Request::get("https://a.example/photos/cat.jpg?versionId=1").body(()).unwrap()
}

async fn passes(layer: &SigV4VerifyLayer, request: Request<Frames>) -> Arrived {
    let (arrived, refused) = send(layer, request).await;
    assert_eq!(refused, None);
    let arrived = arrived.unwrap();
    assert!(arrived.broken.is_none());
    arrived
}

async fn refusal(layer: &SigV4VerifyLayer, request: Request<Frames>) -> Unverified {
    let (arrived, refused) = send(layer, request).await;
    assert!(arrived.is_none(), "the inner service was called");
    refused.unwrap()
}

#[tokio::test]
async fn a_signed_request_passes_without_its_signature() {
    let mut request = sdk().sign(get(), b"");
    request.headers_mut().insert("accept", "*/*".parse().unwrap());

    let Arrived { parts, .. } = passes(&layer(), request).await;

    let verified: &Verified = parts.extensions.get().unwrap();
    assert_eq!((verified.access_key_id(), verified.region()), ("alice", "eu-west-1"));
    assert_eq!(parts.uri, "https://a.example/photos/cat.jpg?versionId=1");
    assert_eq!(parts.headers.len(), 2);
    assert!(parts.headers.contains_key(HOST) && parts.headers.contains_key("accept"));
}

/// Alice's secret was replaced, and bob's key was taken away: both may sign as before.
struct Replaced;

impl SecretKeys for Replaced {
    fn secret_key(&self, access_key_id: &str) -> Option<SecretKey> {
        (access_key_id == "alice").then(|| SecretKey::new("new"))
    }

    fn former_secret_keys(&self, access_key_id: &str) -> Vec<SecretKey> {
        match access_key_id {
            "alice" => vec![SecretKey::new("older"), SecretKey::new("secret of alice")],
            "bob" => vec![SecretKey::new("secret of bob")],
            _ => Vec::new(),
        }
    }
}

#[tokio::test]
async fn secrets_of_before_are_accepted_and_no_others() {
    let layer = SigV4VerifyLayer::new(verifying(), Replaced).clock(now);
    let signed = |id, secret| Sdk::new(id, secret, now()).sign(get(), b"");

    for _ in 0..2 {
        for (id, secret) in [
            ("alice", "new"),
            ("alice", "older"),
            ("alice", "secret of alice"),
            ("bob", "secret of bob"),
        ] {
            let arrived = passes(&layer, signed(id, secret)).await;
            assert_eq!(arrived.parts.extensions.get::<Verified>().unwrap().access_key_id(), id);
        }
    }
    assert_eq!(refusal(&layer, signed("alice", "x")).await, Unverified::WrongSignature);
    assert_eq!(refusal(&layer, signed("alice", "secret of bob")).await, Unverified::WrongSignature);
    assert_eq!(refusal(&layer, signed("bob", "x")).await, Unverified::UnknownKey);
}

#[tokio::test]
async fn an_identity_that_was_there_before_does_not_survive() {
    let mut forged = passes(&layer(), sdk().sign(get(), b"")).await.parts.extensions;
    let other = FixedKeys::new([("bob", SecretKey::new("x"))]);
    let other = SigV4VerifyLayer::new(verifying(), other).clock(now);
    let mut request = Sdk::new("bob", "x", now()).sign(get(), b"");
    request.extensions_mut().insert(forged.remove::<Verified>().unwrap());

    let arrived = passes(&other, request).await;

    assert_eq!(arrived.parts.extensions.get::<Verified>().unwrap().access_key_id(), "bob");
}

#[tokio::test]
async fn a_presigned_url_loses_its_parameters() {
    let request = sdk().presign(get(), Duration::from_secs(60));

    let Arrived { parts, .. } = passes(&layer(), request).await;

    assert_eq!(parts.uri, "https://a.example/photos/cat.jpg?versionId=1");
    assert_eq!(parts.extensions.get::<Verified>().unwrap().access_key_id(), "alice");
}

#[tokio::test]
async fn a_presigned_url_lasts_as_long_as_it_says() {
    fn after(seconds: i64) -> SigV4VerifyLayer {
        let layer = SigV4VerifyLayer::new(verifying(), keys());
        match seconds {
            60 => layer.clock(|| now() + Duration::from_secs(60)),
            61 => layer.clock(|| now() + Duration::from_secs(61)),
            -900 => layer.clock(|| now() - Duration::from_secs(900)),
            _ => layer.clock(|| now() - Duration::from_secs(901)),
        }
    }
    let url = || sdk().presign(get(), Duration::from_secs(60));

    passes(&after(60), url()).await;
    assert_eq!(refusal(&after(61), url()).await, Unverified::Expired);
    passes(&after(-900), url()).await;
    assert_eq!(refusal(&after(-901), url()).await, Unverified::NotYetValid);

    let refusing = SigV4VerifyLayer::new(verifying().refuse_presigned(), keys()).clock(now);
    assert_eq!(refusal(&refusing, url()).await, Unverified::Presigned);
}

#[tokio::test]
async fn each_parameter_of_a_presigned_url_is_needed_once_and_in_bounds() {
    let url = sdk().presign(get(), Duration::from_secs(60)).uri().to_string();
    let with = |from: &str, to: &str| {
        assert!(url.contains(from), "{from} in {url}");
        let uri = url.replace(from, to);
        Request::get(uri).body(Frames::default()).unwrap()
    };
    for (from, to) in [
        ("X-Amz-Expires=60", "X-Amz-Expires=0"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires="),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        ("X-Amz-Expires=60", "y=1"),
        ("X-Amz-Date=2013", "X-Amz-Date=%2013"),
        ("X-Amz-SignedHeaders=", "y="),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256"),
        ("X-Amz-Credential=alice", "X-Amz-Credential="),
        ("X-Amz-Credential=alice%2F", "X-Amz-Credential="),
        ("aws4_request", "aws4_reques"),
    ] {
        assert_eq!(refusal(&layer(), with(from, to)).await, Unverified::MalformedQuery, "{to}");
    }
    let other = with("eu-west-1%2Fs3", "eu-west-1%2Fs4");
    assert_eq!(refusal(&layer(), other).await, Unverified::WrongScopeInQuery);
    let longer = with("X-Amz-Expires=60", "X-Amz-Expires=61");
    assert_eq!(refusal(&layer(), longer).await, Unverified::WrongSignature);
}

#[tokio::test]
async fn a_clock_may_differ_by_the_skew() {
    let by = |clock: fn() -> SystemTime| SigV4VerifyLayer::new(verifying(), keys()).clock(clock);

    passes(&by(|| now() + Duration::from_secs(900)), sdk().sign(get(), b"")).await;
    passes(&by(|| now() - Duration::from_secs(900)), sdk().sign(get(), b"")).await;
    let too_far: [fn() -> SystemTime; 2] =
        [|| now() + Duration::from_secs(901), || now() - Duration::from_secs(901)];
    for clock in too_far {
        assert_eq!(refusal(&by(clock), sdk().sign(get(), b"")).await, Unverified::Skewed);
    }
    let wide = verifying().clock_skew(Duration::from_secs(901));
    let wide = SigV4VerifyLayer::new(wide, keys()).clock(|| now() + Duration::from_secs(901));
    passes(&wide, sdk().sign(get(), b"")).await;
}

#[tokio::test]
async fn a_signature_is_of_the_request_and_the_key() {
    let unknown = Sdk::new("mallory", "secret of alice", now()).sign(get(), b"");
    assert_eq!(refusal(&layer(), unknown).await, Unverified::UnknownKey);
    let wrong = Sdk::new("alice", "secret", now()).sign(get(), b"");
    assert_eq!(refusal(&layer(), wrong).await, Unverified::WrongSignature);

    let mut other = sdk().sign(get(), b"");
    *other.method_mut() = http::Method::DELETE;
    assert_eq!(refusal(&layer(), other).await, Unverified::WrongSignature);
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_not_remembered() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static REPLACED: AtomicBool = AtomicBool::new(false);
    let keys = |_: &str| {
        let replaced = REPLACED.load(Ordering::Relaxed);
        Some(SecretKey::new(if replaced { "new" } else { "secret of alice" }))
    };
    let layer = SigV4VerifyLayer::new(verifying(), keys).clock(now);
    passes(&layer, sdk().sign(get(), b"")).await;

    REPLACED.store(true, Ordering::Relaxed);

    assert_eq!(refusal(&layer, sdk().sign(get(), b"")).await, Unverified::WrongSignature);
    passes(&layer, Sdk::new("alice", "new", now()).sign(get(), b"")).await;
}

#[tokio::test]
async fn a_session_token_is_the_one_of_the_key() {
    let temporary = || Sdk::new("tem/porary", "secret", now());
    let arrived = passes(&layer(), temporary().session_token("a token").sign(get(), b"")).await;
    assert!(!arrived.parts.headers.contains_key("x-amz-security-token"));
    assert_eq!(arrived.parts.extensions.get::<Verified>().unwrap().access_key_id(), "tem/porary");
    let url = temporary().session_token("a token").presign(get(), Duration::from_secs(60));
    let arrived = passes(&layer(), url).await;
    assert_eq!(arrived.parts.uri.query(), Some("versionId=1"));

    for request in [
        temporary().sign(get(), b""),
        temporary().session_token("another").sign(get(), b""),
        sdk().session_token("a token").sign(get(), b""),
    ] {
        assert_eq!(refusal(&layer(), request).await, Unverified::WrongToken);
    }
}

#[tokio::test]
async fn only_the_regions_and_the_service_of_the_policy_are_accepted() {
    let here = verifying().regions([Region::new("eu-west-1").unwrap()]);
    let here = SigV4VerifyLayer::new(here, keys()).clock(now);
    passes(&here, sdk().sign(get(), b"")).await;
    let elsewhere = sdk().region("us-east-1").sign(get(), b"");
    assert_eq!(refusal(&here, elsewhere).await, Unverified::WrongScope);
    let nowhere = SigV4VerifyLayer::new(verifying().regions([]), keys()).clock(now);
    assert_eq!(refusal(&nowhere, sdk().sign(get(), b"")).await, Unverified::WrongScope);
    passes(&layer(), sdk().region("us-east-1").sign(get(), b"")).await;
    let long = sdk().region(&"r".repeat(65)).sign(get(), b"");
    assert_eq!(refusal(&layer(), long).await, Unverified::WrongScope);

    let express = sdk().service("s3express").sign(get(), b"");
    assert_eq!(refusal(&layer(), express).await, Unverified::WrongScope);
}

#[tokio::test]
async fn the_scope_has_the_date_of_the_signature() {
    let mut request = sdk().sign(get(), b"");
    let changed = authorization(&request).replace("/20130524/", "/20130523/");
    request.headers_mut().insert(AUTHORIZATION, changed.parse().unwrap());

    assert_eq!(refusal(&layer(), request).await, Unverified::WrongScope);
}

fn authorization(request: &Request<Frames>) -> String {
    request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_has_one_signature_of_a_kind_that_is_known() {
    let unsigned = || get().map(|()| Frames::default());
    assert_eq!(refusal(&layer(), unsigned()).await, Unverified::Unsigned);

    let url = sdk().presign(get(), Duration::from_secs(60));
    let both = sdk().sign(Request::get(url.uri().clone()).body(()).unwrap(), b"");
    assert_eq!(refusal(&layer(), both).await, Unverified::TwoSignatures);
    for name in ["X-Amz-Signature", "x-amz-signature", "X-Amz-Algorithm", "X%2damz-credential"] {
        let mut both = sdk().sign(get(), b"");
        *both.uri_mut() = format!("https://a.example/k?{name}=x").parse().unwrap();
        assert_eq!(refusal(&layer(), both).await, Unverified::TwoSignatures, "{name}");
    }

    let mut twice = sdk().sign(get(), b"");
    let value = twice.headers()[AUTHORIZATION].clone();
    twice.headers_mut().append(AUTHORIZATION, value);
    assert_eq!(refusal(&layer(), twice).await, Unverified::MalformedHeader);

    for other in ["Bearer x", "AWS id:signature", "AWS4-ECDSA-P256-SHA256 Credential=x", ""] {
        let mut request = unsigned();
        request.headers_mut().insert(AUTHORIZATION, other.parse().unwrap());
        assert_eq!(refusal(&layer(), request).await, Unverified::OtherMechanism, "{other}");
    }
}

#[tokio::test]
async fn an_authorization_is_well_formed() {
    let good = authorization(&sdk().sign(get(), b""));
    let check = async |text: &str| {
        let mut request = sdk().sign(get(), b"");
        request.headers_mut().insert(AUTHORIZATION, text.parse().unwrap());
        send(&layer(), request).await.1
    };
    let (head, signature) = good.rsplit_once("Signature=").unwrap();
    let fields = head.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().trim_end_matches(", ");
    for text in [
        good.replace(", ", ","),
        good.replace(", ", " ,  "),
        format!("AWS4-HMAC-SHA256 Signature={signature}, {fields}"),
    ] {
        assert_eq!(check(&text).await, None, "{text}");
    }

    for text in [
        good.replace("Signature=", "signature="),
        format!("{good}, Signature={signature}"),
        format!("{good}, Other=1"),
        format!("{good},"),
        head.trim_end_matches(", ").to_owned(),
        good.replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        good.replace("alice/", ""),
        good.replace("alice/", "/"),
        good.replace("alice", &"a".repeat(129)),
        good.replace("alice", &"a".repeat(9000)),
        good.replace("aws4_request", "aws5_request"),
        good.replace("host;", "Host;"),
        good.replace("host;", "x-amz-date;host;"),
        good.replace("host;", "host;host;"),
        good.replace("host;", &(0..130).map(|n| format!("h{n:03};")).collect::<String>()),
    ] {
        assert_eq!(check(&text).await, Some(Unverified::MalformedHeader), "{text}");
    }
    for text in [good.to_uppercase().replace("AWS4-HMAC-SHA256", "AWS4"), good.replace("=", ":")] {
        assert!(check(&text).await.is_some(), "{text}");
    }
    for text in [&head.to_owned(), &format!("{head}Signature="), &format!("{good}0")] {
        assert!(check(text).await.is_some(), "{text}");
    }
}

#[tokio::test]
async fn what_counts_has_to_be_signed() {
    let mut added = sdk().sign(get(), b"");
    added.headers_mut().insert("x-amz-acl", "public-read".parse().unwrap());
    assert_eq!(refusal(&layer(), added).await, Unverified::UnsignedHeader);
    let mut added = sdk().presign(get(), Duration::from_secs(60));
    added.headers_mut().insert("x-amz-copy-source", "/b/k".parse().unwrap());
    assert_eq!(refusal(&layer(), added).await, Unverified::UnsignedHeader);
    let hostless = sdk().sign_without("host", get());
    assert_eq!(refusal(&layer(), hostless).await, Unverified::UnsignedHeader);
    let mut second = sdk().sign(get(), b"");
    second.headers_mut().append("x-amz-date", "20130524T000000Z".parse().unwrap());
    assert_eq!(refusal(&layer(), second).await, Unverified::NoDate);

    let mut others = sdk().sign(get(), b"");
    others.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    others.headers_mut().insert("range", "bytes=0-1".parse().unwrap());
    passes(&layer(), others).await;
    let mut gone = get();
    gone.headers_mut().insert("x-custom", "1".parse().unwrap());
    let mut gone = sdk().sign(gone, b"");
    gone.headers_mut().remove("x-custom");
    assert_eq!(refusal(&layer(), gone).await, Unverified::WrongSignature);
}

#[tokio::test]
async fn the_host_is_the_one_of_the_header_or_of_the_target() {
    let mut over_http2 = sdk().sign(get(), b"");
    over_http2.headers_mut().remove(HOST);
    passes(&layer(), over_http2).await;

    let mut over_http1 = sdk().sign(get(), b"");
    *over_http1.uri_mut() = "/photos/cat.jpg?versionId=1".parse().unwrap();
    passes(&layer(), over_http1).await;

    let mut nowhere = sdk().sign(get(), b"");
    *nowhere.uri_mut() = "/photos/cat.jpg?versionId=1".parse().unwrap();
    nowhere.headers_mut().remove(HOST);
    assert_eq!(refusal(&layer(), nowhere).await, Unverified::BadHost);

    let mut two = sdk().sign(get(), b"");
    two.headers_mut().append(HOST, "b.example".parse().unwrap());
    assert_eq!(refusal(&layer(), two).await, Unverified::BadHost);

    let mut other = sdk().sign(get(), b"");
    other.headers_mut().insert(HOST, "b.example".parse().unwrap());
    assert_eq!(refusal(&layer(), other).await, Unverified::WrongSignature);
}

#[tokio::test]
async fn what_is_lost_on_the_way_for_sure_may_be_signed() {
    let mut put = Request::put("https://a.example/k").body(()).unwrap();
    put.headers_mut().insert("expect", "100-continue".parse().unwrap());
    put.headers_mut().insert(CONTENT_LENGTH, "5".parse().unwrap());
    let mut put = sdk().sign(put, b"hello");
    put.headers_mut().remove("expect");
    put.headers_mut().remove(CONTENT_LENGTH);

    assert_eq!(passes(&layer(), put).await.data, b"hello");
}

#[tokio::test]
async fn a_date_may_stand_in_its_old_header() {
    let mut request = sdk().sign_without("x-amz-date", get());
    request.headers_mut().remove("x-amz-date");
    assert_eq!(refusal(&layer(), request).await, Unverified::NoDate);

    let mut request = sdk().sign_without("x-amz-date", get());
    request.headers_mut().remove("x-amz-date");
    request.headers_mut().insert("date", "Fri, 24 May 2013 00:00:00 GMT".parse().unwrap());
    let arrived = passes(&layer(), request).await;
    assert!(arrived.parts.headers.contains_key("date"));
}

#[tokio::test]
async fn a_target_is_the_same_however_it_is_escaped() {
    let signed = Request::get("https://a.example/a%2Bb%20~/%C3%A9//./c?p=a%20b%2Bc&q=&acl");
    let signed = sdk().sign(signed.body(()).unwrap(), b"");
    for uri in [
        "https://a.example/a+b%20%7e/é//./c?acl&q=&p=a+b%2bc",
        "https://a.example/a%2bb%20~/%c3%a9//./c?p=a%20b%2Bc&&q&acl=",
    ] {
        let mut request = Request::get(uri).body(Frames::default()).unwrap();
        *request.headers_mut() = signed.headers().clone();
        let arrived = passes(&layer(), request).await;
        assert_eq!(arrived.parts.uri, uri, "it passes as it came");
    }

    for uri in ["https://a.example/%", "https://a.example/?%zz"] {
        let mut request = Request::get(uri).body(Frames::default()).unwrap();
        *request.headers_mut() = signed.headers().clone();
        assert_eq!(refusal(&layer(), request).await, Unverified::BadTarget, "{uri}");
    }
}

#[tokio::test]
async fn other_services_get_the_path_that_was_signed() {
    let verifying = Verifying::new(ServiceName::new("execute-api").unwrap());
    let layer = SigV4VerifyLayer::new(verifying, keys()).clock(now);
    let api = || sdk().service("execute-api");
    let request = Request::get("https://a.example/x/../a//b%20c?q=1").body(()).unwrap();

    let arrived = passes(&layer, api().sign(request, b"")).await;
    assert_eq!(arrived.parts.uri, "https://a.example/a/b%20c?q=1");

    let post = || Request::post("https://a.example/a").body(()).unwrap();
    let request = api().sign(post(), b"body");
    assert_eq!(refusal(&layer, request).await, Unverified::NoContentHash);
    assert_eq!(passes(&layer, api().sign(post(), b"")).await.data, b"");
}

fn put() -> Request<()> {
    Request::put("https://a.example/k").body(()).unwrap()
}

#[tokio::test]
async fn a_hashed_body_is_the_one_that_was_signed() {
    for frames in [
        Frames::new(["hello"]),
        Frames::new(["he", "", "llo"]),
        Frames::new(["h", "e", "llo"]).and_trailers(),
    ] {
        let request = sdk().sign(put(), b"hello").map(|_| frames);
        assert_eq!(passes(&layer(), request).await.data, b"hello");
    }
    for frames in
        [Frames::new(["hell", "0"]), Frames::new(["hel", "lo", "!"]), Frames::new(["hel"])]
    {
        let request = sdk().sign(put(), b"hello").map(|_| frames);
        let (arrived, refused) = send(&layer(), request).await;
        let Arrived { data, broken, .. } = arrived.unwrap();
        assert!(!data.ends_with(b"0") && !data.ends_with(b"!") && data.len() < 6, "{data:?}");
        assert!(matches!(broken, Some(PlainBodyError::Unverified(Unverified::WrongContentHash))));
        assert_eq!(refused, Some(Unverified::WrongContentHash));
    }
}

#[tokio::test]
async fn an_empty_body_is_checked_before_the_inner_service_is_called() {
    let request = sdk().sign(put(), b"hello").map(|_| Frames::default());
    assert_eq!(refusal(&layer(), request).await, Unverified::WrongContentHash);
}

#[tokio::test]
async fn the_content_hash_has_to_make_sense() {
    let with = |hash: &str| sdk().sign_as(put(), hash, Frames::new(["x"]));
    for hash in ["", "0", &EMPTY.to_uppercase(), "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"] {
        assert_eq!(refusal(&layer(), with(hash)).await, Unverified::BadContentHash, "{hash}");
    }
    let missing = sdk().sign_without("x-amz-content-sha256", put());
    let mut missing = missing.map(|_| Frames::new(["x"]));
    missing.headers_mut().remove("x-amz-content-sha256");
    assert_eq!(refusal(&layer(), missing).await, Unverified::NoContentHash);

    let mut put = put();
    put.headers_mut().insert("content-encoding", "aws-chunked".parse().unwrap());
    let odd = sdk().sign_as(put, "UNSIGNED-PAYLOAD", Frames::new(["x"]));
    assert_eq!(refusal(&layer(), odd).await, Unverified::BadChunkedHeaders);
}

#[tokio::test]
async fn unsigned_bodies_pass_unless_they_are_refused() {
    let unsigned = || sdk().sign_as(put(), "UNSIGNED-PAYLOAD", Frames::new(["x"]));
    assert_eq!(passes(&layer(), unsigned()).await.data, b"x");

    let refusing = verifying().refuse_unsigned_bodies();
    let refusing = SigV4VerifyLayer::new(refusing, keys()).clock(now);
    assert_eq!(refusal(&refusing, unsigned()).await, Unverified::UnsignedBody);
    let chunked = || sdk().unsigned_chunks(put(), b"abc", &sha256_line(b"abc"));
    assert_eq!(refusal(&refusing, chunked()).await, Unverified::UnsignedBody);
    let put_by_url = sdk().presign(put(), Duration::from_secs(60)).map(|_| Frames::new(["x"]));
    assert_eq!(refusal(&refusing, put_by_url).await, Unverified::UnsignedBody);
    passes(&refusing, sdk().presign(get(), Duration::from_secs(60))).await;
    passes(&refusing, sdk().sign(put(), b"hello")).await;
}

#[tokio::test]
async fn unsigned_chunks_are_decoded_and_their_checksum_is_checked() {
    let chunked = sdk().unsigned_chunks(put(), b"abc", &sha256_line(b"abc"));
    let Arrived { parts, data, .. } = passes(&layer(), chunked).await;
    assert_eq!(data, b"abc");
    assert_eq!(parts.headers[CONTENT_LENGTH], "3");
    assert!(!parts.headers.keys().any(|name| name.as_str().starts_with("x-amz-")));
    assert!(!parts.headers.contains_key("content-encoding"));

    let wrong = sdk().unsigned_chunks(put(), b"abc", &sha256_line(b"abd"));
    assert_eq!(send(&layer(), wrong).await.1, Some(Unverified::WrongChecksum));
}

#[tokio::test]
async fn a_refusal_gives_its_place_back() {
    let limited = ConcurrencyLimit::new(
        service_fn(|_: Request<PlainBody<Frames>>| async {
            Ok::<_, Infallible>(Response::new(()))
        }),
        1,
    );
    let mut service = layer().layer(limited.clone());

    let response = service.ready().await.unwrap().call(get().map(|()| Frames::default()));
    let mut other = limited.clone();
    let other = tokio::time::timeout(Duration::from_secs(1), other.ready());
    assert!(other.await.is_ok(), "a refused request holds a place");
    assert_eq!(response.await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_readied_is_what_is_called() {
    let (mut service, mut upstream) =
        mock::spawn_layer::<Request<PlainBody<Frames>>, Response<()>, _>(layer());
    for _ in 0..2 {
        assert_ready_ok!(service.poll_ready());
        let response = service.call(sdk().sign(get(), b""));
        upstream.next_request().await.unwrap().1.send_response(Response::new(()));
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_refusal_speaks_grpc_and_takes_its_body_from_the_closure() {
    struct NoDefault(&'static str);
    let inner = service_fn(|_: Request<PlainBody<Frames>>| async {
        Ok::<_, Infallible>(Response::new(NoDefault("called")))
    });
    let service = layer().refuse_with(|| NoDefault("refused")).layer(inner);
    let mut request = get().map(|()| Frames::default());
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());

    let response = service.oneshot(request).await.unwrap();

    assert_eq!(response.headers()["grpc-status"], "7");
    let refused: &Refused = response.extensions().get().unwrap();
    assert_eq!(refused.reason(), "unsigned");
    assert_eq!(response.into_body().0, "refused");
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let layer = layer();
    passes(&layer, sdk().sign(get(), b"")).await;
    let shown = format!("{layer:?} {:?} {:?}", keys(), layer.layer(()));

    assert!(!shown.contains("secret of alice") && !shown.contains("a token"), "{shown}");
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(SigV4VerifyLayer, SigV4Verify<()>, Verifying, Verified, DefaultBody)>();
    check::<(FixedKeys, SecretKey)>();
}
