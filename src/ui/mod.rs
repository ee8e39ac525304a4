//! Painting only: theme, widgets, the shell around the workspaces, one folder or file for each workspace.
//!
//! [`Window`] combines the state ([`App`]) with state of the painting ([`Views`]: text being typed, what is dragged).
//! Functions that paint end in `_ui`; they read the state and push [`Action`]s.

mod banner;
mod dialogs;
mod drop_zone;
mod evaluate;
mod export;
mod file_drag;
mod fonts;
mod foot;
pub mod icons;
mod import;
mod keys;
mod label;
mod make;
mod notes;
mod palette;
mod rail;
mod run_choice;
mod start;
pub mod theme;
mod top_bar;
mod train;
mod viewer;
mod visible;
pub mod widgets;
mod window_place;

use eframe::egui;
use egui::{CentralPanel, Frame, Margin, Pos2, Ui, ViewportCommand};

use crate::app::{Action, App, Command, Prefs, Session, WindowOptions, Workspace};
use crate::project::Label;

/// The context of painting: the state to read, and the list of actions.
pub struct Cx<'a> {
    /// The state.
    pub app: &'a App,
    /// Whether a dialog is open over the window.
    pub in_dialog: bool,
    /// Where files of another program hover or were just dropped, points.
    pub files_at: Option<Pos2>,
    /// The label whose row is at that point.
    pub files_on: Option<Label>,
    /// The user's actions in this frame.
    pub actions: &'a mut Vec<Action>,
}

impl Cx<'_> {
    /// Adds an action of the user.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Whether files hover over the row of a label, which would accept them.
    pub fn takes_files(&mut self, rect: egui::Rect, label: &Label) -> bool {
        let over = self.files_at.is_some_and(|at| rect.contains(at));
        if over {
            self.files_on = Some(label.clone());
        }
        over
    }

    /// Adds a command of the user.
    pub fn command(&mut self, command: Command) {
        self.actions.push(Action::Command(command));
    }
}

/// State of the painting.
#[derive(Default)]
struct Views {
    palette: palette::View,
    dialogs: dialogs::View,
    import: import::View,
    label: label::View,
    train: train::View,
    evaluate: evaluate::View,
    export: export::View,
    top_bar: top_bar::View,
    file_drag: file_drag::FileDrag,
    had_focus: bool,
    /// The title of the window.
    title: String,
}

/// The window.
pub struct Window {
    app: App,
    views: Views,
}

impl Window {
    /// A window on `ctx`; needs no screen, so that tests can click in it.
    #[must_use]
    pub fn new(ctx: &egui::Context, options: WindowOptions) -> Self {
        theme::install(ctx);
        visible::install(ctx);
        Self {
            app: App::new(ctx, options),
            views: Views {
                had_focus: true,
                ..Views::default()
            },
        }
    }

    /// The state, for tests.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Performs an action of the user, for tests.
    pub fn apply(&mut self, action: Action) {
        self.app.apply(action);
    }

    fn follow_focus(&mut self, ctx: &egui::Context) {
        let focused = ctx.input(|input| input.focused);
        if focused && !self.views.had_focus {
            self.app.focused();
        }
        self.views.had_focus = focused;
    }

    /// Updates the title of the window, which names the open project.
    fn follow_title(&mut self, ctx: &egui::Context) {
        let title = match &self.app.session {
            Some(session) => format!("{} – Salamander", session.name),
            None => "Salamander".to_owned(),
        };
        if self.views.title != title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.views.title = title;
        }
    }

    fn follow_closing(&mut self, ctx: &egui::Context) {
        if ctx.input(|input| input.viewport().close_requested()) && !self.app.may_close() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.app.ask_to_quit();
        }
        if self.app.may_close() {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        } else if self.app.is_quitting() {
            ctx.request_repaint_after(std::time::Duration::from_millis(30));
        }
    }

    fn show(&mut self, ui: &mut Ui, frame: &eframe::Frame) {
        let mut actions = Vec::new();
        let mut dialog = self.app.dialog.take();
        {
            let mut cx = Cx {
                app: &self.app,
                in_dialog: dialog.is_some() || self.app.palette,
                files_at: self.views.file_drag.position(ui.ctx(), frame),
                files_on: None,
                actions: &mut actions,
            };
            let views = &mut self.views;
            let viewer = evaluate::viewed(cx.app);
            let changed = export::viewed(cx.app, &views.export);
            let covered = cx.in_dialog || viewer.is_some() || changed.is_some();
            // Widgets below a dialog do not see the pointer: egui paints every tooltip above everything, and keeps one
            // open as long as the pointer is over its widget.
            let pointer = covered.then(|| {
                ui.ctx()
                    .input_mut(|input| std::mem::take(&mut input.pointer))
            });
            keys::keys_ui(ui, &mut cx);
            top_bar::top_bar_ui(ui, &mut cx, &mut views.top_bar);
            foot::foot_ui(ui, &mut cx);
            banner::banner_ui(ui, &mut cx);
            if cx.app.session.is_some() {
                rail::rail_ui(ui, &mut cx);
            }
            let t = theme::tokens(ui);
            CentralPanel::no_frame()
                .frame(Frame::new().fill(t.window).inner_margin(Margin::same(16)))
                .show(ui, |ui| match &cx.app.session {
                    // While another project is being opened, this one can no longer be changed.
                    Some(session) if !cx.app.opening => {
                        // Different projects and workspaces have different scroll positions.
                        let place = (&session.root, cx.app.workspace);
                        ui.push_id(place, |ui| workspace_ui(ui, &mut cx, session, views));
                    }
                    _ => match &cx.app.making {
                        Some(making) if !cx.app.opening => make::make_ui(ui, &mut cx, making),
                        _ => start::start_ui(ui, &mut cx),
                    },
                });
            if let Some(pointer) = pointer {
                ui.ctx().input_mut(|input| input.pointer = pointer);
            }
            if let Some((session, evaluation)) = viewer {
                let view = &mut views.evaluate;
                evaluate::large_ui(ui.ctx(), &mut cx, session, evaluation, view);
            }
            if let Some(session) = changed {
                export::large_ui(ui.ctx(), &mut cx, session, &mut views.export);
            }
            drop_zone::drop_zone_ui(ui.ctx(), &mut cx);
            palette::palette_ui(ui.ctx(), &mut cx, &mut views.palette);
            dialogs::dialogs_ui(ui.ctx(), &mut cx, &mut dialog, &mut views.dialogs);
            notes::notes_ui(ui.ctx(), &mut cx);
        }
        if self.app.dialog.is_none() {
            self.app.dialog = dialog;
        }
        if !actions.is_empty() {
            // Changes are visible in the next frame, which must not wait for the pointer to move.
            ui.ctx().request_repaint();
        }
        for action in actions {
            self.app.apply(action);
        }
    }
}

/// Paints the current workspace.
fn workspace_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, views: &mut Views) {
    match cx.app.workspace {
        Workspace::Import => import::import_ui(ui, cx, session, &mut views.import),
        Workspace::Label => label::label_ui(ui, cx, session, &mut views.label),
        Workspace::Train => train::train_ui(ui, cx, session, &mut views.train),
        Workspace::Evaluate => evaluate::evaluate_ui(ui, cx, session, &mut views.evaluate),
        Workspace::Export => export::export_ui(ui, cx, session, &mut views.export),
    }
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.follow_focus(ctx);
        self.follow_closing(ctx);
        if let Some(place) = window_place::now(ctx, self.app.prefs.window) {
            self.app.set_window_place(place);
        }
        self.app.logic();
        self.follow_title(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        self.show(ui, frame);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

/// Opens the window and runs it until it is closed.
///
/// # Errors
/// When the system gives no window: no display, no OpenGL.
pub fn run_window(options: WindowOptions) -> eframe::Result {
    let prefs = options.config_dir.as_deref().map(Prefs::load);
    let place = prefs.and_then(|prefs| prefs.window);
    let mut viewport = egui::ViewportBuilder::default()
        .with_title("Salamander")
        .with_app_id("salamander")
        .with_drag_and_drop(true);
    match eframe::icon_data::from_png_bytes(include_bytes!("../../assets/icon-256.png")) {
        Ok(icon) => viewport = viewport.with_icon(icon),
        Err(error) => log::warn!("the window has no icon: {error}"),
    }
    let native = eframe::NativeOptions {
        viewport: window_place::builder(viewport, place),
        renderer: eframe::Renderer::Glow,
        centered: place.is_none_or(|place| place.at.is_none()),
        ..eframe::NativeOptions::default()
    };
    eframe::run_native(
        "salamander",
        native,
        Box::new(move |cc| {
            window_place::correct(cc, place);
            Ok(Box::new(Window::new(&cc.egui_ctx, options)))
        }),
    )
}
