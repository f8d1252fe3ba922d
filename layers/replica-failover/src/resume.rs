/// How the rest of a broken response is asked for.
///
/// In both ways, the answer is used only if it is the rest of the very same thing, so that this matters for what a replica
/// does when it is not: with `If-Range` it sends all of what it has (RFC 9110 §13.1.5), which is dropped; with `If-Match` it
/// refuses with 412 (§13.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Resume {
    /// With `If-Range`, as HTTP has it.
    #[default]
    IfRange,
    /// With `If-Match`: for S3 and stores like it, which do not know `If-Range`.
    IfMatch,
}
