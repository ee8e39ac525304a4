//! The grid of thumbnails. Only the visible part is built, so that 20,000 frames scroll as fast as twenty.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Id, Key, Modifiers, Popup, Pos2, Rect, Response,
    ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2, pos2, vec2,
};

use super::layout::{Band, HEADER, Layout};
use crate::app::{
    Action, Command, CursorMove, ImageKey, ImageState, LabelAction, Pick, Session, Show, class_key,
    file_name, image_name, words,
};
use crate::project::{Frame, Label, Noun, SourceKind};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, class_item, class_lines_ui, class_mark, image_within, menu_item, placeholder,
};

/// The action of a drag that began in the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drag {
    /// A rubber band from this point, relative to the grid's top left.
    Band(Pos2),
    /// Moves the selected frames.
    Frames,
}

/// The payload of a drag from the grid: the selected frames.
#[derive(Debug, Clone, Copy)]
pub struct DraggedFrames;

/// State of the painting.
#[derive(Default)]
pub struct View {
    drag: Option<Drag>,
    /// The number of the last keyboard move that was scrolled into view.
    revealed: u64,
}

/// The distance after which a press on a frame becomes a drag, points: smaller movements are clicks by an unsteady
/// hand.
const DRAG_DISTANCE: f32 = 12.0;
/// The time that an unselected frame must be held before a drag moves it, seconds. A quicker drag is meant to select,
/// even though it almost always begins on a frame.
const HOLD: f64 = 0.3;

/// The layout of the grid in the available width.
fn layout(ui: &Ui, cx: &Cx<'_>, session: &Session) -> Layout {
    // Space for the scroll bar, so that it does not cover thumbnails.
    let width = ui.available_width() - 10.0;
    Layout::new(&session.label.sections, width, cx.app.prefs.thumb_width)
}

/// Handles the keys of the grid while a frame is shown large over it.
pub fn keys_ui(ui: &Ui, cx: &mut Cx<'_>, session: &Session) {
    arrows(ui, cx, session, &layout(ui, cx, session));
}

/// Paints the grid.
pub fn grid_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let width = ui.available_width() - 10.0;
    let layout = layout(ui, cx, session);
    arrows(ui, cx, session, &layout);
    let area = ScrollArea::vertical()
        .id_salt("frames")
        .auto_shrink(false)
        .scroll_source(egui::scroll_area::ScrollSource {
            drag: egui::scroll_area::DragScroll::Never,
            ..Default::default()
        });
    area.show_viewport(ui, |ui, viewport| {
        ui.set_height(layout.height.max(ui.available_height()));
        ui.set_width(width);
        let origin = ui.min_rect().min;
        // The clip rectangle is limited to the grid only vertically.
        let room = Rect::from_x_y_ranges(origin.x..=origin.x + width, ui.clip_rect().y_range());
        let back = ui.interact(
            room,
            ui.scope_id().with("rubber band"),
            Sense::CLICK | Sense::DRAG,
        );
        // The drag belongs to the widget that egui finds below the pointer, which may be far from where it was
        // pressed.
        let mut dragged = back.dragged() || back.drag_stopped();
        for band in layout.visible(viewport.top(), viewport.bottom()) {
            header_ui(ui, session, band, origin);
            for index in layout.visible_in(band, viewport.top(), viewport.bottom()) {
                let rect = layout.rect_in(band, index).translate(origin.to_vec2());
                let cell = cell_ui(ui, cx, session, band.start + index, rect);
                dragged |= cell.is_some_and(|cell| cell.dragged() || cell.drag_stopped());
            }
        }
        // With a modifier key, which extends a selection, a click that just misses a thumbnail does not clear it.
        if back.clicked() && ui.input(|input| input.modifiers.is_none()) {
            cx.command(Command::SelectNone);
        }
        drag_ui(ui, cx, session, view, &layout, dragged, origin);
        if session.label.reveal != view.revealed {
            view.revealed = session.label.reveal;
            let place = session
                .label
                .cursor
                .as_ref()
                .and_then(|path| session.place_of(path));
            if let Some(rect) = place.and_then(|place| layout.rect(place)) {
                ui.scroll_to_rect(rect.translate(origin.to_vec2()).expand(HEADER), None);
            }
        }
    });
    drag_badge_ui(ui, session);
}

/// Arrows, Home, End, Page Up and Down, Escape: if no other widget has the focus.
fn arrows(ui: &Ui, cx: &mut Cx<'_>, session: &Session, layout: &Layout) {
    let ctx = ui.ctx();
    // An open menu has the focus: Escape closes it and does not change the selection.
    if cx.in_dialog || Popup::is_any_open(ctx) || ctx.memory(|m| m.focused().is_some()) {
        return;
    }
    let at = session
        .label
        .cursor
        .as_ref()
        .and_then(|path| session.place_of(path));
    let by = |to: usize| CursorMove::By(to as isize - at.unwrap_or(0) as isize);
    let page = (ui.available_height() / layout.cell.y).max(1.0) as usize;
    // Those with Shift first: a shortcut without Shift would match as well.
    for extend in [true, false] {
        let modifiers = if extend {
            Modifiers::SHIFT
        } else {
            Modifiers::NONE
        };
        let pressed = |key| ctx.input_mut(|input| input.consume_key(modifiers, key));
        let mut step = None;
        if pressed(Key::ArrowLeft) {
            step = Some(CursorMove::By(-1));
        }
        if pressed(Key::ArrowRight) {
            step = Some(CursorMove::By(1));
        }
        if pressed(Key::ArrowUp) {
            step = Some(by(layout.row_step(at.unwrap_or(0), false)));
        }
        if pressed(Key::ArrowDown) {
            step = Some(by(layout.row_step(at.unwrap_or(0), true)));
        }
        if pressed(Key::PageDown) || pressed(Key::PageUp) {
            let rows = (page * layout.columns) as isize;
            let down = ctx.input(|input| input.key_down(Key::PageDown));
            step = Some(CursorMove::By(if down { rows } else { -rows }));
        }
        if pressed(Key::Home) {
            step = Some(CursorMove::First);
        }
        if pressed(Key::End) {
            step = Some(CursorMove::Last);
        }
        if let Some(step) = step {
            cx.act(Action::Label(LabelAction::Move(step, extend)));
        }
    }
    if ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
        if session.label.preview {
            cx.act(Action::Label(LabelAction::Preview(false)));
        } else {
            cx.command(Command::SelectNone);
        }
    }
}

fn header_ui(ui: &Ui, session: &Session, band: &Band, origin: Pos2) {
    let t = tokens(ui);
    let section = session.label.sections.get(band.section);
    let source = section
        .and_then(|section| section.source.as_ref())
        .and_then(|id| session.source(id));
    let noun = match source.map(|source| source.kind) {
        Some(SourceKind::Video) => Noun::Frame,
        Some(SourceKind::Photos) => Noun::Photo,
        None => session.noun(),
    };
    let (name, rest) = match source {
        Some(source) => {
            let length = match (source.kind, source.duration_secs) {
                (SourceKind::Video, Some(secs)) => format!("0:00–{} · ", words::clock(secs)),
                _ => String::new(),
            };
            (source.name.clone(), length)
        }
        None if section.is_some_and(|section| section.source.is_some()) => (
            session
                .noun()
                .fill("{Images} from an unknown source")
                .into_owned(),
            String::new(),
        ),
        None => ("Added by hand".to_owned(), String::new()),
    };
    let at = origin + vec2(0.0, band.top + HEADER / 2.0);
    let shown = ui.painter().text(
        at,
        Align2::LEFT_CENTER,
        words::shorten(&name, 70),
        FontId::new(theme::TYPE_SMALL, theme::medium()),
        t.text,
    );
    ui.painter().text(
        pos2(shown.right() + 8.0, at.y),
        Align2::LEFT_CENTER,
        format!("{rest}{}", noun.count(band.len)),
        FontId::new(theme::TYPE_SMALL, FontFamily::Proportional),
        t.faint,
    );
}

/// The description of a frame for screen readers.
fn describe(session: &Session, frame: &Frame) -> String {
    let class = match &frame.label {
        Label::Class(name) => name.as_str(),
        Label::Unsorted => "unsorted",
    };
    let source = frame.source.as_ref().and_then(|id| session.source(id));
    match (source, frame.time_secs) {
        (Some(source), Some(time)) => {
            format!("{class}, {} at {}", source.name, words::timestamp(time))
        }
        // A photo's source is its folder.
        (_, None) => format!("{class}, {}", image_name(&frame.path)),
        (None, _) => format!("{class}, {}", file_name(frame)),
    }
}

fn cell_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    place: usize,
    rect: Rect,
) -> Option<Response> {
    let t = tokens(ui);
    let frame = session
        .label
        .shown
        .get(place)
        .and_then(|index| session.listed().frames.list.get(*index as usize))?;
    let selected = session.label.selection.contains(&frame.path);
    let id = Id::unique(("frame", &frame.path));
    // Not focusable: the arrows move within the grid, Tab moves out of it.
    let response = ui.interact(rect, id, Sense::CLICK | Sense::DRAG);
    let radius = theme::RADIUS_SMALL;
    let key = ImageKey::Thumb(session.root.join(&frame.path));
    let failed = match session.images.get(&key) {
        ImageState::Ready(texture) => {
            image_within(ui, rect, &texture, radius);
            None
        }
        ImageState::Loading => {
            placeholder(ui, rect, radius, None);
            None
        }
        ImageState::Failed(why) => {
            placeholder(ui, rect, radius, Some(icons::WARNING));
            Some(why)
        }
    };
    class_pill_ui(ui, session, frame, rect);
    let painter = ui.painter();
    let corner = CornerRadius::same(radius);
    if selected {
        painter.rect_stroke(
            rect.expand(1.0),
            CornerRadius::same(radius + 1),
            Stroke::new(3.0, t.accent),
            StrokeKind::Inside,
        );
    } else if session.label.cursor.as_ref() == Some(&frame.path) {
        painter.rect_stroke(rect, corner, Stroke::new(1.5, t.accent), StrokeKind::Inside);
    } else if response.hovered() {
        let stroke = Stroke::new(1.5, t.on_scrim.gamma_multiply(0.7));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Image, true, selected, describe(session, frame))
    });
    mouse(ui, cx, &response, frame, selected);
    Popup::context_menu(&response)
        .width(210.0)
        .show(|ui| menu_ui(ui, cx, session));
    if response.hovered() && !cx.in_dialog {
        let tip = match failed {
            Some(why) => why,
            None => format!(
                "{}\nDouble-click or Space to view it",
                describe(session, frame)
            ),
        };
        response.clone().on_hover_text(tip);
    }
    Some(response)
}

/// The class of a frame in its top left corner: dot and name, or only the dot if the thumbnail is narrow.
fn class_pill_ui(ui: &Ui, session: &Session, frame: &Frame, rect: Rect) {
    let t = tokens(ui);
    let Label::Class(name) = &frame.label else {
        return;
    };
    let color = session.class(name).map_or(0, |class| class.color);
    let painter = ui.painter();
    let narrow = rect.width() < 92.0;
    let text = if narrow {
        String::new()
    } else {
        name.as_str().to_owned()
    };
    let mut job = egui::text::LayoutJob::simple_singleline(
        text,
        FontId::new(11.5, FontFamily::Proportional),
        t.on_scrim,
    );
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 44.0);
    let galley = painter.layout_job(job);
    let gap = if narrow { 0.0 } else { 18.0 };
    let width = if narrow {
        18.0
    } else {
        galley.size().x + gap + 14.0
    };
    let pill = Rect::from_min_size(rect.min + vec2(6.0, 6.0), vec2(width, 18.0));
    painter.rect_filled(pill, CornerRadius::same(9), t.scrim);
    let dot = pos2(
        pill.left() + if narrow { 9.0 } else { 12.0 },
        pill.center().y,
    );
    class_mark(painter, dot, Some(color), t.on_scrim);
    let at = pos2(pill.left() + 22.0, pill.center().y - galley.size().y / 2.0);
    if !narrow {
        painter.galley(at, galley, t.on_scrim);
    }
}

fn mouse(ui: &Ui, cx: &mut Cx<'_>, response: &Response, frame: &Frame, selected: bool) {
    let modifiers = ui.input(|input| input.modifiers);
    let pick = |pick| Action::Label(LabelAction::Pick(frame.path.clone(), pick));
    if response.double_clicked() {
        cx.act(Action::Label(LabelAction::Preview(true)));
    } else if response.clicked() {
        cx.act(pick(if modifiers.shift {
            Pick::Range
        } else if modifiers.command {
            Pick::Toggle
        } else {
            Pick::Only
        }));
    }
    if response.secondary_clicked() && !selected {
        cx.act(pick(Pick::Only));
    }
}

fn menu_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    ui.spacing_mut().item_spacing.y = 1.0;
    // The height of what is below the classes.
    let below = 4.0 * 29.0 + 17.0;
    class_lines_ui(ui, &session.classes, below, |ui, index, class| {
        let key = class_key(index).map(String::from).unwrap_or_default();
        let key = widgets::faint(t, key);
        if class_item(ui, Some(class.color), class.name.as_str(), key).clicked() {
            let label = Label::Class(class.name.clone());
            cx.act(Action::Label(LabelAction::Assign(label)));
            ui.close();
        }
    });
    if class_item(ui, None, "unsorted", widgets::faint(t, "0")).clicked() {
        cx.act(Action::Label(LabelAction::Assign(Label::Unsorted)));
        ui.close();
    }
    widgets::separator(ui);
    if menu_item(ui, Some(icons::VIEW), "Preview", widgets::faint(t, "Space")).clicked() {
        cx.act(Action::Label(LabelAction::Preview(true)));
        ui.close();
    }
    let trashed = session.label.show == Show::Trash;
    if trashed && menu_item(ui, Some(icons::UNDO), "Restore", ()).clicked() {
        cx.command(Command::RestoreSelected);
        ui.close();
    }
    let words = if trashed {
        "Delete permanently…"
    } else {
        "Move to trash"
    };
    if menu_item(ui, Some(icons::TRASH), words, widgets::faint(t, "Del")).clicked() {
        cx.command(Command::TrashSelected);
        ui.close();
    }
}

/// The action of a drag that was begun `held` seconds ago at `origin` (relative to the grid): on a frame it moves
/// frames as in a file manager, beside them it is a rubber band. A quick drag from an unselected frame, and one with
/// Ctrl or Shift, is a rubber band as well.
fn drag_of(
    layout: &Layout,
    session: &Session,
    origin: Pos2,
    held: f64,
    adding: bool,
) -> (Drag, Option<String>) {
    let path = layout
        .at(origin)
        .and_then(|place| session.shown_path(place));
    match path {
        Some(path) if !adding && session.label.selection.contains(path) => (Drag::Frames, None),
        Some(path) if !adding && held >= HOLD => (Drag::Frames, Some(path.to_owned())),
        _ => (Drag::Band(origin), None),
    }
}

/// Continues a drag: moves frames to a class, or selects what the rubber band touches.
fn drag_ui(
    ui: &Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    view: &mut View,
    layout: &Layout,
    dragged: bool,
    origin: Pos2,
) {
    let t = tokens(ui);
    let (down, released) = ui.input(|input| {
        let pointer = &input.pointer;
        (pointer.any_down(), pointer.any_released())
    });
    // Once begun it continues until the button is released, even if the thumbnail where it began is scrolled out of
    // view.
    if !down && !released || view.drag.is_none() && !dragged {
        view.drag = None;
        return;
    }
    let relative = |pos: Pos2| pos - origin.to_vec2();
    let (press, pointer, held, adding) = ui.input(|input| {
        let pointer = &input.pointer;
        (
            pointer.press_origin(),
            pointer.interact_pos(),
            input.time - pointer.press_start_time().unwrap_or(input.time),
            input.modifiers.command || input.modifiers.shift,
        )
    });
    let Some(pointer) = pointer else {
        return;
    };
    if view.drag.is_none()
        && let Some(press) = press
        && press.distance(pointer) >= DRAG_DISTANCE
    {
        let (drag, picked) = drag_of(layout, session, relative(press), held, adding);
        if let Some(path) = picked {
            cx.act(Action::Label(LabelAction::Pick(path, Pick::Only)));
        }
        if drag == Drag::Frames {
            egui::DragAndDrop::set_payload(ui.ctx(), DraggedFrames);
        }
        view.drag = Some(drag);
    }
    let Some(Drag::Band(start)) = view.drag else {
        if released {
            view.drag = None;
        }
        return;
    };
    let rect = Rect::from_two_pos(start, relative(pointer));
    let paths: Vec<String> = layout
        .touching(rect)
        .into_iter()
        .filter_map(|place| session.shown_path(place))
        .map(str::to_owned)
        .collect();
    let same = paths.len() == session.label.selection.len()
        && paths
            .iter()
            .all(|path| session.label.selection.contains(path));
    if !same {
        cx.act(Action::Label(LabelAction::Select(paths, adding)));
    }
    let shown = rect.translate(origin.to_vec2());
    let radius = CornerRadius::same(4);
    ui.painter()
        .rect_filled(shown, radius, t.accent.gamma_multiply(0.12));
    ui.painter().rect_stroke(
        shown,
        radius,
        Stroke::new(1.0, t.accent),
        StrokeKind::Inside,
    );
    // At the edges the grid scrolls.
    let clip = ui.clip_rect();
    let beyond =
        (pointer.y - (clip.bottom() - 24.0)).max(0.0) + (pointer.y - (clip.top() + 24.0)).min(0.0);
    if beyond != 0.0 {
        ui.scroll_with_delta(Vec2::new(0.0, -beyond * 0.5));
        ui.ctx().request_repaint();
    }
    if released {
        view.drag = None;
    }
}

/// The number of dragged frames, at the pointer.
fn drag_badge_ui(ui: &Ui, session: &Session) {
    let t = tokens(ui);
    if !egui::DragAndDrop::has_payload_of_type::<DraggedFrames>(ui.ctx()) {
        return;
    }
    let Some(pointer) = ui.ctx().pointer_latest_pos() else {
        return;
    };
    let layer = egui::LayerId::new(egui::Order::Tooltip, Id::unique("dragged frames"));
    let painter = ui.ctx().layer_painter(layer);
    let galley = painter.layout_no_wrap(
        session.noun().count(session.label.selection.len().max(1)),
        FontId::new(theme::TYPE_SMALL, theme::medium()),
        t.on_accent,
    );
    let rect = Rect::from_min_size(pointer + vec2(14.0, 10.0), galley.size() + vec2(18.0, 8.0));
    painter.rect_filled(rect, CornerRadius::same(12), t.accent);
    painter.galley(rect.min + vec2(9.0, 4.0), galley, t.on_accent);
}
