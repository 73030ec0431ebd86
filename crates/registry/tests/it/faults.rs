//! Faults that pass: cuts, 429, 503, slowness. The client gets over them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kiln_image::Digest;
use kiln_registry::{Client, Error, Pushed, Resume, Settings, Timeouts};

use crate::server::{Request, Server, Wire};
use crate::{client, layer, noise, opener, pull, quick, reference};

/// A blob server that gives each request to `answer`, with the bytes that it asks for.
fn blobs(content: &[u8], answer: impl Fn(usize, &Request, &[u8], &mut Wire) + Send + Sync + 'static) -> Server {
    let content = content.to_vec();
    let count = AtomicUsize::new(0);
    Server::start(move |request, wire| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        answer(number, request, &content[request.from()..], wire);
    })
}

/// The honest answer to a request for `rest`.
fn honest(request: &Request, rest: &[u8], wire: &mut Wire) {
    let from = request.from();
    if from == 0 {
        wire.answer(200, &[], rest);
    } else {
        let range = format!("bytes {from}-{}/{}", from + rest.len() - 1, from + rest.len());
        wire.answer(206, &[("Content-Range", &range)], rest);
    }
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let content = noise(1_000_000);
    let server = blobs(&content, |number, request, rest, wire| match number {
        0 => {
            wire.head(200, &[], Some(rest.len()));
            wire.raw(&rest[..300_000]);
            wire.cut();
        }
        1 => {
            let range = format!("bytes {}-999999/1000000", request.from());
            wire.head(206, &[("Content-Range", &range)], Some(rest.len()));
            wire.raw(&rest[..100_000]);
            wire.cut();
        }
        2 => wire.cut(),
        _ => honest(request, rest, wire),
    });
    let from = reference(&format!("{}/a", server.host()));
    assert!(pull(&client(), &from, &layer(&content)).unwrap() == content);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[1].from(), 300_000);
    assert_eq!(requests[3].from(), 400_000);
}

#[test]
fn a_reader_does_not_notice_a_cut() {
    let content = noise(500_000);
    let server = blobs(&content, |number, request, rest, wire| {
        if number == 0 {
            wire.head(200, &[], Some(rest.len()));
            wire.raw(&rest[..1]);
            wire.cut();
        } else {
            honest(request, rest, wire);
        }
    });
    let from = reference(&format!("{}/a", server.host()));
    let seen = Mutex::new(Vec::new());
    let progress = Box::new(|bytes| seen.lock().unwrap().push(bytes));
    let mut reader = client().blob_reader(&from, &layer(&content), progress).unwrap();
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut back).unwrap();
    assert!(back == content);
    drop(reader);
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.last() == Some(&500_000));
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let content = noise(200_000);
    let whole = content.clone();
    let server = blobs(&content, move |number, _, rest, wire| {
        if number == 0 {
            wire.head(200, &[], Some(rest.len()));
            wire.raw(&rest[..150_000]);
            wire.cut();
        } else {
            wire.answer(200, &[], &whole);
        }
    });
    let from = reference(&format!("{}/a", server.host()));
    assert!(pull(&client(), &from, &layer(&content)).unwrap() == content);
}

#[test]
fn an_answer_without_length_that_ends_too_soon_is_taken_up_again() {
    let content = noise(200_000);
    let server = blobs(&content, |number, request, rest, wire| {
        if number == 0 {
            wire.head(200, &[], None);
            wire.raw(&rest[..150_000]);
        } else {
            honest(request, rest, wire);
        }
    });
    let from = reference(&format!("{}/a", server.host()));
    assert!(pull(&client(), &from, &layer(&content)).unwrap() == content);
}

#[test]
fn resuming_from_before_the_start_of_this_process() {
    let content = noise(100_000);
    let server = blobs(&content, |_, request, rest, wire| honest(request, rest, wire));
    let from = reference(&format!("{}/a", server.host()));
    let resume = Resume::after(&content[..40_000]).unwrap();
    let mut out = Vec::new();
    client()
        .blob(&from, &layer(&content), resume, &mut out, &|_| ())
        .unwrap();
    assert!(out == content[40_000..]);
    assert_eq!(server.requests()[0].header("range"), Some("bytes=40000-"));
    // All there already: nothing is asked.
    let resume = Resume::after(&content[..]).unwrap();
    client()
        .blob(&from, &layer(&content), resume, &mut out, &|_| ())
        .unwrap();
    assert_eq!(server.requests().len(), 1);
    // What is there is not what belongs there.
    let resume = Resume::after(&noise(50)[..]).unwrap();
    let error = client()
        .blob(&from, &layer(&content), resume, &mut out, &|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[test]
fn busy_servers_are_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let content = noise(1000);
        let server = blobs(&content, move |number, request, rest, wire| match number {
            0 => wire.answer(status, &[("Retry-After", "0")], b"{}"),
            1 => wire.answer(status, &[], b"busy"),
            _ => honest(request, rest, wire),
        });
        let from = reference(&format!("{}/a", server.host()));
        assert!(pull(&client(), &from, &layer(&content)).unwrap() == content);
        assert_eq!(server.requests().len(), 3, "{status}");
    }
}

/// Of two that push the same blob at the same time one may find it gone for a moment.
#[test]
fn a_manifest_whose_blobs_the_registry_lost_sight_of_is_sent_again() {
    let body = br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    for status in [400, 404] {
        let times = AtomicUsize::new(0);
        let server = Server::start(move |_, wire| match times.fetch_add(1, Ordering::SeqCst) {
            0 => wire.answer(status, &[], body),
            _ => wire.answer(201, &[], b""),
        });
        let name = reference(&format!("{}/a", server.host()));
        let sent = client().push_manifest(&name, "application/json", b"{}");
        assert_eq!(sent.unwrap(), Digest::of(b"{}"));
    }
    let server = Server::start(move |_, wire| wire.answer(404, &[], body));
    let name = reference(&format!("{}/a", server.host()));
    let error = client().push_manifest(&name, "application/json", b"{}").unwrap_err();
    assert!(error.to_string().contains("MANIFEST_BLOB_UNKNOWN"), "{error}");
}

#[test]
fn retry_after_is_waited_for_and_told() {
    let server = blobs(b"x", |number, request, rest, wire| match number {
        0 => wire.answer(429, &[("Retry-After", "1")], b""),
        _ => honest(request, rest, wire),
    });
    let from = reference(&format!("{}/a", server.host()));
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let client = Client::new(Settings {
        on_retry: Some(Arc::new(move |error, wait| {
            log.lock().unwrap().push((error.to_string(), wait));
        })),
        ..quick()
    })
    .unwrap();
    let start = Instant::now();
    pull(&client, &from, &layer(b"x")).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].0.contains("429") && told[0].1 >= Duration::from_secs(1),
        "{told:?}"
    );
}

#[test]
fn a_server_that_wants_hours_is_not_waited_for() {
    let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let server = blobs(b"x", |_, _, _, wire| {
        wire.answer(429, &[("Retry-After", "21600")], body);
    });
    let from = reference(&format!("{}/a", server.host()));
    let error = pull(&client(), &from, &layer(b"x")).unwrap_err().to_string();
    assert!(
        error.contains("429") && error.contains("pull rate limit") && error.contains("21600 s"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn patience_ends() {
    let server = blobs(b"x", |_, _, _, wire| wire.answer(503, &[], b"maintenance"));
    let from = reference(&format!("{}/a", server.host()));
    let error = pull(&client(), &from, &layer(b"x")).unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("maintenance"), "{error}");
    assert_eq!(server.requests().len(), 6, "one attempt and five retries");
}

#[test]
fn a_stall_is_an_error_and_slowness_is_none() {
    let settings = Settings {
        timeouts: Timeouts {
            stall: Duration::from_millis(300),
            ..quick().timeouts
        },
        retries: 1,
        ..quick()
    };
    let client = Client::new(settings).unwrap();
    let content = noise(1000);
    let slow = blobs(&content, |_, _, rest, wire| {
        wire.head(200, &[], Some(rest.len()));
        for piece in rest.chunks(100) {
            thread::sleep(Duration::from_millis(80));
            wire.raw(piece);
        }
    });
    let from = reference(&format!("{}/a", slow.host()));
    assert!(pull(&client, &from, &layer(&content)).unwrap() == content);

    let dead = blobs(&content, |_, request, rest, wire| {
        let range = format!("bytes {}-999/1000", request.from());
        let status = if request.from() == 0 { 200 } else { 206 };
        wire.head(status, &[("Content-Range", &range)], Some(rest.len()));
        wire.raw(&rest[..10]);
        thread::sleep(Duration::from_secs(1));
    });
    let from = reference(&format!("{}/a", dead.host()));
    let error = pull(&client, &from, &layer(&content)).unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
}

#[test]
fn nobody_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client()
        .resolve(&reference(&format!("{free}/a")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("connecting failed") && error.contains(&free.to_string()),
        "{error}"
    );
}

/// A registry that takes uploads, and loses some.
struct Uploads {
    content: Mutex<Vec<u8>>,
    done: Mutex<Vec<u8>>,
    count: AtomicUsize,
}

impl Uploads {
    fn start(fault: impl Fn(usize, &Request, &mut Vec<u8>, &mut Wire) -> bool + Send + Sync + 'static) -> Server {
        let uploads = Self {
            content: Mutex::default(),
            done: Mutex::default(),
            count: AtomicUsize::new(0),
        };
        Server::start(move |request, wire| {
            let mut content = uploads.content.lock().unwrap();
            let number = match request.method.as_str() {
                "PATCH" | "PUT" => uploads.count.fetch_add(1, Ordering::SeqCst),
                _ => usize::MAX,
            };
            if !fault(number, request, &mut content, wire) {
                uploads.answer(request, &mut content, wire);
            }
        })
    }

    fn answer(&self, request: &Request, content: &mut Vec<u8>, wire: &mut Wire) {
        let mut done = self.done.lock().unwrap();
        let here = ("Location", "/v2/a/blobs/uploads/1?state=x%2Fy");
        let range = format!("0-{}", content.len().saturating_sub(1));
        match request.method.as_str() {
            "HEAD" if request.path.ends_with(&Digest::of(&*done).to_string()) && !done.is_empty() => {
                wire.head(200, &[], Some(0));
            }
            "HEAD" => wire.head(404, &[], Some(0)),
            "POST" => {
                content.clear();
                wire.answer(202, &[here], b"");
            }
            "GET" => wire.answer(204, &[here, ("Range", &range)], b""),
            "PATCH" => {
                let start = request.header("content-range").unwrap().split('-').next().unwrap();
                if start.parse() != Ok(content.len()) {
                    return wire.answer(416, &[here, ("Range", &range)], b"");
                }
                content.extend_from_slice(&request.body);
                let range = format!("0-{}", content.len() - 1);
                wire.answer(202, &[here, ("Range", &range)], b"");
            }
            "PUT" => {
                content.extend_from_slice(&request.body);
                let digest = request.path.split("digest=").nth(1).unwrap().replace("%3A", ":");
                assert!(
                    request.path.contains("state=x%2Fy&"),
                    "the query of the location is kept: {}",
                    request.path
                );
                if digest == Digest::of(&*content).to_string() {
                    done.clone_from(content);
                    wire.answer(201, &[], b"");
                } else {
                    wire.answer(400, &[], br#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
            }
            other => panic!("{other}"),
        }
    }
}

fn push(server: &Server, content: &[u8], chunk: u64) -> Result<Pushed, Error> {
    let client = Client::new(Settings {
        upload_chunk: chunk,
        ..quick()
    })
    .unwrap();
    let to = reference(&format!("{}/a", server.host()));
    client.push_blob(&to, &layer(content), &opener(content), &[], &|_| ())
}

#[test]
fn a_cut_upload_goes_on_where_the_server_says() {
    let content = noise(1_000_000);
    let server = Uploads::start(|number, request, content, wire| {
        if number == 1 {
            // Half of the chunk arrived before the cut.
            content.extend_from_slice(&request.body[..150_000]);
            wire.cut();
        }
        number == 1
    });
    assert_eq!(push(&server, &content, 300_000).unwrap(), Pushed::Uploaded);
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter_map(|r| r.header("content-range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, ["0-299999", "300000-599999", "450000-749999", "750000-999999"]);
}

#[test]
fn an_upload_that_the_server_forgot_begins_anew() {
    let content = noise(500_000);
    let server = Uploads::start(|number, request, _, wire| {
        let lost = number == 1 || (number == usize::MAX && request.method == "GET");
        if lost {
            wire.answer(if number == 1 { 503 } else { 404 }, &[], b"");
        }
        lost
    });
    assert_eq!(push(&server, &content, 200_000).unwrap(), Pushed::Uploaded);
    let begun = server.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(begun, 2);
}

#[test]
fn a_cut_put_is_repeated() {
    let content = noise(500_000);
    let server = Uploads::start(|number, _, _, wire| {
        if number == 0 {
            wire.cut();
        }
        number == 0
    });
    assert_eq!(push(&server, &content, 1 << 20).unwrap(), Pushed::Uploaded);
}

#[test]
fn an_upload_whose_last_answer_was_lost_is_found() {
    let content = noise(1000);
    let mut digest = Some(Digest::of(&content).to_string());
    let arrived = Mutex::new(false);
    let digest = digest.take().unwrap();
    let server = Uploads::start(move |number, request, _, wire| {
        let mut arrived = arrived.lock().unwrap();
        if number == 0 {
            *arrived = true;
            wire.cut();
            return true;
        }
        let found = *arrived && request.method == "HEAD" && request.path.ends_with(&digest);
        if found {
            wire.head(200, &[], Some(0));
        }
        found
    });
    assert_eq!(push(&server, &content, 1 << 20).unwrap(), Pushed::Uploaded);
    let begun = server.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(begun, 1);
}

#[test]
fn registries_that_want_it_otherwise_get_it_otherwise() {
    let content = noise(9_000_000);
    // No chunks.
    let server = Uploads::start(|_, request, _, wire| {
        if request.method == "PATCH" {
            wire.answer(405, &[], b"");
        }
        request.method == "PATCH"
    });
    assert_eq!(push(&server, &content, 5 << 20).unwrap(), Pushed::Uploaded);
    // Nothing large.
    let server = Uploads::start(|_, request, _, wire| {
        let large = request.body.len() > 4 << 20;
        if large {
            wire.answer(413, &[], b"<html>too large</html>");
        }
        large
    });
    assert_eq!(push(&server, &content, 64 << 20).unwrap(), Pushed::Uploaded);
}
