//! Running a program in an image.

use kiln_image::Platform;

use super::Engine;
use crate::attach::Console;
use crate::progress::Progress;
use crate::signals::Interrupt;
use crate::values::volume::Volume;

/// What to run; everything that is not said is the image's.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RunSpec {
    /// In which image.
    pub(crate) image: String,
    /// For which platform, if it must be pulled.
    pub(crate) platform: Option<Platform>,
    /// Instead of CMD; empty for the image's.
    pub(crate) command: Vec<String>,
    /// Instead of ENTRYPOINT; an empty one for none.
    pub(crate) entrypoint: Option<String>,
    /// More environment.
    pub(crate) env: Vec<(String, String)>,
    /// What of this machine it sees.
    pub(crate) volumes: Vec<Volume>,
    /// Instead of WORKDIR.
    pub(crate) workdir: Option<String>,
    /// Instead of USER.
    pub(crate) user: Option<String>,
    /// Whether it has no network.
    pub(crate) network_none: bool,
    /// Its host name.
    pub(crate) hostname: Option<String>,
    /// Further names in /etc/hosts.
    pub(crate) hosts: Vec<(String, String)>,
    /// Whether its root cannot be written.
    pub(crate) read_only: bool,
    /// Whether it reads standard input.
    pub(crate) interactive: bool,
    /// Whether it has a terminal of its own.
    pub(crate) terminal: bool,
}

impl Engine {
    /// Runs it in the foreground and gives its exit code, 128 and the number for a signal.
    pub(crate) fn run(
        &self,
        spec: RunSpec,
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<u8, kiln_build::Error> {
        let console = Console::new(progress, spec.terminal);
        let spec = kiln_build::run::RunSpec {
            image: spec.image,
            platform: spec.platform,
            command: spec.command,
            entrypoint: spec.entrypoint,
            env: spec.env,
            volumes: spec
                .volumes
                .into_iter()
                .map(|volume| (volume.source, volume.target, volume.read_only))
                .collect(),
            workdir: spec.workdir,
            user: spec.user,
            network: if spec.network_none {
                kiln_plan::Network::None
            } else {
                kiln_plan::Network::Host
            },
            hostname: spec.hostname,
            hosts: spec.hosts,
            read_only: spec.read_only,
            interactive: spec.interactive,
            terminal: spec.terminal,
        };
        self.builder.run(&spec, &console, progress.sink(), &interrupt.cancel)
    }
}
