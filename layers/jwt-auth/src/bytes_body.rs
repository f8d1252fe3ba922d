use bytes::Bytes;

/// Makes a body of a document.
///
/// [`FromBytes`] serves bodies that [`Bytes`] turn into; a closure serves others.
pub trait BytesBody<B> {
    /// A body with these bytes.
    fn body(&self, bytes: Bytes) -> B;
}

/// Turns bytes into a body by [`From`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FromBytes;

impl<B: From<Bytes>> BytesBody<B> for FromBytes {
    fn body(&self, bytes: Bytes) -> B {
        bytes.into()
    }
}

impl<B, F: Fn(Bytes) -> B> BytesBody<B> for F {
    fn body(&self, bytes: Bytes) -> B {
        self(bytes)
    }
}
