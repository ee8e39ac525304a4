//! The schema of the settings of a training: what each is called, what it can be, what it means. The options of the
//! command line, the fields of the window, the checks before a training, the columns of the table of runs and
//! `docs/settings.md` are all made from [`SETTINGS`].

mod document;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::{TrainError, TrainSettings};

pub use document::Document;
pub use table::SETTINGS;

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingGroup {
    /// Images, network and split.
    Data,
    /// The training of the head.
    Head,
    /// The training of more than the head.
    FineTuning,
    /// Augmented views.
    Views,
}

impl SettingGroup {
    /// All groups, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Data, Self::Head, Self::FineTuning, Self::Views];

    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Data => "Images and network",
            Self::Head => "Training the head",
            Self::FineTuning => "Fine-tuning",
            Self::Views => "Augmentation",
        }
    }
}

/// A setting of a training.
#[derive(Debug)]
pub struct Setting {
    /// Its name in files; with hyphens, its option on the command line.
    pub key: &'static str,
    /// What it belongs to.
    pub group: SettingGroup,
    /// Its name on the screen.
    pub title: &'static str,
    /// What its numbers count: a word that stands behind them, or nothing. `{images}` stands for the
    /// [noun](crate::project::Noun) of the project.
    pub unit: &'static str,
    /// What it does, in a sentence without a full stop. `{images}` as above.
    pub brief: &'static str,
    /// How to choose it: a paragraph, or nothing.
    pub more: &'static str,
    /// The flag of `retrain.py` that it takes the place of.
    pub retrain: Option<&'static str>,
    /// What it can be.
    pub kind: Kind,
}

/// What a setting can be, and how it is read and changed.
pub enum Kind {
    /// A whole number.
    Whole {
        /// The least and the largest.
        range: [u64; 2],
        /// Reads it.
        get: fn(&TrainSettings) -> u64,
        /// Changes it.
        set: fn(&mut TrainSettings, u64),
    },
    /// A whole number, or nothing, which has a meaning of its own.
    WholeOr {
        /// The least and the largest.
        range: [u64; 2],
        /// What nothing means.
        nothing: Nothing,
        /// Reads it.
        get: fn(&TrainSettings) -> Option<u64>,
        /// Changes it.
        set: fn(&mut TrainSettings, Option<u64>),
    },
    /// A real number.
    Real {
        /// What it may be.
        range: Reals,
        /// Digits behind the point in the window.
        digits: usize,
        /// Reads it.
        get: fn(&TrainSettings) -> f32,
        /// Changes it.
        set: fn(&mut TrainSettings, f32),
    },
    /// On or off.
    Switch {
        /// Reads it.
        get: fn(&TrainSettings) -> bool,
        /// Changes it.
        set: fn(&mut TrainSettings, bool),
    },
    /// One of a few.
    Choice {
        /// All of them.
        options: &'static [ChoiceOption],
        /// The place of the chosen one.
        get: fn(&TrainSettings) -> usize,
        /// Chooses the one at a place.
        set: fn(&mut TrainSettings, usize),
    },
    /// A name that something else explains: the architecture, the depth.
    Name {
        /// Its word in files and on the command line.
        get: fn(&TrainSettings) -> String,
        /// How people call it.
        title: fn(&TrainSettings) -> String,
        /// Takes a word; otherwise says what is wrong with it.
        set: fn(&mut TrainSettings, &str) -> Result<(), String>,
    },
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole { .. } => "Whole",
            Self::WholeOr { .. } => "WholeOr",
            Self::Real { .. } => "Real",
            Self::Switch { .. } => "Switch",
            Self::Choice { .. } => "Choice",
            Self::Name { .. } => "Name",
        })
    }
}

/// What the absence of a number means.
#[derive(Debug)]
pub struct Nothing {
    /// How it is spelled on the command line beside the numbers; empty where leaving the option out says it.
    pub word: &'static str,
    /// Its name on the screen.
    pub title: &'static str,
    /// What it does, in a sentence without a full stop.
    pub brief: &'static str,
    /// The number that stands in the window when this is switched off.
    pub instead: u64,
}

/// One of a few.
#[derive(Debug)]
pub struct ChoiceOption {
    /// Its word in files and on the command line.
    pub word: &'static str,
    /// Its name on the screen.
    pub title: &'static str,
    /// What it does, in a sentence without a full stop.
    pub brief: &'static str,
}

/// An interval of real numbers.
#[derive(Debug, Clone, Copy)]
pub struct Reals {
    /// The lower end.
    pub least: f32,
    /// Whether the lower end belongs to it.
    pub with_least: bool,
    /// The upper end.
    pub most: f32,
    /// Whether the upper end belongs to it.
    pub with_most: bool,
}

impl Reals {
    /// Whether a number lies in it; no NaN does.
    #[must_use]
    pub fn contains(self, value: f32) -> bool {
        let above = value > self.least || self.with_least && value >= self.least;
        let below = value < self.most || self.with_most && value <= self.most;
        above && below
    }
}

impl fmt::Display for Reals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most, .. } = self;
        let lower = if self.with_least { "at least" } else { "over" };
        let upper = if self.with_most { "at most" } else { "below" };
        write!(f, "{lower} {least} and {upper} {most}")
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// A real number.
    Real(f32),
    /// On or off.
    Switch(bool),
    /// A word of a [`Kind::Choice`], a [`Kind::Name`] or of [`Nothing`].
    Word(String),
    /// No number, of a [`Kind::WholeOr`].
    Nothing,
}

impl fmt::Display for Value {
    /// As on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Switch(value) => f.write_str(if *value { "yes" } else { "no" }),
            Self::Word(word) => f.write_str(word),
            Self::Nothing => Ok(()),
        }
    }
}

impl Setting {
    /// The setting with this key.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its option on the command line, without the hyphens before it.
    #[must_use]
    pub fn option(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its value.
    #[must_use]
    pub fn get(&self, of: &TrainSettings) -> Value {
        match &self.kind {
            Kind::Whole { get, .. } => Value::Whole(get(of)),
            Kind::WholeOr { get, nothing, .. } => match get(of) {
                Some(value) => Value::Whole(value),
                None if nothing.word.is_empty() => Value::Nothing,
                None => Value::Word(nothing.word.to_owned()),
            },
            Kind::Real { get, .. } => Value::Real(get(of)),
            Kind::Switch { get, .. } => Value::Switch(get(of)),
            Kind::Choice { options, get, .. } => Value::Word(
                options
                    .get(get(of))
                    .map_or_else(String::new, |option| option.word.to_owned()),
            ),
            Kind::Name { get, .. } => Value::Word(get(of)),
        }
    }

    /// Its value as people read it.
    #[must_use]
    pub fn title_of_value(&self, of: &TrainSettings) -> String {
        match &self.kind {
            Kind::Choice { options, get, .. } => options
                .get(get(of))
                .map_or_else(String::new, |option| option.title.to_owned()),
            Kind::Name { title, .. } => title(of),
            Kind::WholeOr { get, .. } if get(of).is_none() => "–".to_owned(),
            _ => self.get(of).to_string(),
        }
    }

    /// Changes it to what a text says, spelled as on the command line.
    ///
    /// # Errors
    /// What it can be, where the text is nothing of that.
    pub fn set(&self, of: &mut TrainSettings, text: &str) -> Result<(), String> {
        let text = text.trim();
        let allowed = || self.allowed();
        match &self.kind {
            Kind::Whole { range, set, .. } => {
                set(of, whole(text, *range).ok_or_else(allowed)?);
            }
            Kind::WholeOr {
                range,
                nothing,
                set,
                ..
            } => {
                let value = match text {
                    word if word == nothing.word => None,
                    text => Some(whole(text, *range).ok_or_else(allowed)?),
                };
                set(of, value);
            }
            Kind::Real { range, set, .. } => {
                let value = text.parse().ok();
                let value = value.filter(|value| range.contains(*value));
                set(of, value.ok_or_else(allowed)?);
            }
            Kind::Switch { set, .. } => set(
                of,
                match text {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return Err(allowed()),
                },
            ),
            Kind::Choice { options, set, .. } => {
                let place = options.iter().position(|option| option.word == text);
                set(of, place.ok_or_else(allowed)?);
            }
            Kind::Name { set, .. } => set(of, text)?,
        }
        Ok(())
    }

    /// What it can be, in words that follow “it is”.
    #[must_use]
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Whole {
                range: [least, most],
                ..
            } => format!("it is a whole number from {least} to {most}"),
            Kind::WholeOr {
                range: [least, most],
                nothing,
                ..
            } => match nothing.word {
                "" => format!("it is a whole number from {least} to {most}"),
                word => format!("it is a whole number from {least} to {most}, or {word}"),
            },
            Kind::Real { range, .. } => format!("it is a number {range}"),
            Kind::Switch { .. } => "it is yes or no".to_owned(),
            Kind::Choice { options, .. } => {
                let words: Vec<&str> = options.iter().map(|option| option.word).collect();
                format!("it is one of {}", words.join(", "))
            }
            Kind::Name { .. } => "it is a name".to_owned(),
        }
    }

    /// Whether a training with these settings depends on it: one of the head alone has no fine-tuning, one without augmented views
    /// no augmentation.
    #[must_use]
    pub fn plays(&self, of: &TrainSettings) -> bool {
        match self.group {
            SettingGroup::Data | SettingGroup::Head => true,
            SettingGroup::FineTuning => of.fine_tune.is_on(),
            // Their number says whether there are any.
            SettingGroup::Views => of.fine_tune.has_views() || self.key == "views",
        }
    }

    /// Whether its value can be as it is; settings can come from a file that somebody edited.
    fn holds(&self, of: &TrainSettings) -> bool {
        let between = |value: u64, [least, most]: [u64; 2]| (least..=most).contains(&value);
        match &self.kind {
            Kind::Whole { range, get, .. } => between(get(of), *range),
            Kind::WholeOr { range, get, .. } => get(of).is_none_or(|value| between(value, *range)),
            Kind::Real { range, get, .. } => range.contains(get(of)),
            Kind::Switch { .. } | Kind::Choice { .. } | Kind::Name { .. } => true,
        }
    }
}

fn whole(text: &str, [least, most]: [u64; 2]) -> Option<u64> {
    let value = text.parse().ok()?;
    (least..=most).contains(&value).then_some(value)
}

/// Views of each image where a change is named and their number is not.
const VIEWS_UNLESS_SAID: u32 = 8;

impl TrainSettings {
    /// Changes the settings with these keys to what the texts say, spelled as on the command line. An optimiser brings its rate
    /// unless there is one; a change of augmented views asks for some unless their number is given.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for the first that cannot be, also together with the others.
    pub fn apply(&mut self, given: &BTreeMap<&'static str, String>) -> Result<(), TrainError> {
        // In the order of the schema, in which an optimiser comes before its rate.
        for setting in SETTINGS {
            let Some(text) = given.get(setting.key) else {
                continue;
            };
            setting.set(self, text).map_err(|wrong| {
                let option = setting.option();
                TrainError::Setting(format!("--{option} cannot be “{text}”: {wrong}"))
            })?;
        }
        let changes =
            |setting: &&Setting| setting.group == SettingGroup::Views && setting.key != "views";
        let mut changes = SETTINGS.iter().filter(changes);
        if !given.contains_key("views") && changes.any(|change| given.contains_key(change.key)) {
            self.fine_tune.views = Some(VIEWS_UNLESS_SAID);
        }
        self.check()
    }

    /// Whether a training can have these settings, also those of a part that it does not have.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        SETTINGS.iter().all(|setting| setting.holds(self)) && self.check().is_ok()
    }

    /// Whether a training can have these settings. Those of a part that it does not have are not looked at.
    ///
    /// # Errors
    /// [`TrainError::Setting`] names the first that it cannot have.
    pub fn check(&self) -> Result<(), TrainError> {
        let mut wrong = SETTINGS
            .iter()
            .filter(|setting| setting.plays(self) && !setting.holds(self));
        if let Some(setting) = wrong.next() {
            return Err(TrainError::Setting(format!(
                "“{}” (--{}) cannot be {}: {}",
                setting.title,
                setting.option(),
                setting.get(self),
                setting.allowed()
            )));
        }
        let split = &self.split;
        let held_out = u32::from(split.validation_percentage) + u32::from(split.testing_percentage);
        if held_out > 90 {
            return Err(TrainError::Setting(format!(
                "--validation-percentage and --testing-percentage are {held_out} % together; at least 10 % must be left to learn from"
            )));
        }
        Ok(())
    }
}
