//! `kiln lsp`: the Language Server Protocol, version 3.17, on standard input and output.
//!
//! What is known about Dockerfiles comes from the linter and its `editor`; here are the protocol, files and the store.
//! Messages are read by a thread of their own, so that findings are computed once for all changes that came meanwhile.

mod actions;
mod completion;
mod document;
mod findings;
mod hover;
mod message;
mod navigation;
mod paths;
mod position;
mod server;
mod symbols;
#[cfg(test)]
mod tests;

mod uri;
mod wire;
mod workspace;

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use crate::settings::Settings;
use server::Server;
use wire::Incoming;

/// How many messages may wait.
const WAITING: usize = 16;

/// Serves until the client says `exit`, or is gone; whether it ended as the protocol wants it, after `shutdown`.
pub(crate) fn serve(
    reader: impl BufRead + Send + 'static,
    out: &mut dyn Write,
    settings: &Settings,
) -> io::Result<bool> {
    let (sender, receiver) = sync_channel(WAITING);
    let mut server = Server::new(settings, out);
    thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || read(reader, &sender))?;
    while let Some(incoming) = next(&receiver, &mut server)? {
        if !server.take(incoming?)? {
            break;
        }
    }
    Ok(server.is_down())
}

/// The next message; while there is none, what was found meanwhile is told.
fn next(
    receiver: &Receiver<io::Result<Incoming>>,
    server: &mut Server<'_>,
) -> io::Result<Option<io::Result<Incoming>>> {
    match receiver.try_recv() {
        Ok(incoming) => Ok(Some(incoming)),
        Err(TryRecvError::Disconnected) => Ok(None),
        Err(TryRecvError::Empty) => {
            server.publish()?;
            Ok(receiver.recv().ok())
        }
    }
}

fn read(mut reader: impl BufRead, sender: &SyncSender<io::Result<Incoming>>) {
    loop {
        let read = match wire::read(&mut reader) {
            Ok(Some(incoming)) => Ok(incoming),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if sender.send(read).is_err() || failed {
            return;
        }
    }
}
