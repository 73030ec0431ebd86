//! What earlier instructions set for those that follow, as far as the text says it or it is known of the base image.

use std::rc::Rc;

use kiln_dockerfile::ast::{From, Kind};

use crate::config::Config;
use crate::view::Item;

/// No system takes longer paths.
const LONGEST: usize = 4096;

/// What holds where an instruction stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<'a> {
    /// The image that the stage is built on in the end, as FROM names it.
    pub(crate) image: Option<&'a str>,
    /// The words of SHELL; `None` where the base image says which.
    pub(crate) shell: Option<&'a [String]>,
    /// What USER says; `None` where the base image says who.
    pub(crate) user: Option<&'a str>,
    /// The working directory, absolute; `None` where it is not known.
    pub(crate) directory: Option<Rc<str>>,
}

/// Tells each item what holds before it. A stage starts as the one that it is built on ends, and with what that puts off.
pub(crate) fn fill<'a>(items: &mut [Item<'a>], parents: &[Option<usize>], config: &'a Config) {
    let mut ends: Vec<State<'a>> = vec![State::default(); parents.len()];
    let mut put_off: Vec<Vec<&'a Kind>> = vec![Vec::new(); parents.len()];
    let mut state = State::default();
    for item in items {
        let Some(stage) = item.stage else { continue };
        if let Kind::From(from) = item.kind {
            state = match parents[stage] {
                Some(parent) => ends[parent].clone(),
                None => of_image(from, config),
            };
            for kind in parents[stage].map_or(&[][..], |parent| &put_off[parent]) {
                state.apply(kind);
            }
        }
        item.state = state.clone();
        if item.onbuild {
            put_off[stage].push(item.kind);
        } else {
            state.apply(item.kind);
        }
        ends[stage] = state.clone();
    }
}

fn of_image<'a>(from: &'a From, config: &'a Config) -> State<'a> {
    let base = config.known.bases.get(&from.image.raw);
    let directory = base.and_then(|base| base.directory.as_deref());
    State {
        image: Some(&from.image.raw),
        shell: None,
        user: base.and_then(|base| base.user.as_deref()),
        directory: directory.or((from.image.raw == "scratch").then_some("/")).map(Rc::from),
    }
}

impl<'a> State<'a> {
    fn apply(&mut self, kind: &'a Kind) {
        match kind {
            Kind::Shell(words) => self.shell = Some(words),
            Kind::User(user) => self.user = Some(&user.raw),
            Kind::Workdir(path) => self.directory = self.below(&path.raw),
            _ => {}
        }
    }

    /// The directory that WORKDIR leads to.
    fn below(&self, path: &str) -> Option<Rc<str>> {
        let absolute = path.starts_with('/');
        let start = if absolute { Some("/") } else { self.directory.as_deref() };
        let joined = join(start?, path);
        (is_plain(path) && joined.len() <= LONGEST).then(|| Rc::from(joined))
    }
}

/// A path below a directory, without `.` in it.
pub(crate) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let pieces = path.split('/').filter(|piece| !matches!(*piece, "" | "."));
    let directory = directory.trim_end_matches('/');
    let path = pieces.fold(directory.to_owned(), |path, piece| path + "/" + piece);
    if path.is_empty() { "/".to_owned() } else { path }
}

/// Whether a word says what it means: no quotes, variables or blanks, and nothing that leads upwards.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || "_-./@+:".contains(c))
        && !text.split('/').any(|piece| piece == "..")
}
