//! SSH agents for steps: a socket of the step's own, behind which the agent of whoever builds answers.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};

use crate::cancel::Cancel;
use crate::error::{StepError, StepResult};

/// A socket that passes what comes on to an agent, until it is dropped.
pub(crate) struct Forwarded {
    path: PathBuf,
    stop: Arc<Cancel>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarded {
    /// Makes the socket `path`, owned as the mount says, in front of the agent at `agent`.
    pub(crate) fn start(agent: &Path, path: PathBuf, mode: u32, (uid, gid): (u32, u32)) -> StepResult<Self> {
        // Whoever asks for an agent that is not there should learn it now.
        UnixStream::connect(agent).map_err(StepError::io("connect to the SSH agent", agent))?;
        let listener = listen(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .map_err(StepError::io("change the mode of", &path))?;
        chown(&path, Some(uid), Some(gid)).map_err(StepError::io("change the owner of", &path))?;
        let stop = Arc::new(Cancel::new().map_err(StepError::io("make a descriptor for", &path))?);
        let (stopped, agent) = (Arc::clone(&stop), agent.to_owned());
        let thread = std::thread::Builder::new()
            .name("ssh-agent".to_owned())
            .spawn(move || serve(&listener, &stopped, &agent))
            .map_err(StepError::io("start a thread for", &path))?;
        Ok(Self {
            path,
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _nobody_asks = thread.join();
        }
        let _swept_later = std::fs::remove_file(&self.path);
    }
}

/// Addresses of sockets are short (unix(7)), paths of stores need not be: the directory is named by its descriptor.
fn listen(path: &Path) -> StepResult<UnixListener> {
    let (directory, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).map_err(StepError::errno("open", directory))?;
    let short = Path::new("/proc/self/fd")
        .join(opened.as_raw_fd().to_string())
        .join(name);
    UnixListener::bind(short).map_err(StepError::io("listen on", path))
}

/// Takes connections until it is stopped. Those that are open end with the step's processes.
fn serve(listener: &UnixListener, stop: &Cancel, agent: &Path) {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stop.fd(), PollFlags::IN),
        ];
        let waited = rustix::io::retry_on_intr(|| poll(&mut fds, None));
        if waited.is_err() || stop.is_canceled() {
            return;
        }
        let Ok((client, _)) = listener.accept() else { return };
        // An agent that is gone is a closed connection to the step, as it is without us.
        if let Ok(server) = UnixStream::connect(agent) {
            let _closed = pass_on(client, server);
        }
    }
}

/// Passes bytes in both directions, each on a thread of its own.
fn pass_on(client: UnixStream, server: UnixStream) -> io::Result<()> {
    let (client_reads, server_writes) = (client.try_clone()?, server.try_clone()?);
    one_way(client_reads, server_writes)?;
    one_way(server, client)
}

fn one_way(mut from: UnixStream, mut to: UnixStream) -> io::Result<()> {
    let copy = move || {
        let _broken = io::copy(&mut from, &mut to);
        let _closed_already = to.shutdown(Shutdown::Write);
    };
    std::thread::Builder::new()
        .name("ssh-agent".to_owned())
        .spawn(copy)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn bytes_go_both_ways_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let (agent, socket) = (directory.path().join("agent"), directory.path().join("socket"));
        let listener = UnixListener::bind(&agent).unwrap();
        std::thread::spawn(move || {
            // The first connection only looks whether somebody is there.
            for stream in listener.incoming().skip(1) {
                let mut stream = stream.unwrap();
                let mut question = String::new();
                stream.read_to_string(&mut question).unwrap();
                stream.write_all(question.to_uppercase().as_bytes()).unwrap();
            }
        });
        let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let forwarded = Forwarded::start(&agent, socket.clone(), 0o600, owner).unwrap();
        for question in ["a", "b"] {
            let mut stream = UnixStream::connect(forwarded.path()).unwrap();
            stream.write_all(question.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, question.to_uppercase());
        }
        drop(forwarded);
        assert!(UnixStream::connect(&socket).is_err());
    }

    #[test]
    fn an_agent_that_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (agent, socket) = (directory.path().join("agent"), directory.path().join("socket"));
        assert!(Forwarded::start(&agent, socket.clone(), 0o600, (0, 0)).is_err());
        assert!(!socket.exists());
    }
}
