//! Trying a model on a phone: what the server serves, what it refuses, and the page in a browser.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use salamander::evaluate::{Predictor, arg_max};
use salamander::export::web_files;
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::serve::{ServeError, Server, Site};

use super::chromium::Chromium;
use super::web::trained;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn site() -> Arc<Site> {
    let files = [
        ("index.html", "<p>page</p>"),
        ("app.js", "0"),
        ("golden/01.png", "image"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    Arc::new(Site::new(files))
}

fn started() -> Server {
    Server::start(site(), LOOPBACK, || {}).unwrap()
}

/// Sends bytes and returns everything that is received.
fn message(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may have refused before all of it was sent.
    stream.write_all(bytes).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to a request with the correct host.
fn asked(server: &Server, method: &str, path: &str) -> String {
    let address = server.address();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    message(address, request.as_bytes())
}

/// The path of the page.
fn path(server: &Server) -> String {
    let url = server.url();
    let (_, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    format!("/{path}")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn the_files_of_the_site_and_nothing_else() {
    let server = started();
    let root = path(&server);
    assert_eq!(root.len(), 34, "{root}: 128 bits");
    let page = asked(&server, "GET", &root);
    assert_eq!(status(&page), "200");
    assert!(page.ends_with("\r\n\r\n<p>page</p>"), "{page}");
    for header in [
        "Content-Type: text/html",
        "Content-Length: 11\r\n",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'",
        "Referrer-Policy: no-referrer",
        "Connection: close",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    let head = asked(&server, "HEAD", &format!("{root}app.js?check"));
    assert!(
        head.contains("Content-Length: 1\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert_eq!(
        status(&asked(&server, "GET", &format!("{root}golden/01.png"))),
        "200"
    );

    let wrong = format!("/{}/", "0".repeat(32));
    for other in [
        "/".to_owned(),
        "/index.html".into(),
        wrong,
        root.trim_end_matches('/').to_owned(),
        root.to_uppercase(),
        format!("{root}golden"),
        format!("{root}golden/"),
        format!("{root}missing.js"),
        format!("{root}../app.js"),
        format!("{root}golden/../app.js"),
        format!("{root}%2e%2e/app.js"),
        format!("{root}/app.js"),
        format!("/..{root}app.js"),
        format!("{root}..\\app.js"),
        format!("{root}../../../../etc/passwd"),
        "/etc/passwd".into(),
        "*".into(),
    ] {
        let answer = asked(&server, "GET", &other);
        assert!(
            ["404", "400"].contains(&status(&answer)),
            "{other}: {answer}"
        );
        assert!(!answer.contains("page"), "{other}");
    }
    for method in [
        "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get",
    ] {
        let answer = asked(&server, method, &root);
        assert_eq!(status(&answer), "405", "{method}");
    }
    // A domain name of an attacker that resolves to this address.
    let address = server.address();
    for request in [
        format!("GET {root} HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        format!("GET {root} HTTP/1.1\r\n\r\n"),
    ] {
        assert_eq!(status(&message(address, request.as_bytes())), "421");
    }
    for nonsense in [
        &b"hello\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    ] {
        assert_eq!(status(&message(address, nonsense)), "400");
    }
    let huge = format!("GET {root} HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(status(&message(address, huge.as_bytes())), "431");
    let many = format!("GET {root} HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500));
    assert_eq!(status(&message(address, many.as_bytes())), "431");
    // An unexpected body does not suppress the answer.
    let posted = format!(
        "POST {root} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 50000\r\n\r\n{}",
        "x".repeat(50_000)
    );
    assert_eq!(status(&message(address, posted.as_bytes())), "405");

    let stats = server.stats();
    assert_eq!(stats.devices.into_iter().collect::<Vec<_>>(), [LOOPBACK]);
    assert_eq!(stats.files, 3);
    assert!(stats.refused > 20);
}

#[test]
fn slow_and_many_clients_do_not_keep_others_out() {
    let server = started();
    let (root, address) = (path(&server), server.address());
    // Some that send nothing, some that never end.
    let mut slow: Vec<TcpStream> = (0..6)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for stream in slow.iter_mut().skip(3) {
        stream.write_all(b"GET / HTTP/1.1\r\nX-").unwrap();
    }
    assert_eq!(status(&asked(&server, "GET", &root)), "200");
    // At most eight from one address; further ones are refused at once.
    slow.push(TcpStream::connect(address).unwrap());
    slow.push(TcpStream::connect(address).unwrap());
    let full = loop {
        let answer = asked(&server, "GET", &root);
        if status(&answer) == "503" {
            break answer;
        }
    };
    assert!(full.contains("Service Unavailable"));
    drop(slow);
    // And when they are gone there is room again.
    while status(&asked(&server, "GET", &root)) != "200" {
        std::thread::sleep(Duration::from_millis(10));
    }
    let page = root.as_str();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let answer = asked(&server, "GET", page);
                assert!(["200", "503", ""].contains(&status(&answer)), "{answer}");
            });
        }
    });
    while status(&asked(&server, "GET", &root)) != "200" {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn closing_frees_the_port_and_ends_connections() {
    let woken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&woken);
    let server = Server::start(site(), LOOPBACK, move || {
        count.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    let address = server.address();
    assert_eq!(status(&asked(&server, "GET", &path(&server))), "200");
    assert!(woken.load(Ordering::Relaxed) > 0);
    let other = started();
    assert_ne!(path(&other), path(&server));
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(b"GET").unwrap();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    drop(TcpListener::bind(address).unwrap());
    let mut rest = Vec::new();
    waiting.read_to_end(&mut rest).ok();
    assert!(rest.is_empty());
    assert_eq!(status(&asked(&other, "GET", &path(&other))), "200");
}

#[test]
fn only_one_address_of_this_computer_is_opened() {
    for address in ["0.0.0.0", "203.0.113.77", "::"] {
        let started = Server::start(site(), address.parse().unwrap(), || {});
        assert!(
            matches!(started, Err(ServeError::NoSuchAddress { .. })),
            "{address}"
        );
    }
}

#[test]
fn a_phone_takes_a_photo_and_gets_the_answer_of_the_app() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (project, run, photo) = trained(dir.path());
    let files = web_files(&project, &run, &Work::new()).unwrap();
    let server = Server::start(Arc::new(Site::new(files)), LOOPBACK, || {}).unwrap();
    browser.be_a_phone();
    browser.open(&server.url());
    browser.wait_for("!document.getElementById('work').hidden");
    browser.screenshot("phone-empty", 390, 844, 2, false);
    let take = browser.eval("document.getElementById('take').hidden");
    assert_eq!(take, false);
    browser.choose("#photo", &photo);
    browser.wait_for("!document.getElementById('result').hidden");
    let mut app =
        Predictor::from_run(&run, salamander::train::RunClasses::of(&project, &run)).unwrap();
    let expected = app
        .probabilities(&load_image(&photo).unwrap(), &Work::new())
        .unwrap();
    let label = browser.eval("document.getElementById('top').textContent");
    assert_eq!(label.as_str().unwrap(), app.classes()[arg_max(&expected)]);
    browser.screenshot("phone-answer-light", 390, 844, 2, false);
    browser.screenshot("phone-answer-dark", 390, 844, 2, true);
    browser.screenshot("phone-answer-small", 320, 568, 2, false);
    let check = browser.eval(
        "import('./app.js').then(async ({ check, ready }) => (await check((await ready).classifier)).ok)",
    );
    assert_eq!(check, true);
    for address in &browser.requested {
        let own = address.starts_with(&server.url())
            || address.starts_with("data:")
            || address.starts_with("blob:");
        assert!(own, "{address}");
    }
    assert_eq!(server.stats().devices.len(), 1);
    // Once it is closed, the page that is open still works, and nothing more is served.
    let url = server.url();
    drop(server);
    browser.choose("#file", &photo);
    browser.wait_for("document.getElementById('problem').hidden");
    let gone = browser.eval(&format!("fetch({url:?}).then(() => 'there', () => 'gone')"));
    assert_eq!(gone, "gone");
}

#[cfg(unix)]
#[test]
fn the_command_serves_until_it_is_interrupted() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let place = super::cli_program::Place::new();
    let (project, _, _) = trained(&place.path(""));
    let root = project.root().to_str().unwrap().to_owned();
    drop(project);
    let elsewhere = place.run(&["serve", &root, "--interface", "203.0.113.77"]);
    assert_eq!(elsewhere.code, Some(1));
    assert!(
        elsewhere
            .stderr
            .contains("does not have the address 203.0.113.77; it has"),
        "{}",
        elsewhere.stderr
    );

    let mut child = place
        .command(&["serve", &root, "--interface", "127.0.0.1", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut json =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let serving = loop {
        let line = json();
        if line["event"] == "serving" {
            break line;
        }
    };
    let address: SocketAddr = serving["address"].as_str().unwrap().parse().unwrap();
    let (_, path) = serving["url"]
        .as_str()
        .unwrap()
        .split_once(&address.to_string())
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    assert!(message(address, request.as_bytes()).contains("<!doctype html>"));
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let result = loop {
        let line = json();
        if line["event"] == "result" {
            break line;
        }
    };
    assert_eq!(
        (result["files"].as_u64(), &result["devices"][0]),
        (Some(1), &"127.0.0.1".into())
    );
    assert!(child.wait().unwrap().success());
    assert!(TcpStream::connect(address).is_err());
}
