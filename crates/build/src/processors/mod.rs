//! For which processors steps can be run here, and how.
//!
//! It is not read off the kernel's tables, which may be out of sight in a container: the smallest program for the
//! processor is run as a step, first as it is and then by an emulator that is registered for this build alone. What the
//! machine runs by itself, 32-bit programs included, or has an emulator registered for, needs nothing of Kiln.

mod program;
mod qemu;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use kiln_image::Platform;
use kiln_sandbox::{Child, Emulator, EmulatorError, Interpreter, Prepared, Spec, Stdio, runs};
use rustix::io::Errno;

use crate::error::{StepError, StepResult};
use program::{KNOWN, Processor};

/// How steps for a processor run.
#[derive(Debug, Clone)]
pub enum Way {
    /// It is this machine's, or one whose programs it runs too.
    Native,
    /// An emulator is registered for the whole machine.
    Registered,
    /// Kiln registers QEMU for its steps.
    Emulated {
        /// The program.
        qemu: PathBuf,
        /// Its registration.
        emulator: Emulator,
    },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("natively"),
            Self::Registered => f.write_str("by the emulator that is registered on this machine"),
            Self::Emulated { qemu, .. } => write!(f, "by {}", qemu.display()),
        }
    }
}

/// Why steps for a processor cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRunnable {
    /// Kiln has no program to try it with.
    #[error("Kiln knows no emulator for it")]
    Unknown,
    /// No emulator where they usually are.
    #[error("QEMU is not installed: there is no {name} and no {other}")]
    NoEmulator {
        /// What it is called mostly.
        name: String,
        /// And sometimes.
        other: String,
    },
    /// It could not run in a step's root file system.
    #[error("{} is not linked statically, and steps do not have its libraries", .path.display())]
    Dynamic {
        /// The emulator.
        path: PathBuf,
        /// What the other one is called mostly.
        name: String,
    },
    /// It could not be looked at.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// The emulator.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The kernel does not take it.
    #[error("{} cannot be used: {source}", .path.display())]
    Emulator {
        /// The emulator.
        path: PathBuf,
        /// Why.
        source: EmulatorError,
    },
    /// It was registered, and did not do its work.
    #[error("{} does not run a program that only ends", .path.display())]
    Broken {
        /// The emulator.
        path: PathBuf,
    },
    /// No step at all can be set up.
    #[error(transparent)]
    Sandbox(#[from] kiln_sandbox::Error),
}

impl NotRunnable {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let remedy = match self {
            Self::NoEmulator { .. } | Self::Dynamic { .. } => {
                "install QEMU's static user emulation (`apt-get install qemu-user-static`, `dnf install \
                 qemu-user-static`); nothing need be registered, "
            }
            Self::Emulator {
                source: EmulatorError::OldKernel { .. },
                ..
            } => {
                "have root register an emulator for the whole machine (`apt-get install qemu-user-static binfmt-support`), "
            }
            Self::Broken { .. } => "install QEMU 6.0 or later, ",
            Self::Unknown | Self::Unreadable { .. } | Self::Emulator { .. } | Self::Sandbox(_) => "",
        };
        format!(
            "{remedy}{}let this machine's programs make what the image needs: `FROM --platform=$BUILDPLATFORM` and COPY --from",
            if remedy.is_empty() { "" } else { "or " }
        )
    }
}

/// The processors of this machine's steps. What is known of one is found out when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Processors {
    found: [OnceLock<Result<Way, Arc<NotRunnable>>>; KNOWN.len()],
}

impl Processors {
    /// Starts a step for the platform, in namespaces of its kind.
    ///
    /// It is tried too if programs for the platform cannot run: the image may hold others all the same.
    pub(crate) fn spawn(
        &self,
        platform: &Platform,
        prepared: Prepared,
        mut spec: Spec<'_>,
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> StepResult<Child> {
        let way = self.way(platform);
        if let Ok(Way::Emulated { emulator, .. }) = &way {
            spec.emulator = Some(emulator.clone());
        }
        prepared
            .spawn(&spec, stdin, stdout, stderr)
            .map_err(|error| match (error, way) {
                (kiln_sandbox::Error::CommandNotExecutable { source, .. }, Err(reason))
                    if source.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) =>
                {
                    StepError::NotRunnable {
                        platform: platform.clone(),
                        reason,
                    }
                }
                (error, _) => error.into(),
            })
    }

    /// Whether programs for the platform run through an emulator.
    pub(crate) fn emulate(&self, platform: &Platform) -> bool {
        matches!(self.way(platform), Ok(Way::Registered | Way::Emulated { .. }))
    }

    fn way(&self, platform: &Platform) -> Result<Way, Arc<NotRunnable>> {
        let host = Platform::host();
        let same = (&platform.os, &platform.architecture) == (&host.os, &host.architecture);
        // An image that does not say what it is for is taken for this machine's.
        if same || platform.architecture.is_empty() {
            return Ok(Way::Native);
        }
        let known = |(processor, _): &(&Processor, _)| {
            platform.os == host.os && platform.architecture == processor.architecture
        };
        let (processor, found) = KNOWN
            .iter()
            .zip(&self.found)
            .find(known)
            .ok_or_else(|| Arc::new(NotRunnable::Unknown))?;
        found
            .get_or_init(|| find(processor, &host.architecture).map_err(Arc::new))
            .clone()
    }
}

/// Every processor that Kiln knows, by its architecture's name, and how its steps run here.
pub fn survey() -> Vec<(&'static str, Result<Way, NotRunnable>)> {
    let host = Platform::host().architecture;
    let processors = KNOWN.iter();
    processors
        .map(|processor| (processor.architecture, find(processor, &host)))
        .collect()
}

fn find(processor: &Processor, host: &str) -> Result<Way, NotRunnable> {
    let program = processor.program();
    if runs(&program, None)? {
        let native = [(host, host), ("amd64", "386"), ("arm64", "arm")];
        return Ok(if native.contains(&(host, processor.architecture)) {
            Way::Native
        } else {
            Way::Registered
        });
    }
    let qemu = qemu::find(processor.qemu)?;
    let interpreter = Interpreter {
        path: &qemu,
        magic: &processor.magic(),
        mask: &processor.mask(),
    };
    let emulator = match Emulator::new(&interpreter) {
        Ok(emulator) => emulator,
        Err(source) => return Err(NotRunnable::Emulator { path: qemu, source }),
    };
    if runs(&program, Some(&emulator))? {
        Ok(Way::Emulated { qemu, emulator })
    } else {
        Err(NotRunnable::Broken { path: qemu })
    }
}
