//! `salamander import`: imports videos and photos into a project.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use crate::media::{
    ClassFrom, Fate, FileReport, ImportOptions, ImportOutcome, OnConflict, Totals, import,
    start_decoders,
};
use crate::project::{ClassName, Fps, Label, Sampling, SourceId};
use crate::text::{count, visible};

use super::console::Console;
use super::table::{Align, names, table};
use super::{ProjectArg, Usage, shown};

/// Import videos (as frames) and photos into a project
///
/// Folders are searched recursively, and the result accounts for each file: imported, already there, skipped (with the
/// reason) or failed. Importing the same files again writes only what is missing.
///
/// With `--class-from folder` the whole tree is considered: in `cat/day1`, `cat/day2`, `dog/day1` the classes are cat
/// and dog. Folders called `train`, `val` and `test`, above or below the class folders, are a split, which is kept even
/// without `--class-from folder`. Images beside class folders or in a folder called `unsorted`, and files given
/// individually, stay unsorted. Frames of another project keep their source and time.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Videos, photos, and folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    taking: TakingArgs,
    /// What to do with files that the project already has under a different class; of copies within one import only the
    /// first is moved
    #[arg(long, value_name = "WHAT", default_value = "leave")]
    on_conflict: Conflict,
    /// Extract videos again that are in the project with another rate or width: the old frames go to the trash, and the
    /// new ones get their labels
    #[arg(long)]
    replace: bool,
    /// Add frames to videos that are in the project, even with another rate or width: a new frame between two of the
    /// same class gets that class, one at the time of an existing frame gets its label, and all others get the class of
    /// the import
    #[arg(long, conflicts_with = "replace")]
    like_neighbours: bool,
    /// Write any number of frames, even over 20,000 or more than seem to fit on the disk
    #[arg(long)]
    force: bool,
}

/// What is taken from the files, and which classes it gets.
#[derive(Debug, Clone, clap::Args)]
pub struct TakingArgs {
    /// Give all frames this class
    #[arg(long, value_name = "NAME", conflicts_with = "class_from")]
    class: Option<String>,
    /// Take classes from the folders or from the file names (`cat-3.mp4` is `cat`) [default: frames stay unsorted]
    #[arg(long, value_name = "WHAT")]
    class_from: Option<From>,
    /// Ignore the split of `train`, `val` and `test` folders: split their files like all others
    #[arg(long)]
    ignore_split: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Width of the frames in pixels, or `original`; never wider than the video [default: 500]
    #[arg(long, value_name = "W", value_parser = width)]
    width: Option<Width>,
    /// Quality of the JPEG files as FFmpeg's -q:v, 2 (best) to 31 [default: 2]
    #[arg(long, value_name = "Q", value_parser = clap::value_parser!(u8).range(2..=31))]
    jpeg_quality: Option<u8>,
}

impl TakingArgs {
    /// The options of an import, the others at their defaults.
    pub fn options(&self) -> anyhow::Result<ImportOptions> {
        let mut sampling = self.sampling.sampling()?;
        match self.width {
            Some(Width::Pixels(px)) => sampling.width_px = Some(px),
            Some(Width::Original) => sampling.width_px = None,
            None => {}
        }
        if let Some(quality) = self.jpeg_quality {
            sampling.jpeg_quality = quality;
        }
        Ok(ImportOptions {
            class_from: match (&self.class, self.class_from) {
                (Some(name), _) => ClassFrom::Chosen(ClassName::new(name)?),
                (None, Some(From::Folder)) => ClassFrom::Folder,
                (None, Some(From::File)) => ClassFrom::File,
                (None, None) => ClassFrom::Nothing,
            },
            sampling,
            ignore_split: self.ignore_split,
            ..ImportOptions::default()
        })
    }
}

/// Which frames of a video are taken.
#[derive(Debug, Clone, clap::Args)]
pub struct SamplingArgs {
    /// Frames per second, as FFmpeg's fps filter takes them [default: 2]
    #[arg(long, value_name = "F", value_parser = fps)]
    fps: Option<f64>,
    /// Start at this time: seconds or h:m:s
    #[arg(long, value_name = "T", value_parser = time)]
    from: Option<f64>,
    /// End at this time: seconds or h:m:s
    #[arg(long, value_name = "T", value_parser = time)]
    to: Option<f64>,
}

impl SamplingArgs {
    /// The sampling; `Usage` if it ends before it starts.
    pub fn sampling(&self) -> anyhow::Result<Sampling> {
        if let Some(to) = self.to
            && self.from.unwrap_or(0.0) >= to
        {
            return Err(Usage("--from must be before --to".into()).into());
        }
        let default = Sampling::default();
        Ok(Sampling {
            fps: self.fps.map_or(default.fps, Fps),
            from_secs: self.from,
            to_secs: self.to,
            ..default
        })
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    /// The folders, considered as a whole
    Folder,
    /// The file's name without extension and trailing number
    File,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Conflict {
    /// Leave them where they are
    Leave,
    /// Move them to the class of this import
    Move,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Original,
    Pixels(u32),
}

#[derive(Serialize)]
pub struct Result {
    files: u64,
    imported: u64,
    known: u64,
    conflicts: u64,
    moved: u64,
    trashed: u64,
    passed_over: u64,
    failed: u64,
    videos: u64,
    images: u64,
    frames: u64,
    replaced: u64,
    sources: u64,
    skipped: u64,
    classes: Vec<String>,
    passed_over_for: Vec<PassedOver>,
    notes: Vec<String>,
}

impl Result {
    /// The numbers of files by result.
    pub fn of(outcome: &ImportOutcome, totals: &Totals) -> Self {
        let sources = outcome.files.iter().filter_map(|file| match &file.fate {
            Fate::Imported { source, .. } => Some(source),
            _ => None,
        });
        let sources: std::collections::HashSet<_> = sources.collect();
        Self {
            files: totals.files,
            imported: totals.imported,
            known: totals.known,
            conflicts: totals.conflicts,
            moved: totals.moved,
            trashed: totals.trashed,
            passed_over: totals.passed_over,
            failed: totals.failed,
            videos: totals.videos,
            images: totals.images,
            frames: totals.frames,
            replaced: totals.replaced,
            sources: sources.len() as u64,
            skipped: totals.failed,
            classes: outcome.classes.iter().map(ToString::to_string).collect(),
            passed_over_for: outcome
                .passed_over()
                .into_iter()
                .map(|(reason, files)| PassedOver {
                    reason: reason.code(),
                    text: reason.text(),
                    files,
                })
                .collect(),
            notes: outcome.notes.clone(),
        }
    }
}

/// One event for each file.
pub fn report_files(console: &Console, outcome: &ImportOutcome) -> anyhow::Result<()> {
    for report in &outcome.files {
        console.event("file", &File::of(report))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct PassedOver {
    reason: &'static str,
    text: String,
    files: u64,
}

/// One file and its result.
#[derive(Serialize)]
struct File<'a> {
    path: String,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    text: String,
}

impl<'a> File<'a> {
    fn of(report: &'a FileReport) -> Self {
        let mut file = Self {
            path: shown(&report.path),
            fate: report.fate.code(),
            kind: report.kind.map(|kind| kind.to_string()),
            class: None,
            asked_class: None,
            moved: None,
            trashed: None,
            place: None,
            source: None,
            frames: None,
            replaced: None,
            reason: None,
            text: report.fate.text(),
        };
        match &report.fate {
            Fate::Imported {
                class,
                source,
                frames,
                place,
                asked,
                moved,
                replaced,
                note: _,
            } => {
                file.class = class.as_ref().map(ClassName::as_str);
                file.source = Some(source.as_str());
                file.frames = Some(*frames);
                file.asked_class = asked.as_ref().map(ClassName::as_str);
                file.moved = asked.is_some().then_some(*moved);
                file.replaced = Some(*replaced).filter(|replaced| *replaced > 0);
                file.place = place.as_deref();
            }
            Fate::Known(known) => {
                file.class = match &known.label {
                    Label::Class(class) => Some(class.as_str()),
                    Label::Unsorted => None,
                };
                file.asked_class = known.asked.as_ref().map(ClassName::as_str);
                file.moved = Some(known.moved);
                file.trashed = Some(known.trashed);
                file.place = Some(&known.place);
                file.source = known.source.as_ref().map(SourceId::as_str);
            }
            Fate::PassedOver(reason) => file.reason = Some(reason.code()),
            Fate::Failed(_) => {}
        }
        file
    }
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let options = ImportOptions {
        on_conflict: match args.on_conflict {
            Conflict::Leave => OnConflict::Leave,
            Conflict::Move => OnConflict::Move,
        },
        replace: args.replace,
        like_neighbours: args.like_neighbours,
        force: args.force,
        ..args.taking.options()?
    };
    start_decoders(1);
    let folder = shown(&args.project.project);
    let project = args.project.open(console)?;
    // Before the files are searched.
    project.check_writable()?;
    let paths = args.paths;
    let outcome = console.run("import", move |work| {
        import(&project, &paths, &options, work)
    })?;
    report_files(console, &outcome)?;
    let totals = outcome.totals();
    if outcome.is_empty_handed() {
        if !console.json() {
            console.say(text(&outcome, &totals, &folder).trim_end());
        }
        bail!("nothing was imported: {}", why_nothing(&outcome, &totals));
    }
    let result = Result::of(&outcome, &totals);
    console.result(&result, || text(&outcome, &totals, &folder))
}

/// Why an import added nothing, to follow a colon.
fn why_nothing(outcome: &ImportOutcome, totals: &Totals) -> String {
    match (totals.failed, totals.passed_over) {
        (0, 0) => "there are no files below the given paths".to_owned(),
        (1, 0) => {
            let failed = outcome.files.iter().find_map(|file| match &file.fate {
                Fate::Failed(sentence) => Some(sentence.clone()),
                _ => None,
            });
            failed.unwrap_or_default()
        }
        (0, passed) => format!("{} skipped", were(passed)),
        (failed, 0) => format!("{} could not be used", all(failed)),
        (failed, passed) => {
            format!(
                "{} could not be used, {} skipped",
                count(failed, "file"),
                were(passed)
            )
        }
    }
}

fn all(files: u64) -> String {
    match files {
        1 => "the file".to_owned(),
        files => format!("all {files} files"),
    }
}

fn were(files: u64) -> String {
    match files {
        1 => "1 file was".to_owned(),
        files => format!("{files} files were"),
    }
}

/// The table of results, and what was recognised in the folders.
pub fn text(outcome: &ImportOutcome, totals: &Totals, project: &str) -> String {
    let mut rows = Vec::new();
    let mut row = |what: &str, files: u64, words: String| {
        if files > 0 {
            rows.push(vec![what.to_owned(), count(files, "file"), words]);
        }
    };
    let mut new = Vec::new();
    if totals.videos > 0 {
        let frames = totals.frames - totals.images;
        new.push(format!(
            "{}, {}",
            count(totals.videos, "video"),
            count(frames, "frame")
        ));
    }
    if totals.images > 0 {
        new.push(count(totals.images, "image"));
    }
    if totals.replaced > 0 {
        let frames = count(totals.replaced, "frame");
        new.push(format!(
            "{frames} of an earlier extraction moved to the trash"
        ));
    }
    let (mut left, mut moved) = (0, 0);
    for file in &outcome.files {
        if let Fate::Imported {
            asked: Some(_),
            moved: is_moved,
            ..
        } = &file.fate
        {
            left += u64::from(!is_moved);
            moved += u64::from(*is_moved);
        }
    }
    new.extend(of_them(left, moved));
    row("imported", totals.imported, new.join("; "));
    let mut known = of_them(totals.conflicts - left, totals.moved - moved);
    if totals.trashed > 0 {
        known.push(format!(
            "{} of them in the trash (salamander trash {project} --restore)",
            totals.trashed
        ));
    }
    row("already there", totals.known, known.join("; "));
    for (reason, files) in outcome.passed_over() {
        row("skipped", files, reason.text());
    }
    row("failed", totals.failed, String::new());
    let mut text = table(&[Align::Left, Align::Right, Align::Left], &rows);
    if !outcome.classes.is_empty() {
        text.push_str("new classes: ");
        text.push_str(&names(outcome.classes.iter().map(ClassName::as_str)));
        text.push('\n');
    }
    for note in &outcome.notes {
        text.push_str(&visible(note));
        text.push('\n');
    }
    text
}

/// Files that were already in the project under another class.
fn of_them(left: u64, moved: u64) -> Vec<String> {
    let mut words = Vec::new();
    if left > 0 {
        words.push(format!(
            "{left} of them under another class (move them with --on-conflict move)"
        ));
    }
    if moved > 0 {
        words.push(format!("{moved} of them moved"));
    }
    words
}

fn fps(text: &str) -> std::result::Result<f64, String> {
    // FFmpeg users also write 30000/1001.
    let value = match text.split_once('/') {
        Some((over, under)) => over
            .parse::<f64>()
            .ok()
            .zip(under.parse::<f64>().ok())
            .map(|(over, under)| over / under),
        None => text.parse().ok(),
    };
    value
        .filter(|fps: &f64| *fps > 0.0 && *fps <= 240.0)
        .ok_or_else(|| "the frame rate must be over 0 and at most 240 frames per second".to_owned())
}

fn width(text: &str) -> std::result::Result<Width, String> {
    if text == "original" {
        return Ok(Width::Original);
    }
    text.parse()
        .ok()
        .filter(|px| (16..=16384).contains(px))
        .map(Width::Pixels)
        .ok_or_else(|| "the width must be `original` or 16 to 16384 pixels".to_owned())
}

/// `90`, `1:30`, `0:01:30.5` in seconds.
fn time(text: &str) -> std::result::Result<f64, String> {
    let parts: Option<Vec<f64>> = text.split(':').map(|part| part.parse().ok()).collect();
    parts
        .filter(|parts| {
            parts.len() <= 3 && parts.iter().all(|part| *part >= 0.0 && part.is_finite())
        })
        .map(|parts| parts.iter().fold(0.0, |secs, part| secs * 60.0 + part))
        .ok_or_else(|| {
            "times are given in seconds or as h:m:s, such as 90, 1:30 or 0:01:30.5".to_owned()
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn times_are_read_as_ffmpeg_reads_them() {
        for (text, secs) in [
            ("90", 90.0),
            ("1:30", 90.0),
            ("0:01:30.5", 90.5),
            ("0", 0.0),
        ] {
            assert!((time(text).unwrap() - secs).abs() < 1e-9, "{text}");
        }
        for text in ["", "-1", "1:2:3:4", "inf", "a"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_may_be_fractions() {
        assert!((fps("30000/1001").unwrap() - 29.97).abs() < 0.001);
        for text in ["0", "-1", "nan", "241", "1/0", "x"] {
            assert!(fps(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_width_is_pixels_or_the_original() {
        assert_eq!(width("original"), Ok(Width::Original));
        assert_eq!(width("320"), Ok(Width::Pixels(320)));
        assert!(width("0").is_err());
    }
}
