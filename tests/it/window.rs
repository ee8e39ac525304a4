//! Drives the window without a screen: finds controls by their accessible names, like a screen reader, with the real
//! engine behind them.

use std::path::Path;
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use salamander::app::{Action, LabelAction, WindowOptions};
use salamander::jobs::wait_for_abandoned;
use salamander::project::Label;
use salamander::ui::Window;

/// From now on the tests in this process decode like the program: in a separate process.
pub fn decode_apart() {
    salamander::media::decode_with(env!("CARGO_BIN_EXE_salamander").into());
}

/// A window under test.
pub struct Desk {
    /// The window.
    pub harness: Harness<'static, Window>,
    /// Dropped after the window.
    _end: End,
}

/// Waits for abandoned work of a window, as the program does at its end.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        wait_for_abandoned();
    }
}

impl Drop for Desk {
    /// Quits like a user.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.harness.state_mut().apply(Action::QuitNow);
            self.until("the end of the work", |harness| {
                harness.state().app().may_close()
            });
        }
    }
}

impl Desk {
    /// A window with its settings in `config`, without the system's dialogs. Projects next to that folder are known to
    /// it.
    pub fn new(config: &Path, size: [f32; 2]) -> Self {
        let settings = config.join("settings.json");
        if !settings.exists() {
            std::fs::create_dir_all(config).unwrap();
            let known = serde_json::json!({"known": [config.parent().unwrap()]});
            std::fs::write(settings, known.to_string()).unwrap();
        }
        Self::of_a_stranger(config, size)
    }

    /// The same without known projects.
    pub fn of_a_stranger(config: &Path, size: [f32; 2]) -> Self {
        decode_apart();
        let options = WindowOptions {
            config_dir: Some(config.to_owned()),
            open: Vec::new(),
            system_dialogs: false,
        };
        let harness = Harness::builder()
            .with_size(size)
            .with_max_steps(64)
            .allow_missing_glyphs()
            .build_eframe(move |cc| Window::new(&cc.egui_ctx, options));
        let mut desk = Self { harness, _end: End };
        desk.harness.run_steps(4);
        desk
    }

    /// Performs an action of the user.
    pub fn act(&mut self, action: Action) {
        self.harness.state_mut().apply(action);
        self.harness.run_steps(2);
    }

    /// Selects these frames and gives them a label.
    pub fn assign(&mut self, frames: Vec<String>, label: Label) {
        self.act(Action::Label(LabelAction::Select(frames, false)));
        self.act(Action::Label(LabelAction::Assign(label)));
    }

    /// Runs the window and its background work until `done` holds.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Harness<'static, Window>) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            if done(&self.harness) {
                self.harness.run_steps(2);
                return;
            }
            assert!(
                start.elapsed() < Duration::from_mins(3),
                "waited in vain for: {what}\n{}",
                self.names().join("\n")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until no background work is left.
    pub fn rest(&mut self) {
        self.until("nothing runs", |harness| {
            let app = harness.state().app();
            let session = app.session.as_ref();
            app.tasks.is_idle() && session.is_none_or(|session| session.images.is_idle())
        });
    }

    /// Waits for a control or text with this accessible name or text.
    pub fn see(&mut self, label: &str) {
        let name = label.to_owned();
        self.until(label, move |harness| {
            harness.query_all_by_label(&name).next().is_some()
        });
    }

    /// Waits for an element whose name contains this.
    pub fn see_part(&mut self, part: &str) {
        let name = part.to_owned();
        self.until(part, move |harness| {
            harness.query_all_by_label_contains(&name).next().is_some()
        });
    }

    /// Clicks on the element with this accessible name, once it exists.
    pub fn click(&mut self, label: &str) {
        self.see(label);
        // A text beside a control may be the same.
        let node = self
            .harness
            .query_all_by_label(label)
            .max_by_key(|node| node.accesskit_node().role() != Role::Label)
            .unwrap();
        node.click();
        self.harness.run_steps(3);
    }

    /// Types into the field with this accessible name.
    pub fn type_into(&mut self, label: &str, text: &str) {
        self.see(label);
        self.field(label).focus();
        self.harness.run_steps(2);
        self.field(label).type_text(text);
        self.harness.run_steps(2);
    }

    /// Replaces the text in the field with this accessible name.
    pub fn replace(&mut self, label: &str, text: &str) {
        self.see(label);
        self.field(label).focus();
        self.harness.run_steps(2);
        self.key(egui::Modifiers::COMMAND, egui::Key::A);
        self.field(label).type_text(text);
        self.harness.run_steps(2);
    }

    /// The field with this accessible name; a text beside it may be the same.
    fn field<'a>(&'a self, label: &'a str) -> egui_kittest::Node<'a> {
        self.harness
            .query_all_by_label(label)
            .find(|node| {
                let role = node.accesskit_node().role();
                matches!(role, Role::TextInput | Role::MultilineTextInput)
            })
            .unwrap_or_else(|| panic!("no field “{label}”"))
    }

    /// Opens the context menu of the element with this accessible name.
    pub fn menu(&mut self, label: &str) {
        self.see(label);
        self.harness
            .query_all_by_label(label)
            .next()
            .unwrap()
            .click_secondary();
        self.harness.run_steps(3);
    }

    /// Presses a key.
    pub fn key(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(3);
    }

    /// The names of all elements on the screen, for messages of failing tests.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut stack = vec![self.harness.root()];
        while let Some(node) = stack.pop() {
            let access = node.accesskit_node();
            let text = access.label().or_else(|| access.value());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                names.push(format!("{:?} {text}", access.role()));
            }
            stack.extend(node.children());
        }
        names
    }
}
