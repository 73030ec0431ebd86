//! Services that are no registries.

use std::cell::Cell;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kiln_registry::{Content, Error, Exchange};

use super::server::Server;
use super::{client, noise};

fn ask(method: &'static str, url: &dyn Fn() -> String, content: Content<'_>) -> Result<Vec<u8>, Error> {
    let mut answer = client().exchange(&Exchange {
        action: "write",
        object: "bucket/object",
        method,
        url,
        headers: &[("x-own", "value".to_owned())],
        content,
    })?;
    let mut all = Vec::new();
    answer.read_to_end(&mut all).unwrap();
    Ok(all)
}

#[test]
fn a_stream_is_sent_again_with_a_new_address_when_the_server_asks_for_it() {
    let count = AtomicUsize::new(0);
    let server = Server::bare(move |request, wire| {
        assert_eq!(request.header("x-own"), Some("value"));
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => wire.answer(429, &[("Retry-After", "1")], b""),
            1 => wire.answer(503, &[], b""),
            _ => wire.answer(200, &[], &request.body),
        }
    });
    let content = noise(300_000);
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(io::Cursor::new(noise(300_000)))) };
    let (signed, sent) = (Cell::new(0), Cell::new(0));
    let url = || {
        signed.set(signed.get() + 1);
        format!("http://{}/object?signature={}", server.host(), signed.get())
    };
    let stream = Content::Stream {
        open: &open,
        length: content.len() as u64,
        progress: &|bytes| sent.set(bytes),
    };
    let start = Instant::now();
    assert_eq!(ask("PUT", &url, stream).unwrap(), content);
    assert!(
        start.elapsed() >= Duration::from_secs(1),
        "Retry-After was not honoured"
    );
    assert_eq!(sent.get(), 300_000);
    let paths: Vec<_> = server.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(
        paths,
        ["/object?signature=1", "/object?signature=2", "/object?signature=3"]
    );
}

#[test]
fn a_refusal_says_what_the_server_says_and_no_signature() {
    let server = Server::bare(|request, wire| match request.line().as_str() {
        "GET /gone" => wire.answer(404, &[], b""),
        "GET /elsewhere" => wire.answer(307, &[("Location", "http://127.0.0.1:1/")], b""),
        _ => wire.answer(
            403,
            &[],
            b"<Error><Code>AccessDenied</Code><Message>not you</Message></Error>",
        ),
    });
    let ask = |path: &str| {
        ask(
            "GET",
            &|| format!("http://{}{path}?signature=secret", server.host()),
            Content::Empty,
        )
    };
    assert!(ask("/gone").unwrap_err().is_not_found());
    let denied = ask("/object").unwrap_err().to_string();
    assert_eq!(
        denied,
        "write bucket/object: the server answered 403 Forbidden: AccessDenied: not you"
    );
    let moved = ask("/elsewhere").unwrap_err().to_string();
    assert!(moved.contains("307") && !moved.contains("secret"), "{moved}");
    assert_eq!(server.requests().len(), 3, "what is refused is not asked for again");
}
