//! The schema of a training's settings: their names, possible values and descriptions. The options of the command
//! line, the fields of the window, the checks before a training, the columns of the table of runs and
//! `docs/settings.md` are all made from [`SETTINGS`].

#[cfg(test)]
mod document;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::{TrainError, TrainSettings};

pub use table::SETTINGS;

/// A group of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingGroup {
    /// Images, network and split.
    Data,
    /// The training of the head.
    Head,
    /// The fine-tuning.
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
    /// Its group.
    pub group: SettingGroup,
    /// Its name on the screen.
    pub title: &'static str,
    /// The unit of its numbers: a word after them, or empty. `{images}` stands for the [noun](crate::project::Noun) of
    /// the project.
    pub unit: &'static str,
    /// Its effect, in a sentence without a full stop. `{images}` as above.
    pub brief: &'static str,
    /// Advice on choosing it: a paragraph, or empty.
    pub more: &'static str,
    /// The corresponding flag of `retrain.py`.
    pub retrain: Option<&'static str>,
    /// Its possible values.
    pub kind: Kind,
}

/// The possible values of a setting, and how it is read and changed.
pub enum Kind {
    /// An integer.
    Whole {
        /// The smallest and the largest.
        range: [u64; 2],
        /// Reads it.
        get: fn(&TrainSettings) -> u64,
        /// Changes it.
        set: fn(&mut TrainSettings, u64),
    },
    /// An integer, or nothing, which has its own meaning.
    WholeOr {
        /// The smallest and the largest.
        range: [u64; 2],
        /// The meaning of nothing.
        nothing: Nothing,
        /// Reads it.
        get: fn(&TrainSettings) -> Option<u64>,
        /// Changes it.
        set: fn(&mut TrainSettings, Option<u64>),
    },
    /// A real number.
    Real {
        /// The interval.
        range: Reals,
        /// Decimals in the window.
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
    /// One of several options.
    Choice {
        /// All options.
        options: &'static [ChoiceOption],
        /// The index of the chosen one.
        get: fn(&TrainSettings) -> usize,
        /// Chooses an option by index.
        set: fn(&mut TrainSettings, usize),
    },
    /// A name that is defined elsewhere: the architecture, the depth.
    Name {
        /// Its word in files and on the command line.
        get: fn(&TrainSettings) -> String,
        /// Its title for users.
        title: fn(&TrainSettings) -> String,
        /// Sets it by its word; an error with the reason if it is invalid.
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

/// The meaning of a missing number.
#[derive(Debug)]
pub struct Nothing {
    /// The word for it on the command line in place of a number; empty if the option is omitted instead.
    pub word: &'static str,
    /// Its name on the screen.
    pub title: &'static str,
    /// Its effect, in a sentence without a full stop.
    pub brief: &'static str,
    /// The initial number in the window when this is switched off.
    pub instead: u64,
}

/// An option of a [`Kind::Choice`].
#[derive(Debug)]
pub struct ChoiceOption {
    /// Its word in files and on the command line.
    pub word: &'static str,
    /// Its name on the screen.
    pub title: &'static str,
    /// Its effect, in a sentence without a full stop.
    pub brief: &'static str,
}

/// An interval of real numbers.
#[derive(Debug, Clone, Copy)]
pub struct Reals {
    /// The lower end.
    pub least: f32,
    /// Whether the lower end is included.
    pub with_least: bool,
    /// The upper end.
    pub most: f32,
    /// Whether the upper end is included.
    pub with_most: bool,
}

impl Reals {
    /// Whether it contains a number; false for NaN.
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
    /// An integer.
    Whole(u64),
    /// A real number.
    Real(f32),
    /// On or off.
    Switch(bool),
    /// A word of a [`Kind::Choice`], a [`Kind::Name`] or of [`Nothing`].
    Word(String),
    /// No number, in a [`Kind::WholeOr`].
    Nothing,
}

impl fmt::Display for Value {
    /// As written on the command line.
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

    /// Its value for users.
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

    /// Sets it to the value in a text, as written on the command line.
    ///
    /// # Errors
    /// The possible values, if the text is not one of them.
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

    /// The possible values, in words that follow “it is”.
    #[must_use]
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Whole {
                range: [least, most],
                ..
            } => format!("it must be a whole number from {least} to {most}"),
            Kind::WholeOr {
                range: [least, most],
                nothing,
                ..
            } => match nothing.word {
                "" => format!("it must be a whole number from {least} to {most}"),
                word => format!("it must be a whole number from {least} to {most}, or {word}"),
            },
            Kind::Real { range, .. } => format!("it must be a number {range}"),
            Kind::Switch { .. } => "it must be yes or no".to_owned(),
            Kind::Choice { options, .. } => {
                let words: Vec<&str> = options.iter().map(|option| option.word).collect();
                format!("it must be one of {}", words.join(", "))
            }
            Kind::Name { .. } => "it must be a name".to_owned(),
        }
    }

    /// Whether it affects a training with these settings: one of the head alone has no fine-tuning, one without
    /// augmented views no augmentation.
    #[must_use]
    pub fn plays(&self, of: &TrainSettings) -> bool {
        match self.group {
            SettingGroup::Data | SettingGroup::Head => true,
            SettingGroup::FineTuning => of.fine_tune.is_on(),
            // Their number determines whether there are any.
            SettingGroup::Views => of.fine_tune.has_views() || self.key == "views",
        }
    }

    /// Whether its value is valid; settings may come from an edited file.
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

/// The number of views of each image if an augmentation is given but no number.
const VIEWS_UNLESS_SAID: u32 = 8;

impl TrainSettings {
    /// Sets the settings with these keys to the values in the texts, as written on the command line. An optimiser also
    /// sets its default rate unless a rate is given; an augmentation also sets a number of views unless that is given.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for the first that is invalid, alone or together with the others.
    pub fn apply(&mut self, given: &BTreeMap<&'static str, String>) -> Result<(), TrainError> {
        // In the order of the schema, so that an optimiser comes before its rate.
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

    /// Checks that a training can have these settings. Those that do not affect it are ignored.
    ///
    /// # Errors
    /// [`TrainError::Setting`] names the first invalid one.
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
                "--validation-percentage and --testing-percentage are {held_out} % together; at least 10 % must remain for training"
            )));
        }
        Ok(())
    }
}
