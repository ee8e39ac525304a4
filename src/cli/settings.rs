//! The options for settings of a training, generated from their [schema](crate::train::schema).

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::project::Noun;
use crate::train::TrainSettings;
use crate::train::schema::{Kind, SETTINGS, Setting, SettingGroup};

use super::Usage;

/// The options that can be combined with `--resume`: they extend a run.
pub const EXTENDING: [&str; 2] = ["how_many_training_steps", "fine_tune_steps"];

/// The option `--depth` is defined separately.
const ELSEWHERE: [&str; 1] = ["depth"];

/// The given settings, by key.
#[derive(Debug, Default, Clone)]
pub struct SettingArgs(BTreeMap<&'static str, String>);

impl SettingArgs {
    /// The given value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Applies the given values to the settings.
    pub fn apply(&self, settings: &mut TrainSettings) -> Result<(), Usage> {
        let applied = settings.apply(&self.0);
        applied.map_err(|error| Usage(error.to_string()))
    }
}

/// A preset, and what differs from it.
#[derive(Debug, clap::Args)]
pub struct BaseArgs {
    /// Defaults for the settings that are not given
    #[arg(
        long,
        value_name = "P",
        default_value = "recommended",
        conflicts_with = "resume"
    )]
    pub preset: Preset,
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// The settings to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Salamander's defaults
    Recommended,
    /// The defaults of retrain.py: the head alone, 4000 steps of plain gradient descent
    Classic,
}

impl Preset {
    /// Its settings.
    pub fn settings(self) -> TrainSettings {
        match self {
            Self::Recommended => TrainSettings::default(),
            Self::Classic => TrainSettings::classic(),
        }
    }
}

impl clap::Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        options().fold(command, |command, setting| command.arg(option(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = options().filter_map(|setting| {
            let text = match setting.kind {
                Kind::Switch { .. } => matches.get_flag(setting.key).then(|| "yes".to_owned()),
                _ => matches.get_one::<String>(setting.key).cloned(),
            };
            Some((setting.key, text?))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn options() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| !ELSEWHERE.contains(&setting.key))
}

/// The option for a setting.
fn option(setting: &'static Setting) -> Arg {
    let mut arg = Arg::new(setting.key)
        .long(setting.option())
        .help(help(setting));
    if !EXTENDING.contains(&setting.key) {
        arg = arg.conflicts_with("resume");
    }
    // The first group is listed with the options that are not settings.
    if setting.group != SettingGroup::Data {
        arg = arg.help_heading(setting.group.title());
    }
    let name = match &setting.kind {
        Kind::Switch { .. } => return arg.action(ArgAction::SetTrue),
        Kind::Choice { options, .. } => {
            let words = options.iter().map(|option| {
                clap::builder::PossibleValue::new(option.word)
                    .help(Noun::Frame.fill(option.brief).into_owned())
            });
            let words: Vec<_> = words.collect();
            return arg
                .value_name("WORD")
                .value_parser(clap::builder::PossibleValuesParser::new(words));
        }
        Kind::Whole { .. } | Kind::WholeOr { .. } => "N",
        Kind::Real { .. } => "F",
        Kind::Name { .. } => "NAME",
    };
    arg.value_name(name)
        .allow_negative_numbers(true)
        .value_parser(|text: &str| {
            let mut settings = TrainSettings::default();
            setting.set(&mut settings, text).map(|()| text.to_owned())
        })
}

/// The help of an option: its effect, special values, its default.
fn help(setting: &Setting) -> String {
    let mut text = Noun::Frame.fill(setting.brief).into_owned();
    if !setting.unit.is_empty() {
        let unit = Noun::Frame.fill(setting.unit);
        if !matches!(&*unit, "frames" | "steps") {
            text = format!("{text}, in {unit}");
        }
    }
    if let Kind::WholeOr { nothing, .. } = &setting.kind
        && !nothing.word.is_empty()
    {
        let brief = Noun::Frame.fill(nothing.brief);
        text = format!("{text}; {}: {}", nothing.word, lower(&brief));
    }
    if let Kind::Switch { .. } = setting.kind {
        return text;
    }
    let default = setting.get(&TrainSettings::default());
    format!("{text} [default: {default}]")
}

/// With its first letter in lower case.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}
