//! What all commands have that make an image of an image.

use kiln_build::Error;
use kiln_build::event::Sink;
use kiln_build::surgery::{Edit, Made};
use kiln_build::{Builder, Cancel};
use kiln_image::{Platform, Reference};

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Names for the result.
#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// A name for the result; may be given several times [default: none, it is known by its ID]
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    tag: Vec<String>,
}

/// Which image of several.
#[derive(Debug, clap::Args)]
pub(crate) struct PlatformArgs {
    /// Which image of several [default: $DOCKER_DEFAULT_PLATFORM, else this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// How to show what goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgressArgs {
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl NameArgs {
    /// The names.
    pub(crate) fn read(&self) -> Result<Vec<Reference>, Failure> {
        self.tag.iter().map(|text| name(text)).collect()
    }
}

/// A name that an image of the store can have.
pub(crate) fn name(text: &str) -> Result<Reference, Failure> {
    let name: Reference = text.parse().map_err(Failure::usage)?;
    if name.digest().is_some() {
        return Err(Failure::usage(format!("{text}: an image cannot be given a digest")));
    }
    Ok(name)
}

impl PlatformArgs {
    /// What is asked for, if anything.
    pub(crate) fn read(&self, settings: &Settings) -> Result<Option<Platform>, Failure> {
        match &self.platform {
            Some(platform) => Ok(Some(platform.clone())),
            None => settings.default_platform(),
        }
    }
}

impl ProgressArgs {
    /// Opens the store and does something there, showing what goes on.
    pub(crate) fn work<T>(
        &self,
        settings: &Settings,
        work: impl FnOnce(&Builder, &dyn Sink, &Cancel) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let engine = Engine::open(settings)?;
        let interrupt = Interrupt::watch()?;
        let progress = Progress::start(self.progress, self.quiet, settings)?;
        let result = work(engine.builder(), progress.sink(), &interrupt.cancel);
        progress.finish();
        result.map_err(|error| engine::failure(error, &interrupt))
    }
}

/// Arguments of a command that makes an image of one of the store or a registry.
#[derive(Debug, clap::Args)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl EditArgs {
    /// Makes it, and prints its ID.
    pub(crate) fn make(
        &self,
        image: &str,
        settings: &Settings,
        make: impl FnOnce(&Builder, &Edit<'_>, &dyn Sink, &Cancel) -> Result<Made, Error>,
    ) -> Outcome {
        show(&self.work(image, settings, make)?)
    }

    /// Does what makes it.
    pub(crate) fn work<T>(
        &self,
        image: &str,
        settings: &Settings,
        work: impl FnOnce(&Builder, &Edit<'_>, &dyn Sink, &Cancel) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let names = self.names.read()?;
        let platform = self.platform.read(settings)?;
        let edit = Edit {
            image,
            platform: platform.as_ref(),
            names: &names,
            epoch: epoch(settings)?,
        };
        self.progress
            .work(settings, |builder, sink, cancel| work(builder, &edit, sink, cancel))
    }
}

/// Prints what was made.
pub(crate) fn show(made: &Made) -> Outcome {
    if made.replaced.is_some() {
        terminal::warn(format_args!(
            "nothing but the manifest is another, so it is the same image, and has it under all its names"
        ));
    }
    terminal::print_line(made.id)
}

/// `SOURCE_DATE_EPOCH`.
pub(crate) fn epoch(settings: &Settings) -> Result<Option<i64>, Failure> {
    let parse = |text: String| {
        let seconds = text.parse();
        seconds.map_err(|_| {
            Failure::usage(format!(
                "SOURCE_DATE_EPOCH: `{text}` is no number of seconds since 1970"
            ))
        })
    };
    settings.epoch().filter(|text| !text.is_empty()).map(parse).transpose()
}
