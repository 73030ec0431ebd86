//! The arguments that say what is built, shared by `build` and `plan`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use kiln_build::event::Sink;
use kiln_build::request::{Access, Annotations, Layout, Limits, Request};
use kiln_dockerfile::source::Source;
use kiln_image::{Platform, Reference};
use kiln_plan::{NamedContext, Network, Options, Remote, SOURCE_DATE_EPOCH};

use super::access::AccessArgs;
use crate::context::{Inputs, Wanted};
use crate::engine::{Bringer, Engine};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::values::build_context::{self, NamedContext as Named};
use crate::values::{csv, host, pair, size, ulimit};

/// The build argument that says whether a context that is a repository keeps its `.git`.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// The build argument that says whether what comes out is as for several platforms.
const MULTI_PLATFORM: &str = "BUILDKIT_MULTI_PLATFORM";

/// What docker calls this machine's platform.
const LOCAL: &str = "local";

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct DefinitionArgs {
    /// Build context: a directory, a git repository, the URL of a tar or Dockerfile, or `-` for one on standard input
    #[arg(value_name = "PATH | URL | -")]
    pub(crate) path: String,
    /// The Dockerfile, `-` for standard input, or a URL [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// What to build for, like linux/amd64,linux/arm64 [default: $DOCKER_DEFAULT_PLATFORM, else this machine]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platform: Vec<String>,
    /// The value of an ARG; `KEY` alone takes it from the environment
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// A further context, for FROM, COPY --from and RUN --mount: NAME=PATH, NAME=URL (of a git repository or a file),
    /// NAME=docker-image://REFERENCE or NAME=oci-layout://PATH[:TAG]
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
    #[command(flatten)]
    access: AccessArgs,
    /// What steps may do beyond the usual: security.insecure, network.host, device[=NAME[,alias=OTHER]]
    #[arg(long, value_name = "ENTITLEMENT", help_heading = "Steps")]
    pub(crate) allow: Vec<String>,
}

/// Where named contexts are that are on this machine.
#[derive(Debug, Default)]
struct Places {
    /// Directories, by the contexts' names.
    directories: BTreeMap<String, PathBuf>,
    /// Images in layouts, by the references that stand for them.
    layouts: BTreeMap<Reference, Layout>,
}

impl DefinitionArgs {
    /// Everything that is known without reading context and Dockerfile. The result goes nowhere yet.
    pub(crate) fn request(&self, settings: &Settings) -> Result<Request, Failure> {
        let access = self.access(settings)?;
        let mut places = Places::default();
        let options = self.options(settings, &mut places)?;
        let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Request {
            dockerfile: Source::default(),
            file: None,
            context: None,
            context_time: None,
            ignore: None,
            named_contexts: places.directories,
            layouts: places.layouts,
            options,
            access,
            device_directories: settings.device_directories(),
            pull: self.pull,
            explain: false,
            jobs: settings.jobs().unwrap_or_else(processors),
            epoch: None,
            limits: Limits::default(),
            step_timeout: None,
            tags: Vec::new(),
            outputs: Vec::new(),
            annotations: Annotations::default(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            inline_cache: false,
        })
    }

    /// By what steps may reach what others may not.
    pub(crate) fn access(&self, settings: &Settings) -> Result<Access, Failure> {
        self.access.read(is_behind_ssh(&self.path), settings)
    }

    /// Finds Dockerfile and context and tells the request of them. They are there while the answer lives.
    pub(crate) fn load(
        &self,
        request: &mut Request,
        engine: &Engine,
        sink: &dyn Sink,
        interrupt: &Interrupt,
    ) -> Result<Inputs, Failure> {
        let bringer = Bringer {
            engine,
            access: &request.access,
            sink,
            interrupt,
        };
        let argument = |name: &str| request.options.build_args.get(name).filter(|value| !value.is_empty());
        let wanted = Wanted {
            path: &self.path,
            file: self.file.as_deref(),
            keep_git_dir: argument(KEEP_GIT_DIR).is_some_and(|value| csv::boolean("", Some(value)) == Ok(true)),
        };
        let mut inputs = bringer.find(&wanted)?;
        request.dockerfile.clone_from(&inputs.dockerfile);
        request.file.clone_from(&inputs.file);
        request.context.clone_from(&inputs.context);
        request.context_time = inputs.brought.as_ref().and_then(|brought| brought.time);
        request.ignore = inputs.ignore.take();
        Ok(inputs)
    }

    fn options(&self, settings: &Settings, places: &mut Places) -> Result<Options, Failure> {
        let mut options = Options {
            target: self.target.clone(),
            build_args: self.build_args(settings)?,
            platforms: self.platforms(settings)?,
            contexts: self.contexts(places)?,
            no_cache: self.no_cache,
            no_cache_filter: self.no_cache_filter.iter().map(|stage| stage.to_lowercase()).collect(),
            network: network(&self.network)?,
            cache_keys: settings.cache_keys(),
            ..Options::default()
        };
        let usage = |flag: &str| {
            let flag = flag.to_owned();
            move |message: String| Failure::usage(format!("{flag} {message}"))
        };
        options.multi_platform = multi_platform(&options)?;
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
        options.allow.network_host = self.network == "host";
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
        if let Some(epoch) = settings.epoch() {
            all.entry(SOURCE_DATE_EPOCH.to_owned()).or_insert(epoch);
        }
        Ok(all)
    }

    /// In the order asked for, each once.
    fn platforms(&self, settings: &Settings) -> Result<Vec<Platform>, Failure> {
        match &self.platform[..] {
            [] => return Ok(settings.default_platform()?.into_iter().collect()),
            // The image may be for whatever its base is for.
            [one] if one == LOCAL => return Ok(Vec::new()),
            _ => {}
        }
        let mut all = Vec::new();
        for text in &self.platform {
            let platform = match text.as_str() {
                LOCAL => Platform::host(),
                other => other
                    .parse()
                    .map_err(|error| Failure::usage(format!("--platform: {error}")))?,
            };
            if !all.contains(&platform) {
                all.push(platform);
            }
        }
        Ok(all)
    }

    fn contexts(&self, places: &mut Places) -> Result<BTreeMap<String, NamedContext>, Failure> {
        let mut all = BTreeMap::new();
        for text in &self.build_context {
            let (name, context) =
                build_context::parse(text).map_err(|message| Failure::usage(format!("--build-context {message}")))?;
            let context = match context {
                Named::Image(reference) => NamedContext::Image(reference),
                Named::Layout(layout) => {
                    check_directory(&name, &layout.path)?;
                    // No registry is called so: it would have a dot or a port.
                    let reference = Reference::new("oci-layout", &name, layout.tag.as_deref(), layout.digest);
                    places.layouts.insert(reference.clone(), layout);
                    NamedContext::Image(reference)
                }
                Named::Remote(remote) => NamedContext::Remote(remote),
                Named::Directory(path) => {
                    check_directory(&name, &path)?;
                    places.directories.insert(name.clone(), path);
                    NamedContext::Local
                }
            };
            all.insert(name, context);
        }
        Ok(all)
    }
}

/// Whether a context is a repository behind SSH.
pub(crate) fn is_behind_ssh(path: &str) -> bool {
    let Ok(Some(Remote::Git(git))) = Remote::parse(path) else {
        return false;
    };
    git.url.starts_with("ssh://") || !git.url.contains("://")
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
        options.allow.devices.names.insert(alias.to_owned(), name.to_owned());
        return Ok(());
    }
    for entitlement in text.split(',') {
        match entitlement {
            "security.insecure" => options.allow.insecure = true,
            "device" => options.allow.devices.all = true,
            "network.host" => options.allow.network_host = true,
            other => {
                return Err(format!(
                    "{other}: there are security.insecure, network.host and device[=NAME]"
                ));
            }
        }
    }
    Ok(())
}

/// Whether what comes out is as for several platforms, even if it is one. Of several nobody can say that they are not.
fn multi_platform(options: &Options) -> Result<bool, Failure> {
    let given = options.build_args.get(MULTI_PLATFORM).filter(|value| !value.is_empty());
    let Some(value) = given else { return Ok(false) };
    let wanted = csv::boolean(MULTI_PLATFORM, Some(value))
        .map_err(|message| Failure::usage(format!("--build-arg {message}")))?;
    if !wanted && options.platforms.len() > 1 {
        return Err(Failure::usage(format!(
            "--build-arg {MULTI_PLATFORM}={value}: {} platforms are built for",
            options.platforms.len()
        ))
        .hint("leave it out, or build for one --platform"));
    }
    Ok(wanted)
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
