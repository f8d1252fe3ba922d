#[path = "targets/aws_chunked.rs"]
mod aws_chunked;
#[path = "targets/canonical.rs"]
mod canonical;

pub(crate) use {aws_chunked::aws_chunked, canonical::canonical};
