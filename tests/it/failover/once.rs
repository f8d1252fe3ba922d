//! What may have been acted on is not sent again.

use portcullis_tests::{Nowhere, Upstream, exchange, gateway, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{FAILED, OK, arrivals, over};

const POST: &str = "POST /order HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: 5\r\n\
    connection: close\r\n\r\nhello";

#[tokio::test]
async fn a_post_arrives_at_most_once_whatever_breaks_and_when() {
    for breaking in [
        "at once",
        "in the head",
        "after the head",
        "in the body",
        "after the body",
        "never",
        "in the status line",
        "in the headers",
        "with no HTTP",
        "in the response",
        "with 500",
        "with 503",
    ] {
        let mut breaks = Upstream::serving(move |mut socket, seen| async move {
            let read = match breaking {
                "at once" => 0,
                "in the head" => 40,
                "after the head" => POST.len() - 5,
                "in the body" => POST.len() - 2,
                _ => usize::MAX,
            };
            if read < POST.len() {
                socket.read_exact(&mut vec![0; read]).await.ok();
                return;
            }
            let Some(request) = read_request(&mut socket).await else { return };
            seen.send(request).ok();
            let answer = match breaking {
                "never" => return drop(socket.read_u8().await),
                "in the status line" => "HTTP/1.1 2",
                "in the headers" => "HTTP/1.1 200 OK\r\ncontent-le",
                "with no HTTP" => "220 mail.example.com\r\n\r\n",
                "in the response" => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
                "with 500" => FAILED,
                "with 503" => "HTTP/1.1 503 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
                _ => "",
            };
            socket.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        let mut other = Upstream::answering(OK).await;
        let limit = "timeouts = { response_header = '200ms' }";
        let gateway = gateway(&over(&[breaks.address(), other.address()], limit));

        let response = exchange(gateway.address(), POST).await;

        let (here, there) = (arrivals(&mut breaks), arrivals(&mut other));
        // Who closes at once may be found out before a byte is sent: then it is another's.
        let may_go_on = breaking == "at once";
        assert!(here + there <= 1, "{breaking}: {here} and {there}");
        assert!(there == 0 || may_go_on, "{breaking}");
        let is_whole = response.status == 200 && response.body == "ok";
        assert!(!is_whole || may_go_on, "{breaking}: {response:?}");
    }
}

#[tokio::test]
async fn a_post_that_no_replica_has_seen_arrives_once_and_whole() {
    let nowhere = Nowhere::take();
    let mut other = Upstream::answering(OK).await;
    let gateway = gateway(&over(&[nowhere.address(), other.address()], ""));

    let response = exchange(gateway.address(), POST).await;
    let seen = other.seen().await;

    assert_eq!((response.status, seen.body.as_slice()), (200, b"hello".as_slice()));
    assert!(other.saw_nothing());
}

#[tokio::test]
async fn a_put_that_failed_arrives_whole_at_the_next() {
    let failing = Upstream::answering(FAILED).await;
    let mut other = Upstream::answering(OK).await;
    let gateway = gateway(&over(&[failing.address(), other.address()], ""));

    let put = POST.replace("POST", "PUT");
    let response = exchange(gateway.address(), put).await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(other.seen().await.body, b"hello");
}
