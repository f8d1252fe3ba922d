use std::net::IpAddr;

use ipnet::IpNet;

/// Whose requests are let in, by the client's address.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [addresses]
/// allow = ["192.0.2.0/24"] # by default, all
/// deny = ["192.0.2.66"]    # by default, none
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct Addresses {
    /// Networks and addresses of clients that are let in; all when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::some_networks"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    allow: Option<Vec<IpNet>>,
    /// Those of clients that are not let in, whether they are allowed or not.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::networks"))]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    deny: Vec<IpNet>,
}

impl Addresses {
    /// Lets all in.
    pub const fn all() -> Self {
        Self { allow: None, deny: Vec::new() }
    }

    /// Lets in only clients of these networks; others are refused with `403`, and so is who has no address. With none it
    /// lets nobody in.
    pub fn allow(mut self, clients: impl IntoIterator<Item = IpNet>) -> Self {
        self.allow = Some(clients.into_iter().collect());
        self
    }

    /// Refuses clients of these networks with `403`, whether they are allowed or not. Who has no address is not among them.
    pub fn deny(mut self, clients: impl IntoIterator<Item = IpNet>) -> Self {
        self.deny = clients.into_iter().collect();
        self
    }

    pub(crate) fn let_in(&self, client: Option<IpAddr>) -> bool {
        let is_of = |networks: &Vec<IpNet>| {
            client.is_some_and(|client| networks.iter().any(|it| it.contains(&client)))
        };
        !is_of(&self.deny) && self.allow.as_ref().is_none_or(is_of)
    }
}
