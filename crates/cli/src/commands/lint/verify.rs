//! `--verify`: whether what is built is the same but for what the fixes announce.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use clap::Parser as _;
use kiln_dockerfile::source::Source;
use kiln_inspect::Tree;
use kiln_inspect::diff::{Difference, diff};
use kiln_lint::announced;

use crate::commands::build::definition::DefinitionArgs;
use crate::commands::diff::{Compared, config_differences};
use crate::engine::{self, Engine, Looked};
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// How many files are shown that differ.
const SHOWN: usize = 20;

/// How deep directories are told apart.
const DEPTH: usize = 2;

/// Builds before and after.
pub(super) struct Verifier<'a> {
    engine: Engine,
    interrupt: Interrupt,
    settings: &'a Settings,
    context: Option<PathBuf>,
}

/// What `kiln build` would be told.
#[derive(clap::Parser)]
struct Build {
    #[command(flatten)]
    definition: DefinitionArgs,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(context: Option<PathBuf>, settings: &'a Settings) -> Result<Self, Failure> {
        Ok(Self {
            engine: Engine::open(settings)?,
            interrupt: Interrupt::watch()?,
            settings,
            context,
        })
    }

    /// Builds a Dockerfile as it is and as it will be, and fails if more is different than the rules that were mended
    /// announce. What is different between two builds of the old file as well is no fault of the new one.
    pub(super) fn check(&self, path: &Path, fixed: &str, codes: &BTreeSet<&str>) -> Outcome {
        let before = self.build(path, None, false)?;
        let after = self.build(path, Some(fixed), false)?;
        let mut compared = Compared {
            names: ["before", "after"],
            images: [&before.image, &after.image],
            config: config_differences(&before.image.config, &after.image.config),
            // The files say all of it.
            packages: Vec::new(),
            files: differences(&before, &after),
        };
        let announced: Vec<_> = codes.iter().map(|code| announced(code)).collect();
        compared
            .config
            .retain(|setting| !announced.iter().any(|each| each.has_setting(&setting.name)));
        compared
            .files
            .retain(|file| !announced.iter().any(|each| each.has_file(&file.path)));
        if !compared.files.is_empty() {
            let again = self.build(path, None, true)?;
            let changing: HashSet<Vec<u8>> = differences(&before, &again).into_iter().map(|file| file.path).collect();
            compared.files.retain(|file| !changing.contains(&file.path));
        }
        if compared.config.is_empty() && compared.files.is_empty() {
            return Ok(());
        }
        terminal::say(format!("{}\n", compared.for_people(DEPTH, SHOWN)));
        let codes: Vec<&str> = codes.iter().copied().collect();
        let message = format!(
            "{}: the fixes of {} change more of the image than they say, and were not written",
            path.display(),
            codes.join(", ")
        );
        Err(Failure::failed(anyhow::anyhow!(message))
            .hint("the difference is above; --ignore RULE leaves the fixes of a rule out"))
    }

    /// Builds a file, or a text in its place.
    fn build(&self, path: &Path, text: Option<&str>, no_cache: bool) -> Result<Looked, Failure> {
        let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let context = self.context.as_deref().or(beside).unwrap_or(Path::new("."));
        let words = [Path::new("build"), Path::new("--file"), path, Path::new("--"), context];
        let build = Build::try_parse_from(words).map_err(|error| Failure::usage(error.to_string()))?;
        let mut definition = build.definition;
        definition.no_cache = no_cache;
        let mut request = definition.request(self.settings)?;
        let progress = Progress::start(None, false, self.settings)?;
        let result = definition
            .load(&mut request, &self.engine, progress.sink(), &self.interrupt)
            .and_then(|inputs| {
                if let Some(text) = text {
                    request.dockerfile = replaced(&inputs.dockerfile, text)?;
                }
                let built = self
                    .engine
                    .builder()
                    .build(&request, progress.sink(), &self.interrupt.cancel);
                built.map_err(|error| engine::build_failure(error, &request.dockerfile, &self.interrupt))
            });
        progress.finish();
        let built = result?;
        let id = built
            .id()
            .ok_or_else(|| Failure::failed(anyhow::anyhow!("{}: no image was built", path.display())))?;
        self.engine
            .look_into(&id.to_string(), None, self.settings, &self.interrupt)
    }
}

/// A text in place of that of a Dockerfile.
fn replaced(source: &Source, text: &str) -> Result<Source, Failure> {
    match source.files() {
        [file] => Ok(Source::new(&file.name, text.to_owned())),
        _ => Err(Failure::failed(anyhow::anyhow!(
            "a Dockerfile that includes others cannot be verified"
        ))),
    }
}

fn differences(before: &Looked, after: &Looked) -> Vec<Difference> {
    diff(&Tree::of(before.image.indexes()), &Tree::of(after.image.indexes()))
}
