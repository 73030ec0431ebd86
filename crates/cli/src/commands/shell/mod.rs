//! `kiln shell`

mod surroundings;
mod what;

use kiln_build::shell::{Moment, PastStep, ShellSpec};

use super::build::definition::DefinitionArgs;
use crate::attach::{self, Console};
use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use surroundings::SurroundingsArgs;
use what::What;

/// Arguments of `kiln shell`.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("network", |arg| arg.help(
        "What it may reach: `host` is this machine's network, `none` is nothing, `default` is as there"
    )),
    mut_arg("add_host", |arg| arg.help("A further line of /etc/hosts")),
    mut_arg("path", |arg| arg.index(1).required(false).default_value("").hide_default_value(true)
        .value_name("IMAGE | CONTEXT | BUILD:STEP").help(
        "An image, which is pulled if it is not in the store; or what to build and look at: a context that begins with `.` or \
         `/`, is a URL, or comes with -f, --target or another option of a build; or a step of an earlier build, by its number \
         or a part of its name, as `kiln logs` shows them; with --failed a build"
    )),
    after_help = "\
What is written there is gone afterwards. The environment, the user and the working directory are the image's. Where there \
is no shell, a busybox comes along: its tools are in /.kiln-toolbox, and last in PATH.

Exit code: the shell's; 125 if Kiln could not start it, 126 if it cannot be executed, 127 if it was not found.

Examples:
  kiln shell app
  kiln shell app -- ls -l /
  kiln shell --target build .
  kiln shell 12:'RUN make'
  kiln shell --failed
  echo 'ldd /app' | kiln shell app"
)]
pub(crate) struct Args {
    #[command(flatten, next_help_heading = "Build of a context")]
    definition: DefinitionArgs,
    /// In what the last step left that failed and was kept (kiln build --on-fail=keep), of all builds or of one
    #[arg(long)]
    failed: bool,
    /// Of a step, the file tree that it began with, not the one that it left
    #[arg(long)]
    before: bool,
    /// What to start instead of a shell
    #[arg(last = true, index = 2, value_name = "CMD")]
    command: Vec<String>,
    #[command(flatten)]
    surroundings: SurroundingsArgs,
}

/// Opens a shell.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let what = What::of(&args.definition, args.failed)?;
    if args.before && !what.is_step() {
        return Err(Failure::usage(
            "--before: only a step has a file tree that it began with",
        ));
    }
    let network = what::network(&args.definition)?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(None, false, settings)?;
    let console = Console::new(&progress, args.surroundings.wants_terminal() && attach::is_terminal());
    let spec = ShellSpec {
        command: args.command.clone(),
        network,
        hosts: what::hosts(&args.definition)?,
        ..args.surroundings.spec(console.is_terminal(), settings)?
    };
    let (sink, cancel) = (progress.sink(), &interrupt.cancel);
    let builder = engine.builder();
    let access = args.definition.access(settings)?;
    let moment = if args.before { Moment::Before } else { Moment::After };
    let in_step = |(build, step)| {
        let past = PastStep { build, step, moment };
        builder.shell_in_step(past, &access, &spec, &console, sink, cancel)
    };
    let code = match what {
        What::Image(image) => {
            let platform = what::platform(&args.definition, settings)?;
            builder.shell_in_image(image, platform.as_ref(), &spec, &console, sink, cancel)
        }
        What::Step(build, step) => in_step(engine.past_step(build, step)?),
        What::Failed(build) => in_step(engine.failed_step(build)?),
        What::Context => {
            let image = what::build(&args.definition, &engine, sink, &interrupt, settings)?;
            builder.shell_in_image(&image, None, &spec, &console, sink, cancel)
        }
    };
    progress.finish();
    let code = code.map_err(|error| engine::run_failure(error, &interrupt))?;
    // A shell that was told to go may say that all is well.
    match if interrupt.came() { interrupt.exit_code() } else { code } {
        0 => Ok(()),
        code => Err(Failure::silent(code)),
    }
}
