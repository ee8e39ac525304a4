//! Writing an answer.

use std::io::Write;
use std::net::TcpStream;

use super::limits::WRITE_TIME;

/// What the page may do: nothing beyond its own files.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer with a status alone.
pub(super) fn refuse(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    send(
        stream,
        status,
        "text/plain; charset=utf-8",
        status.as_bytes(),
        true,
    )
}

/// An answer with a body, whose length is said also where it is left out.
pub(super) fn send(
    stream: &mut TcpStream,
    status: &str,
    content_type: &str,
    body: &[u8],
    with_body: bool,
) -> std::io::Result<()> {
    let allow = if status.starts_with("405") {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\
         {allow}\
         Connection: close\r\n\
         Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: {POLICY}\r\n\
         Referrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n\
         X-Frame-Options: DENY\r\n\r\n",
        length = body.len(),
    );
    stream.set_write_timeout(Some(WRITE_TIME))?;
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(body)?;
    }
    stream.flush()
}
