use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials};

/// Where credentials come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// They are at hand.
    Fixed(Credentials),
    /// They are asked for, for each request anew.
    Asked(Arc<dyn ProvideCredentials>),
}

/// A box, since what a provider returns borrows from the provider.
pub(crate) type Asking = Pin<Box<dyn Future<Output = provider::Result> + Send>>;

impl Source {
    pub(crate) fn new(provider: impl ProvideCredentials + 'static) -> Self {
        let any: &dyn Any = &provider;
        match any.downcast_ref::<Credentials>() {
            Some(credentials) => Self::Fixed(credentials.clone()),
            None => Self::Asked(Arc::new(provider)),
        }
    }
}
