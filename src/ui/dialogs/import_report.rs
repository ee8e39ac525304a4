//! The result of an import for each file: filtered by result, searched by name, copied as text.

use std::fmt::Write as _;
use std::sync::Arc;

use egui::{Align, Color32, Label, Layout, Rect, RichText, ScrollArea, Sense, Ui, UiBuilder, vec2};

use super::{End, buttons_ui, title_ui};
use crate::app::{Action, Command, FateFilter, ImportAction, contains_word, words};
use crate::media::{Fate, FileReport, ImportOutcome, Totals};
use crate::ui::Cx;
use crate::ui::icons::{self, icon};
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{self, button, chip, icon_button, text_field};

const ROW: f32 = 24.0;

/// The rows that are shown, computed again when the filter changes.
#[derive(Default)]
pub struct View {
    of: Option<(Arc<ImportOutcome>, Option<FateFilter>, String)>,
    rows: Vec<usize>,
}

pub(super) fn import_report_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    filter: &mut Option<FateFilter>,
    text: &mut String,
    view: &mut View,
) -> End {
    let t = tokens(ui);
    let session = cx.app.session.as_ref();
    let import = session.map(|session| &session.import);
    let Some((import, outcome)) = import.and_then(|import| Some((import, import.outcome.clone()?)))
    else {
        return End::Close;
    };
    let totals = outcome.totals();
    title_ui(ui, "What happened to each file");
    for note in &outcome.notes {
        ui.add(Label::new(widgets::small(t, note)).wrap());
    }
    chips_ui(ui, &totals, filter);
    if *filter == Some(FateFilter::PassedOver) {
        let reasons = outcome.passed_over().into_iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{} {}", words::number(count), reason.text()))
            .collect();
        ui.add(Label::new(widgets::faint(t, reasons.join(" · "))).wrap());
    }
    text_field(ui, "Search in names", text, "Part of the name or folder");
    view.follow(&outcome, *filter, text.trim());
    let most = (ui.ctx().content_rect().height() - 380.0).clamp(120.0, 420.0);
    // High enough for all files, including those that a search hides.
    let height = most.min(outcome.files.len().max(1) as f32 * (ROW + ui.spacing().item_spacing.y));
    ScrollArea::vertical()
        .max_height(height)
        .auto_shrink(false)
        .show_rows(ui, ROW, view.rows.len(), |ui, rows| {
            for index in view.rows.get(rows).unwrap_or_default() {
                if let Some(file) = outcome.files.get(*index) {
                    let name = import.names.get(*index).map_or("", String::as_str);
                    row_ui(ui, cx, file, name);
                }
            }
            if view.rows.is_empty() {
                ui.label(widgets::muted(t, "No file matches."));
            }
        });
    end_ui(ui, cx, &outcome, &totals, view)
}

fn chips_ui(ui: &mut Ui, totals: &Totals, filter: &mut Option<FateFilter>) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        for (kind, name, count) in [
            (None, "all", totals.files),
            (Some(FateFilter::Imported), "new", totals.imported),
            (Some(FateFilter::Known), "already there", totals.known),
            (Some(FateFilter::PassedOver), "skipped", totals.passed_over),
            (Some(FateFilter::Failed), "failed", totals.failed),
        ] {
            let words = format!("{name} {}", words::number(count));
            if (count > 0 || kind.is_none()) && chip(ui, *filter == kind, &words).clicked() {
                *filter = kind;
            }
        }
    });
}

/// A file with a name that distinguishes it from the others, and its result.
fn row_ui(ui: &mut Ui, cx: &mut Cx<'_>, file: &FileReport, name: &str) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let whole = file.fate.text();
    // The name is already at the left, and its tooltip has the path.
    let path = file.path.to_string_lossy();
    let sentence = whole.replace(path.as_ref(), name);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::ListItem, true, format!("{name}: {sentence}"))
    });
    let mut row = ui.new_child(
        UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::left_to_right(Align::Center)),
    );
    let (glyph, color) = mark(t, &file.fate);
    row.label(icon(glyph, 14.0).color(color));
    let names = Rect::from_min_size(row.cursor().min, vec2(rect.width() * 0.36, ROW));
    let mut left = row.new_child(
        UiBuilder::new()
            .max_rect(names)
            .layout(Layout::left_to_right(Align::Center)),
    );
    left.add(Label::new(words::shorten(name, 34)).truncate())
        .on_hover_text(words::path(&file.path));
    row.add_space(names.width() + 8.0);
    row.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let label = format!("Show {name}");
        if icon_button(
            ui,
            icons::REVEAL,
            &label,
            "Show its folder in the file manager",
        )
        .clicked()
        {
            cx.act(Action::Import(ImportAction::ShowFile(file.path.clone())));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let text = RichText::new(sentence.as_str())
                .size(theme::TYPE_SMALL)
                .color(t.muted);
            ui.add(Label::new(text).truncate()).on_hover_text(sentence);
        });
    });
}

fn mark(t: &Tokens, fate: &Fate) -> (char, Color32) {
    match fate {
        Fate::Imported { note: None, .. } => (icons::OK, t.ok),
        Fate::Imported { .. } => (icons::WARNING, t.accent_text),
        Fate::Known(known) if known.asked.is_some() => (icons::WARNING, t.accent_text),
        Fate::Known(_) => (icons::INFO, t.muted),
        Fate::PassedOver(_) => (icons::INFO, t.faint),
        Fate::Failed(_) => (icons::ERROR, t.danger),
    }
}

/// The buttons: move the files that are in other classes, undo, copy, close.
fn end_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    outcome: &ImportOutcome,
    totals: &Totals,
    view: &View,
) -> End {
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if button(ui, None, "Close").clicked() {
            end = End::Close;
        }
        if button(ui, Some(icons::COPY), "Copy as text")
            .on_hover_text("Copy the lines shown, one per file")
            .clicked()
        {
            ui.ctx().copy_text(as_text(outcome, &view.rows));
        }
        if totals.conflicts > 0 {
            let label = format!(
                "Move {} to the requested class",
                words::number(totals.conflicts)
            );
            let tip = "These files were already in the project under another class and were left there; move them to the class requested by this import";
            if button(ui, None, &label).on_hover_text(tip).clicked() {
                cx.act(Action::Import(ImportAction::MoveConflicts));
                end = End::Close;
            }
        }
        // Only while the import is the next thing to undo.
        let session = cx.app.session.as_ref();
        let undo = session.and_then(crate::app::Session::undo_text);
        if undo.is_some_and(|text| text.starts_with("import "))
            && button(ui, Some(icons::UNDO), "Undo the import").clicked()
        {
            cx.command(Command::Undo);
            end = End::Close;
        }
    });
    end
}

/// A line for each file: the result as a code, the path, the result in words; separated by tabs.
fn as_text(outcome: &ImportOutcome, rows: &[usize]) -> String {
    let mut text = String::new();
    for file in rows.iter().filter_map(|index| outcome.files.get(*index)) {
        let (fate, path) = (&file.fate, words::path(&file.path));
        // Writing to a string cannot fail.
        let written = writeln!(text, "{}\t{path}\t{}", fate.code(), fate.text());
        debug_assert!(written.is_ok());
    }
    text
}

impl View {
    fn follow(&mut self, outcome: &Arc<ImportOutcome>, filter: Option<FateFilter>, text: &str) {
        let same = self.of.as_ref().is_some_and(|(of, by, query)| {
            Arc::ptr_eq(of, outcome) && *by == filter && query == text
        });
        if same {
            return;
        }
        let query = text.to_lowercase();
        let files = outcome.files.iter().enumerate();
        self.rows = files
            .filter(|(_, file)| filter.is_none_or(|filter| filter.takes(&file.fate)))
            .filter(|(_, file)| contains_word(&file.path.to_string_lossy(), &query))
            .map(|(index, _)| index)
            .collect();
        self.of = Some((Arc::clone(outcome), filter, text.to_owned()));
    }
}
