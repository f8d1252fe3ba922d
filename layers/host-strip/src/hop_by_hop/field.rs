use http::header::{
    CONNECTION, EXPECT, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

/// A field for one connection only, as a bit of [`Fields`].
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(super) enum Field {
    Connection = 1,
    KeepAlive = 1 << 1,
    ProxyConnection = 1 << 2,
    Te = 1 << 3,
    TransferEncoding = 1 << 4,
    Upgrade = 1 << 5,
    Http2Settings = 1 << 6,
    ProxyAuthenticate = 1 << 7,
    ProxyAuthenticationInfo = 1 << 8,
    ProxyAuthorization = 1 << 9,
    Expect = 1 << 10,
}

impl Field {
    /// The field of this very name.
    ///
    /// The names that `http` knows are numbers, and far quicker to tell apart than text.
    fn of(name: &HeaderName) -> Option<Self> {
        Some(match *name {
            CONNECTION => Self::Connection,
            TE => Self::Te,
            TRANSFER_ENCODING => Self::TransferEncoding,
            UPGRADE => Self::Upgrade,
            PROXY_AUTHENTICATE => Self::ProxyAuthenticate,
            PROXY_AUTHORIZATION => Self::ProxyAuthorization,
            EXPECT => Self::Expect,
            _ => match name.as_str() {
                "keep-alive" => Self::KeepAlive,
                "proxy-connection" => Self::ProxyConnection,
                "http2-settings" => Self::Http2Settings,
                "proxy-authentication-info" => Self::ProxyAuthenticationInfo,
                _ => return None,
            },
        })
    }

    /// The field called `name`, in any letter case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut fields = NAMES.iter();
        let found = fields.find(|(_, field)| field.as_str().eq_ignore_ascii_case(name));
        found.map(|(field, _)| *field)
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields(u16);

impl Fields {
    /// Which of the fields `headers` has: one pass over the names.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let bits = headers.keys().filter_map(Field::of);
        Self(bits.fold(0, |bits, field| bits | field as u16))
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn len(self) -> u64 {
        self.0.count_ones().into()
    }

    pub(super) const fn has(self, field: Field) -> bool {
        self.0 & field as u16 != 0
    }

    pub(super) const fn without(self, field: Field) -> Self {
        Self(self.0 & !(field as u16))
    }

    /// Removes every line of every field of this set.
    pub(super) fn remove_from(self, headers: &mut HeaderMap) {
        for (field, name) in &NAMES {
            if self.has(*field) {
                headers.remove(name);
            }
        }
    }
}

static NAMES: [(Field, HeaderName); 11] = [
    (Field::Connection, CONNECTION),
    (Field::KeepAlive, HeaderName::from_static("keep-alive")),
    (Field::ProxyConnection, HeaderName::from_static("proxy-connection")),
    (Field::Te, TE),
    (Field::TransferEncoding, TRANSFER_ENCODING),
    (Field::Upgrade, UPGRADE),
    (Field::Http2Settings, HeaderName::from_static("http2-settings")),
    (Field::ProxyAuthenticate, PROXY_AUTHENTICATE),
    (Field::ProxyAuthenticationInfo, HeaderName::from_static("proxy-authentication-info")),
    (Field::ProxyAuthorization, PROXY_AUTHORIZATION),
    (Field::Expect, EXPECT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_found_by_its_name_and_has_a_bit_of_its_own() {
        let mut seen = 0;
        for (field, name) in &NAMES {
            let found = [Field::of(name), Field::named(&name.as_str().to_uppercase())];
            assert_eq!(
                found.map(|found| found.map(|field| field as u16)),
                [Some(*field as u16); 2]
            );
            assert_eq!(seen & *field as u16, 0, "{name}");
            seen |= *field as u16;
        }
    }
}
