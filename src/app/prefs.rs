//! Settings of the app itself: theme, recent projects, sizes. A JSON file in the user's config folder;
//! when it cannot be read, the defaults hold.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::jobs::JobError;

use super::{App, Lane};

/// Which theme is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the system says; dark when it says nothing.
    #[default]
    System,
    /// Always dark.
    Dark,
    /// Always light.
    Light,
}

/// The settings of the app itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prefs {
    /// The theme.
    pub theme: ThemeChoice,
    /// Project folders, the last used first.
    pub recent: Vec<PathBuf>,
    /// Width of a thumbnail in the grid, points.
    pub thumb_width: f32,
    /// The folder in which new projects are made.
    pub projects_dir: Option<PathBuf>,
}

/// How many recent projects are remembered.
const RECENT: usize = 12;

impl Default for Prefs {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            recent: Vec::new(),
            thumb_width: 132.0,
            projects_dir: None,
        }
    }
}

impl Prefs {
    /// Reads the settings in `dir`.
    #[must_use]
    pub fn load(dir: &Path) -> Self {
        std::fs::read(dir.join(FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn save(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(dir.join(FILE))?;
        Ok(())
    }

    /// Puts a project at the top of the recent ones.
    pub fn remember(&mut self, root: &Path) {
        self.recent.retain(|known| known != root);
        self.recent.insert(0, root.to_owned());
        self.recent.truncate(RECENT);
    }
}

const SETTLE: Duration = Duration::from_millis(600);
const FILE: &str = "settings.json";

/// The user's config folder for Salamander.
#[must_use]
pub fn config_dir() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "Salamander").map(|dirs| dirs.config_dir().to_owned())
}

/// Where new projects are proposed: `Documents/Salamander`.
#[must_use]
pub fn default_projects_dir() -> PathBuf {
    directories::UserDirs::new()
        .map_or_else(std::env::temp_dir, |dirs| {
            dirs.document_dir()
                .unwrap_or_else(|| dirs.home_dir())
                .to_owned()
        })
        .join("Salamander")
}

impl App {
    /// Writes the settings when they have been left alone for a moment.
    pub(super) fn save_prefs_soon(&mut self) {
        self.unsaved_prefs = Some(Instant::now());
        self.ctx.request_repaint_after(SETTLE);
    }

    /// Writes settings that have settled; with `at_once` all.
    pub(super) fn save_settled_prefs(&mut self, at_once: bool) {
        let Some(since) = self.unsaved_prefs else {
            return;
        };
        if at_once || since.elapsed() >= SETTLE {
            self.unsaved_prefs = None;
            self.save_prefs();
        } else {
            self.ctx.request_repaint_after(SETTLE);
        }
    }

    /// Writes the settings in the background.
    pub(super) fn save_prefs(&mut self) {
        let Some(dir) = self.options.config_dir.clone() else {
            return;
        };
        let prefs = self.prefs.clone();
        self.tasks.start(
            Lane::Edit,
            "Saving settings",
            true,
            move |_| prefs.save(&dir),
            |_, result| {
                if let Err(error @ (JobError::Failed(_) | JobError::Panicked(_))) = result {
                    log::warn!("cannot save the app's settings: {error}");
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]
    use super::*;

    #[test]
    fn settings_survive_and_garbage_does_not_harm() {
        let dir = tempfile::tempdir().unwrap();
        let mut prefs = Prefs {
            theme: ThemeChoice::Light,
            ..Prefs::default()
        };
        prefs.remember(Path::new("/a"));
        prefs.remember(Path::new("/b"));
        prefs.remember(Path::new("/a"));
        assert_eq!(prefs.recent, [PathBuf::from("/a"), PathBuf::from("/b")]);
        prefs.save(dir.path()).unwrap();
        assert_eq!(Prefs::load(dir.path()), prefs);
        std::fs::write(dir.path().join(FILE), b"{").unwrap();
        assert_eq!(Prefs::load(dir.path()), Prefs::default());
    }
}
