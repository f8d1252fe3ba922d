//! Credentials where the tools of AWS look for them.

use std::fmt;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::Response;
use http_body_util::{BodyExt, Limited};
use tokio::sync::OnceCell;
use tower::ServiceExt;

use crate::body::Body;
use crate::config::{Credentials, UpstreamTimeouts};
use crate::upstream::{self, IssuerClient};

/// The default chain: environment, shared configuration, web identity, the endpoint of a container (ECS, EKS), that of
/// an EC2 instance.
pub(super) struct DefaultChain {
    profile: Option<String>,
    region: Option<String>,
    client: Client,
    /// Making it is asynchronous, but asks nobody.
    chain: OnceCell<DefaultCredentialsChain>,
}

impl DefaultChain {
    /// What this section says of it; `client` asks the endpoints.
    pub(super) fn new(section: &Credentials, client: IssuerClient) -> Self {
        Self {
            profile: section.profile.clone(),
            region: section.region.clone(),
            client: Client(client),
            chain: OnceCell::new(),
        }
    }

    async fn make(&self) -> DefaultCredentialsChain {
        let config = ProviderConfig::default()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_http_client(self.client.clone());
        let mut chain = DefaultCredentialsChain::builder().configure(config.clone());
        let mut file = ProfileFileRegionProvider::builder().configure(&config);
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
            file = file.profile_name(profile);
        }
        // Not from the endpoint of EC2 as well: where there is none, that takes longer than a request waits.
        let region = RegionProviderChain::first_try(self.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(file.build());
        chain.region(region).build().await
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.chain.get_or_init(|| self.make()).await.provide_credentials().await
        })
    }
}

impl fmt::Debug for DefaultChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultChain").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The gateway's own client, as the chain wants one: so there is one TLS, one resolver and one list of roots.
#[derive(Clone, Debug)]
struct Client(IssuerClient);

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let usual = UpstreamTimeouts::default();
        let timeouts = UpstreamTimeouts {
            connect: settings.connect_timeout().unwrap_or(usual.connect),
            response_header: settings.read_timeout().unwrap_or(usual.response_header),
            ..usual
        };
        SharedHttpConnector::new(Self(self.0.clone().timeouts(timeouts)))
    }
}

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { exchange(client, request).await })
    }
}

async fn exchange(
    client: IssuerClient,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
    let request = http::Request::from_parts(parts, Body::from(body));

    let response = client.oneshot(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await.map_err(ConnectorError::io)?;
    let response = Response::from_parts(parts, body.to_bytes().into());
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

fn failed(error: upstream::Error) -> ConnectorError {
    let kind = if error.is_timeout() { ConnectorError::timeout } else { ConnectorError::io };
    kind(error.into())
}

/// Many times what credentials take.
const MAX_BYTES: usize = 64 << 10;
