/// What a rule does where there is no value for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnMissing {
    /// Takes away what stands under the name, which a client may have sent.
    #[default]
    Remove,
    /// Leaves what stands there, whoever sent it: not for what the upstream trusts.
    Keep,
    /// Refuses the request with 403, or puts a 502 in place of the response.
    Reject,
}
