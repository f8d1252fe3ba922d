//! The status page, in a browser.

use std::env;

use portcullis_tests::{InProcess, Upstream};

use crate::peers::{installed, said};

#[tokio::test]
async fn the_page_shows_a_circuit_that_opens_and_closes_it_for_who_has_the_token() {
    let upstream = Upstream::answering("HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n").await;
    let gateway = InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0', token = 'a token', probe_interval = '50ms' }}
         route = [{{ path = '/', upstream = 'a' }}]
         [upstream.a]
         replica = [{{ name = 'one', url = 'http://{}' }}]
         circuit_breaker = {{ consecutive_failures = 3, open = {{ first = '5m', longest = '5m' }} }}",
        upstream.address()
    ));
    let (admin, address) = (gateway.admin(), gateway.address());
    let script = installed("node/page.mjs");
    let (admin, address) = (format!("http://{admin}"), format!("http://{address}"));
    // Where the picture in the README comes from.
    let screenshot = env::var("PORTCULLIS_SCREENSHOT").unwrap_or_default();

    let wrong = said(
        "env",
        &["node", script.to_str().unwrap(), &admin, &address, "a token", &screenshot],
        "",
    )
    .await;

    assert_eq!(wrong, "");
}
