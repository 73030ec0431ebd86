//! Namespaces that wait for their step, and the thread that carries it.
//!
//! The kernel ties a process's life to that of the *thread* that started it (`PR_SET_PDEATHSIG`); with a thread of
//! its own a step cannot be killed by the end of some worker thread.

use crate::child::Exit;
use crate::ground::{Ground, Kind, Laid};
use crate::{Error, supervise};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

/// Namespaces, with what is in all of a [`Kind`], that are made on a thread of their own: beside the step before, say.
/// Dropped without a step they are gone.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
    orders: SyncSender<Order>,
    outcome: Receiver<Outcome>,
}

/// Gets the descriptor of the step's process, or why there is none.
pub(crate) type Started = SyncSender<Result<OwnedFd, Error>>;

/// A step from its start to its end.
type Work = Box<dyn FnOnce(Laid, &Started) -> Outcome + Send>;

pub(crate) type Outcome = Result<Exit, Error>;

/// What is to be done in the namespaces.
struct Order {
    work: Work,
    started: Started,
}

impl Prepared {
    /// Begins to make them. What goes wrong there the step that is started in them is told.
    ///
    /// # Errors
    ///
    /// That there is no thread for it.
    pub fn new(kind: Kind) -> Result<Self, Error> {
        let (orders, receiver) = sync_channel(1);
        let (ended, outcome) = sync_channel(1);
        let thread = Builder::new().name("kiln-step".to_owned());
        // Whoever wants to know the outcome need not wait for the end of the thread.
        let thread = thread.spawn(move || ended.send(live(kind, &receiver)).ok());
        thread.map_err(|e| Error::setup("start", "a thread", e))?;
        Ok(Self { kind, orders, outcome })
    }

    /// What they are good for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Starts a step there by `work`, which runs it to its end: the process's descriptor, and where its outcome comes.
    pub(crate) fn carry_out<W>(self, work: W) -> Result<(OwnedFd, Receiver<Outcome>), Error>
    where
        W: FnOnce(Laid, &Started) -> Outcome + Send + 'static,
    {
        let (started, process) = sync_channel(1);
        let work = Box::new(work);
        // A thread that is gone has dropped the sender too.
        self.orders.send(Order { work, started }).ok();
        match process.recv() {
            Ok(Ok(process)) => Ok((process, self.outcome)),
            Ok(Err(error)) => {
                // There is nothing more to say, but the step's traces are gone only then.
                drop(self.outcome.recv());
                Err(error)
            }
            Err(_) => {
                let outcome = self.outcome.recv().ok();
                Err(outcome.and_then(Result::err).unwrap_or_else(panicked))
            }
        }
    }
}

fn live(kind: Kind, orders: &Receiver<Order>) -> Outcome {
    supervise::block_signals();
    let ground = Ground::lay(kind);
    match orders.recv() {
        Ok(Order { work, started }) => work(ground, &started),
        Err(_) => Err(not_started()),
    }
}

pub(crate) fn not_started() -> Error {
    Error::Follow {
        step: "start",
        source: std::io::Error::other("it was not started"),
    }
}

pub(crate) fn panicked() -> Error {
    Error::Follow {
        step: "supervise",
        source: std::io::Error::other("its thread ended early"),
    }
}
