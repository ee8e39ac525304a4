//! A desktop for tests: its own Xvfb, the real program in it, a keyboard, and files dragged from "another program" by
//! the XDND protocol (version 5, <https://freedesktop.org/wiki/Specifications/XDND>).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::RgbImage;
use x11rb_xtest::connection::Connection;
use x11rb_xtest::protocol::Event;
use x11rb_xtest::protocol::xproto::{
    self, Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask,
    ImageFormat, PropMode, SelectionNotifyEvent, Window, WindowClass,
};
use x11rb_xtest::protocol::xtest::ConnectionExt as _;
use x11rb_xtest::rust_connection::RustConnection;
use x11rb_xtest::wrapper::ConnectionExt as _;

use super::surroundings;

x11rb_xtest::atom_manager! {
    Atoms: AtomsCookie {
        XdndAware, XdndEnter, XdndPosition, XdndStatus, XdndDrop, XdndFinished, XdndSelection,
        XdndActionCopy,
        uri_list: b"text/uri-list",
        _NET_WM_NAME, UTF8_STRING,
    }
}

/// A virtual screen with the program running in it; both end with the test.
pub struct Desktop {
    program: Child,
    server: Child,
    connection: RustConnection,
    screen: usize,
    atoms: Atoms,
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.program, &mut self.server] {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                eprintln!("cannot end a process of the test: {error}");
            }
        }
    }
}

impl Desktop {
    /// Starts an Xvfb of `width × height` pixels and `salamander` with `arguments` in it, with its settings in
    /// `home/config`, and waits for the window.
    pub fn start(
        size: (u16, u16),
        scale: f32,
        home: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Self {
        let (server, display) = start_server(size);
        let program = program(&display, scale, home)
            .args(arguments)
            .spawn()
            .expect("the program starts");
        let (connection, screen) =
            x11rb_xtest::connect(Some(&display)).expect("the X server answers");
        let atoms = Atoms::new(&connection).unwrap().reply().unwrap();
        let mut desktop = Self {
            program,
            server,
            connection,
            screen,
            atoms,
        };
        let window = desktop.wait_for("the window", Desktop::window);
        // Without a window manager, the window does not get the keyboard focus by itself.
        desktop
            .connection
            .set_input_focus(
                xproto::InputFocus::PARENT,
                window,
                x11rb_xtest::CURRENT_TIME,
            )
            .unwrap()
            .check()
            .unwrap();
        desktop
    }

    /// Waits until `check` finds something; fails the test after three minutes or when the program ends.
    pub fn wait_for<T>(&mut self, what: &str, check: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            if let Some(found) = check(self) {
                return found;
            }
            if let Some(status) = self.program.try_wait().unwrap() {
                panic!("the program ended ({status}) before there was {what}");
            }
            assert!(Instant::now() < deadline, "no {what} after three minutes");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn root(&self) -> Window {
        self.connection.setup().roots[self.screen].root
    }

    /// The program's mapped window that accepts drops.
    fn window(&self) -> Option<Window> {
        let children = self.connection.query_tree(self.root()).ok()?.reply().ok()?;
        children.children.into_iter().find(|window| {
            self.property(*window, self.atoms.XdndAware).is_some()
                && self
                    .connection
                    .get_window_attributes(*window)
                    .ok()
                    .and_then(|cookie| cookie.reply().ok())
                    .is_some_and(|a| a.map_state == xproto::MapState::VIEWABLE)
        })
    }

    fn property(&self, window: Window, atom: Atom) -> Option<Vec<u8>> {
        let reply = self
            .connection
            .get_property(false, window, atom, AtomEnum::ANY, 0, 1024)
            .ok()?
            .reply()
            .ok()?;
        (reply.type_ != x11rb_xtest::NONE).then_some(reply.value)
    }

    /// The title of the window.
    pub fn title(&self) -> Option<String> {
        let name = self.property(self.window()?, self.atoms._NET_WM_NAME)?;
        String::from_utf8(name).ok()
    }

    /// Drags files from another window onto the middle of the program's window and drops them there.
    pub fn drop_files(&mut self, files: &[PathBuf]) {
        let target = self.window().expect("the window is there");
        let source = self.connection.generate_id().unwrap();
        let root = self.root();
        self.connection
            .create_window(
                x11rb_xtest::COPY_DEPTH_FROM_PARENT,
                source,
                root,
                0,
                0,
                1,
                1,
                0,
                WindowClass::INPUT_OUTPUT,
                x11rb_xtest::COPY_FROM_PARENT,
                &CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE),
            )
            .unwrap();
        self.connection
            .set_selection_owner(source, self.atoms.XdndSelection, x11rb_xtest::CURRENT_TIME)
            .unwrap();
        let geometry = self
            .connection
            .get_geometry(target)
            .unwrap()
            .reply()
            .unwrap();
        let (x, y) = (
            u32::from(geometry.width / 2),
            u32::from(geometry.height / 2),
        );
        let list: String = files.iter().map(|file| file_uri(file) + "\r\n").collect();

        self.tell(
            target,
            self.atoms.XdndEnter,
            [source, 5 << 24, self.atoms.uri_list, 0, 0],
        );
        self.tell(
            target,
            self.atoms.XdndPosition,
            [
                source,
                0,
                (x << 16) | y,
                x11rb_xtest::CURRENT_TIME,
                self.atoms.XdndActionCopy,
            ],
        );
        let mut served = false;
        let mut accepted = false;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "the drop was not finished");
            let Some(event) = self.connection.poll_for_event().unwrap() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            match event {
                Event::SelectionRequest(request) => {
                    self.connection
                        .change_property8(
                            PropMode::REPLACE,
                            request.requestor,
                            request.property,
                            request.target,
                            list.as_bytes(),
                        )
                        .unwrap();
                    let notify = SelectionNotifyEvent {
                        response_type: xproto::SELECTION_NOTIFY_EVENT,
                        sequence: 0,
                        time: request.time,
                        requestor: request.requestor,
                        selection: request.selection,
                        target: request.target,
                        property: request.property,
                    };
                    self.connection
                        .send_event(false, request.requestor, EventMask::NO_EVENT, notify)
                        .unwrap();
                    served = true;
                }
                Event::ClientMessage(message) if message.type_ == self.atoms.XdndStatus => {
                    accepted = message.data.as_data32()[1] & 1 == 1;
                    assert!(accepted, "the window refuses files");
                }
                Event::ClientMessage(message) if message.type_ == self.atoms.XdndFinished => {
                    break;
                }
                _ => {}
            }
            if served && accepted {
                served = false;
                // A short pause before the button is released, as by a user.
                self.connection.flush().unwrap();
                std::thread::sleep(Duration::from_millis(200));
                self.tell(
                    target,
                    self.atoms.XdndDrop,
                    [source, 0, x11rb_xtest::CURRENT_TIME, 0, 0],
                );
            }
            self.connection.flush().unwrap();
        }
        self.connection.destroy_window(source).unwrap();
        self.connection.flush().unwrap();
    }

    fn tell(&self, window: Window, message: Atom, data: [u32; 5]) {
        let event = ClientMessageEvent::new(32, window, message, data);
        self.connection
            .send_event(false, window, EventMask::NO_EVENT, event)
            .unwrap();
        self.connection.flush().unwrap();
    }

    /// Presses keys together, as "ctrl+shift+e"; the names are those of X keysyms.
    pub fn press(&self, keys: &str) {
        let codes: Vec<u8> = keys.split('+').map(|key| self.keycode(key)).collect();
        self.press_codes(&codes);
    }

    /// Types a text, with Shift where the keyboard needs it.
    pub fn type_text(&self, text: &str) {
        for letter in text.chars() {
            // Latin-1 has its code points as keysyms.
            let keysym = u32::from(letter);
            if let Some(code) = self.key_with(keysym, 0) {
                self.press_codes(&[code]);
            } else if let Some(code) = self.key_with(keysym, 1) {
                self.press_codes(&[self.keycode("shift"), code]);
            } else {
                panic!("no key for “{letter}”");
            }
        }
    }

    fn press_codes(&self, codes: &[u8]) {
        for code in codes {
            self.input(xproto::KEY_PRESS_EVENT, *code);
        }
        for code in codes.iter().rev() {
            self.input(xproto::KEY_RELEASE_EVENT, *code);
        }
        // One frame of the window, so that two presses are two presses.
        std::thread::sleep(Duration::from_millis(60));
    }

    fn input(&self, kind: u8, detail: u8) {
        self.connection
            .xtest_fake_input(
                kind,
                detail,
                x11rb_xtest::CURRENT_TIME,
                self.root(),
                0,
                0,
                0,
            )
            .unwrap()
            .check()
            .unwrap();
    }

    fn keycode(&self, key: &str) -> u8 {
        let keysym = match key.to_lowercase().as_str() {
            "ctrl" => 0xffe3,
            "shift" => 0xffe1,
            "return" => 0xff0d,
            "escape" => 0xff1b,
            "space" => 0x20,
            "delete" => 0xffff,
            one if one.len() == 1 => u32::from(one.as_bytes()[0]),
            other => panic!("no keysym for “{other}”"),
        };
        self.key_with(keysym, 0)
            .unwrap_or_else(|| panic!("no key for “{key}”"))
    }

    /// The key for a keysym at a level: 0 alone, 1 with Shift.
    fn key_with(&self, keysym: u32, level: usize) -> Option<u8> {
        let setup = self.connection.setup();
        let (low, high) = (setup.min_keycode, setup.max_keycode);
        let mapping = self
            .connection
            .get_keyboard_mapping(low, high - low + 1)
            .unwrap()
            .reply()
            .unwrap();
        let index = mapping
            .keysyms
            .chunks(usize::from(mapping.keysyms_per_keycode))
            .position(|symbols| symbols.get(level) == Some(&keysym))?;
        Some(low + u8::try_from(index).unwrap())
    }

    /// A screenshot.
    pub fn pixels(&self) -> RgbImage {
        let geometry = self
            .connection
            .get_geometry(self.root())
            .unwrap()
            .reply()
            .unwrap();
        let image = self
            .connection
            .get_image(
                ImageFormat::Z_PIXMAP,
                self.root(),
                0,
                0,
                geometry.width,
                geometry.height,
                u32::MAX,
            )
            .unwrap()
            .reply()
            .unwrap();
        // Xvfb at depth 24: B, G, R and a spare byte.
        let pixels = image
            .data
            .chunks_exact(4)
            .flat_map(|p| [p[2], p[1], p[0]])
            .collect();
        RgbImage::from_raw(
            u32::from(geometry.width),
            u32::from(geometry.height),
            pixels,
        )
        .unwrap()
    }

    /// Stores a screenshot under `name` in `SALAMANDER_SCREENSHOTS`, if that is set.
    pub fn screenshot(&self, name: &str) {
        if let Some(folder) = std::env::var_os("SALAMANDER_SCREENSHOTS") {
            let path = PathBuf::from(folder).join(name).with_extension("png");
            self.pixels().save(&path).unwrap();
        }
    }

    /// Closes the program's window as a window manager does, and waits for the program's end.
    pub fn close(mut self) -> std::process::ExitStatus {
        let window = self.window().expect("the window is there");
        let intern = |name: &[u8]| {
            self.connection
                .intern_atom(false, name)
                .unwrap()
                .reply()
                .unwrap()
                .atom
        };
        let (protocols, delete) = (intern(b"WM_PROTOCOLS"), intern(b"WM_DELETE_WINDOW"));
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            self.tell(
                window,
                protocols,
                [delete, x11rb_xtest::CURRENT_TIME, 0, 0, 0],
            );
            let patience = Instant::now() + Duration::from_secs(10);
            while Instant::now() < patience {
                if let Some(status) = self.program.try_wait().unwrap() {
                    return status;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(Instant::now() < deadline, "the window does not close");
            // On a busy computer a job may still be running, and the program asks whether to quit.
            self.press("escape");
        }
    }
}

/// `salamander` on a display, isolated from the computer's desktop ([`surroundings`]).
pub fn program(display: &str, scale: f32, home: &Path) -> Command {
    let mut command = surroundings::salamander(home);
    command
        .env("DISPLAY", display)
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("WINIT_X11_SCALE_FACTOR", scale.to_string())
        .env("XDG_DOCUMENTS_DIR", home)
        .env("RUST_LOG", "warn");
    command
}

/// An Xvfb on a free display.
pub fn start_server((width, height): (u16, u16)) -> (Child, String) {
    // With -displayfd the server chooses a free number and writes it to that descriptor, here its stdout. The keyboard
    // is the server's default, whatever layout the computer's variables request.
    let mut server = Command::new("Xvfb")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["-displayfd", "1", "-screen", "0"])
        .arg(format!("{width}x{height}x24"))
        .args(["-nolisten", "tcp"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb is installed (packaging/setup.sh --tests)");
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(server.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    (server, format!(":{}", line.trim()))
}

/// `file://` with everything but unreserved characters escaped (RFC 3986).
fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.to_str().expect("paths of tests are UTF-8").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            uri.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    uri
}
