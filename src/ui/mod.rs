//! Painting only: theme, widgets, one file per workspace.
