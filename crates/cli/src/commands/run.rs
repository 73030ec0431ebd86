//! `kiln run`

use std::path::PathBuf;

use kiln_image::Platform;

use crate::engine::{self, Engine, RunSpec};
use crate::failure::{Context as _, Failure, Outcome};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::{host, pair, volume};

/// Arguments of `kiln run`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "every flag is one")]
#[command(
    after_help = "Exit code: that of the program; 125 if Kiln could not start it, 126 if it cannot be executed, 127 if it \
                        was not found."
)]
pub(crate) struct Args {
    /// The image; pulled if it is not in the store
    image: String,
    /// What to start instead of the image's command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// Remove the container's files afterwards, as Kiln always does
    #[arg(long)]
    rm: bool,
    /// An environment variable; `NAME` alone takes its value from the environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Show a directory or file of this machine in the container
    #[arg(short, long, value_name = "SOURCE:TARGET[:ro]")]
    volume: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Who runs it, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// What to start instead of the image's entrypoint; empty for none
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// `host`: this machine's network; `none`: nothing
    #[arg(long, visible_alias = "net", value_name = "MODE", default_value = "host")]
    network: String,
    /// Name of the machine that it sees
    #[arg(short = 'H', long, value_name = "NAME")]
    hostname: Option<String>,
    /// A further line of /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// The file system cannot be written
    #[arg(long)]
    read_only: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// For which platform [default: this machine's, where there are several]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Ports need no publishing: the container has this machine's network
    #[arg(short, long, value_name = "PORT:PORT", hide_short_help = true)]
    publish: Vec<String>,
    /// Taken and ignored: containers are not kept
    #[arg(long, hide = true)]
    name: Option<String>,
    /// Taken and ignored: Kiln always looks after orphans
    #[arg(long, hide = true)]
    init: bool,
    /// Not supported: Kiln has nobody to look after programs in the background
    #[arg(short, long, hide = true)]
    detach: bool,
}

/// Starts a program in an image and waits for it.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let spec = args.spec(settings)?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(None, false, settings)?;
    let code = engine
        .run(spec, &progress, &interrupt)
        .map_err(|error| engine::run_failure(error, &interrupt))?;
    if code == 0 { Ok(()) } else { Err(Failure::silent(code)) }
}

impl Args {
    fn spec(&self, settings: &Settings) -> Result<RunSpec, Failure> {
        if self.detach {
            return Err(Failure::usage(
                "--detach is not supported: kiln run stays in the foreground",
            ));
        }
        if self.tty && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return Err(Failure::usage("--tty: standard input is no terminal").hint("leave out -t"));
        }
        for text in &self.publish {
            volume::check_port(text).map_err(|message| Failure::usage(format!("--publish {message}")))?;
        }
        let network_none = match self.network.as_str() {
            "host" | "default" => false,
            "none" => true,
            other => return Err(Failure::usage(format!("--network {other}: wanted host or none"))),
        };
        let hosts = self.add_host.iter().map(|text| host::parse(text));
        let volumes = self.volume.iter().map(|text| volume::parse(text));
        Ok(RunSpec {
            image: self.image.clone(),
            platform: self.platform.clone().or(settings.default_platform()?),
            command: self.command.clone(),
            entrypoint: self.entrypoint.clone(),
            env: environment(&self.env_file, &self.env, settings)?,
            volumes: volumes
                .collect::<Result<_, _>>()
                .map_err(|message| Failure::usage(format!("--volume {message}")))?,
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            network_none,
            hostname: self.hostname.clone(),
            hosts: hosts
                .collect::<Result<_, _>>()
                .map_err(|message| Failure::usage(format!("--add-host {message}")))?,
            read_only: self.read_only,
            interactive: self.interactive || self.tty,
            terminal: self.tty,
        })
    }
}

/// The variables of files and of arguments, and docker's proxies.
pub(crate) fn environment(
    files: &[PathBuf],
    arguments: &[String],
    settings: &Settings,
) -> Result<Vec<(String, String)>, Failure> {
    let mut lines = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).or_failed(|| format!("cannot read {}", path.display()))?;
        let useful = text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(useful.map(ToOwned::to_owned));
    }
    lines.extend(arguments.iter().cloned());
    let pairs = lines
        .iter()
        .map(|text| pair::from_environment(text, &settings.environment));
    let pairs: Result<Vec<_>, _> = pairs.collect();
    let said = pairs.map_err(|message| Failure::usage(format!("--env {message}")))?;
    let mut all = settings.docker_proxies()?;
    all.extend(said.into_iter().flatten());
    Ok(all)
}
