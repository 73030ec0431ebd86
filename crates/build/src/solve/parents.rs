//! `COPY --parents`: what is copied keeps the directories that lead to it.
//!
//! As in `BuildKit` the contents of one directory are copied, of which only what fits the source word is let in. So links
//! stay links, and `--exclude` counts for what is named too.

use std::cell::Cell;
use std::path::Path;

use kiln_dockerfile::glob;
use kiln_dockerfile::ignore::Patterns;
use kiln_layer::Filter;
use rustix::fs::FileType;

use super::copy::lets_in;
use super::sources::{Source, Tree, clean};
use crate::error::{StepError, StepResult};

/// What `--parents` copies for one source word.
pub(super) struct Kept<'a> {
    /// The directories that the kept paths are relative to: what is before the pivot `/./`, else the root.
    pub(super) bases: Vec<Source>,
    word: &'a str,
    /// Leaves out all but the rest of the word.
    wanted: Patterns,
    /// The path below the base that must be there: there is one where nothing is a pattern.
    required: Option<String>,
    /// Whether something of it was let in.
    found: Cell<bool>,
}

impl Tree<'_> {
    /// What a source word of `COPY --parents` names. Patterns are those of ignore files, `**` too, and may match
    /// nothing; a plain path must be there, which shows when it is copied.
    pub(super) fn find_with_parents<'a>(&self, word: &'a str) -> StepResult<Kept<'a>> {
        let (base, rest) = word.split_once("/./").unwrap_or(("", word));
        let rest = clean(rest);
        let pattern = if rest.is_empty() { "**" } else { &rest };
        let wanted = Patterns::from_patterns(&["**", &format!("!{pattern}")])
            .map_err(|error| StepError::Invalid(format!("pattern `{rest}`: {}", error.cause)))?;
        let mut bases = self.find(base)?;
        bases.retain(|base| base.kind == FileType::Directory);
        Ok(Kept {
            bases,
            word,
            wanted,
            required: (!glob::is_pattern(base) && !glob::is_pattern(&rest)).then_some(rest),
            found: Cell::new(false),
        })
    }
}

impl Kept<'_> {
    /// Whether a path of the tree is one of those below the base; `chosen` is what others say of it.
    pub(super) fn filter(&self, chosen: Filter, base: &Source, path: &Path, directory: bool) -> Filter {
        let below = path.strip_prefix(&base.real).unwrap_or(path).to_string_lossy();
        if below.is_empty() {
            return chosen;
        }
        match (chosen, lets_in(&self.wanted, &below, directory)) {
            (Filter::Exclude, _) | (_, Filter::Exclude) => return Filter::Exclude,
            (Filter::Descend, _) | (_, Filter::Descend) => return Filter::Descend,
            (Filter::Include, Filter::Include) => {}
        }
        let required = self.required.as_deref().unwrap_or_default();
        if Path::new(&*below).starts_with(required) {
            self.found.set(true);
        }
        Filter::Include
    }

    /// An error if what must be there was not let in.
    pub(super) fn check(&self, tree: &Tree<'_>) -> StepResult<()> {
        let Some(required) = self
            .required
            .as_deref()
            .filter(|path| !path.is_empty() && !self.found.get())
        else {
            return Ok(());
        };
        let base = self.bases.first().map_or("", |base| &base.path);
        let path = clean(&format!("{base}/{required}"));
        if tree.visible(&path)?.is_none() {
            return Err(StepError::Missing(tree.missing(self.word, &path)));
        }
        Err(StepError::Invalid(format!(
            "`{}` is in {}, but nothing of it is copied: --parents follows no links on the way, and --exclude counts for \
             what is named too",
            self.word, tree.place
        )))
    }
}
