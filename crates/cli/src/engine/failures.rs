//! Errors of the solver as failures of the command line.

use kiln_build::{Error, StepError};
use kiln_dockerfile::source::Source;

use super::{codes, hints};
use crate::failure::{FAILED, FailedStep, Failure, INTERNAL, Report};
use crate::signals::Interrupt;

/// A build that failed; `source` is its Dockerfile.
pub(crate) fn build_failure(error: Error, source: &Source, interrupt: &Interrupt) -> Failure {
    match error {
        Error::Dockerfile(diagnostics) => Failure {
            code: FAILED,
            report: Report::Dockerfile {
                source: source.clone(),
                diagnostics,
            },
        },
        Error::Step { name, lines, error } if !interrupt.came() => {
            let step = failed_step(name, lines, &error, source);
            Failure {
                code: code_of(&error),
                report: Report::Step(Box::new(FailedStep {
                    error: anyhow::Error::new(*error),
                    ..step
                })),
            }
        }
        other => failure(other, interrupt),
    }
}

/// A step that failed, before the build that it is of has ended; `None` for other errors.
pub(crate) fn step_failure(error: &Error, source: &Source) -> Option<Failure> {
    let Error::Step { name, lines, error } = error else {
        return None;
    };
    Some(Failure {
        code: code_of(error),
        report: Report::Step(Box::new(failed_step(name.clone(), *lines, error, source))),
    })
}

/// All that is said of it, but for the causes of the error.
fn failed_step(name: String, lines: Option<(u32, u32)>, error: &StepError, source: &Source) -> FailedStep {
    FailedStep {
        source: source.clone(),
        name,
        lines,
        left_files: tail_of(error).is_some() || matches!(error, StepError::Sandbox(_) | StepError::NotRunnable { .. }),
        tail: tail_of(error).unwrap_or_default().to_vec(),
        hint: with_logs(hints::hint(error, source, lines), error),
        id: codes::code(error),
        error: anyhow::anyhow!("{error}"),
    }
}

/// Anything else that failed.
pub(crate) fn failure(error: Error, interrupt: &Interrupt) -> Failure {
    // What fails because it was stopped is no failure of its own.
    if interrupt.came() || matches!(error, Error::Canceled | Error::Other(StepError::Canceled)) {
        return canceled(interrupt);
    }
    uncanceled(error)
}

/// What failed of work that nothing but a signal's own effect stops.
pub(crate) fn uncanceled(error: Error) -> Failure {
    let (code, hint) = match &error {
        Error::Other(StepError::Registry(error)) => (FAILED, hints::for_image(error)),
        Error::Other(error) => (code_of(error), error.hint()),
        Error::Step { error, .. } => (code_of(error), error.hint()),
        Error::NoSuchImage(_) => (
            FAILED,
            Some("`kiln images` lists those that are there; `kiln pull` gets others".to_owned()),
        ),
        Error::Dockerfile(_)
        | Error::Canceled
        | Error::Ignore { .. }
        | Error::NotAnImage { .. }
        | Error::AmbiguousImage(..) => (FAILED, None),
    };
    let id = match &error {
        Error::Other(error) => Some(codes::code(error)),
        Error::Step { error, .. } => Some(codes::code(error)),
        _ => None,
    };
    let failure = if code == INTERNAL {
        Failure::internal(error)
    } else {
        Failure::failed(error)
    };
    let failure = match id {
        Some(id) => failure.id(id),
        None => failure,
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A shell's exit code for a program that is there and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// A program that could not be started or followed: with docker's exit codes.
pub(crate) fn run_failure(error: Error, interrupt: &Interrupt) -> Failure {
    let code = match &error {
        Error::Other(StepError::Sandbox(error)) => error.exit_code().and_then(|code| u8::try_from(code).ok()),
        Error::Other(StepError::NotRunnable { .. }) => Some(NOT_EXECUTABLE),
        _ => None,
    };
    let failure = failure(error, interrupt);
    // Codes below 125 are the program's.
    let code = code.unwrap_or(if failure.code == FAILED { INTERNAL } else { failure.code });
    Failure { code, ..failure }
}

/// It was stopped.
pub(crate) fn canceled(interrupt: &Interrupt) -> Failure {
    Failure {
        code: interrupt.exit_code(),
        report: Report::Plain {
            error: anyhow::anyhow!("canceled"),
            hint: None,
            id: None,
        },
    }
}

/// Whether the build failed or Kiln did.
fn code_of(error: &StepError) -> u8 {
    match error {
        StepError::Store(_) => INTERNAL,
        StepError::Sandbox(error) if error.exit_code().is_none() => INTERNAL,
        _ => FAILED,
    }
}

/// The last lines of a process, if one ran.
fn tail_of(error: &StepError) -> Option<&[String]> {
    match error {
        StepError::Exit { tail, .. } | StepError::Signal { tail, .. } | StepError::Stopped { tail, .. } => Some(tail),
        _ => None,
    }
}

/// A process may have written more than is shown.
fn with_logs(hint: Option<String>, error: &StepError) -> Option<String> {
    if tail_of(error).is_none() {
        return hint;
    }
    let code = codes::code(error);
    let more = format!("`kiln logs` shows all of its output, `kiln explain {code}` what to look for");
    Some(hint.map_or_else(|| more.clone(), |hint| format!("{hint}\n{more}")))
}
