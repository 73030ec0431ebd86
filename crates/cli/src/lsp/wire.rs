//! Messages on a stream: headers, a blank line, a body of so many bytes.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

/// A message that is larger, in bytes, is not read: no Dockerfile is.
pub(super) const LARGEST: u64 = 64 << 20;

/// A header that is longer is none.
const LONGEST_HEADER: u64 = 4 << 10;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The body of a message.
    Body(Vec<u8>),
    /// Something that is no message, and why; what follows may be one.
    Malformed(String),
}

/// Reads the next message; `None` at the end.
pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let mut length = None;
    let mut wrong = None;
    loop {
        let mut line = Vec::new();
        let read = reader.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        match text.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("Content-Length") => {
                length = value.trim().parse::<u64>().ok();
                wrong = length
                    .is_none()
                    .then(|| format!("Content-Length is no number: {}", shown(value)));
            }
            Some(_) => {}
            None => wrong = Some(format!("not a header: {}", shown(text))),
        }
    }
    let Some(length) = length else {
        let why = wrong.unwrap_or_else(|| "there is no Content-Length".to_owned());
        return Ok(Some(Incoming::Malformed(why)));
    };
    if length > LARGEST {
        io::copy(&mut reader.take(length), &mut io::sink())?;
        let why = format!("a message of {length} bytes is too large: {LARGEST} are read");
        return Ok(Some(Incoming::Malformed(why)));
    }
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body)?;
    Ok((read as u64 == length).then_some(Incoming::Body(body)))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Writes a message.
pub(super) fn write(writer: &mut dyn Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(writer, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Incoming> {
        let mut reader = text.as_bytes();
        std::iter::from_fn(|| read(&mut reader).unwrap()).collect()
    }

    #[test]
    fn messages_are_told_apart() {
        let body = |text: &str| Incoming::Body(text.as_bytes().to_vec());
        assert_eq!(
            all("Content-Length: 2\r\n\r\n{}content-length:3\r\nContent-Type: x\r\n\r\n[1]"),
            [body("{}"), body("[1]")]
        );
        assert_eq!(all("Content-Length: 5\r\n\r\n{}"), []);
        assert_eq!(all("Content-Length: 5\r\n"), []);
    }

    #[test]
    fn what_is_none_does_not_end_it() {
        let found = all("garbage\r\n\r\nContent-Length: x\r\n\r\n\r\nContent-Length: 2\r\n\r\n{}");
        let why: Vec<&str> = found
            .iter()
            .map(|each| match each {
                Incoming::Malformed(why) => why.as_str(),
                Incoming::Body(_) => "body",
            })
            .collect();
        assert_eq!(
            why,
            [
                "not a header: garbage",
                "Content-Length is no number:  x",
                "there is no Content-Length",
                "body"
            ]
        );
        let huge = format!("Content-Length: {}\r\n\r\n", LARGEST + 1);
        assert!(matches!(&all(&huge)[..], [Incoming::Malformed(_)]));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = Vec::new();
        write(&mut bytes, &serde_json::json!({"a": "é"})).unwrap();
        let read = read(&mut bytes.as_slice()).unwrap();
        assert_eq!(read, Some(Incoming::Body("{\"a\":\"é\"}".as_bytes().to_vec())));
    }
}
