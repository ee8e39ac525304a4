//! Code generated from the schema beside it by `packaging/schemas.sh`.

#[rustfmt::skip]
mod coreml;

pub(super) use coreml::*;
