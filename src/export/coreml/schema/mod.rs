//! The code made of the schema beside it by `packaging/schemas.sh`.

#[rustfmt::skip]
mod coreml;

pub(super) use coreml::*;
