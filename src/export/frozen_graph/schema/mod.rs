//! Code generated from the schema beside it by `packaging/schemas.sh`.

#[rustfmt::skip]
mod graph;

pub(super) use graph::*;
