//! `pingora-rival PORT ORIGIN TLS_PORT CERTIFICATE KEY`: passes everything on to the origin.

use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::*;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct ToOrigin(String);

#[async_trait]
impl ProxyHttp for ToOrigin {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0.as_str(), false, String::new())))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, origin, tls_port, certificate, key] = arguments.as_slice() else {
        panic!("PORT ORIGIN TLS_PORT CERTIFICATE KEY");
    };
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 4096,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, ToOrigin(origin.clone()));
    service.add_tcp(&format!("127.0.0.1:{port}"));
    let mut tls = TlsSettings::intermediate(certificate, key).expect("a certificate and its key");
    tls.enable_h2();
    service.add_tls_with_settings(&format!("127.0.0.1:{tls_port}"), None, tls);
    server.add_service(service);
    server.run_forever();
}
