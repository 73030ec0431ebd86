//! Runs one process over a root file system: namespaces, mounts, seccomp, capabilities.
//!
//! The crate knows nothing of layers or images. It offers:
//!
//! * [`probe`] and [`enter`]: which rung of the privilege ladder this process can have, and going there;
//! * [`Overlay`]: an overlay of directories as a detached mount, which nobody else sees and which dissolves with its
//!   descriptor;
//! * [`spawn`]: one process over such a mount, with Docker's default privileges and nothing of the host visible;
//!   [`Prepared`]: namespaces for one, made before it is known what runs in them;
//! * [`Emulator`] and [`runs`]: programs of other processors, and whether a program can be run at all;
//! * [`resolve_user`], [`resolve_owner`]: user and group names as the image's own files define them;
//! * [`open_in_root`] and [`mkdir_all_in_root`]: paths that never leave a root directory.
//!
//! It is the one crate with `unsafe` code; every block names the invariant it rests on.

mod assemble;
mod calls;
mod cgroup;
mod child;
mod command;
mod copied_up;
mod devices;
mod emulator;
mod error;
mod exec;
mod ground;
mod kernel;
mod ladder;
mod limits;
mod masks;
mod mnt;
#[cfg(test)]
mod old_kernel_tests;
mod overlay;
mod overlay_old;
mod path;
mod prepare;
mod prepared;
mod scope;
mod seccomp;
mod spec;
mod stage;
mod subid;
mod supervise;
mod targets;
mod terminal;
mod trial;
mod user;
mod userns;

pub use child::{Child, Exit, spawn};
pub use emulator::{Emulator, EmulatorError, Interpreter};
pub use error::Error;
pub use ground::Kind;
pub use ladder::{Probe, Rung, probe};
pub use overlay::{Overlay, create_stubs};
pub use path::{mkdir_all_in_root, open_in_root};
pub use prepared::Prepared;
pub use spec::{BindSource, CpuTime, Limits, Mount, MountKind, Network, Spec, Stdio, Ulimit, User};
pub use terminal::TerminalSize;
pub use trial::runs;
pub use user::{ResolvedUser, UserError, resolve_owner, resolve_user};
pub use userns::{EnterError, enter};
