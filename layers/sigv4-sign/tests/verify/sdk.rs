//! A client that signs by `aws-sigv4`, as the SDKs of AWS do.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::Request;
use sha2::{Digest, Sha256};

use crate::frames::Frames;
use crate::wire::chunked;

pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A macro, since the type of an identity has no name here.
macro_rules! params {
    ($sdk:ident, $identity:ident, $settings:expr) => {
        v4::SigningParams::builder()
            .identity(&$identity)
            .region(&$sdk.region)
            .name(&$sdk.service)
            .time($sdk.time)
            .settings($settings)
            .build()
            .unwrap()
    };
}

pub(crate) struct Sdk {
    id: String,
    secret: String,
    token: Option<String>,
    region: String,
    service: String,
    time: SystemTime,
}

impl Sdk {
    pub(crate) fn new(id: &str, secret: &str, time: SystemTime) -> Self {
        let (region, service) = ("eu-west-1".into(), "s3".into());
        Self { id: id.into(), secret: secret.into(), token: None, region, service, time }
    }

    pub(crate) fn session_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    pub(crate) fn region(mut self, region: &str) -> Self {
        self.region = region.into();
        self
    }

    pub(crate) fn service(mut self, service: &str) -> Self {
        self.service = service.into();
        self
    }

    /// Signs a request with the hash of its body.
    pub(crate) fn sign(&self, request: Request<()>, body: &'static [u8]) -> Request<Frames> {
        let frames = if body.is_empty() { Frames::default() } else { Frames::new([body]) };
        self.apply(request, SignableBody::Bytes(body), self.settings(), None).map(|()| frames)
    }

    /// Signs a request with this `x-amz-content-sha256`.
    pub(crate) fn sign_as(
        &self,
        request: Request<()>,
        hash: &str,
        body: Frames,
    ) -> Request<Frames> {
        let signable = SignableBody::Precomputed(hash.into());
        self.apply(request, signable, self.settings(), None).map(|()| body)
    }

    /// Signs a request without a header that is there, so that it may be taken away.
    pub(crate) fn sign_without(&self, name: &'static str, request: Request<()>) -> Request<Frames> {
        self.apply(request, SignableBody::Bytes(b""), self.settings(), Some(name))
            .map(|()| Frames::default())
    }

    pub(crate) fn presign(&self, request: Request<()>, expires: Duration) -> Request<Frames> {
        let mut settings = self.settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires);
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let body = SignableBody::UnsignedPayload;
        self.apply(request, body, settings, None).map(|()| Frames::default())
    }

    /// Sends `data` as SDKs do over TLS.
    pub(crate) fn unsigned_chunks(
        &self,
        mut request: Request<()>,
        data: &[u8],
        trailer: &str,
    ) -> Request<Frames> {
        let headers = request.headers_mut();
        headers.insert("content-encoding", "aws-chunked".parse().unwrap());
        headers.insert("x-amz-decoded-content-length", data.len().into());
        headers.insert("x-amz-trailer", "x-amz-checksum-sha256".parse().unwrap());
        headers.insert("x-amz-sdk-checksum-algorithm", "SHA256".parse().unwrap());
        let wire = Bytes::from(chunked(data, 8, trailer));
        let body = SignableBody::StreamingUnsignedPayloadTrailer;
        self.apply(request, body, self.settings(), None).map(|()| Frames::new([wire]))
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service.starts_with("s3") {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }

    fn apply(
        &self,
        mut request: Request<()>,
        body: SignableBody<'_>,
        settings: SigningSettings,
        without: Option<&str>,
    ) -> Request<()> {
        if let Some(authority) = request.uri().authority() {
            let host = authority.as_str().parse().unwrap();
            request.headers_mut().insert("host", host);
        }
        let identity = self.credentials().into();
        let params = params!(self, identity, settings).into();
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let uri = request.uri().to_string();
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, body);
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        if let Some(name) = without {
            self.sign_again_without(name, &mut request);
        }
        request
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&*self.id, &*self.secret, self.token.clone(), None, "test")
    }

    /// Signs a request once more, but for one header that the SDK would never leave out.
    fn sign_again_without(&self, left_out: &str, request: &mut Request<()>) {
        let headers = request.headers();
        let authorization = headers["authorization"].to_str().unwrap().to_owned();
        let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
        let (names, signature) = names.split_once(", Signature=").unwrap();
        let rest: Vec<_> = names.split(';').filter(|name| *name != left_out).collect();
        let query = request.uri().query().unwrap_or_default();
        let mut canonical = format!("{}\n{}\n{query}\n", request.method(), request.uri().path());
        for name in &rest {
            canonical += &format!("{name}:{}\n", headers[*name].to_str().unwrap());
        }
        let hash = headers["x-amz-content-sha256"].to_str().unwrap();
        canonical += &format!("\n{}\n{hash}", rest.join(";"));
        let date = headers["x-amz-date"].to_str().unwrap();
        let (_, credential) = authorization.split_once("Credential=").unwrap();
        let (_, scope) = credential.split_once(", ").unwrap().0.split_once('/').unwrap();
        let digest = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let authorization = authorization
            .replace(names, &rest.join(";"))
            .replace(signature, &self.calculate(&text));
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }

    fn calculate(&self, text: &str) -> String {
        let key = v4::generate_signing_key(&self.secret, self.time, &self.region, &self.service);
        v4::calculate_signature(key, text.as_bytes())
    }

    /// Sends `data` in signed chunks of `size`, with a signed trailer if there is a line for it.
    pub(crate) fn signed_chunks(
        &self,
        mut request: Request<()>,
        data: &[u8],
        size: usize,
        trailer: Option<&str>,
    ) -> (Request<()>, Vec<u8>) {
        let headers = request.headers_mut();
        headers.insert("x-amz-decoded-content-length", data.len().into());
        let mut mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned();
        if trailer.is_some() {
            headers.insert("x-amz-trailer", "x-amz-checksum-sha256".parse().unwrap());
            mode += "-TRAILER";
        }
        let signable = SignableBody::Precomputed(mode);
        let request = self.apply(request, signable, self.settings(), None);
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let mut previous = authorization.rsplit_once('=').unwrap().1.to_owned();

        let identity = self.credentials().into();
        let params = params!(self, identity, ());
        let mut wire = Vec::new();
        for chunk in data.chunks(size).chain([&b""[..]]) {
            let signed = v4::sign_chunk(&Bytes::copy_from_slice(chunk), &previous, &params);
            previous = signed.unwrap().into_parts().1;
            let line = format!("{:x};chunk-signature={previous}\r\n", chunk.len());
            wire.extend_from_slice(line.as_bytes());
            wire.extend_from_slice(chunk);
            if !chunk.is_empty() {
                wire.extend_from_slice(b"\r\n");
            }
        }
        if let Some(line) = trailer {
            let date = request.headers()["x-amz-date"].to_str().unwrap();
            let (day, _) = date.split_once('T').unwrap();
            let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
            let digest = hex(&Sha256::digest(line.replace("\r\n", "\n")));
            let text = format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{digest}");
            let signature = self.calculate(&text);
            wire.extend_from_slice(
                format!("{line}x-amz-trailer-signature:{signature}\r\n").as_bytes(),
            );
        }
        wire.extend_from_slice(b"\r\n");
        (request, wire)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
