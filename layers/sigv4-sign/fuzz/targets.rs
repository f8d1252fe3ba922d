#[path = "targets/aws_chunked.rs"]
mod aws_chunked;
#[path = "targets/canonical.rs"]
mod canonical;
#[path = "targets/claim.rs"]
mod claim;

pub(crate) use {
    aws_chunked::aws_chunked,
    canonical::canonical,
    claim::{authorization, presigned},
};
