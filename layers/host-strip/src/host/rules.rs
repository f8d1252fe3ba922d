use http::Request;
use http::header::HeaderName;

use super::client::{ClientHost, replace};
use super::{HostPolicy, NoAuthority, OriginalHost};

/// All that is done to a request's host.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) policy: HostPolicy,
    pub(super) preserve_as: Option<HeaderName>,
    pub(super) remember: bool,
}

impl Rules {
    pub(super) fn apply<B>(&self, request: &mut Request<B>) -> Result<(), NoAuthority> {
        if let Some(name) = &self.preserve_as {
            let host = ClientHost::of(request, &self.policy).and_then(ClientHost::to_value);
            replace(request.headers_mut(), name, host);
        }
        if self.remember && request.extensions().get::<OriginalHost>().is_none() {
            let host = ClientHost::of(request, &self.policy).and_then(ClientHost::to_authority);
            if let Some(host) = host {
                request.extensions_mut().insert(OriginalHost::new(host));
            }
        }
        self.policy.apply(request)
    }
}
