//! The command line as a whole.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::settings::GlobalArgs;

/// Kiln builds container images from Dockerfiles, without a daemon and without root.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What Kiln can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Box<commands::build::Args>),
    /// Print the steps that a build would take, without building
    Plan(Box<commands::plan::Args>),
    /// Write the files of an image as a tar, or the plain Dockerfile of one that uses Kiln's extensions
    Export(Box<commands::export::Args>),
    /// Look for what is wrong with Dockerfiles, and mend it
    Lint(Box<commands::lint::Args>),
    /// Write Dockerfiles in one form
    Fmt(commands::fmt::Args),
    /// Serve an editor: findings, completion, navigation, over standard input and output
    Lsp(commands::lsp::Args),
    /// List images
    Images(commands::images::Args),
    /// Show how an image was made
    History(commands::history::Args),
    /// Show everything about images
    Inspect(commands::inspect::Args),
    /// Show which bytes of an image are wasted, by what, and what to change
    Waste(commands::waste::Args),
    /// Say whether an image will start, and whether it keeps to budgets and rules
    Check(Box<commands::check::Args>),
    /// Write a Dockerfile of an image's history
    Dockerfile(commands::dockerfile::Args),
    /// Say whether an image is what it says: digests, media types, layers and their tars
    Validate(commands::validate::Args),
    /// Show what is different between two images
    Diff(commands::diff::Args),
    /// Show images beside one another: size, layers, packages, shell, user, whether they start
    Compare(commands::compare::Args),
    /// Write a page about an image: where its bytes are, what is wasted, how it was built
    Report(commands::report::Args),
    /// List the packages of an image, and which layer brought each
    Packages(commands::packages::Args),
    /// Look around in an image: its layers, its files, what is wasted
    Explore(commands::explore::Args),
    /// Give an image another name
    Tag(commands::tag::Args),
    /// Remove images
    Rmi(commands::rmi::Args),
    /// Get an image from a registry
    Pull(commands::pull::Args),
    /// Send an image to a registry
    Push(commands::push::Args),
    /// Keep the credentials for a registry
    Login(commands::login::Args),
    /// Forget the credentials for a registry
    Logout(commands::logout::Args),
    /// Start a program in an image, to try what was built
    Run(Box<commands::run::Args>),
    /// Write the files of an image into a directory, to be changed and repacked
    Unpack(commands::unpack::Args),
    /// Make an image of an unpacked one that was changed
    Repack(commands::repack::Args),
    /// Copy an image between registries, layouts, archives and the store
    Copy(commands::copy::Args),
    /// Put layers on top of an image: archives, or directories
    Append(commands::append::Args),
    /// Change the config of an image, and its annotations
    Mutate(Box<commands::mutate::Args>),
    /// Put the layers of an image on another base
    Rebase(commands::rebase::Args),
    /// Compress the layers of an image otherwise
    Recompress(commands::recompress::Args),
    /// Make one layer of all of an image
    Flatten(commands::flatten::Args),
    /// Make one layer of those above another
    Squash(commands::squash::Args),
    /// Open a shell in an image, a stage or a step, to look around
    Shell(Box<commands::shell::Args>),
    /// Copy files out of an image
    Cp(commands::cp::Args),
    /// Read images from an archive
    Load(commands::load::Args),
    /// Write images to an archive
    Save(commands::save::Args),
    /// Show the full output of a build's steps
    Logs(commands::logs::Args),
    /// Say why the steps of the last build ran
    Why(commands::why::Args),
    /// Remove what no image needs
    Prune(commands::prune::Args),
    /// List, remove, export and import cache mounts
    #[command(subcommand)]
    Cache(commands::cache::Action),
    /// Show what the store uses
    Du(commands::du::Args),
    /// Say how much isolation this machine allows and what would allow more, or whether the store is damaged
    Doctor(commands::doctor::Args),
    /// Explain an error's or a warning's code
    Explain(commands::explain::Args),
    /// Show the version
    Version(commands::version::Args),
    /// Print completions for a shell
    Completions(commands::completions::Args),
    /// Write manual pages
    Man(commands::man::Args),
}

impl Command {
    /// Whether it reads or writes layers (or a context from an archive), whose files have owners of their own: then
    /// it must run where those owners exist, in the user namespace.
    pub(crate) fn touches_layers(&self) -> bool {
        match self {
            Self::Build(_)
            | Self::Plan(_)
            | Self::Export(_)
            | Self::Rmi(_)
            | Self::Pull(_)
            | Self::Push(_)
            | Self::Run(_)
            | Self::Unpack(_)
            | Self::Repack(_)
            | Self::Copy(_)
            | Self::Dockerfile(_)
            | Self::Validate(_)
            | Self::Append(_)
            | Self::Mutate(_)
            | Self::Rebase(_)
            | Self::Recompress(_)
            | Self::Flatten(_)
            | Self::Squash(_)
            | Self::Shell(_)
            | Self::Cp(_)
            | Self::Load(_)
            | Self::Save(_)
            | Self::Check(_)
            | Self::Waste(_)
            | Self::Diff(_)
            | Self::Packages(_)
            | Self::Report(_)
            | Self::Compare(_)
            | Self::Explore(_)
            | Self::Prune(_)
            | Self::Cache(_)
            | Self::Du(_) => true,
            Self::Lint(args) => args.touches_layers(),
            Self::Fmt(_)
            | Self::Lsp(_)
            | Self::Images(_)
            | Self::History(_)
            | Self::Inspect(_)
            | Self::Tag(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Logs(_)
            | Self::Why(_)
            | Self::Doctor(_)
            | Self::Explain(_)
            | Self::Version(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

/// Docker's longer spellings: `kiln image ls`, `kiln buildx build`, `kiln builder prune`, `kiln help build`.
pub(crate) fn familiar(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let word = |at: usize| arguments.get(at).and_then(|argument| argument.to_str());
    if word(1) == Some("help") {
        arguments.remove(1);
        arguments.push("--help".into());
        return familiar(arguments);
    }
    let short = match (word(1), word(2)) {
        (Some("image"), Some("ls" | "list")) => "images",
        (Some("image"), Some("rm" | "remove")) => "rmi",
        (Some("image" | "builder" | "buildx"), Some("build")) => "build",
        (Some("image" | "builder" | "buildx"), Some("prune")) => "prune",
        (Some("buildx"), Some("du")) => "du",
        (Some("image"), Some("history")) => "history",
        (Some("image"), Some("inspect")) => "inspect",
        (Some("image"), Some("tag")) => "tag",
        (Some("image"), Some("pull")) => "pull",
        (Some("image"), Some("push")) => "push",
        (Some("image"), Some("load")) => "load",
        (Some("image"), Some("save")) => "save",
        _ => return arguments,
    };
    arguments.splice(1..3, [OsString::from(short)]);
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn knows_longer_spellings() {
        let familiar = |text: &str| {
            let words = familiar(text.split(' ').map(OsString::from).collect());
            words.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(familiar("kiln image ls -q"), "kiln images -q");
        assert_eq!(familiar("kiln buildx build ."), "kiln build .");
        assert_eq!(familiar("kiln build image ls"), "kiln build image ls");
        assert_eq!(familiar("kiln"), "kiln");
        assert_eq!(familiar("kiln help"), "kiln --help");
        assert_eq!(familiar("kiln help image ls"), "kiln images --help");
        assert_eq!(familiar("kiln build help"), "kiln build help");
    }
}
