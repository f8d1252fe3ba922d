use http::header::HeaderValue;

/// Where the value of a header comes from.
#[derive(Clone, Debug, Eq)]
pub(crate) enum Value {
    Static(HeaderValue),
}

impl Value {
    pub(crate) fn get(&self) -> HeaderValue {
        match self {
            Self::Static(value) => value.clone(),
        }
    }

    pub(crate) fn is_ascii(&self) -> bool {
        match self {
            Self::Static(value) => value.to_str().is_ok(),
        }
    }
}

/// Equal in secrecy, too, which a [`HeaderValue`] leaves out.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Static(one), Self::Static(other)) => {
                one == other && one.is_sensitive() == other.is_sensitive()
            }
        }
    }
}
