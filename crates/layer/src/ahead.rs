//! Reading (and decompressing) on one thread while another one uses what was read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Builder;

/// Size of the pieces that are handed over.
const PIECE: usize = 256 * 1024;

/// How many pieces are on their way at most.
const QUEUE: usize = 4;

type Piece = io::Result<Vec<u8>>;

/// The end of the queue at which the pieces come out.
#[derive(Debug)]
pub(crate) struct Ahead {
    pieces: Receiver<Piece>,
    used: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            // The other side closes the queue at the end of the input.
            let Ok(next) = self.pieces.recv() else { return Ok(0) };
            let used = std::mem::replace(&mut self.piece, next?);
            self.at = 0;
            match self.used.try_send(used) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        let piece = &self.piece[self.at..];
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.at += length;
        Ok(length)
    }
}

/// Reads `source` on this thread, showing each piece to `see`, while `consume` reads the same bytes on another one.
///
/// Stops reading when `consume` returns, so to see all of the source it must read to the end. An error of the source
/// is what `consume` reads. Fails only if there can be no other thread.
pub(crate) fn read_ahead<T: Send>(
    mut source: impl Read,
    mut see: impl FnMut(&[u8]),
    consume: impl FnOnce(Ahead) -> T + Send,
) -> io::Result<T> {
    let (send, pieces) = sync_channel::<Piece>(QUEUE);
    let (used, back) = sync_channel::<Vec<u8>>(QUEUE);
    std::thread::scope(|scope| {
        let ahead = Ahead {
            pieces,
            used,
            piece: Vec::new(),
            at: 0,
        };
        let consumer = Builder::new()
            .name("unpack".to_owned())
            .spawn_scoped(scope, move || consume(ahead))?;
        loop {
            let mut piece = back.try_recv().unwrap_or_default();
            let filled = fill(&mut source, &mut piece);
            see(&piece);
            let ended = piece.len() < PIECE;
            if (!piece.is_empty() && send.send(Ok(piece)).is_err()) || filled.is_ok() && ended {
                break;
            }
            if let Err(error) = filled {
                let _gone = send.send(Err(error));
                break;
            }
        }
        drop(send);
        Ok(consumer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Fills a piece; it is shorter only at the end or before an error.
fn fill(source: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.resize(PIECE, 0);
    let mut filled = 0;
    let result = loop {
        if filled == PIECE {
            break Ok(());
        }
        match source.read(&mut piece[filled..]) {
            Ok(0) => break Ok(()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    piece.truncate(filled);
    result
}
