//! What is on the wire, to the byte.

use portcullis_tests::{Upstream, exchange, gateway};

fn to(upstream: &Upstream) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    )
}

#[tokio::test]
async fn the_upstream_is_asked_in_its_own_name_and_in_http_1() {
    let mut upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let gateway = gateway(&to(&upstream));

    let request = "GET /a?b=c HTTP/1.0\r\nhost: client.test\r\n\r\n";
    let response = exchange(gateway.address(), request).await;
    let seen = upstream.seen().await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(seen.line(), "GET /a?b=c HTTP/1.1");
    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
}
