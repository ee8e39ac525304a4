//! The list of architectures, with a plot of their cost and accuracy on `ImageNet` above it.
//!
//! A filled dot is a published accuracy: at the multiply-accumulates of the resolution that it was published for, with
//! an area in proportion to the size of the model file. Below are the available resolutions, in a row for each
//! backbone, hollow if no accuracy was published for it.

use egui::{
    Align2, Color32, FontFamily, FontId, Painter, Pos2, Rect, Response, Sense, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};

use crate::app::{Action, ArchitectureAction, Command, words};
use crate::backbone::{Architecture, Backbone, BackboneError, PublishedTop1, catalogue};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{Tokens, tokens};
use crate::ui::widgets::{self, menu_item};

/// Width of the list, points.
const WIDTH: f32 = 372.0;
/// Height of the part with accuracies, points.
const ACCURACIES: f32 = 104.0;
/// Height of a backbone's row of resolutions, points.
const ROW: f32 = 18.0;
/// Width at the left for names and percentages, points.
const LEFT: f32 = 84.0;
/// Height below for the multiply-accumulates, points.
const BELOW: f32 = 18.0;
/// Radius of the dot of the largest model file, points.
const LARGEST_DOT: f32 = 7.0;
/// Radius of a resolution's dot, points.
const DOT: f32 = 4.0;

/// Paints the plot and the list, including architectures that were added to the project; returns the architecture that
/// was clicked.
pub(super) fn architectures_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    own: &[&'static Backbone],
    chosen: &Architecture,
) -> Option<Architecture> {
    let t = tokens(ui);
    ui.set_min_width(WIDTH);
    let (all, backbones) = match (Architecture::all(), catalogue()) {
        (Ok(all), Ok(backbones)) => (all, backbones),
        (Err(error), _) | (_, Err(error)) => {
            ui.label(egui::RichText::new(error.to_string()).color(t.danger));
            return None;
        }
    };
    let mut clicked = None;
    match plot_ui(ui, backbones, chosen) {
        Ok(found) => clicked = found,
        Err(error) => {
            ui.label(egui::RichText::new(error.to_string()).color(t.danger));
        }
    }
    ui.label(widgets::faint(
        t,
        "Hollow: accuracy not published. Area: file size",
    ));
    ui.add_space(4.0);
    ui.label(widgets::faint(
        t,
        "Larger inputs show more detail and take longer",
    ));
    for architecture in all {
        let glyph = (architecture == *chosen).then_some(icons::CHECK);
        let label = words::architecture_in_words(&architecture);
        let right = widgets::faint(t, technical(&architecture));
        let item = menu_item(ui, glyph, &label, right);
        let item = item.on_hover_ui(|ui| {
            let text = details(&architecture).unwrap_or_else(|error| error.to_string());
            ui.label(text);
        });
        if item.clicked() {
            clicked = Some(architecture);
        }
    }
    widgets::separator(ui);
    for backbone in own {
        clicked = own_ui(ui, cx, backbone, chosen).or(clicked);
    }
    let add = Command::AddArchitecture;
    let enabled = add.is_enabled(cx.app);
    let item = ui
        .add_enabled_ui(enabled, |ui| {
            let right = widgets::faint(t, "any classifier in an ONNX file");
            menu_item(ui, Some(icons::PLUS), &add.text(cx.app.noun()), right)
        })
        .inner;
    if item.on_hover_text(add.tooltip(cx.app.noun())).clicked() {
        cx.act(Action::Command(add));
        ui.close();
    }
    clicked
}

/// An architecture of the project: a choice of its resolutions, and a button that removes it.
fn own_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    backbone: &'static Backbone,
    chosen: &Architecture,
) -> Option<Architecture> {
    let t = tokens(ui);
    let mut clicked = None;
    let is_chosen = backbone.name == chosen.backbone;
    let shown = Architecture {
        backbone: backbone.name.clone(),
        resolution_px: backbone.default_resolution,
    };
    let glyph = (is_chosen && *chosen == shown).then_some(icons::CHECK);
    let label = words::architecture_in_words(&shown);
    let size = words::bytes(backbone.bytes);
    let right = widgets::faint(t, format!("{size} · {}", technical(&shown)));
    let item = menu_item(ui, glyph, &label, right);
    let text = details(&shown).unwrap_or_else(|error| error.to_string());
    if item.on_hover_text(text).clicked() {
        clicked = Some(shown.clone());
    }
    if backbone.resolutions.len() > 1 || !is_chosen {
        ui.horizontal_wrapped(|ui| {
            ui.add_space(24.0);
            for architecture in backbone.offered().filter(|one| *one != shown) {
                let on = architecture == *chosen;
                let px = architecture.resolution_px.to_string();
                let name = words::architecture_name(&architecture);
                if widgets::toggle_chip(ui, on, &px, &name).clicked() {
                    clicked = Some(architecture);
                }
            }
            if !is_chosen {
                let title = words::architecture_name(&shown);
                let title = title.split('@').next().unwrap_or_default();
                let name = format!("Remove {title}");
                let tip = "Move this architecture to the trash; refused while runs use it";
                if widgets::icon_button(ui, icons::TRASH, &name, tip).clicked() {
                    let action = ArchitectureAction::Remove(backbone.name.clone());
                    cx.act(Action::Architecture(action));
                    ui.close();
                }
            }
        });
    }
    clicked
}

/// `lite0@224 · 407 M MACs`
pub(super) fn technical(architecture: &Architecture) -> String {
    let macs = architecture
        .multiply_accumulates()
        .map(|macs| format!("{} MACs", words::millions(macs)))
        .unwrap_or_default();
    format!("{} · {macs}", words::architecture_name(architecture))
}

/// Size, cost, accuracy and licence in a sentence.
fn details(architecture: &Architecture) -> Result<String, BackboneError> {
    let entry = architecture.entry()?;
    let accuracy = if let Some(percent) = entry.top1_percent_at(architecture.resolution_px) {
        format!("ImageNet accuracy {percent:.1} %, as published")
    } else if let Some(published) = &entry.imagenet_top1 {
        format!(
            "no accuracy published at this resolution (ImageNet {:.1} % at {} px)",
            published.percent, published.resolution_px
        )
    } else {
        "added to this project".to_owned()
    };
    Ok(format!(
        "{}: {} multiply-accumulates per image, {} parameters, {}, {accuracy}. {}",
        words::architecture_name(architecture),
        words::millions(architecture.multiply_accumulates()?),
        words::millions(entry.parameters),
        words::bytes(entry.bytes),
        entry.licence,
    ))
}

/// From multiply-accumulates and percentages to points on the screen.
struct Scale {
    frame: Rect,
    /// Powers of two.
    macs: [f32; 2],
    percent: [f32; 2],
}

impl Scale {
    fn of(frame: Rect, backbones: &[Backbone]) -> Result<Self, BackboneError> {
        let mut macs = [f32::MAX, f32::MIN];
        let mut percent = [f32::MAX, f32::MIN];
        let widen = |range: &mut [f32; 2], value: f32| {
            *range = [range[0].min(value), range[1].max(value)];
        };
        for backbone in backbones {
            if let Some(published) = &backbone.imagenet_top1 {
                widen(&mut percent, published.percent);
            }
            for architecture in backbone.offered() {
                let cost = architecture.multiply_accumulates()?;
                widen(&mut macs, (cost as f32).log2());
            }
        }
        Ok(Self {
            frame,
            macs: [macs[0] - 0.25, macs[1] + 0.25],
            percent: [percent[0].floor() - 1.0, percent[1].ceil() + 1.0],
        })
    }

    fn x(&self, macs: u64) -> f32 {
        let along = (macs as f32).log2();
        egui::remap(
            along,
            self.macs[0]..=self.macs[1],
            self.frame.left()..=self.frame.right(),
        )
    }

    fn y(&self, percent: f32) -> f32 {
        let [least, most] = self.percent;
        egui::remap(
            percent,
            least..=most,
            self.frame.bottom()..=self.frame.top(),
        )
    }
}

/// Accuracy over multiply-accumulates. Returns what was clicked.
fn plot_ui(
    ui: &mut Ui,
    backbones: &[Backbone],
    chosen: &Architecture,
) -> Result<Option<Architecture>, BackboneError> {
    let t = tokens(ui);
    let rows = backbones.len() as f32 * ROW;
    ui.label(widgets::faint(
        t,
        "Published ImageNet accuracy, over multiply-accumulates",
    ));
    let size = vec2(ui.available_width().max(WIDTH), ACCURACIES + rows + BELOW);
    let (whole, _) = ui.allocate_exact_size(size, Sense::hover());
    let painter = ui.painter().clone();
    let left = whole.left() + LEFT;
    let frame = Rect::from_min_max(
        pos2(left, whole.top() + 4.0),
        pos2(whole.right() - 8.0, whole.top() + ACCURACIES - 8.0),
    );
    let scale = Scale::of(frame, backbones)?;
    axes(&painter, t, &scale, whole);

    let largest = backbones.iter().map(|b| b.bytes).max().unwrap_or(1).max(1);
    // All architectures of Salamander have a published accuracy.
    let published: Vec<(&Backbone, &PublishedTop1)> = backbones
        .iter()
        .filter_map(|backbone| Some((backbone, backbone.imagenet_top1.as_ref()?)))
        .collect();
    let figures: Vec<Figure> = published
        .iter()
        .enumerate()
        .map(|(row, (backbone, published))| Figure {
            row: whole.top() + ACCURACIES + (row as f32 + 0.5) * ROW,
            at: pos2(
                scale.x(published.multiply_accumulates),
                scale.y(published.percent),
            ),
            radius: LARGEST_DOT * (backbone.bytes as f32 / largest as f32).sqrt(),
            mine: backbone.name == chosen.backbone,
            holds: backbone.name == chosen.backbone
                && published.resolution_px == chosen.resolution_px,
        })
        .collect();
    // Lines below all dots.
    for figure in &figures {
        painter.hline(frame.x_range(), figure.row, Stroke::new(1.0, t.line));
        let stem = if figure.holds {
            t.accent
        } else {
            t.line_strong
        };
        painter.vline(
            figure.at.x,
            figure.at.y + figure.radius..=figure.row,
            Stroke::new(1.0, stem),
        );
    }
    let mut clicked = None;
    for ((backbone, published), figure) in published.into_iter().zip(&figures) {
        let family = Architecture {
            backbone: backbone.name.clone(),
            resolution_px: backbone.default_resolution,
        };
        let title = words::architecture_name(&family);
        let title = title.split('@').next().unwrap_or_default();
        let color = if figure.mine { t.text } else { t.muted };
        painter.text(
            pos2(whole.left() + 2.0, figure.row),
            Align2::LEFT_CENTER,
            title,
            small(),
            color,
        );
        for architecture in backbone.offered() {
            let macs = architecture.multiply_accumulates()?;
            let place = pos2(scale.x(macs), figure.row);
            let is_chosen = architecture == *chosen;
            let dot = dot_ui(ui, &architecture.to_string(), is_chosen, place);
            let top1 = backbone.top1_percent_at(architecture.resolution_px);
            let style = DotStyle {
                full: top1.is_some(),
                chosen: is_chosen,
                ring: false,
            };
            mark(&painter, t, place, DOT, &style, &dot);
            if dot.on_hover_text(details(&architecture)?).clicked() {
                clicked = Some(architecture);
            }
        }

        // A click on the published accuracy chooses its resolution, or else the nearest one on offer.
        let nearest = backbone
            .offered()
            .min_by_key(|offered| {
                let away = offered.resolution_px.abs_diff(published.resolution_px);
                (away, offered.resolution_px != backbone.default_resolution)
            })
            .unwrap_or(family);
        let percent = format!("{:.1} %", published.percent);
        let name = format!("{title}, {percent}");
        let dot = dot_ui(ui, &name, nearest == *chosen, figure.at);
        let style = DotStyle {
            full: true,
            chosen: figure.holds,
            ring: figure.mine && !figure.holds,
        };
        mark(&painter, t, figure.at, figure.radius, &style, &dot);
        figure_text(&painter, figure, &figures, &percent, color);
        let words = format!(
            "{name} on ImageNet at {} px, with {} multiply-accumulates and {}",
            published.resolution_px,
            words::millions(published.multiply_accumulates),
            words::bytes(backbone.bytes),
        );
        let words = if nearest.resolution_px == published.resolution_px {
            words
        } else {
            format!(
                "{words}; the nearest available resolution is {} px",
                nearest.resolution_px
            )
        };
        if dot.on_hover_text(words).clicked() {
            clicked = Some(nearest);
        }
    }
    Ok(clicked)
}

/// The dot of a published accuracy, and the row of its backbone below it.
struct Figure {
    row: f32,
    at: Pos2,
    radius: f32,
    /// Whether the backbone is the chosen one.
    mine: bool,
    /// Whether the accuracy was published for the chosen resolution.
    holds: bool,
}

/// The percentage left of its dot, or right of it if another dot would cover it.
fn figure_text(painter: &Painter, figure: &Figure, all: &[Figure], text: &str, color: Color32) {
    let galley = painter.layout_no_wrap(text.to_owned(), small(), color);
    let aside = figure.radius + 6.0;
    let size = galley.size();
    let place = |align: Align2, at: Pos2| align.anchor_size(at, size);
    let left = place(Align2::RIGHT_CENTER, figure.at - vec2(aside, 0.0));
    let covered = all.iter().any(|other| {
        let is_same = other.at == figure.at;
        !is_same && left.expand(other.radius).contains(other.at)
    });
    let rect = if covered {
        place(Align2::LEFT_CENTER, figure.at + vec2(aside, 0.0))
    } else {
        left
    };
    painter.galley(rect.min, galley, color);
}

/// Lines and numbers at round percentages and powers of two.
fn axes(painter: &Painter, t: &Tokens, scale: &Scale, whole: Rect) {
    let frame = scale.frame;
    let [least, most] = scale.percent;
    for percent in (least as i32..=most as i32).filter(|percent| percent % 2 == 0) {
        let y = scale.y(percent as f32);
        painter.hline(frame.x_range(), y, Stroke::new(1.0, t.line));
        painter.text(
            pos2(frame.left() - 8.0, y),
            Align2::RIGHT_CENTER,
            format!("{percent} %"),
            small(),
            t.faint,
        );
    }
    for millions in [50_u64, 100, 200, 400, 800, 1_600] {
        let x = scale.x(millions * 1_000_000);
        if frame.x_range().contains(x) {
            painter.text(
                pos2(x, whole.bottom()),
                Align2::CENTER_BOTTOM,
                format!("{millions} M"),
                small(),
                t.faint,
            );
        }
    }
}

fn small() -> FontId {
    FontId::new(11.0, FontFamily::Proportional)
}

/// A dot that can be clicked to choose an architecture. With the keyboard it is chosen in the list below, so the tab
/// key skips it.
fn dot_ui(ui: &Ui, name: &str, chosen: bool, at: Pos2) -> Response {
    let rect = Rect::from_center_size(at, vec2(2.0 * DOT + 4.0, ROW - 2.0));
    let id = ui.scope_id().with(("architecture", name));
    let response = ui.interact(rect, id, Sense::CLICK);
    response.widget_info(|| WidgetInfo::selected(egui::Role::RadioButton, true, chosen, name));
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// A dot, in the accent colour if it is chosen.
fn mark(
    painter: &Painter,
    t: &Tokens,
    at: Pos2,
    radius: f32,
    style: &DotStyle,
    response: &Response,
) {
    let color = match (style.chosen, response.hovered()) {
        (true, _) => t.accent,
        (false, true) => t.text,
        (false, false) => t.muted,
    };
    // An edge separates it from dots close to it.
    painter.circle_filled(at, radius + 1.0, t.panel);
    if style.full {
        painter.circle_filled(at, radius, color);
    } else {
        painter.circle_stroke(at, radius - 0.75, Stroke::new(1.5, color));
    }
    if style.ring {
        painter.circle_stroke(at, radius + 2.0, Stroke::new(1.5, t.accent));
    }
}

/// The appearance of a dot.
struct DotStyle {
    /// There is a published accuracy.
    full: bool,
    /// It is the chosen architecture.
    chosen: bool,
    /// It is the published accuracy of the chosen backbone at another resolution.
    ring: bool,
}
