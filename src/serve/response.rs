//! Writes responses.

use std::io::Write;
use std::net::TcpStream;

use super::limits::WRITE_TIME;

/// The content security policy of the page: it may use its own files only.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sends a response with a status and no body.
pub(super) fn refuse(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    send(
        stream,
        status,
        "text/plain; charset=utf-8",
        status.as_bytes(),
        true,
    )
}

/// Sends a response with a body. Its length is stated even if the body is omitted.
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
