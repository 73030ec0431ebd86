//! The arguments that say what is built, shared by `build` and `plan`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_image::Platform;
use kiln_plan::{NamedContext, Network, Options};

use crate::context::{self, Inputs, Unpack};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::values::build_context::{self, NamedContext as Named};
use crate::values::{host, pair, size, ulimit};

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct DefinitionArgs {
    /// Build context: a directory, or `-` for a tar or a Dockerfile on standard input
    #[arg(value_name = "PATH | URL | -")]
    pub(crate) path: String,
    /// The Dockerfile, or `-` for standard input [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// What to build for, like linux/arm64 [default: $DOCKER_DEFAULT_PLATFORM, else this machine]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platform: Vec<String>,
    /// The value of an ARG; `KEY` alone takes it from the environment
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// A further context, for FROM, COPY --from and RUN --mount: NAME=PATH or NAME=docker-image://REFERENCE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_context: Vec<String>,
    /// Run every step, whatever is cached
    #[arg(long, help_heading = "Cache")]
    pub(crate) no_cache: bool,
    /// Run every step of these stages, whatever is cached
    #[arg(long, value_name = "STAGE", value_delimiter = ',', help_heading = "Cache")]
    pub(crate) no_cache_filter: Vec<String>,
    /// Ask registries for newer images even of tags that are known
    #[arg(long, help_heading = "Cache")]
    pub(crate) pull: bool,
    /// What RUN may reach: `default` and `host` are this machine's network, `none` is nothing
    #[arg(long, value_name = "MODE", default_value = "default", help_heading = "Steps")]
    pub(crate) network: String,
    /// A further line of /etc/hosts in RUN
    #[arg(long, value_name = "NAME:ADDRESS", help_heading = "Steps")]
    pub(crate) add_host: Vec<String>,
    /// Size of /dev/shm in RUN
    #[arg(long, value_name = "BYTES", help_heading = "Steps")]
    pub(crate) shm_size: Option<String>,
    /// A resource limit in RUN
    #[arg(long, value_name = "NAME=SOFT[:HARD]", help_heading = "Steps")]
    pub(crate) ulimit: Vec<String>,
    /// What steps may do beyond the usual: security.insecure, network.host, device[=NAME[,alias=OTHER]]
    #[arg(long, value_name = "ENTITLEMENT", help_heading = "Steps")]
    pub(crate) allow: Vec<String>,
}

/// What the arguments come to.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Dockerfile and context.
    pub(crate) inputs: Inputs,
    /// What changes the plan.
    pub(crate) options: Options,
    /// Directories of named contexts.
    pub(crate) directories: BTreeMap<String, PathBuf>,
}

impl DefinitionArgs {
    /// Finds the files and reads the flags.
    pub(crate) fn read(&self, settings: &Settings, unpack: Unpack<'_>) -> Result<Definition, Failure> {
        let mut directories = BTreeMap::new();
        // Flags first: what is wrong with them is known without reading anything.
        let options = self.options(settings, &mut directories)?;
        let inputs = context::find(&self.path, self.file.as_deref(), &mut std::io::stdin(), unpack)?;
        Ok(Definition {
            inputs,
            options,
            directories,
        })
    }

    fn options(&self, settings: &Settings, directories: &mut BTreeMap<String, PathBuf>) -> Result<Options, Failure> {
        let mut options = Options {
            target: self.target.clone(),
            build_args: self.build_args(settings)?,
            platform: self.platform(settings)?,
            contexts: self.contexts(directories)?,
            no_cache: self.no_cache,
            no_cache_filter: self.no_cache_filter.iter().map(|stage| stage.to_lowercase()).collect(),
            network: network(&self.network)?,
            ..Options::default()
        };
        let usage = |flag: &str| {
            let flag = flag.to_owned();
            move |message: String| Failure::usage(format!("{flag} {message}"))
        };
        for text in &self.label {
            options.labels.extend([pair::label(text).map_err(usage("--label"))?]);
        }
        for text in &self.add_host {
            options
                .extra_hosts
                .push(host::parse(text).map_err(usage("--add-host"))?);
        }
        for text in &self.ulimit {
            options.ulimits.push(ulimit::parse(text).map_err(usage("--ulimit"))?);
        }
        if let Some(text) = &self.shm_size {
            options.shm_size = Some(size::parse(text).map_err(usage("--shm-size"))?);
        }
        for text in &self.allow {
            allow(text, &mut options).map_err(usage("--allow"))?;
        }
        Ok(options)
    }

    fn build_args(&self, settings: &Settings) -> Result<BTreeMap<String, String>, Failure> {
        let mut all: BTreeMap<String, String> = settings.docker_proxies()?.into_iter().collect();
        for text in &self.build_arg {
            let pair = pair::from_environment(text, &settings.environment);
            all.extend(pair.map_err(|message| Failure::usage(format!("--build-arg {message}")))?);
        }
        if let Some(epoch) = settings.epoch()? {
            all.entry("SOURCE_DATE_EPOCH".to_owned())
                .or_insert_with(|| epoch.to_string());
        }
        Ok(all)
    }

    fn platform(&self, settings: &Settings) -> Result<Option<Platform>, Failure> {
        match &self.platform[..] {
            [] => settings.default_platform(),
            [one] if one == "local" => Ok(None),
            [one] => one
                .parse()
                .map(Some)
                .map_err(|error| Failure::usage(format!("--platform: {error}"))),
            several => Err(Failure::usage(format!(
                "--platform names several platforms, {}, but a build is for one",
                several.join(" and ")
            ))
            .hint("build once for each platform")),
        }
    }

    fn contexts(&self, directories: &mut BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, NamedContext>, Failure> {
        let mut all = BTreeMap::new();
        for text in &self.build_context {
            let (name, context) =
                build_context::parse(text).map_err(|message| Failure::usage(format!("--build-context {message}")))?;
            let context = match context {
                Named::Image(reference) => NamedContext::Image(reference),
                Named::Directory(path) => {
                    check_directory(&name, &path)?;
                    directories.insert(name.clone(), path);
                    NamedContext::Local
                }
            };
            all.insert(name, context);
        }
        Ok(all)
    }
}

fn check_directory(name: &str, path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let what = if path.exists() {
        "is not a directory"
    } else {
        "does not exist"
    };
    Err(Failure::failed(anyhow::anyhow!(
        "--build-context {name}={}: it {what}",
        path.display()
    )))
}

/// One `--allow`. Only devices have commas of their own.
fn allow(text: &str, options: &mut Options) -> Result<(), String> {
    if let Some(device) = text.strip_prefix("device=") {
        let (name, alias) = match device.split_once(',') {
            None => (device, device),
            Some((name, more)) => {
                let alias = more.strip_prefix("alias=").filter(|alias| !alias.is_empty());
                (
                    name,
                    alias.ok_or_else(|| format!("{text}: wanted device=NAME[,alias=OTHER]"))?,
                )
            }
        };
        options.allow_devices.names.insert(alias.to_owned(), name.to_owned());
        return Ok(());
    }
    for entitlement in text.split(',') {
        match entitlement {
            "security.insecure" => options.allow_insecure = true,
            "device" => options.allow_devices.all = true,
            // It is how steps are anyway.
            "network.host" => {}
            other => {
                return Err(format!(
                    "{other}: there are security.insecure, network.host and device[=NAME]"
                ));
            }
        }
    }
    Ok(())
}

fn network(text: &str) -> Result<Network, Failure> {
    match text {
        "default" | "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        other => Err(Failure::usage(format!(
            "--network {other}: wanted default, host or none"
        ))),
    }
}
