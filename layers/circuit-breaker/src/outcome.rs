/// What came of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Outcome {
    /// The service is well.
    Success,
    /// The service is not well.
    Failure,
    /// It says nothing of the service: what the client caused, or a call that nobody waited for.
    Neutral,
}
