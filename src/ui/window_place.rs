//! Size and position of the window: as they were when it was closed, on a screen that exists.

use eframe::egui::{self, Context, ViewportBuilder, ViewportCommand, pos2, vec2};

use crate::app::WindowPlace;

/// Size of the smallest window, points.
const LEAST: [f32; 2] = [800.0, 600.0];
/// Size of the first window, points.
const FIRST: [f32; 2] = [1440.0, 900.0];

/// A window with the remembered size and position.
pub fn builder(builder: ViewportBuilder, place: Option<WindowPlace>) -> ViewportBuilder {
    let size = place.map_or(FIRST, |place| {
        [place.size[0].max(LEAST[0]), place.size[1].max(LEAST[1])]
    });
    let builder = builder.with_inner_size(size).with_min_inner_size(LEAST);
    let Some(place) = place else {
        return builder;
    };
    let builder = builder.with_maximized(place.maximized);
    match place.at {
        Some(at) => builder.with_position(at),
        None => builder,
    }
}

/// Moves the window onto a screen if it was remembered on one that is gone.
pub fn correct(cc: &eframe::CreationContext<'_>, place: Option<WindowPlace>) {
    let Some(window) = cc.winit_window() else {
        return;
    };
    if place.is_some_and(|place| place.maximized) {
        // Not every window manager respects the position of a new window.
        cc.egui_ctx
            .send_viewport_cmd(ViewportCommand::Maximized(true));
    }
    let primary = window.primary_monitor();
    let scale = window.scale_factor().max(0.1) as f32;
    let screens: Vec<[f32; 4]> = primary
        .into_iter()
        .chain(window.available_monitors())
        .map(|monitor| {
            let (at, size) = (monitor.position(), monitor.size());
            let (left, top) = (at.x as f32 / scale, at.y as f32 / scale);
            let right = left + size.width as f32 / scale;
            [left, top, right, top + size.height as f32 / scale]
        })
        .collect();
    let Some(place) = place else {
        // The very first window fits the screen, with space for its bar and those of the system.
        if let Some([left, top, right, bottom]) = screens.first() {
            let size = vec2(
                FIRST[0].min((right - left) * 0.94).max(LEAST[0]),
                FIRST[1].min((bottom - top) * 0.88).max(LEAST[1]),
            );
            if size != vec2(FIRST[0], FIRST[1]) {
                cc.egui_ctx
                    .send_viewport_cmd(ViewportCommand::InnerSize(size));
            }
        }
        return;
    };
    let corrected = place.on_screen(&screens);
    if corrected != place {
        if let Some([x, y]) = corrected.at {
            let command = ViewportCommand::OuterPosition(pos2(x, y));
            cc.egui_ctx.send_viewport_cmd(command);
        }
        let [width, height] = corrected.size;
        let command = ViewportCommand::InnerSize(vec2(width, height));
        cc.egui_ctx.send_viewport_cmd(command);
    }
}

/// The current size and position; `None` if they should not be remembered. `before` is what is remembered.
pub fn now(ctx: &Context, before: Option<WindowPlace>) -> Option<WindowPlace> {
    // Read before: within `input` the context is locked.
    let zoom = ctx.zoom_factor();
    ctx.input(|input| {
        let info = input.viewport();
        let hidden = info.minimized == Some(true) || info.fullscreen == Some(true);
        let inner = info.inner_rect.filter(|_| !hidden)?;
        if info.maximized == Some(true) {
            // The normal size is the one before it was maximized.
            return before.map(|before| WindowPlace {
                maximized: true,
                ..before
            });
        }
        // In points of the screen, whatever the zoom of the window.
        let whole = |value: f32| (value * zoom).round();
        let at = info.outer_rect.map(|outer| outer.min);
        let size = egui::vec2(whole(inner.width()), whole(inner.height()));
        Some(WindowPlace {
            at: at.map(|at| [whole(at.x), whole(at.y)]),
            size: [size.x, size.y],
            maximized: false,
        })
    })
}
