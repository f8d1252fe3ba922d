use http::Request;
use http::header::HeaderName;

use super::client::{Named, replace};
use super::{HostPolicy, NoAuthority, OriginalHost};
use crate::meters::Reasons;

/// All that is done to a request's host.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) policy: HostPolicy,
    pub(super) preserve_as: Option<HeaderName>,
    pub(super) remember: bool,
    pub(super) rejections: Reasons,
}

impl Rules {
    pub(super) fn apply<B>(&self, request: &mut Request<B>) -> Result<(), NoAuthority> {
        if let Some(name) = &self.preserve_as {
            let host = Named::of(request, &self.policy).and_then(Named::to_value);
            replace(request.headers_mut(), name, host);
        }
        if self.remember {
            remember(request, &self.policy);
        }
        self.policy.apply(request)
    }
}

/// Puts the host that the client named into the extensions, unless it was remembered further out.
pub(crate) fn remember<B>(request: &mut Request<B>, policy: &HostPolicy) {
    if request.extensions().get::<OriginalHost>().is_some() {
        return;
    }
    if let Some(host) = Named::of(request, policy).and_then(Named::to_authority) {
        request.extensions_mut().insert(OriginalHost::new(host));
    }
}
