//! Calls that are stopped from outside, wherever they wait. Servers here never answer on: without the stop the client
//! would give up too, but with another error.

use std::time::Duration;

use kiln_registry::{Client, Error, Settings, Stop, Timeouts};

use crate::server::{Request, Server, Wire};
use crate::{layer, noise, opener, pull, quick, reference};

/// A client that is stopped by the server's handler, and the stop.
fn stoppable(settings: Settings) -> (Client, Stop) {
    let stop = Stop::default();
    (Client::new(settings).unwrap().with_stop(stop.clone()), stop)
}

fn is_stopped<T>(outcome: Result<T, Error>) {
    let error = outcome.err().expect("it was stopped");
    assert!(matches!(error, Error::Stopped(_)), "{error}");
}

#[test]
fn before_the_answer() {
    let (client, stop) = stoppable(quick());
    let server = Server::start(move |_, wire| {
        stop.stop();
        wire.silence();
    });
    is_stopped(client.resolve(&reference(&format!("{}/a", server.host()))));
    // And from now on.
    is_stopped(client.resolve(&reference(&format!("{}/a", server.host()))));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn in_the_middle_of_a_blob() {
    let (client, stop) = stoppable(quick());
    let content = noise(1_000_000);
    let sent = content.clone();
    let server = Server::start(move |_, wire| {
        wire.head(200, &[], Some(sent.len()));
        wire.raw(&sent[..300_000]);
        stop.stop();
        wire.silence();
    });
    is_stopped(pull(
        &client,
        &reference(&format!("{}/a", server.host())),
        &layer(&content),
    ));
}

#[test]
fn in_the_middle_of_an_upload() {
    let content = noise(2_000_000);
    let answer = |request: &Request, wire: &mut Wire| match request.method.as_str() {
        "HEAD" => wire.answer(404, &[], b""),
        _ => wire.answer(202, &[("Location", "/v2/a/blobs/uploads/1")], b""),
    };
    // Between two pieces.
    let (client, stop) = stoppable(quick());
    let server = Server::start(answer);
    let to = reference(&format!("{}/a", server.host()));
    let progress = |_| stop.stop();
    is_stopped(client.push_blob(&to, &layer(&content), &opener(&content), &[], &progress));
    // When everything is sent.
    let (client, stop) = stoppable(quick());
    let server = Server::start(move |request, wire| {
        if request.method == "PUT" {
            stop.stop();
            wire.silence();
        } else {
            answer(request, wire);
        }
    });
    let to = reference(&format!("{}/a", server.host()));
    is_stopped(client.push_blob(&to, &layer(&content), &opener(&content), &[], &|_| ()));
}

#[test]
fn while_waiting_to_try_again() {
    let (client, stop) = stoppable(Settings {
        retry_delay: Duration::from_secs(3600),
        timeouts: Timeouts::default(),
        ..quick()
    });
    let server = Server::start(|_, wire| wire.answer(503, &[], b""));
    let waiting = stop.clone();
    let host = server.host();
    let asked = std::thread::spawn(move || client.resolve(&reference(&format!("{host}/a"))));
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    waiting.stop();
    is_stopped(asked.join().unwrap());
}
