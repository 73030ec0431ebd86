//! How large a plan may be. Every RUN repeats the environment and the arguments so far, every FROM what its base says:
//! a small Dockerfile can ask for more than any machine has.

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_image::ImageConfig;

use crate::report::error;
use crate::step::{CopyFrom, FileAction, FileOp, MountKind, Op};

/// Bytes of text in a plan. A thousand RUNs with four hundred variables each fit in.
const MOST: usize = 64 << 20;

/// What a text takes besides its bytes.
const EACH: usize = 48;

/// How much text a plan holds so far.
#[derive(Debug, Default)]
pub(crate) struct Size(usize);

impl Size {
    /// Adds text.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
    }

    /// Whether it is too much.
    pub(crate) const fn is_too_large(&self) -> bool {
        self.0 > MOST
    }

    /// The error if it is too much with so many bytes more.
    pub(crate) fn room_for(&self, bytes: usize, span: Span) -> Result<(), Diagnostic> {
        if self.0.saturating_add(bytes) <= MOST {
            return Ok(());
        }
        let message = format!("the plan would be larger than {} MiB", MOST >> 20);
        Err(Diagnostic {
            help: Some(
                "each RUN repeats all ENV and ARG so far, each FROM all of its base: have fewer of them".to_owned(),
            ),
            ..error("PlanTooLarge", span, message)
        })
    }
}

/// A text's bytes.
pub(crate) const fn text(text: &str) -> usize {
    text.len() + EACH
}

/// The bytes of some texts.
pub(crate) fn texts<'a>(all: impl IntoIterator<Item = &'a String>) -> usize {
    all.into_iter().map(|each| text(each)).sum()
}

/// What of a config grows with the Dockerfile.
pub(crate) fn config(config: &ImageConfig) -> usize {
    let history = config
        .history
        .iter()
        .map(|entry| text(&entry.created_by))
        .sum::<usize>();
    let labels = config
        .config
        .labels
        .iter()
        .map(|(name, value)| text(name) + text(value))
        .sum::<usize>();
    // Everything in the environment is among the variables as well.
    history + labels + 2 * texts(&config.config.env) + texts(&config.config.on_build)
}

/// What of a step grows with the Dockerfile.
pub(crate) fn op(op: &Op) -> usize {
    match op {
        Op::Exec(exec) => {
            let env = exec
                .env
                .iter()
                .map(|(name, value)| text(name) + text(value))
                .sum::<usize>();
            let mounts = exec.mounts.iter().map(|mount| {
                let content = if let MountKind::Inline { content, .. } = &mount.kind {
                    content.len()
                } else {
                    0
                };
                text(&mount.target) + content
            });
            env + texts(&exec.args) + text(&exec.cwd) + mounts.sum::<usize>()
        }
        Op::File(FileOp { actions, .. }) => actions.iter().map(action).sum(),
        Op::Source(_) | Op::Merge(_) => EACH,
    }
}

fn action(action: &FileAction) -> usize {
    match action {
        FileAction::Copy(copy) => {
            let content = if let CopyFrom::Inline(content) = &copy.from {
                content.len()
            } else {
                0
            };
            content + texts(&copy.sources) + texts(&copy.exclude) + text(&copy.destination)
        }
        FileAction::Mkdir(mkdir) => text(&mkdir.path),
    }
}
