//! The card of a source: poster, name, class, facts, a preview of its frames, and Extract.

use std::path::Path;

use egui::{
    Align, CornerRadius, FontFamily, FontId, Layout, Popup, Rect, RichText, Sense, Stroke,
    StrokeKind, Ui, UiBuilder, pos2, vec2,
};

use super::{facts, strip};
use crate::app::{
    Action, Ask, Bulk, Dialog, ImageKey, ImageState, ImportAction, NewClassThen, Pick, Session,
    expected_frames, words,
};
use crate::media::VideoInfo;
use crate::project::{ClassName, Label, Noun, Source, SourceId, SourceKind};
use crate::ui::Cx;
use crate::ui::icons::{self, icon};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, badge, button, class_chip, class_item, class_lines_ui, icon_button, image_within,
    menu_item, placeholder, quiet_button,
};

/// Height of a card, points.
pub const HEIGHT: f32 = 146.0;
const PAD: f32 = 12.0;
/// The most letters of a class that are shown.
const CLASS_LETTERS: usize = 24;
/// Below this width a card has shorter texts.
const NARROW: f32 = 640.0;
const POSTER: egui::Vec2 = vec2(176.0, HEIGHT - 2.0 * PAD);

/// Paints a card, `width` points wide.
pub fn card_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, source: &Source, width: f32) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
    let selected = session.import.selected.contains(&source.id);
    let stroke = if selected {
        Stroke::new(2.0, t.accent)
    } else if response.has_focus() {
        Stroke::new(1.0, t.accent)
    } else {
        Stroke::new(1.0, t.line)
    };
    let radius = CornerRadius::same(theme::RADIUS_LARGE);
    ui.painter()
        .rect(rect, radius, t.panel, stroke, StrokeKind::Inside);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Group, true, selected, &source.name)
    });
    if response.clicked() {
        let modifiers = ui.input(|input| input.modifiers);
        let pick = if modifiers.shift {
            Pick::Range
        } else if modifiers.command {
            Pick::Toggle
        } else {
            Pick::Only
        };
        let bulk = Bulk::Pick(source.id.clone(), pick);
        cx.act(Action::Import(ImportAction::Select(bulk)));
    }
    let poster_size = if width < NARROW {
        vec2(104.0, POSTER.y)
    } else {
        POSTER
    };
    let poster = Rect::from_min_size(rect.min + vec2(PAD, PAD), poster_size);
    poster_ui(ui, poster, session, source);

    let info = match source.kind {
        SourceKind::Video => session.previews.facts(&source.path),
        SourceKind::Photos => None,
    };
    let known = info.as_ref().and_then(|info| info.as_ref().ok());
    let left = poster.right() + 14.0;
    let right = rect.right() - PAD;
    let top = Rect::from_min_max(
        pos2(left, rect.top() + PAD - 2.0),
        pos2(right, rect.top() + PAD + 26.0),
    );
    top_ui(ui, top, cx, session, source, known.map(Box::as_ref));

    let line = Rect::from_min_max(
        pos2(left, rect.top() + 40.0),
        pos2(right, rect.top() + 62.0),
    );
    let mut facts_ui = child(ui, line);
    facts_ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Truncate);
    let aside = session.previews.set_aside(&source.path);
    if let Some(cause) = &aside {
        let words = format!("Skipped: it {cause}. Convert it and use the copy.");
        let text = RichText::new(&words).color(t.danger);
        facts_ui.add(egui::Label::new(text).truncate());
    }
    match (&info, source.kind) {
        _ if aside.is_some() => {}
        (_, SourceKind::Photos) => {
            let count = session.snapshot.counts.source(&source.id);
            let words = words::count(count as u64, "photo");
            facts_ui.label(widgets::muted(t, words));
        }
        (Some(Ok(info)), _) => {
            facts_ui.label(widgets::muted(t, facts::line(info)));
        }
        (Some(Err(error)), _) => {
            let text = RichText::new(error).color(t.danger);
            facts_ui.add(egui::Label::new(text).truncate());
        }
        (None, _) => {
            let words = if session.previews.may_open() {
                "Reading…"
            } else {
                "Not opened"
            };
            facts_ui.label(widgets::muted(t, words));
        }
    }

    let strip = Rect::from_min_max(
        pos2(left, rect.bottom() - PAD - strip::THUMB.y),
        pos2(right, rect.bottom() - PAD),
    );
    if aside.is_some() {
        aside_ui(&mut child(ui, strip), cx, source);
    } else if matches!(info, Some(Err(_))) {
        missing_ui(&mut child(ui, strip), cx, source);
    } else if source.kind == SourceKind::Photos || session.previews.may_open() {
        strip::strip_ui(&mut child(ui, strip), strip, session, source);
    }
}

fn child(ui: &mut Ui, rect: Rect) -> Ui {
    ui.new_child(
        UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::left_to_right(Align::Center)),
    )
}

fn poster_ui(ui: &Ui, rect: Rect, session: &Session, source: &Source) {
    let radius = theme::RADIUS;
    let glyph = match source.kind {
        SourceKind::Video => icons::VIDEO,
        SourceKind::Photos => icons::PHOTOS,
    };
    let texture = match source.kind {
        SourceKind::Video => session.previews.poster(source).flatten(),
        SourceKind::Photos => session
            .snapshot
            .frames
            .list
            .iter()
            .find(|frame| frame.source.as_ref() == Some(&source.id))
            .and_then(|frame| {
                let key = ImageKey::Thumb(session.root.join(&frame.path));
                match session.images.get(&key) {
                    ImageState::Ready(texture) => Some(texture),
                    ImageState::Loading | ImageState::Failed(_) => None,
                }
            }),
    };
    match texture {
        Some(texture) => image_within(ui, rect, &texture, radius),
        None => placeholder(ui, rect, radius, Some(glyph)),
    }
}

fn top_ui(
    ui: &mut Ui,
    rect: Rect,
    cx: &mut Cx<'_>,
    session: &Session,
    source: &Source,
    info: Option<&VideoInfo>,
) {
    let mut right = ui.new_child(
        UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::right_to_left(Align::Center)),
    );
    right_ui(&mut right, cx, session, source);
    let room = Rect::from_min_max(
        rect.min,
        pos2(right.min_rect().left() - 12.0, rect.bottom()),
    );
    let mut left = child(ui, room);
    left.shrink_clip_rect(room);
    left.spacing_mut().item_spacing.x = 10.0;
    // The name gets the width that the chip of the class leaves; the chip is as wide as its text and 50 points.
    let class = source.class.as_ref().map_or("unsorted", ClassName::as_str);
    let small = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
    let chip = text_width(ui, &words::shorten(class, CLASS_LETTERS), small) + 50.0;
    let title = FontId::new(theme::TYPE_BODY, theme::semibold());
    let whole = text_width(ui, &source.name, title).max(1.0);
    let part = (room.width() - chip - left.spacing().item_spacing.x) / whole;
    let letters = source.name.chars().count() as f32;
    let name = if part >= 1.0 {
        source.name.clone()
    } else {
        words::shorten(&source.name, (letters * part).max(8.0) as usize)
    };
    left.label(widgets::title(name))
        .on_hover_text(words::path(&source.path));
    class_ui(&mut left, cx, session, source);
    let strip_warning = match source.kind {
        SourceKind::Video => {
            session
                .previews
                .strip(&source.path, &session.import.sampling)
                .warning
        }
        SourceKind::Photos => None,
    };
    let mut warnings = source.warnings.clone();
    if let Some(warning) = strip_warning
        && warnings.is_empty()
    {
        warnings.push(warning);
    }
    if session.is_outdated(source) {
        badge(&mut left, "other settings").on_hover_text(format!(
            "Its frames were extracted at {}; the settings are now {}. Extract it again to apply them.",
            words::sampling(&source.sampling),
            words::sampling(&session.import.sampling)
        ));
    }
    for odd in facts::oddities(info, &warnings) {
        badge(&mut left, &odd.badge).on_hover_text(odd.words);
    }
}

/// The width of a line of text, points.
fn text_width(ui: &Ui, text: &str, font: FontId) -> f32 {
    let color = tokens(ui).text;
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, color);
    galley.size().x
}

fn right_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, source: &Source) {
    let t = tokens(ui);
    ui.spacing_mut().item_spacing.x = 8.0;
    let more = icon_button(
        ui,
        icons::MORE,
        &format!("More about {}", source.name),
        "Remove, extract again, show frames",
    );
    Popup::menu(&more)
        .width(220.0)
        .show(|ui| more_ui(ui, cx, session, source));
    if source.kind == SourceKind::Photos {
        return;
    }
    if let Some(task) = session.import.extracting.get(&source.id) {
        let cancel = quiet_button(ui, Some(icons::CROSS), "Cancel");
        if cancel
            .accessible_name(format!("Cancel extracting {}", source.name))
            .on_hover_text("Stop; frames written so far are kept")
            .clicked()
        {
            let action = ImportAction::CancelExtract(source.id.clone());
            cx.act(Action::Import(action));
        }
        let running = cx.app.tasks.running().iter().find(|run| run.id == *task);
        match running.map(|task| task.work.progress()) {
            Some(progress) => {
                // The progress bar is in the bar at the bottom.
                let words = progress.total.map_or_else(
                    || words::number(progress.done),
                    |total| {
                        let total = words::number(total.max(progress.done));
                        format!("{} of {total}", words::number(progress.done))
                    },
                );
                ui.label(widgets::muted(t, words));
            }
            None => {
                ui.label(widgets::muted(t, "waiting"));
            }
        }
        return;
    }
    let expected = expected_frames(source.duration_secs, &session.import.sampling);
    match source.extracted {
        Some(count) if source.sampling == session.import.sampling => {
            // In a narrow card its menu has this command.
            if ui.max_rect().width() > 320.0 {
                let show = quiet_button(ui, None, "Show frames");
                if show.on_hover_text("Show its frames in Label").clicked() {
                    let action = ImportAction::ShowFrames(source.id.clone());
                    cx.act(Action::Import(action));
                }
            }
            ui.label(widgets::muted(t, words::frames(count as usize)));
            let damaged = facts::oddities(None, &source.warnings)
                .iter()
                .any(|odd| odd.badge == facts::DAMAGED);
            let (mark, name, tip) = if damaged {
                (
                    icon(icons::WARNING, 16.0).color(t.accent_text),
                    "Partly extracted",
                    "The video is damaged; the frames that could be read are in the project",
                )
            } else {
                (
                    icon(icons::OK, 16.0).color(t.ok),
                    "Extracted",
                    "Its frames are in the project",
                )
            };
            let done = ui.label(mark);
            done.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name));
            done.on_hover_text(tip);
        }
        extracted => {
            let again = extracted.is_some();
            let label = if again { "Extract again…" } else { "Extract" };
            let tip = if again {
                "Extract frames with the current settings; asks what to do with the existing ones"
            } else {
                "Extract its frames into the project"
            };
            ui.spacing_mut().button_padding.y = 4.0;
            ui.spacing_mut().interact_size.y = 28.0;
            let extract = button(ui, None, label)
                .accessible_name(format!("{} {}", label.trim_end_matches('…'), source.name))
                .on_hover_text(tip);
            if extract.clicked() {
                let action = ImportAction::Extract(vec![source.id.clone()]);
                cx.act(Action::Import(action));
            }
            if let Some(expected) = expected {
                ui.label(widgets::muted(t, words::frames(expected as usize)));
            }
        }
    }
}

/// The noun for the images of a source.
fn noun_of(source: &Source) -> Noun {
    match source.kind {
        SourceKind::Video => Noun::Frame,
        SourceKind::Photos => Noun::Photo,
    }
}

fn class_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, source: &Source) {
    let (color, label) = match &source.class {
        Some(name) => (
            Some(session.class(name).map_or(0, |class| class.color)),
            words::shorten(name.as_str(), CLASS_LETTERS),
        ),
        None => (None, "unsorted".to_owned()),
    };
    let accessible = format!("Class of {}: {label}", source.name);
    let chip = class_chip(ui, color, &label, &accessible)
        .on_hover_text(noun_of(source).fill("The class that its {images} get"));
    let label = source.class.clone().map_or(Label::Unsorted, Label::Class);
    let ids = std::slice::from_ref(&source.id);
    class_menu_ui(&chip, cx, session, ids, Some(&label));
}

/// The menu of a button that labels sources; `chosen` is the label that all of them have.
pub fn class_menu_ui(
    button: &egui::Response,
    cx: &mut Cx<'_>,
    session: &Session,
    ids: &[SourceId],
    chosen: Option<&Label>,
) {
    Popup::menu(button).width(200.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let mut set = |ui: &Ui, class: Option<&ClassName>| {
            let action = ImportAction::SetClasses(ids.to_vec(), class.cloned());
            cx.act(Action::Import(action));
            ui.close();
        };
        let mark = |ui: &Ui, is_chosen: bool| {
            if is_chosen {
                icon(icons::CHECK, 14.0).color(tokens(ui).accent_text)
            } else {
                RichText::new("")
            }
        };
        // The height of what is below the classes: unsorted, a separator, a new class.
        class_lines_ui(ui, &session.classes, 2.0 * 29.0 + 17.0, |ui, _, class| {
            let mark = mark(ui, chosen.and_then(Label::class) == Some(&class.name));
            if class_item(ui, Some(class.color), class.name.as_str(), mark).clicked() {
                set(ui, Some(&class.name));
            }
        });
        let none = mark(ui, chosen == Some(&Label::Unsorted));
        if class_item(ui, None, "unsorted", none).clicked() {
            set(ui, None);
        }
        widgets::separator(ui);
        if menu_item(ui, Some(icons::PLUS), "New class…", ()).clicked() {
            cx.act(Action::Open(Dialog::NewClass {
                name: String::new(),
                then: NewClassThen::Sources(ids.to_vec()),
            }));
            ui.close();
        }
    });
}

fn more_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, source: &Source) {
    ui.spacing_mut().item_spacing.y = 1.0;
    let frames = session.snapshot.counts.source(&source.id);
    let show = noun_of(source).fill("Show its {images}");
    if frames > 0 && menu_item(ui, Some(icons::GRID), &show, ()).clicked() {
        cx.act(Action::Import(ImportAction::ShowFrames(source.id.clone())));
        ui.close();
    }
    if source.kind == SourceKind::Video {
        if source.extracted.is_some()
            && menu_item(ui, Some(icons::REFRESH), "Extract again…", ()).clicked()
        {
            let action = ImportAction::Extract(vec![source.id.clone()]);
            cx.act(Action::Import(action));
            ui.close();
        }
        if menu_item(ui, Some(icons::SEARCH), "Find the file again…", ()).clicked() {
            cx.act(Action::Ask(Ask::Locate(source.id.clone())));
            ui.close();
        }
    }
    if menu_item(ui, Some(icons::TRASH), "Remove…", ()).clicked() {
        cx.act(Action::Open(Dialog::RemoveSource {
            ids: vec![source.id.clone()],
            name: source.name.clone(),
            frames,
            trash: false,
        }));
        ui.close();
    }
}

/// The commands for a video that cannot be read.
fn aside_ui(ui: &mut Ui, cx: &mut Cx<'_>, source: &Source) {
    let again = button(ui, Some(icons::REFRESH), "Try again")
        .accessible_name(format!("Try {} again", source.name))
        .on_hover_text("Try to open the video again");
    if again.clicked() {
        let action = ImportAction::TryAgain(source.id.clone());
        cx.act(Action::Import(action));
    }
}

fn missing_ui(ui: &mut Ui, cx: &mut Cx<'_>, source: &Source) {
    let t = tokens(ui);
    let find = button(ui, Some(icons::SEARCH), "Find the file…");
    if find
        .on_hover_text("Choose where the video is now")
        .clicked()
    {
        cx.act(Action::Ask(Ask::Locate(source.id.clone())));
    }
    let place = source.path.parent().unwrap_or_else(|| Path::new(""));
    let words = format!("It was in {}", words::shorten(&place.to_string_lossy(), 60));
    ui.label(widgets::faint(t, words));
}
