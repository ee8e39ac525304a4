//! Trying a model on a phone: the QR code for its camera, and what is served meanwhile.

use egui::{Align, CornerRadius, Layout, Rect, Sense, Ui, pos2, vec2};

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::{Action, Dialog, PhoneAction, PhoneState, PhoneTrial, Served, words};
use crate::jobs::Progress;
use crate::serve::{Interface, Qr};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, accent_button, button, choice, field_label, icon_button, progress_bar,
};

/// Side of the square of the code, points.
const CODE: f32 = 248.0;

pub(super) fn phone_ui(ui: &mut Ui, cx: &mut Cx<'_>) -> End {
    let session = cx.app.session.as_ref();
    let Some(session) = session.filter(|session| session.phone.is_some()) else {
        return End::Close;
    };
    let Some(trial) = &session.phone else {
        return End::Close;
    };
    title_ui(ui, "Try it on your phone");
    let title = session.train.run(&trial.run);
    let title = title.map_or_else(|| trial.run.0.clone(), crate::app::RunEntry::title);
    let mut failed = false;
    match &trial.state {
        PhoneState::Making(task) => {
            words_ui(ui, &format!("Making the page of {title}…"));
            let running = cx.app.tasks.running().iter().find(|run| run.id == *task);
            let progress = running.map(|running| running.work.progress());
            waiting_ui(ui, progress.as_ref());
        }
        PhoneState::Opening(_) => {
            words_ui(ui, "Switching to another address…");
            waiting_ui(ui, None);
        }
        PhoneState::Open(served) => open_ui(ui, cx, trial, served, &title),
        PhoneState::Failed(why) => {
            failed = true;
            let t = tokens(ui);
            ui.add(egui::Label::new(egui::RichText::new(why).color(t.danger)).wrap());
            interfaces_ui(ui, cx, &trial.interfaces, None);
        }
    }
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if failed {
            if accent_button(ui, Some(icons::REFRESH), "Try again").clicked() {
                cx.act(Action::Phone(PhoneAction::Try(trial.run.clone())));
            }
            if button(ui, None, "Close").clicked() {
                end = End::Close;
            }
        } else {
            let label = match trial.state {
                PhoneState::Open(_) => "Close it",
                _ => "Cancel",
            };
            if button(ui, None, label)
                .on_hover_text("Stops serving the page")
                .clicked()
            {
                end = End::Close;
            }
        }
    });
    end
}

/// As high as the code that replaces it, so that nothing jumps.
fn waiting_ui(ui: &mut Ui, progress: Option<&Progress>) {
    let size = vec2(ui.available_width(), CODE);
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(size);
        ui.add_space(CODE / 2.0 - 30.0);
        let t = tokens(ui);
        let stage = progress.map(|progress| progress.stage.clone());
        let words = match stage {
            Some(stage) if !stage.is_empty() => stage,
            Some(_) => "Begins".to_owned(),
            None => "Waiting for another job".to_owned(),
        };
        ui.label(widgets::muted(t, words));
        let fraction = progress.and_then(Progress::fraction);
        progress_bar(ui, fraction, ui.available_width());
    });
}

fn open_ui(ui: &mut Ui, cx: &mut Cx<'_>, trial: &PhoneTrial, served: &Served, title: &str) {
    let t = tokens(ui);
    words_ui(
        ui,
        &format!(
            "Scan the code with the phone’s camera. The phone takes a photo and runs {title} on it; photos never leave the phone."
        ),
    );
    ui.add_space(4.0);
    ui.vertical_centered(|ui| code_ui(ui, &served.qr, &served.url));
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::COPY, "Copy the address", "Copy the address").clicked() {
                ui.ctx().copy_text(served.url.clone());
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let address = egui::RichText::new(&served.url)
                    .monospace()
                    .size(theme::TYPE_SMALL);
                ui.add(egui::Label::new(address).truncate().selectable(true))
                    .on_hover_text(&served.url);
            });
        });
    });
    interfaces_ui(ui, cx, &trial.interfaces, Some(served));
    let only = if served.address.is_loopback() {
        "Served only at this address, reachable only from this computer, until you close this."
    } else {
        "Served only at this address, in the local network, until you close this. The page and the model are sent by plain HTTP."
    };
    ui.add(egui::Label::new(widgets::small(t, only)).wrap());
    let stats = served.stats();
    let words = match stats.devices.len() {
        0 => "No device has opened it yet. The phone must be in the same network.".to_owned(),
        count => {
            let names: Vec<String> = stats.devices.iter().map(ToString::to_string).collect();
            let devices = words::count(count as u64, "device");
            format!("{devices} opened it: {}", names.join(", "))
        }
    };
    let color = if stats.devices.is_empty() {
        t.muted
    } else {
        t.ok
    };
    let words = egui::RichText::new(words)
        .size(theme::TYPE_SMALL)
        .color(color);
    ui.add(egui::Label::new(words).wrap());
}

/// The choice among the addresses of this computer.
fn interfaces_ui(ui: &mut Ui, cx: &mut Cx<'_>, all: &[Interface], served: Option<&Served>) {
    if all.is_empty() || (all.len() == 1 && served.is_some()) {
        return;
    }
    let name = |interface: &Interface| {
        if interface.is_loopback() {
            format!("This computer only, {}", interface.address)
        } else {
            format!("{}, {}", interface.name, interface.address)
        }
    };
    field_label(ui, "Network");
    let chosen = all
        .iter()
        .find(|one| served.is_some_and(|served| served.address == one.address));
    let shown = chosen.map_or_else(|| "Choose one".to_owned(), name);
    choice(ui, "phone network", "Network", &shown, |ui| {
        for interface in all {
            let on = chosen == Some(interface);
            if ui.selectable_label(on, name(interface)).clicked() && !on {
                cx.act(Action::Phone(PhoneAction::Interface(interface.address)));
            }
        }
    });
}

/// The code, dark on light in both themes: not every camera reads it inverted.
fn code_ui(ui: &mut Ui, qr: &Qr, url: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(CODE, CODE), Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, format!("QR code of {url}"))
    });
    let painter = ui.painter();
    painter.rect_filled(rect, CornerRadius::same(theme::RADIUS), theme::QR_LIGHT);
    let edge = qr.side() + 2 * Qr::QUIET;
    // Whole pixels, otherwise there are light seams between the modules.
    let scale = ui.ctx().pixels_per_point();
    let module = (CODE * scale / edge as f32).floor() / scale;
    let left = rect.center().x - module * qr.side() as f32 / 2.0;
    let top = rect.center().y - module * qr.side() as f32 / 2.0;
    let start = pos2(
        (left * scale).round() / scale,
        (top * scale).round() / scale,
    );
    for y in 0..qr.side() {
        let mut x = 0;
        while x < qr.side() {
            let from = x;
            while qr.is_dark(x, y) {
                x += 1;
            }
            if x > from {
                let min = start + vec2(from as f32, y as f32) * module;
                let size = vec2((x - from) as f32, 1.0) * module;
                let cell = Rect::from_min_size(min, size);
                painter.rect_filled(cell, CornerRadius::ZERO, theme::QR_DARK);
            }
            x += 1;
        }
    }
}

/// The button that opens this dialog.
pub fn phone_button(ui: &mut Ui, cx: &mut Cx<'_>, run: &crate::train::RunId) {
    let open = matches!(cx.app.dialog, Some(Dialog::Phone));
    let button = ui.add_enabled_ui(!open, |ui| {
        button(ui, Some(icons::PHONE), "Try it on your phone")
    });
    if button
        .inner
        .on_hover_text("Show a QR code that opens the model’s page on a phone in the same network")
        .clicked()
    {
        cx.act(Action::Phone(PhoneAction::Try(run.clone())));
    }
}
