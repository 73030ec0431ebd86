//! What a shell has around it besides what is there.

use std::path::PathBuf;

use kiln_build::shell::{ShellMount, ShellMountKind, ShellSpec, ToolboxSource};

use crate::commands::run::environment;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::values::{mount, volume};

/// What is changed for the shell.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Surroundings")]
pub(crate) struct SurroundingsArgs {
    /// An environment variable; `NAME` alone takes its value from the environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Show a directory or file of this machine in there
    #[arg(short, long, value_name = "SOURCE:TARGET[:ro]")]
    volume: Vec<String>,
    /// The same in docker's longer form, or an empty directory in memory: type=bind,src=PATH,dst=PATH[,ro] or
    /// type=tmpfs,dst=PATH[,tmpfs-size=BYTES]
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Who runs it, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Name of the machine that it sees
    #[arg(short = 'H', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Bring along these tools: an image with a busybox that is linked statically, or a directory [default: this machine's
    /// busybox, else that of an image `busybox` in the store, where there is no shell]
    #[arg(long, value_name = "IMAGE|DIR")]
    toolbox: Option<String>,
    /// Give it no terminal, as where standard input or output is none
    #[arg(short = 'T', long)]
    no_tty: bool,
}

impl SurroundingsArgs {
    pub(super) const fn wants_terminal(&self) -> bool {
        !self.no_tty
    }

    /// Everything but the command and the network.
    pub(super) fn spec(&self, terminal: bool, settings: &Settings) -> Result<ShellSpec, Failure> {
        let mut env = environment(&self.env_file, &self.env, settings)?;
        if terminal
            && !env.iter().any(|(name, _)| name == "TERM")
            && let Some(term) = settings.environment.filled("TERM")
        {
            env.push(("TERM".to_owned(), term));
        }
        Ok(ShellSpec {
            env,
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            mounts: self.mounts()?,
            hostname: self.hostname.clone(),
            toolbox: self.toolbox.as_deref().map(toolbox),
            ..ShellSpec::default()
        })
    }

    fn mounts(&self) -> Result<Vec<ShellMount>, Failure> {
        let mut mounts = Vec::new();
        for text in &self.volume {
            let volume = volume::parse(text).map_err(|message| Failure::usage(format!("--volume {message}")))?;
            mounts.push(ShellMount {
                target: volume.target,
                kind: ShellMountKind::Bind {
                    source: volume.source,
                    read_only: volume.read_only,
                },
            });
        }
        for text in &self.mount {
            mounts.push(mount::parse(text).map_err(|message| Failure::usage(format!("--mount {message}")))?);
        }
        Ok(mounts)
    }
}

/// A path, if it looks like one.
fn toolbox(text: &str) -> ToolboxSource {
    if text.starts_with(['.', '/']) {
        ToolboxSource::Directory(text.into())
    } else {
        ToolboxSource::Image(text.to_owned())
    }
}
