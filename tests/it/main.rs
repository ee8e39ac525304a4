//! Whole-program tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod cli;
mod cli_faults;
mod cli_program;
mod export;
mod media;
mod train;
mod window;
mod window_import_label;
mod window_snapshots;
