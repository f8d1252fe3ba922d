//! What the current span learns of a request, if it has fields for it, and what is logged.
//!
//! Nothing that an unverified token says, and nothing of a verified one but, when that is asked for, its subject.

use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::valid::Signer;
use crate::{Issuer, Unauthorized};

/// The token is its issuer's, by this key. Whether it is allowed is another question.
pub(crate) fn verified(issuer: Option<&Issuer>, signer: Signer, subject: Option<&str>) {
    let Some(span) = span() else { return };
    if let Some(name) = issuer.and_then(Issuer::name) {
        span.record("auth.issuer", name);
    }
    if let Some(issuer) = issuer {
        issuer.tell_kid(signer, |kid| {
            span.record("auth.kid", kid);
        });
    }
    if let Some(subject) = subject {
        span.record("enduser.id", subject);
    }
}

pub(crate) fn allowed() {
    if let Some(span) = span() {
        span.record("auth.outcome", "allowed");
    }
}

pub(crate) fn refused(reason: Unauthorized) {
    let outcome = reason.reason();
    tracing::debug!(auth.outcome = outcome, "request refused");
    if let Some(span) = span() {
        span.record("auth.outcome", outcome);
    }
}

/// The current span. Where nobody listens, this is a look at a number.
fn span() -> Option<Span> {
    if LevelFilter::current() == LevelFilter::OFF {
        return None;
    }
    Some(Span::current()).filter(|span| !span.is_disabled())
}
