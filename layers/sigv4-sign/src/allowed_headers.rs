use std::error::Error;
use std::fmt;

/// Headers by which clients may use the rights of the credentials.
///
/// An `x-amz-*` header that makes the service do more than act on the object that is named is refused unless it is allowed
/// here: `x-amz-acl`, `x-amz-grant-*`, `x-amz-copy-source*`, `x-amz-rename-source*`, `x-amz-tagging*`,
/// `x-amz-object-lock-*`, `x-amz-bucket-object-lock-*`, `x-amz-bypass-governance-retention`, `x-amz-object-ownership`,
/// `x-amz-request-payer`, `x-amz-mfa*`, `x-amz-website-redirect-location`, and of `x-amz-server-side-encryption-*` the key
/// (`aws-kms-key-id`) and its `context`. Others pass as they are.
///
/// What is allowed is asked in the name of the credentials: whoever may send `x-amz-copy-source` reads, through the
/// gateway, whatever the credentials may read.
///
/// With the `serde` feature it is read from a list of names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "Vec<String>"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
pub struct AllowedHeaders(Vec<Box<str>>);

impl AllowedHeaders {
    /// The headers `names`, in any case; one that ends in `*` stands for all that begin like it.
    ///
    /// # Errors
    ///
    /// When one of them does not begin with `x-amz-`, is no header's name, or belongs to a signature: what a client sends of
    /// `x-amz-security-token`, `x-amz-s3session-token`, `x-amz-date`, `x-amz-content-sha256` or `x-amz-region-set` never
    /// passes.
    pub fn new<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, InvalidAllowance> {
        names.into_iter().map(|name| checked(name.into())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == &**allowed,
        })
    }
}

impl TryFrom<Vec<String>> for AllowedHeaders {
    type Error = InvalidAllowance;

    fn try_from(names: Vec<String>) -> Result<Self, InvalidAllowance> {
        Self::new(names)
    }
}

/// A header that cannot be allowed: it is no `x-amz-*` header, or it belongs to a signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidAllowance(Box<str>);

impl fmt::Display for InvalidAllowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a header that clients can be allowed to send", self.0)
    }
}

impl Error for InvalidAllowance {}

fn checked(name: String) -> Result<Box<str>, InvalidAllowance> {
    let lower = name.to_ascii_lowercase();
    let of_a_header = lower.strip_prefix("x-amz-").is_some_and(|rest| {
        let rest = rest.strip_suffix('*').unwrap_or(rest);
        rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    });
    if of_a_header && lower != "x-amz-" && !OF_A_SIGNATURE.contains(&lower.as_str()) {
        Ok(lower.into())
    } else {
        Err(InvalidAllowance(name.into()))
    }
}

const OF_A_SIGNATURE: [&str; 5] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-region-set",
    "x-amz-s3session-token",
    "x-amz-security-token",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_allowed_as_a_whole_or_by_its_beginning() {
        let allowed = AllowedHeaders::new(["X-Amz-ACL", "x-amz-grant-*"]).unwrap();

        for name in ["x-amz-acl", "x-amz-grant-read", "x-amz-grant-"] {
            assert!(allowed.contains(name), "{name}");
        }
        for name in ["x-amz-acl-x", "x-amz-ac", "x-amz-grant", "x-amz-copy-source"] {
            assert!(!allowed.contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_of_a_signature_or_no_header_of_amazon_cannot_be_allowed() {
        let names = ["", "*", "x-amz-", "x-amz-a*b", "x-amz-ä", "x-amz-a b", "authorization"];
        for name in names.iter().chain(&OF_A_SIGNATURE) {
            let error = AllowedHeaders::new([*name]).unwrap_err();
            let says = format!("{name:?} is not a header that clients can be allowed to send");
            assert_eq!(error.to_string(), says);
        }
        assert!(AllowedHeaders::new(["x-amz-*"]).is_ok());
    }
}
