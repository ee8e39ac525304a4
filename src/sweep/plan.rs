//! The plan of a sweep: settings with several values each, and the trainings for their combinations.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Depth};
use crate::train::schema::{Kind, SETTINGS, Setting};
use crate::train::{RankBy, TrainSettings};

use super::{SweepError, Training};

/// The most trainings in a sweep.
const MOST: usize = 1_000;

/// The most values in a range.
const MOST_VALUES: usize = 100;

/// A setting and its values, written as on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepAxis {
    /// The key of the [setting](crate::train::schema::Setting).
    pub key: String,
    /// Its values, without duplicates.
    pub values: Vec<String>,
}

/// A plan of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlan {
    /// The settings that all trainings have in common.
    pub base: TrainSettings,
    /// The settings that vary.
    pub axes: Vec<SweepAxis>,
    /// The number of trainings for each configuration, each with another split seed; at least 1.
    pub repeats: u32,
    /// The metric for ranking, measured on validation images: test images would no longer be independent if they were
    /// used for a choice.
    pub rank: RankBy,
}

/// The trainings of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trainings {
    /// In the order of training: those that share bottlenecks are consecutive.
    pub list: Vec<Training>,
    /// The number of combinations left out because they are equivalent to another, such as different fine-tuning rates
    /// with the head alone.
    pub alike: usize,
}

impl SweepAxis {
    /// Reads values as users type them: `0.01,0.03`, `0.001..0.1 log 5`, `100..500 linear 3`, or a list of both.
    /// Hyphens in the key are read as underscores.
    ///
    /// # Errors
    /// [`SweepError::Plan`] for an unknown setting or an invalid value.
    pub fn parse(key: &str, text: &str) -> Result<Self, SweepError> {
        let name = key.trim().replace('-', "_");
        let setting = Setting::find(&name).ok_or_else(|| unknown(key))?;
        let mut values: Vec<String> = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let found = match item.split_once("..") {
                Some((from, rest)) => range(setting, from.trim(), rest.trim(), item)?,
                None => vec![checked(setting, item)?],
            };
            for value in found {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        if values.is_empty() {
            return Err(SweepError::Plan(format!(
                "“{key}” has no values; give some, such as {key}=0.01,0.03"
            )));
        }
        Ok(Self { key: name, values })
    }

    /// Backbones or architectures, each at its own resolution or at all of `resolutions`.
    ///
    /// # Errors
    /// [`SweepError::Backbone`] for a backbone that is unknown, [`SweepError::Plan`] for one that is not offered at a
    /// resolution.
    pub fn architectures(names: &[String], resolutions: &[u32]) -> Result<Self, SweepError> {
        let mut values = Vec::new();
        for name in names {
            let architecture: Architecture = name.parse()?;
            let at: Vec<u32> = if resolutions.is_empty() || name.contains('@') {
                vec![architecture.resolution_px]
            } else {
                resolutions.to_vec()
            };
            for resolution_px in at {
                let one = Architecture {
                    backbone: architecture.backbone.clone(),
                    resolution_px,
                };
                let offered = architecture.entry()?.resolutions.clone();
                if !offered.contains(&resolution_px) {
                    let offered: Vec<String> = offered.iter().map(u32::to_string).collect();
                    return Err(SweepError::Plan(format!(
                        "“{name}” is not available at {resolution_px} pixels, but at {}; give those as {name}@{}",
                        offered.join(", "),
                        architecture.resolution_px
                    )));
                }
                let value = one.to_string();
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        Ok(Self {
            key: "architecture".into(),
            values,
        })
    }

    /// Depths, sorted from the shallowest.
    #[must_use]
    pub fn depths(depths: &[Depth]) -> Self {
        let mut depths = depths.to_vec();
        depths.sort_unstable();
        depths.dedup();
        Self {
            key: "depth".into(),
            values: depths.iter().map(|depth| depth.word().to_owned()).collect(),
        }
    }

    /// Its setting; `None` if this version does not know it.
    #[must_use]
    pub fn setting(&self) -> Option<&'static Setting> {
        Setting::find(&self.key)
    }

    /// The order of axes, outermost first: settings that affect bottlenecks, then the rest in the order of the schema.
    fn order(&self) -> usize {
        match self.key.as_str() {
            "architecture" => 0,
            "fit" => 1,
            "depth" => 2,
            key => 3 + SETTINGS.iter().take_while(|one| one.key != key).count(),
        }
    }
}

fn unknown(key: &str) -> SweepError {
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    SweepError::Plan(format!(
        "there is no setting “{key}”; the settings are {}",
        known.join(", ")
    ))
}

/// A value, after checking that the setting can have it.
fn checked(setting: &Setting, text: &str) -> Result<String, SweepError> {
    let mut settings = TrainSettings::default();
    match setting.set(&mut settings, text) {
        Ok(()) => Ok(text.to_owned()),
        Err(wrong) => Err(SweepError::Plan(format!(
            "“{}” cannot be “{text}”: {wrong}",
            setting.key
        ))),
    }
}

/// The values of a range `from..to log n`: n values including both ends, with equal ratios, or equal differences if it
/// is linear.
fn range(setting: &Setting, from: &str, rest: &str, item: &str) -> Result<Vec<String>, SweepError> {
    let wrong = |why: &str| {
        SweepError::Plan(format!(
            "“{item}” is not a valid range for “{}”: {why}; write it as 0.001..0.1 log 5, or 100..500 linear 3",
            setting.key
        ))
    };
    let whole = match &setting.kind {
        Kind::Whole { .. } | Kind::WholeOr { .. } => true,
        Kind::Real { .. } => false,
        _ => return Err(wrong("only numbers have ranges")),
    };
    let mut words = rest.split_whitespace();
    let (to, how, count) = (words.next(), words.next(), words.next());
    let (Some(to), Some(how), Some(count), None) = (to, how, count, words.next()) else {
        return Err(wrong("it must have an end, a kind and a number of values"));
    };
    let (from, to) = (checked(setting, from)?, checked(setting, to)?);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let (Some(first), Some(last)) = (number(&from), number(&to)) else {
        return Err(wrong("its ends are not numbers"));
    };
    let count: usize = count
        .parse()
        .map_err(|_| wrong("the number of values is not a number"))?;
    if !(2..=MOST_VALUES).contains(&count) {
        return Err(wrong("it must have 2 to 100 values"));
    }
    let is_log = match how {
        "log" if first > 0.0 && last > 0.0 => true,
        "log" => return Err(wrong("a logarithmic range needs ends over 0")),
        "linear" => false,
        _ => return Err(wrong("its kind must be log or linear")),
    };
    let last_index = count - 1;
    (0..count)
        .map(|index| {
            let part = index as f64 / last_index as f64;
            // The ends keep their spelling.
            let text = if index == 0 {
                from.clone()
            } else if index == last_index {
                to.clone()
            } else if is_log {
                spelled(first * (last / first).powf(part), whole)
            } else {
                spelled(first + (last - first) * part, whole)
            };
            checked(setting, &text)
        })
        .collect()
}

/// A number with three significant digits; consecutive values of a range differ by more than that.
fn spelled(value: f64, whole: bool) -> String {
    if whole {
        return format!("{value:.0}");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits.abs());
    let rounded = if digits >= 0 {
        (value * scale).round() / scale
    } else {
        (value / scale).round() * scale
    };
    format!("{}", rounded as f32)
}

impl SweepPlan {
    /// One training for each combination of values and each repeat.
    ///
    /// # Errors
    /// [`SweepError::Plan`] for too many trainings, and for combinations that are invalid.
    pub fn trainings(&self) -> Result<Trainings, SweepError> {
        let mut axes: Vec<&SweepAxis> = self.axes.iter().collect();
        axes.sort_by_key(|axis| axis.order());
        if let Some(twice) = axes.windows(2).find_map(|pair| match pair {
            [a, b] if a.key == b.key => Some(&a.key),
            _ => None,
        }) {
            return Err(SweepError::Plan(format!(
                "“{twice}” is given twice; give all of its values together"
            )));
        }
        let repeats = self.repeats.max(1);
        if repeats > 1 && axes.iter().any(|axis| axis.key == "split_seed") {
            return Err(SweepError::Plan(
                "repeats use several split seeds; give repeats or split_seed, not both".into(),
            ));
        }
        let combinations = axes
            .iter()
            .fold(1_usize, |all, axis| all.saturating_mul(axis.values.len()));
        let count = combinations.saturating_mul(repeats as usize);
        if count > MOST {
            return Err(SweepError::Plan(format!(
                "these are {count} trainings, but a sweep has at most {MOST}; give fewer values"
            )));
        }
        let mut found = Trainings::default();
        let mut seen = HashSet::new();
        let mut configuration = 0;
        for index in 0..combinations {
            let settings = self.combination(&axes, index)?;
            if !seen.insert(identity(&settings)) {
                found.alike += 1;
                continue;
            }
            for repeat in 0..repeats {
                let mut settings = settings.clone();
                let seed = &mut settings.split.split_seed;
                *seed = seed.wrapping_add(u64::from(repeat));
                found.list.push(Training {
                    configuration,
                    settings,
                    expected_secs: None,
                    outcome: None,
                });
            }
            configuration += 1;
        }
        Ok(found)
    }

    /// The settings of a combination; the last axis varies fastest.
    fn combination(&self, axes: &[&SweepAxis], index: usize) -> Result<TrainSettings, SweepError> {
        let mut given = BTreeMap::new();
        let mut rest = index;
        for axis in axes.iter().rev() {
            let setting = axis.setting().ok_or_else(|| unknown(&axis.key))?;
            let count = axis.values.len().max(1);
            if let Some(value) = axis.values.get(rest % count) {
                given.insert(setting.key, value.clone());
            }
            rest /= count;
        }
        let mut settings = self.base.clone();
        settings
            .apply(&given)
            .map_err(|error| SweepError::Plan(error.to_string()))?;
        settings.architecture = settings.architecture.resolved()?;
        Ok(settings)
    }
}

/// The values of all settings that affect the training; equal ones make equal trainings.
fn identity(settings: &TrainSettings) -> Vec<String> {
    let values = SETTINGS.iter().map(|setting| {
        if setting.plays(settings) {
            setting.get(settings).to_string()
        } else {
            String::new()
        }
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn plan(axes: &[(&str, &str)]) -> SweepPlan {
        SweepPlan {
            base: TrainSettings::default(),
            axes: axes
                .iter()
                .map(|(key, text)| SweepAxis::parse(key, text).unwrap())
                .collect(),
            repeats: 1,
            rank: RankBy::Accuracy,
        }
    }

    #[test]
    fn values_are_lists_and_ranges() {
        let values = |key, text| SweepAxis::parse(key, text).unwrap().values;
        assert_eq!(values("learning_rate", "0.01, 0.03,0.01"), ["0.01", "0.03"]);
        assert_eq!(
            values("learning-rate", "0.001..0.1 log 5"),
            ["0.001", "0.00316", "0.01", "0.0316", "0.1"]
        );
        assert_eq!(
            values("how_many_training_steps", "100..400 linear 3,1000"),
            ["100", "250", "400", "1000"]
        );
        // Integers that round to the same value appear once.
        assert_eq!(values("views", "1..3 linear 5"), ["1", "2", "3"]);
        assert_eq!(values("optimizer", "sgd,adam-w"), ["sgd", "adam-w"]);
        for (key, text, part) in [
            ("learning_rate", "-1", "cannot be “-1”"),
            ("learning_rate", "0.1..1 log", "number of values"),
            ("label_smoothing", "0..0.5 log 3", "over 0"),
            ("optimizer", "sgd..adam log 2", "only numbers"),
            ("learning_rate", "0.1..1 log 1000", "2 to 100"),
            ("speed", "1", "no setting “speed”"),
            ("learning_rate", " , ", "no values"),
        ] {
            let message = SweepAxis::parse(key, text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn those_that_share_bottlenecks_follow_each_other() {
        let plan = plan(&[
            ("learning_rate", "0.01,0.1"),
            ("depth", "head,last-1"),
            ("architecture", "mobilenet-v2@96,efficientnet-lite0@96"),
        ]);
        let found = plan.trainings().unwrap();
        let names: Vec<String> = found
            .list
            .iter()
            .map(|one| {
                let of = &one.settings;
                format!(
                    "{} {} {}",
                    of.architecture, of.fine_tune.depth, of.head.learn.learning_rate
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                "mobilenet-v2@96 head 0.01",
                "mobilenet-v2@96 head 0.1",
                "mobilenet-v2@96 last-1 0.01",
                "mobilenet-v2@96 last-1 0.1",
                "efficientnet-lite0@96 head 0.01",
                "efficientnet-lite0@96 head 0.1",
                "efficientnet-lite0@96 last-1 0.01",
                "efficientnet-lite0@96 last-1 0.1",
            ]
        );
    }

    #[test]
    fn what_comes_to_the_same_is_trained_once() {
        let found = plan(&[
            ("depth", "head,last-1"),
            ("fine_tune_learning_rate", "0.001,0.01,0.1"),
        ])
        .trainings()
        .unwrap();
        assert_eq!((found.list.len(), found.alike), (4, 2));
    }

    #[test]
    fn repeats_differ_in_the_split_alone() {
        let mut plan = plan(&[("learning_rate", "0.01,0.1")]);
        plan.repeats = 3;
        plan.base.split.split_seed = 7;
        let found = plan.trainings().unwrap().list;
        let seeds: Vec<(u32, u64)> = found
            .iter()
            .map(|one| (one.configuration, one.settings.split.split_seed))
            .collect();
        assert_eq!(seeds, [(0, 7), (0, 8), (0, 9), (1, 7), (1, 8), (1, 9)]);
        plan.axes
            .push(SweepAxis::parse("split_seed", "1,2").unwrap());
        assert!(plan.trainings().is_err());
    }

    #[test]
    fn too_many_and_impossible_ones_are_refused() {
        let many = plan(&[
            ("learning_rate", "0.01..0.1 log 40"),
            ("head_weight_decay", "0..1 linear 40"),
        ]);
        let message = many.trainings().unwrap_err().to_string();
        assert!(message.contains("1600"), "{message}");
        let nothing_left = plan(&[
            ("validation_percentage", "10,60"),
            ("testing_percentage", "60"),
        ]);
        assert!(nothing_left.trainings().is_err());
    }

    #[test]
    fn resolutions_are_of_all_architectures_that_name_none() {
        let of = |names: &[&str], resolutions: &[u32]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            SweepAxis::architectures(&names, resolutions).map(|axis| axis.values)
        };
        let found = of(&["mobilenet-v2", "efficientnet-lite0@224"], &[96, 128]).unwrap();
        assert_eq!(
            found,
            [
                "mobilenet-v2@96",
                "mobilenet-v2@128",
                "efficientnet-lite0@224"
            ]
        );
        let message = of(&["mobilenet-v2"], &[97]).unwrap_err().to_string();
        assert!(message.contains("97 pixels"), "{message}");
        assert!(of(&["nothing-such"], &[]).is_err());
    }
}
