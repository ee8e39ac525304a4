//! Reads the head of a request, within limits of length and time.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Instant;

use super::limits::{HEAD_BYTES, HEAD_TIME, HEADERS};

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// The path without the query, which follows `?`.
    pub path: String,
    /// The host that the client addressed.
    pub host: Option<String>,
}

/// The reason why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not HTTP/1.
    Malformed,
    /// Its head is too long.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// The client has closed the connection.
    Gone,
}

/// Reads the head of a request.
pub(super) fn read(stream: &mut TcpStream) -> Result<Request, Refused> {
    let deadline = Instant::now() + HEAD_TIME;
    let mut head = vec![0; HEAD_BYTES];
    let mut length = 0;
    loop {
        // The deadline applies to the whole head, however few bytes arrive at a time.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refused::TooSlow);
        }
        stream
            .set_read_timeout(Some(left))
            .map_err(|_| Refused::Gone)?;
        let room = head.get_mut(length..).unwrap_or_default();
        if room.is_empty() {
            return Err(Refused::TooLong);
        }
        match stream.read(room) {
            Ok(0) => return Err(Refused::Gone),
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Refused::TooSlow);
            }
            Err(_) => return Err(Refused::Gone),
        }
        if let Some(request) = parse(head.get(..length).unwrap_or_default())? {
            return Ok(request);
        }
    }
}

/// The request in these bytes; `None` while its head is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<Request>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(_)) => {
            let target = parsed.path.unwrap_or_default();
            let path = target.split(['?', '#']).next().unwrap_or_default();
            let mut hosts = parsed
                .headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case("host"));
            let host = hosts.next().map(|header| header.value.to_vec());
            Ok(Some(Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                path: path.to_owned(),
                host: host.and_then(|host| String::from_utf8(host).ok()),
            }))
        }
        Err(httparse::Error::TooManyHeaders) => Err(Refused::TooLong),
        Err(_) => Err(Refused::Malformed),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn heads_are_read_when_they_are_complete() {
        let head = b"GET /a/b?check HTTP/1.1\r\nhOST: 10.0.0.1:80\r\nX: y\r\n\r\n";
        for length in 0..head.len() {
            assert_eq!(parse(&head[..length]), Ok(None), "{length}");
        }
        let request = parse(head).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/a/b")
        );
        assert_eq!(request.host.as_deref(), Some("10.0.0.1:80"));
        for bad in [
            &b"GET\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\n",
        ] {
            assert_eq!(parse(bad), Err(Refused::Malformed), "{bad:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parse(many.as_bytes()), Err(Refused::TooLong));
    }
}
