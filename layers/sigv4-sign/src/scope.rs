use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The name that a service signs by: `s3`, `execute-api`, `dynamodb`.
///
/// One to 64 ASCII letters, digits, `-`, `_` or `.`; read from a configuration file as text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "String"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct ServiceName(Box<str>);

impl ServiceName {
    /// The name `name`.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 64 bytes, or has a character that a credential scope cannot hold.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        checked(name.into()).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the service follows the rules of S3: its paths are encoded once and not normalised, and bodies may go
    /// unsigned. So do `s3`, `s3express`, `s3-outposts` and `s3-object-lambda`.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        matches!(self.as_str(), "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
    }

    /// Whether the service asks for `x-amz-content-sha256`.
    pub(crate) fn wants_content_hash(&self) -> bool {
        self.is_s3() || matches!(self.as_str(), "aoss" | "glacier")
    }
}

impl TryFrom<String> for ServiceName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl FromStr for ServiceName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

/// The name of a region: `eu-west-1`, `auto`.
///
/// One to 64 ASCII letters, digits, `-`, `_` or `.`; read from a configuration file as text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "String"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct Region(Box<str>);

impl Region {
    /// The region `name`.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 64 bytes, or has a character that a credential scope cannot hold.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        checked(name.into()).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl FromStr for Region {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

/// A service or a region has a name that cannot be signed by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service or a region is 1 to 64 letters, digits, `-`, `_` or `.`")
    }
}

impl Error for InvalidName {}

fn checked(name: String) -> Result<Box<str>, InvalidName> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(name.into_boxed_str()) } else { Err(InvalidName) }
}

const MAX_NAME: usize = 64;
