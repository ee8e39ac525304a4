//! Writes the model card as `MODEL_CARD.md`. Writing to a string cannot fail.

use std::fmt::Write as _;

use super::{Card, Counted, Measured};
use crate::project::Noun;
use crate::text::{bytes, count, percent, visible};

impl Card {
    /// The contents of [`super::FILE`].
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Model card: {}\n\n", plain(&self.project));
        if !self.name.is_empty() {
            _ = write!(text, "The run is called “{}”.\n\n", plain(&self.name));
        }
        _ = write!(
            text,
            "An image classifier made by {}: run {}, begun on {}, architecture {}, trained: {} ({} weights).\n\n",
            self.program,
            code(&self.run),
            plain(&self.date),
            code(&self.architecture),
            match self.depth.as_str() {
                "head" => "the last layer".to_owned(),
                depth => format!("the last layer and the network ({})", code(depth)),
            },
            self.trained_weights
        );
        text += &section("Intended use", &self.intended_use);
        text += &section("Limitations", &self.limits);
        text += "## Accuracy\n\n";
        _ = write!(
            text,
            "{} on {} ({} right). {}\n\n",
            part(&self.accuracy),
            images(self.accuracy.images, &self.accuracy.split),
            self.accuracy.correct,
            if self.accuracy.interval_95.is_some() {
                "The 95 % interval is computed over sources, because images of one source look alike: with other sources of the same kind, the figure would be within it 19 times out of 20."
            } else {
                "The images come from one source, so it is unknown how much the figure would differ on others."
            }
        );
        if let Some(leak) = &self.leak {
            _ = write!(text, "{}\n\n", leak.sentence(Noun::Image));
        }
        if let Some(found) = &self.calibration {
            _ = write!(
                text,
                "Its probabilities are calibrated (temperature {:.2}, fitted on {} validation images; expected calibration error on them {:.1} %, without it {:.1} %).\n\n",
                found.temperature,
                found.frames,
                100.0 * found.expected_error[1],
                100.0 * found.expected_error[0]
            );
        }
        text += &self.class_table();
        if !self.confused.is_empty() {
            text += "Most confused:\n\n";
            for pair in &self.confused {
                _ = writeln!(
                    text,
                    "- {} taken for {}: {} of {}",
                    plain(&pair.class),
                    plain(&pair.called),
                    pair.images,
                    count(pair.of, "image")
                );
            }
            text += "\n";
        }
        text += &self.data_section();
        if !self.notes.is_empty() {
            let notes: Vec<String> = self.notes.iter().map(|note| plain(note)).collect();
            text += &section("Notes on these figures", &notes);
        }
        text += &self.model_table();
        let licences: Vec<String> = self.licences.iter().map(|licence| plain(licence)).collect();
        text += &section("Licences", &licences);
        // The file ends with a single line break.
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn class_table(&self) -> String {
        let mut text =
            "| class | recall (95 %) | images | precision |\n| --- | --- | ---: | ---: |\n"
                .to_owned();
        for class in &self.classes {
            let precision = class.precision.map_or_else(|| "–".to_owned(), percent);
            _ = writeln!(
                text,
                "| {} | {} | {} | {precision} |",
                plain(&class.class),
                part(&class.recall),
                class.recall.images
            );
        }
        text + "\n"
    }

    fn data_section(&self) -> String {
        let mut text = "## Data\n\n".to_owned();
        for sentence in &self.data.split {
            _ = writeln!(text, "{sentence}");
        }
        text += "A source is a video, or a group of similar photos.\n\n";
        text += "| | training | validation | test |\n| --- | ---: | ---: | ---: |\n";
        let row = |name: &str, sides: [&Counted; 3]| {
            let cells: Vec<String> = sides
                .iter()
                .map(|side| format!("{} ({})", side.images, count(side.sources, "source")))
                .collect();
            format!("| {name} | {} |\n", cells.join(" | "))
        };
        for class in &self.classes {
            let sides = [&class.train, &class.validation, &class.test];
            text += &row(&plain(&class.class), sides);
        }
        let data = &self.data;
        text += &row("**all**", [&data.train, &data.validation, &data.test]);
        text + "\n"
    }

    fn model_table(&self) -> String {
        let mut text = format!(
            "## Models\n\nEach was compared with the run on {}; certificate.json lists every image with a different answer.\n\n",
            images(self.accuracy.images, &self.accuracy.split)
        );
        text += "| file | size | of fp32 | top-1 | difference (95 %) | flips | ms | proof |\n";
        text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n";
        for model in &self.models {
            let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
            let ms = model.latency_ms;
            _ = writeln!(
                text,
                "| {} | {} | {:.0} % | {:.1} % | {:+.1} ({low:+.1} to {high:+.1}) | {} | {} | {} |",
                code(&model.file),
                bytes(model.bytes),
                model.size_ratio * 100.0,
                model.top1 * 100.0,
                model.top1_difference * 100.0,
                model.flips,
                ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}")),
                model.proof
            );
        }
        text += "\n";
        for model in &self.models {
            if let Some(loss) = &model.accepted_loss {
                _ = write!(
                    text,
                    "**Accepted although it loses more accuracy than its format allows:** {}: {}.\n\n",
                    code(&model.file),
                    plain(loss)
                );
            }
        }
        text
    }
}

fn section(title: &str, sentences: &[String]) -> String {
    let lines: Vec<String> = sentences
        .iter()
        .map(|sentence| format!("- {sentence}"))
        .collect();
    format!("## {title}\n\n{}\n\n", lines.join("\n"))
}

fn images(images: u64, split: &str) -> String {
    let side = match split {
        "train" => "training",
        other => other,
    };
    count(images, &format!("{side} image"))
}

fn part(measured: &Measured) -> String {
    match (measured.part, measured.interval_95) {
        (Some(part), Some((low, high))) => format!(
            "{} ({:.1} to {:.1})",
            percent(part),
            low * 100.0,
            high * 100.0
        ),
        (Some(part), None) => percent(part),
        _ => "not measured".to_owned(),
    }
}

/// Escapes text from the user so that Markdown shows it literally: no markup, and no links, including those that
/// viewers make of bare addresses. Control and invisible characters are written out.
fn plain(text: &str) -> String {
    // Characters that are special only at the beginning of a line never appear there.
    let special = |c: char| "\\`*_[]<>|~&#:@!".contains(c);
    let mut escaped = String::new();
    for c in visible(text).chars() {
        // Addresses can also begin with `www.`.
        let is_address = c == '.' && escaped.to_ascii_lowercase().ends_with("www");
        if special(c) || is_address {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A name as inline code, if that can hold it.
fn code(name: &str) -> String {
    if name.is_empty() || name.contains(['`', '|']) {
        return plain(name);
    }
    format!("`{}`", visible(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_markup_or_a_link() {
        for (name, written) in [
            ("red, dark", "red, dark"),
            ("a|b`c", "a\\|b\\`c"),
            ("[x](http://e.org)", "\\[x\\](http\\://e.org)"),
            ("<http://e.org>", "\\<http\\://e.org\\>"),
            ("WWW.e.org", "WWW\\.e.org"),
            ("me@e.org", "me\\@e.org"),
            ("![x](y)", "\\!\\[x\\](y)"),
            ("a\n# b", "a\\\\n\\# b"),
            ("tac\u{202e}", "tac\\\\u{202e}"),
        ] {
            assert_eq!(plain(name), written, "{name:?}");
        }
        assert_eq!(code("lite0@96"), "`lite0@96`");
        assert_eq!(code("a`b|\n"), "a\\`b\\|\\\\n");
    }
}
