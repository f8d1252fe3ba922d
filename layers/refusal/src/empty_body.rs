/// Makes the empty body of a refusal.
///
/// [`DefaultBody`] serves bodies that have a default; a closure serves those that have none.
pub trait EmptyBody<B> {
    /// An empty body.
    fn empty(&self) -> B;
}

/// Takes a body's [`Default`] for its empty form.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultBody;

impl DefaultBody {
    /// The empty body is the default one.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<B: Default> EmptyBody<B> for DefaultBody {
    fn empty(&self) -> B {
        B::default()
    }
}

impl<B, F: Fn() -> B> EmptyBody<B> for F {
    fn empty(&self) -> B {
        self()
    }
}
