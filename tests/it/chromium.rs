//! Headless Chromium, controlled by its own protocol over two pipes, and a simple static server for its pages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// The time after which the browser counts as hung.
const HUNG: Duration = Duration::from_mins(4);

/// A browser with one page. It is closed when this value is dropped.
pub struct Chromium {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// URLs that pages requested.
    pub requested: Vec<String>,
    profile: tempfile::TempDir,
}

/// The browser's program. Without one the test is skipped with a message; not in CI.
fn program() -> Option<PathBuf> {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none() || !cfg!(target_os = "linux"),
            "no Chromium; packaging/setup.sh --tests installs it"
        );
        eprintln!("SKIPPED: no Chromium (packaging/setup.sh --tests)");
    }
    found
}

impl Chromium {
    /// Starts it; `None` if there is none.
    pub fn start() -> Option<Self> {
        let program = program()?;
        let profile = tempfile::tempdir().unwrap();
        let message = std::fs::File::create(profile.path().join("stderr")).unwrap();
        // The protocol's pipes are descriptors 3 and 4 of the browser.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2"])
            .arg(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(message)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while stdout
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let value = serde_json::from_slice(&message).unwrap_or(Value::Null);
                if send.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            stdin,
            messages,
            last_id: 0,
            session: None,
            requested: Vec::new(),
            profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({}));
        browser.call("Network.enable", json!({}));
        Some(browser)
    }

    /// A command of the protocol (<https://chromedevtools.github.io/devtools-protocol/>) and its result.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "params are written down where they are passed"
    )]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.stdin.write_all(&bytes).unwrap();
        loop {
            let message = self.next(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    fn next(&mut self, waiting_for: &str) -> Value {
        let Ok(message) = self.messages.recv_timeout(HUNG) else {
            let message = std::fs::read_to_string(self.profile.path().join("stderr"));
            panic!(
                "{waiting_for}: Chromium does not answer: {}",
                message.unwrap_or_default()
            );
        };
        if message["method"] == "Network.requestWillBeSent"
            && let Some(url) = message["params"]["request"]["url"].as_str()
        {
            self.requested.push(url.to_owned());
        }
        message
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&mut self, address: &str) {
        let found = self.call("Page.navigate", json!({ "url": address }));
        assert!(found["errorText"].is_null(), "{address}: {found}");
        while self.next("loading")["method"] != "Page.loadEventFired" {}
    }

    /// The value of an expression in the page, awaited.
    pub fn eval(&mut self, expression: &str) -> Value {
        let found = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        );
        assert!(
            found["exceptionDetails"].is_null(),
            "{expression}: {}",
            found["exceptionDetails"]
        );
        found["result"]["value"].clone()
    }

    /// Puts a file into the page's file field with this selector, like a user.
    pub fn choose(&mut self, selector: &str, file: &Path) {
        let found = self.call(
            "Runtime.evaluate",
            json!({ "expression": format!("document.querySelector({selector:?})") }),
        );
        self.call(
            "DOM.setFileInputFiles",
            json!({ "files": [file], "objectId": found["result"]["objectId"] }),
        );
    }

    /// Waits until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        self.eval(&format!(
            "new Promise((done) => {{ const look = () => ({expression}) ? done() : setTimeout(look, 20); look(); }})"
        ));
    }

    /// Makes the page believe that it is on a phone: small, with a touch screen.
    pub fn be_a_phone(&mut self) {
        let screen = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        self.call("Emulation.setDeviceMetricsOverride", screen);
        self.call(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": true }),
        );
    }

    /// Writes a screenshot of the page into the folder of `SALAMANDER_TEST_SCREENSHOTS`, if that is set.
    pub fn screenshot(&mut self, name: &str, width: u32, height: u32, scale: u32, dark: bool) {
        let Some(folder) = std::env::var_os("SALAMANDER_TEST_SCREENSHOTS") else {
            return;
        };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 700 }),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        let found = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let data = from_base64(found["data"].as_str().unwrap());
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), data).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Closing the pipe ends it.
        let id = self.last_id + 1;
        let close = json!({ "id": id, "method": "Browser.close" }).to_string() + "\0";
        let closed = self.stdin.write_all(close.as_bytes()).is_ok();
        for _ in 0..100 {
            if !closed || self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four
            .iter()
            .fold(0_u32, |bits, byte| bits << 6 | u32::from(value(*byte)))
            << (6 * (4 - four.len()));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

/// A minimal server of folders over loopback: everything but pages, styles and scripts that end in `.js` has the type
/// plain text. It ends with the program.
pub struct StaticServer {
    address: SocketAddr,
}

impl StaticServer {
    /// Serves each folder below a path of its own.
    pub fn new(folders: Vec<(&'static str, PathBuf)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folders = folders.clone();
                std::thread::spawn(move || answer(stream, &folders));
            }
        });
        Self { address }
    }

    pub fn address(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

fn answer(mut stream: TcpStream, folders: &[(&'static str, PathBuf)]) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1)?;
    let path = target.split('?').next()?.trim_start_matches('/');
    let (folder, file) = path.split_once('/')?;
    let found = folders.iter().find(|(name, _)| *name == folder);
    let found = found.and_then(|(_, dir)| std::fs::read(dir.join(decoded(file))).ok());
    let kind = match Path::new(file).extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "text/plain",
    };
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}

/// Decodes `%20` and similar escapes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'%'
            && let Some(Ok(value)) = more
                .get(..2)
                .map(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 16))
        {
            bytes.push(value);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
