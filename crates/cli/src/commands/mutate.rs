//! `kiln mutate`

use kiln_build::surgery::{Mutation, Setting};
use kiln_image::Platform;

use crate::failure::{Failure, Outcome};
use crate::making::EditArgs;
use crate::settings::Settings;
use crate::values::setting;

/// Arguments of `kiln mutate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "NAME- takes one away, and - alone all of them; so does an empty text for what is there once. Lists are \
                  divided by commas, or are JSON: --cmd '[\"sh\", \"-c\", \"a, b\"]'. The layers stay what they are."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    /// A label
    #[arg(short, long, value_name = "NAME=VALUE | NAME- | -", allow_hyphen_values = true)]
    label: Vec<String>,
    /// A variable of the environment
    #[arg(short, long, value_name = "NAME=VALUE | NAME- | -", allow_hyphen_values = true)]
    env: Vec<String>,
    /// What runs; the command goes if none is given, since it was for another program
    #[arg(long, value_name = "LIST")]
    entrypoint: Option<String>,
    /// The default arguments of the entrypoint, or what runs where there is none
    #[arg(long, value_name = "LIST")]
    cmd: Option<String>,
    /// Who runs it
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Where it runs
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Ports, divided by commas
    #[arg(
        long,
        value_name = "PORT[/PROTOCOL] | PORT- | -",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    exposed_ports: Vec<String>,
    /// A path that holds data
    #[arg(long, value_name = "PATH | PATH- | -", allow_hyphen_values = true)]
    volume: Vec<String>,
    /// The signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// An annotation of the manifest
    #[arg(short, long, value_name = "NAME=VALUE | NAME- | -", allow_hyphen_values = true)]
    annotation: Vec<String>,
    /// The platform that the image says it is for
    #[arg(long, value_name = "OS/ARCH")]
    set_platform: Option<Platform>,
    #[command(flatten)]
    edit: EditArgs,
}

/// Makes an image with another config.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let mutation = args.read().map_err(Failure::usage)?;
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.mutate(edit, &mutation, sink, cancel)
    })
}

impl Args {
    fn read(&self) -> Result<Mutation, String> {
        let pairs = |flag: &str, texts: &[String]| -> Result<Vec<Setting>, String> {
            let parse = |text: &String| setting::pair(text).map_err(|message| format!("--{flag} {message}"));
            texts.iter().map(parse).collect()
        };
        let ports = |text: &String| setting::ports(text).map_err(|message| format!("--exposed-ports {message}"));
        let ports: Result<Vec<Vec<Setting>>, String> = self.exposed_ports.iter().map(ports).collect();
        let list = |flag: &str, text: &Option<String>| -> Result<Option<Vec<String>>, String> {
            let parse = |text: &String| setting::list(text).map_err(|message| format!("--{flag} {message}"));
            text.as_ref().map(parse).transpose()
        };
        Ok(Mutation {
            labels: pairs("label", &self.label)?,
            env: pairs("env", &self.env)?,
            ports: ports?.concat(),
            volumes: self.volume.iter().map(|text| setting::name(text)).collect(),
            entrypoint: list("entrypoint", &self.entrypoint)?,
            cmd: list("cmd", &self.cmd)?,
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            stop_signal: self.stop_signal.clone(),
            platform: self.set_platform.clone(),
            annotations: pairs("annotation", &self.annotation)?,
        })
    }
}
