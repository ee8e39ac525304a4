//! Notifications: short ones disappear by themselves, errors stay until they are dismissed.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Action;

/// The importance of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Done,
    /// Information; stays a little longer.
    Info,
    /// A warning; stays until dismissed.
    Warning,
    /// Something failed; stays until dismissed.
    Error,
}

/// One notification.
pub struct Note {
    /// Its identity.
    pub id: u64,
    /// Its importance.
    pub tone: Tone,
    /// What happened, in one sentence.
    pub text: String,
    /// More lines, shown on request: the files of a list.
    pub details: Vec<String>,
    /// The remedy: a button's text and its action.
    pub remedy: Option<(String, Action)>,
    /// When it disappears by itself.
    pub until: Option<Instant>,
    /// Whether its details are earlier notifications, combined into a list.
    is_list: bool,
}

/// Up to this many sentences of one tone are separate; more become a list.
const LINES: usize = 2;

/// How long a notification stays; `None` until it is dismissed.
fn note_lasts(tone: Tone) -> Option<Duration> {
    match tone {
        Tone::Done => Some(Duration::from_secs(4)),
        Tone::Info => Some(Duration::from_secs(8)),
        Tone::Warning | Tone::Error => None,
    }
}

/// The common subject of many sentences of one tone: `8 photos could not be read`, otherwise their number.
fn heading(tone: Tone, sentences: &[String]) -> String {
    const PHOTOS: [&str; 9] = [
        "jpg", "jpeg", "png", "webp", "heic", "avif", "tif", "tiff", "bmp",
    ];
    const UNREAD: [&str; 4] = [
        "cannot read",
        "cannot be read",
        "could not be read",
        "skipped:",
    ];
    let count = sentences.len();
    let unread = |text: &String| {
        let text = text.to_lowercase();
        UNREAD.iter().any(|words| text.contains(words))
    };
    if sentences.iter().all(unread) {
        // The file name is in quotation marks; its extension determines the noun.
        let photo = |text: &String| {
            let name = text.split(['“', '”']).nth(1).unwrap_or_default();
            let ending = Path::new(name).extension().unwrap_or_default();
            PHOTOS
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        };
        let what = if sentences.iter().all(photo) {
            "photos"
        } else {
            "files"
        };
        return format!("{count} {what} could not be read");
    }
    match tone {
        Tone::Error => format!("{count} things failed"),
        _ => format!("{count} warnings"),
    }
}

/// All notifications, oldest first.
#[derive(Default)]
pub struct Notes {
    list: Vec<Note>,
    next: u64,
}

impl Notes {
    /// Adds a notification and returns it, to add details or a remedy.
    pub fn add(&mut self, tone: Tone, text: impl Into<String>) -> &mut Note {
        let text = super::words::sentence(&text.into());
        // The same sentence is shown only once.
        self.list
            .retain(|note| note.text != text || !note.details.is_empty());
        let lasts = note_lasts(tone);
        let note = Note {
            id: self.next,
            tone,
            text,
            details: Vec::new(),
            remedy: None,
            until: lasts.map(|lasts| Instant::now() + lasts),
            is_list: false,
        };
        self.next += 1;
        self.list.push(note);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Combines many sentences of one tone into one list, so that they do not fill the screen. Notifications with
    /// details or a remedy of their own stay as they are.
    fn fold(&mut self, tone: Tone) {
        let folds = |note: &Note| {
            let plain = note.details.is_empty() && note.remedy.is_none();
            note.tone == tone && (plain || note.is_list)
        };
        let count: usize = self
            .list
            .iter()
            .filter(|note| folds(note))
            .map(|note| note.details.len().max(1))
            .sum();
        let is_new = |note: &Note| folds(note) && !note.is_list;
        if count <= LINES || !self.list.iter().any(is_new) {
            return;
        }
        let mut details = Vec::with_capacity(count);
        self.list.retain_mut(|note| {
            let fold = folds(note);
            if fold && note.is_list {
                details.append(&mut note.details);
            } else if fold {
                details.push(std::mem::take(&mut note.text));
            }
            !fold
        });
        self.list.push(Note {
            id: self.next,
            tone,
            text: heading(tone, &details),
            details,
            remedy: None,
            until: None,
            is_list: true,
        });
        self.next += 1;
    }

    /// The warnings of a job.
    pub fn warnings(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            self.add(Tone::Warning, warning);
        }
    }

    /// All notifications, oldest first.
    #[must_use]
    pub fn list(&self) -> &[Note] {
        &self.list
    }

    /// Removes one notification.
    pub fn dismiss(&mut self, id: u64) {
        self.list.retain(|note| note.id != id);
    }

    /// Removes the notification with this text.
    pub(super) fn forget(&mut self, text: &str) {
        self.list.retain(|note| note.text != text);
    }

    /// Combines many warnings or errors into a list each, and removes expired notifications; returns when the next one
    /// expires. Called before each painting, when notifications have all their details.
    pub(super) fn tidy(&mut self) -> Option<Duration> {
        for tone in [Tone::Warning, Tone::Error] {
            self.fold(tone);
        }
        let now = Instant::now();
        self.list
            .retain(|note| note.until.is_none_or(|until| until > now));
        self.list
            .iter()
            .filter_map(|note| note.until)
            .min()
            .map(|until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_errors_become_one_list() {
        let mut notes = Notes::default();
        for name in ["a", "b", "b", "c", "d"] {
            notes.add(Tone::Error, format!("{name} is damaged"));
            notes.tidy();
        }
        notes.add(Tone::Done, "added");
        let texts: Vec<&str> = notes.list().iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, ["4 things failed", "Added"]);
        let details = &notes.list()[0].details;
        assert_eq!(details.len(), 4);
        assert_eq!(details[3], "D is damaged");
    }

    #[test]
    fn a_notification_with_details_keeps_its_sentence_and_no_other_loses_its_own() {
        let mut notes = Notes::default();
        notes.warnings(vec!["a".to_owned(), "b".to_owned()]);
        notes.add(Tone::Warning, "merged 1 of 2").details = vec!["training 1 failed".to_owned()];
        notes.tidy();
        notes.warnings(vec!["c".to_owned()]);
        notes.tidy();
        let shown: Vec<(&str, usize)> = notes
            .list()
            .iter()
            .map(|note| (note.text.as_str(), note.details.len()))
            .collect();
        assert_eq!(shown, [("Merged 1 of 2", 1), ("3 warnings", 3)]);
    }

    #[test]
    fn a_list_says_what_it_is_of() {
        let text_of = |texts: &[&str]| {
            let mut notes = Notes::default();
            notes.warnings(texts.iter().map(|text| (*text).to_owned()).collect());
            notes.tidy();
            notes.list()[0].text.clone()
        };
        let photos = [
            "Skipped: cannot read “/p/classes/cat/a.jpg”: it is cut off",
            "Skipped: cannot read “/p/classes/cat/b.png”: it is cut off",
            "cannot read “/p/classes/cat/c.webp”: it is cut off",
        ];
        assert_eq!(text_of(&photos), "3 photos could not be read");
        let files = [photos[0], photos[1], "“film.mp4” cannot be read"];
        assert_eq!(text_of(&files), "3 files could not be read");
        let others = ["“a.mp4” is damaged after 0:58", "a", "b"];
        assert_eq!(text_of(&others), "3 warnings");
    }
}
