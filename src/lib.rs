//! Salamander: videos in, mobile-ready image classifier out.
//!
//! The library behind the desktop window and the command line. The modules are layers, listed in the order in which
//! they may import each other (a layer imports only from those above it, and only from those that `tests/layering/`
//! lists for it); see `ARCHITECTURE.md`.

pub mod text;

pub mod jobs;

pub mod files;

pub mod kind;

pub mod project;

pub mod media;

pub mod curate;

pub mod onnx;

pub mod graph;

pub mod backbone;

pub mod train;

pub mod evaluate;

pub mod export;

pub mod sweep;

pub mod serve;

pub mod make;

pub mod retrain;

pub mod shards;

pub mod app;

pub mod ui;

pub mod cli;
