//! Settings of the app itself: theme, recent projects, sizes. A JSON file in the user's config folder; if it cannot be
//! read, the defaults are used.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::files::{self, Durability, FollowedLink};
use crate::jobs::JobError;
use crate::media::ExtractionPace;

use super::{App, Lane};

/// The theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// The system's theme; dark if there is none.
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
    /// Project folders, the most recently used first.
    pub recent: Vec<PathBuf>,
    /// Width of a thumbnail in the grid, points.
    pub thumb_width: f32,
    /// The folder for new projects.
    pub projects_dir: Option<PathBuf>,
    /// Size and position of the window when it was closed.
    pub window: Option<WindowPlace>,
    /// Projects, or folders of projects, whose videos may be opened: created in the window or allowed by the user.
    /// `None` in settings of earlier versions, which opened the videos of all projects.
    pub known: Option<Vec<PathBuf>>,
    /// Links in projects that are followed for reading. Stored here, because a project from elsewhere must not be able
    /// to add any.
    pub followed: Vec<Followed>,
    /// The measured speed of sampling films on this computer.
    pub pace: ExtractionPace,
}

/// The links of one project that the user allowed to follow for reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// The project's folder.
    pub project: PathBuf,
    /// The links.
    pub links: Vec<FollowedLink>,
}

/// Size and position of the window; lengths in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowPlace {
    /// Top left corner of the window with its frame; `None` if the system does not report it (Wayland).
    pub at: Option<[f32; 2]>,
    /// Width and height without the frame.
    pub size: [f32; 2],
    /// Whether it is maximized; the other values are then those of the normal window.
    pub maximized: bool,
}

impl WindowPlace {
    /// The position at which its title bar is on one of the screens (left, top, right, bottom), with a size no larger
    /// than that screen; unchanged if the screens are unknown.
    #[must_use]
    pub fn on_screen(self, screens: &[[f32; 4]]) -> Self {
        let (Some([x, y]), Some(first)) = (self.at, screens.first()) else {
            return self;
        };
        let [width, height] = self.size;
        // The visible part of a window's top edge, by which it is moved.
        let seen = |screen: &[f32; 4]| {
            let [left, top, right, bottom] = *screen;
            let across = (x + width).min(right) - x.max(left);
            if y >= top - 1.0 && y < bottom - TITLE_BAR {
                across.max(0.0)
            } else {
                0.0
            }
        };
        let best = screens
            .iter()
            .max_by(|a, b| seen(a).total_cmp(&seen(b)))
            .unwrap_or(first);
        if seen(best) >= GRIP.min(width) {
            return self;
        }
        // Almost nothing is visible: moved to the first screen, which is the main one.
        let [left, top, right, bottom] = *first;
        let size = [width.min(right - left), height.min(bottom - top)];
        let within = |at: f32, from: f32, to: f32, length: f32| at.min(to - length).max(from);
        Self {
            at: Some([
                within(x, left, right, size[0]),
                within(y, top, bottom, size[1]),
            ]),
            size,
            ..self
        }
    }
}

/// The least visible length of a window's top edge, points.
const GRIP: f32 = 160.0;
/// Approximate height of a title bar, points.
const TITLE_BAR: f32 = 40.0;

/// The number of recent projects that are remembered.
const RECENT: usize = 12;

impl Default for Prefs {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            recent: Vec::new(),
            thumb_width: 132.0,
            projects_dir: None,
            window: None,
            known: None,
            followed: Vec::new(),
            pace: ExtractionPace::default(),
        }
    }
}

impl Prefs {
    /// Reads the settings in `dir`.
    #[must_use]
    pub fn load(dir: &Path) -> Self {
        files::read_document(dir.join(FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn save(&self, dir: &Path) -> std::io::Result<()> {
        files::create_dir_all(dir)?;
        let text = serde_json::to_vec_pretty(self)?;
        files::write(&dir.join(FILE), &text, Durability::Renamed).map_err(|failed| failed.error)
    }

    /// Moves a project to the top of the recent ones.
    pub fn remember(&mut self, root: &Path) {
        self.recent.retain(|known| known != root);
        self.recent.insert(0, root.to_owned());
        self.recent.truncate(RECENT);
    }

    /// Whether the videos of a project may be opened.
    #[must_use]
    pub fn knows(&self, project: &Path) -> bool {
        let known = self.known.as_ref().unwrap_or(&self.recent);
        known.iter().any(|folder| project.starts_with(folder))
    }

    /// Allows the videos of a project to be opened.
    pub fn learn(&mut self, project: &Path) {
        if !self.knows(project) {
            let known = self.known.get_or_insert_with(|| self.recent.clone());
            known.push(project.to_owned());
        }
    }

    /// Sets the links of a project that are followed.
    pub fn follow(&mut self, project: &Path, links: Vec<FollowedLink>) {
        self.followed.retain(|known| known.project != project);
        self.followed.push(Followed {
            project: project.to_owned(),
            links,
        });
    }

    /// The links of a project that are followed.
    #[must_use]
    pub fn followed_in(&self, project: &Path) -> &[FollowedLink] {
        let found = self.followed.iter().find(|known| known.project == project);
        found.map_or(&[], |known| &known.links)
    }
}

const SETTLE: Duration = Duration::from_millis(600);
const FILE: &str = "settings.json";

/// The user's config folder for Salamander.
#[must_use]
pub fn config_dir() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "Salamander").map(|dirs| dirs.config_dir().to_owned())
}

/// The proposed folder for new projects: `Documents/Salamander`.
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
    /// Saves the settings after a pause.
    pub(super) fn save_prefs_soon(&mut self) {
        self.unsaved_prefs = Some(Instant::now());
        self.ctx.request_repaint_after(SETTLE);
    }

    /// Remembers size and position of the window.
    pub fn set_window_place(&mut self, place: WindowPlace) {
        if self.prefs.window != Some(place) {
            self.prefs.window = Some(place);
            self.save_prefs_soon();
        }
    }

    /// Saves settings that have not changed for a moment; with `at_once` all.
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

    /// Saves the settings in the background.
    pub(super) fn save_prefs(&mut self) {
        let Some(dir) = self.options.config_dir.clone() else {
            return;
        };
        let prefs = self.prefs.clone();
        self.tasks.start_for_window(
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
    fn a_window_off_the_screens_is_brought_back() {
        let place = |x, y, width, height| WindowPlace {
            at: Some([x, y]),
            size: [width, height],
            maximized: false,
        };
        let screens = [[0.0, 0.0, 1920.0, 1080.0], [1920.0, 0.0, 3200.0, 1024.0]];
        for fine in [
            place(100.0, 80.0, 1440.0, 900.0),
            place(2000.0, 0.0, 1000.0, 800.0),
            // Half beyond an edge, as users place windows.
            place(-700.0, 300.0, 1440.0, 900.0),
        ] {
            assert_eq!(fine.on_screen(&screens), fine);
        }
        // The second screen was unplugged.
        let gone = place(2000.0, 100.0, 1440.0, 900.0).on_screen(&screens[..1]);
        assert_eq!(gone, place(480.0, 100.0, 1440.0, 900.0));
        let large = place(5000.0, -4000.0, 3000.0, 2000.0).on_screen(&screens);
        assert_eq!(large, place(0.0, 0.0, 1920.0, 1080.0));
        let unknown = place(5000.0, 0.0, 800.0, 600.0);
        assert_eq!(unknown.on_screen(&[]), unknown);
    }

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
