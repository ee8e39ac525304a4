//! Whole-program tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod agreed;
mod architectures;
mod bounds;
mod cancel;
mod changes;
mod chromium;
mod cli;
mod cli_faults;
mod cli_program;
#[cfg(target_os = "linux")]
mod cluster;
mod compared;
mod coreml;
mod costs;
mod damaged;
#[cfg(target_os = "linux")]
mod decision;
mod decoders;
#[cfg(target_os = "linux")]
mod desktop;
mod evaluate_more;
mod event_files;
mod export;
mod export_bundles;
mod export_formats;
mod extraction;
mod files;
mod fine_tuned;
mod frozen_graph;
#[cfg(target_os = "linux")]
mod full_disk;
mod gone;
mod gradients_of_networks;
mod heat;
mod hidden_layer;
mod hostile;
mod import_folders;
mod imported;
mod kill;
mod late_ends;
mod make;
mod media;
mod mobilenet;
mod mutate;
mod mutate_many;
mod mutated_media;
mod networks;
#[cfg(target_os = "linux")]
mod no_network;
#[cfg(target_os = "linux")]
mod preload;
mod projects;
mod random_networks;
mod read_only;
#[cfg(target_os = "linux")]
mod real_window;
mod relabelled;
mod renamed;
mod reopened;
mod replacing;
mod reported;
mod reported_media;
mod retrain;
mod same_files;
mod sampling;
mod serve;
mod shards;
mod shards_trainings;
mod snippets;
mod sources;
mod stretches;
mod surroundings;
mod tensorboard;
mod test_frames;
mod tflite;
mod tflite_int8;
mod train;
mod trash;
mod visible;
mod web;
mod window;
mod window_again;
mod window_architectures;
#[cfg(target_os = "linux")]
mod window_decoder;
mod window_depth;
mod window_dialogs;
mod window_drag;
mod window_evaluate;
mod window_import_label;
mod window_import_report;
mod window_lists;
mod window_make;
mod window_merge;
mod window_names;
mod window_phone;
mod window_plots;
mod window_project;
mod window_relabel;
mod window_runs;
mod window_small;
mod window_snapshots;
mod window_sweep;
mod window_train_export;
mod window_try;
