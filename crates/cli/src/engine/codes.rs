//! Stable codes of what goes wrong in steps; `kiln explain` has a page on each.

use std::error::Error;
use std::io;

use kiln_build::{StepError, StoppedBy};
use kiln_registry::Error as Registry;
use kiln_sandbox::{Error as Sandbox, UserError};
use kiln_store::Error as Store;

/// The code of an error.
pub(super) fn code(error: &StepError) -> &'static str {
    if is_full_disk(error) {
        return "DiskFull";
    }
    match error {
        StepError::Exit { .. } => "StepFailed",
        StepError::Signal { .. } => "StepKilled",
        StepError::Stopped {
            by: StoppedBy::Memory { .. },
            ..
        } => "OutOfMemory",
        StepError::Stopped {
            by: StoppedBy::Time { .. },
            ..
        } => "StepTimeout",
        StepError::Missing(_) => "SourceNotFound",
        StepError::Invalid(_) => "InvalidValue",
        StepError::Unsupported(_) => "Unsupported",
        StepError::NotRunnable { .. } => "PlatformNotRunnable",
        StepError::NoPlatform { .. } => "NoMatchingPlatform",
        StepError::NoToolbox { .. } => "NoShell",
        StepError::Secret(_) => "SecretNotGiven",
        StepError::Agent(_) => "AgentNotGiven",
        StepError::LostLayer { .. } => "LayerLost",
        StepError::DamagedLayer { .. } => "LayerDamaged",
        StepError::Canceled => "Canceled",
        StepError::User(error) => user(error),
        StepError::Sandbox(error) => sandbox(error),
        StepError::Store(_) => "StoreFailed",
        StepError::Layer(_) | StepError::Pack { .. } | StepError::Unpack { .. } => "LayerFailed",
        StepError::Registry(error) => registry(error),
        StepError::Io { .. } => "FileFailed",
    }
}

/// Whoever noticed it, and whatever it was about.
fn is_full_disk(error: &StepError) -> bool {
    if matches!(error, StepError::Store(Store::NoSpace { .. })) {
        return true;
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn user(error: &UserError) -> &'static str {
    match error {
        UserError::UnknownUser(_) | UserError::UnknownGroup(_) => "UserNotFound",
        UserError::OutOfRange(_) => "InvalidValue",
        _ => "FileFailed",
    }
}

fn sandbox(error: &Sandbox) -> &'static str {
    match error {
        Sandbox::TooManyLayers { .. } => "TooManyLayers",
        Sandbox::CommandNotFound { .. } => "CommandNotFound",
        Sandbox::CommandNotExecutable { .. } => "CommandNotExecutable",
        _ => "SandboxFailed",
    }
}

fn registry(error: &Registry) -> &'static str {
    match error {
        Registry::Platform { .. } => "NoMatchingPlatform",
        Registry::Denied(..) => "AccessDenied",
        _ if error.is_unauthorized() => "AccessDenied",
        _ if error.is_not_found() => "ImageNotFound",
        _ => "RegistryFailed",
    }
}
