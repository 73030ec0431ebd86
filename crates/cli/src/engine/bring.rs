//! Contexts and Dockerfiles that are not on this machine, or in an archive.

use std::io::Read;

use kiln_build::Error;
use kiln_build::event::Sink;
use kiln_build::request::Access;
use kiln_plan::Remote;

use super::{Engine, canceled, failure};
use crate::context::{self, Bring, Brought, Inputs, Wanted};
use crate::failure::{Context as _, Failure};
use crate::signals::Interrupt;

/// Brings them into the store.
pub(crate) struct Bringer<'a> {
    /// Where to.
    pub(crate) engine: &'a Engine,
    /// By what to reach them.
    pub(crate) access: &'a Access,
    /// Who is told of it.
    pub(crate) sink: &'a dyn Sink,
    /// What ends it.
    pub(crate) interrupt: &'a Interrupt,
}

impl Bringer<'_> {
    /// Finds Dockerfile and context.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Result<Inputs, Failure> {
        match context::find(wanted, &mut self.stdin()?, self) {
            // What fails because it was stopped is no failure of its own.
            Err(_) if self.interrupt.came() => Err(canceled(self.interrupt)),
            found => found,
        }
    }

    /// Standard input, reading which ends with the work.
    fn stdin(&self) -> Result<impl Read, Failure> {
        let stdin = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 0);
        let stdin = stdin.or_internal(|| "cannot read standard input".to_owned())?;
        Ok(self.interrupt.cancel.reading(stdin.into()))
    }

    fn failure(&self, error: Error) -> Failure {
        failure(error, self.interrupt)
    }
}

impl Bring for Bringer<'_> {
    fn unpack(&self, archive: &mut dyn Read) -> Result<Brought, Failure> {
        let builder = self.engine.builder();
        let unpacked = builder.unpack_context(
            archive,
            "the context on standard input",
            self.sink,
            &self.interrupt.cancel,
        );
        let unpacked = unpacked.map_err(|error| self.failure(error))?;
        Ok(Brought {
            directory: unpacked.directory(),
            file: None,
            time: None,
            guard: Box::new(unpacked),
        })
    }

    fn fetch(&self, remote: &Remote) -> Result<Brought, Failure> {
        let builder = self.engine.builder();
        let fetched = builder.fetch_context(remote, self.access, self.sink, &self.interrupt.cancel);
        let fetched = fetched.map_err(|error| self.failure(error))?;
        Ok(Brought {
            directory: fetched.directory.clone(),
            file: fetched.file,
            time: fetched.time,
            guard: Box::new(fetched),
        })
    }
}
