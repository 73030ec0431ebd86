//! The directories that the editor works in, and the settings there.

use std::path::{Path, PathBuf};

use kiln_lint::Config;
use serde::Deserialize;
use serde_json::Value;

use super::message::{Failed, params};
use super::uri;
use crate::commands::lint::config;
use crate::report::Reporter;
use crate::settings::Settings;

/// What `initialize` says of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Workspace {
    roots: Vec<PathBuf>,
    options: Options,
}

/// `initializationOptions`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Options {
    /// The build context, relative to the workspace; without it that is the directory of each Dockerfile.
    context: Option<PathBuf>,
}

impl Workspace {
    /// Reads the parameters of `initialize`.
    pub(super) fn of(values: &Value) -> Result<Self, Failed> {
        let folders = values.get("workspaceFolders").and_then(Value::as_array);
        let uris = folders.into_iter().flatten().filter_map(|folder| folder.get("uri"));
        let mut roots: Vec<PathBuf> = uris.filter_map(|uri| uri::path(uri.as_str()?)).collect();
        if roots.is_empty() {
            roots.extend(values.get("rootUri").and_then(|uri| uri::path(uri.as_str()?)));
        }
        let options: Option<Options> = params(values.get("initializationOptions").unwrap_or(&Value::Null))?;
        Ok(Self {
            roots,
            options: options.unwrap_or_default(),
        })
    }

    /// The folder of the workspace that a file is in.
    fn root_of(&self, path: Option<&Path>) -> Option<&PathBuf> {
        let within = |root: &&PathBuf| path.is_some_and(|path| path.starts_with(root));
        let deepest = self
            .roots
            .iter()
            .filter(within)
            .max_by_key(|root| root.components().count());
        deepest.or_else(|| self.roots.first())
    }

    /// The build context of a Dockerfile.
    pub(super) fn context_of(&self, path: Option<&Path>) -> Option<PathBuf> {
        let root = self.root_of(path);
        match (&self.options.context, root) {
            (Some(context), Some(root)) => Some(root.join(context)),
            (Some(context), None) => context.is_absolute().then(|| context.clone()),
            (None, _) => path.and_then(Path::parent).map(Path::to_owned),
        }
    }

    /// The linter's settings for a file, as `kiln lint` has them in the folder of the workspace; and what is wrong with
    /// them, in which case they are the usual ones.
    pub(super) fn rules(&self, path: Option<&Path>, settings: &Settings) -> (Config, Option<String>) {
        let own = path.and_then(Path::parent);
        let directory = self.root_of(path).map(PathBuf::as_path).or(own);
        match config::of(directory.unwrap_or(Path::new("")), &settings.environment) {
            Ok(rules) => (rules, None),
            Err(failure) => (Config::default(), Some(Reporter::plain().failure(&failure))),
        }
    }
}
