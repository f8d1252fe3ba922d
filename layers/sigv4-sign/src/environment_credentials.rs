use std::env;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

/// Credentials in the environment of the process: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is one,
/// `AWS_SESSION_TOKEN`.
///
/// A variable that is empty or no Unicode is none. They do not expire.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "a provider does nothing until it is asked"]
pub struct EnvironmentCredentials;

impl EnvironmentCredentials {
    /// Reads the variables each time it is asked.
    pub const fn new() -> Self {
        Self
    }
}

impl ProvideCredentials for EnvironmentCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(found(|name| env::var(name).ok()))
    }
}

fn found(variable: impl Fn(&str) -> Option<String>) -> provider::Result {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let required = |name: &'static str| {
        variable(name).ok_or_else(|| CredentialsError::not_loaded(format!("{name} is not set")))
    };
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    /// What is found where these variables are set.
    fn found_in(set: &[(&str, &str)]) -> provider::Result {
        let value = |name: &str| set.iter().find(|(set, _)| *set == name);
        found(|name| value(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_variables_of_aws_are_read() {
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let lasting = found_in(&keys).unwrap();
        assert_eq!((lasting.access_key_id(), lasting.secret_access_key()), ("id", "secret"));
        assert_eq!((lasting.session_token(), lasting.expiry()), (None, None));

        let [id, secret] = keys;
        let session = found_in(&[id, secret, ("AWS_SESSION_TOKEN", "token")]).unwrap();
        assert_eq!(session.session_token(), Some("token"));
    }

    #[test]
    fn what_is_missing_or_empty_is_named_and_nothing_else() {
        let half = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "")];
        let error = found_in(&half).unwrap_err();

        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!(source, "AWS_SECRET_ACCESS_KEY is not set");
        assert!(found_in(&[("AWS_SECRET_ACCESS_KEY", "secret")]).is_err());
    }

    #[tokio::test]
    async fn the_process_is_asked() {
        let expected = found(|name| env::var(name).ok());

        let given = EnvironmentCredentials::new().provide_credentials().await;
        assert_eq!(given.ok(), expected.ok());
    }
}
