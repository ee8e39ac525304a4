//! The schema as a document for users: `docs/settings.md`.

use std::fmt;

use crate::project::Noun;
use crate::train::TrainSettings;

use super::{Kind, SETTINGS, Setting, SettingGroup};

/// `docs/settings.md`, in Markdown.
pub(super) struct Document;

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "# Settings of a training\n\nEach is an option of `salamander train` and a field in the window. This page is generated from the schema in `src/train/schema/`.\n",
        )?;
        for group in SettingGroup::ALL {
            write!(f, "\n## {}\n", group.title())?;
            for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
                section(f, setting)?;
            }
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, setting: &Setting) -> fmt::Result {
    let fill = |text| Noun::Image.fill(text);
    let default = setting.get(&TrainSettings::default());
    let unit = match setting.unit {
        "" => String::new(),
        "%" => " %".to_owned(),
        unit => format!(" {}", fill(unit)),
    };
    write!(
        f,
        "\n### {}\n\n`--{}` · default {default}{unit} · {}",
        fill(setting.title),
        setting.option(),
        match &setting.kind {
            Kind::Name { .. } => "a name".to_owned(),
            Kind::Choice { .. } => "one of the values below".to_owned(),
            Kind::Switch { .. } => "on if given".to_owned(),
            _ => setting
                .allowed()
                .trim_start_matches("it must be ")
                .to_owned(),
        }
    )?;
    if let Some(flag) = setting.retrain {
        write!(f, " · `--{flag}` of `retrain.py`")?;
    }
    write!(f, "\n\n{}.", fill(setting.brief))?;
    if !setting.more.is_empty() {
        write!(f, " {}", fill(setting.more))?;
    }
    writeln!(f)?;
    match &setting.kind {
        Kind::WholeOr { nothing, .. } => {
            writeln!(f, "\n* `{}`: {}.", nothing.word, fill(nothing.brief))?;
        }
        Kind::Choice { options, .. } => {
            writeln!(f)?;
            for option in *options {
                writeln!(f, "* `{}`: {}.", option.word, fill(option.brief))?;
            }
        }
        _ => {}
    }
    Ok(())
}
