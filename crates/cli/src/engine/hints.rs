//! What to do about a step that failed, where the Dockerfile knows more than the error.

use kiln_build::{MissingCause, StepError};
use kiln_dockerfile::ast::{Dockerfile, Instruction, Kind};
use kiln_dockerfile::source::Source;
use kiln_dockerfile::suggest;
use kiln_sandbox::UserError;
use rustix::io::Errno;

/// A hint for the failure of the instruction on these lines; the error's own where there is no better one.
pub(super) fn hint(error: &StepError, source: &Source, lines: Option<(u32, u32)>) -> Option<String> {
    let (dockerfile, _) = kiln_dockerfile::parse(source.text());
    let instruction = lines.and_then(|lines| at(&dockerfile, lines));
    match (error, instruction) {
        (StepError::Registry(error), instruction) => {
            let name = instruction.and_then(image_name);
            registry(error, name, &dockerfile)
        }
        (StepError::Missing(missing), Some(instruction)) if matches!(missing.cause, MissingCause::Absent { .. }) => {
            leads_out(&missing.path, instruction).or_else(|| error.hint())
        }
        (StepError::Sandbox(inner), Some(instruction)) if inner.exit_code() == Some(127) => {
            Some(no_command(instruction))
        }
        (StepError::Sandbox(kiln_sandbox::Error::CommandNotExecutable { source, .. }), _)
            if source.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) =>
        {
            Some(
                "it is no program for this machine's processor (`kiln explain PlatformNotRunnable`), or a script without \
                 `#!` in its first line"
                    .to_owned(),
            )
        }
        (StepError::User(UserError::UnknownUser(_) | UserError::UnknownGroup(_)), _) => Some(
            "a name must be in the image's /etc/passwd or /etc/group; make it with a RUN before, or write a number"
                .to_owned(),
        ),
        (StepError::Exit { .. }, Some(instruction)) if is_insecure(instruction) => {
            error.hint().or_else(|| Some(NO_DEVICES.to_owned()))
        }
        _ => error.hint(),
    }
}

/// What people who come from `BuildKit` may miss in a step without protection.
const NO_DEVICES: &str = "with --security=insecure too a step has no devices of this machine, and opens none that the image or \
                          `mknod` has: `RUN --device=NAME` gives it some";

fn is_insecure(instruction: &Instruction) -> bool {
    matches!(&instruction.kind, Kind::Run(run) if run.security.as_ref().is_some_and(|word| word.raw == "insecure"))
}

/// A hint for a registry's refusal, for a command that is about one image.
pub(super) fn for_image(error: &kiln_registry::Error) -> Option<String> {
    registry(error, None, &kiln_dockerfile::parse("").0)
}

/// A hint for a server that does not give a file.
fn download(error: &kiln_registry::Error) -> Option<String> {
    if error.is_not_found() {
        return Some("check the URL: its server has no such file".to_owned());
    }
    if matches!(error, kiln_registry::Error::Transport { connect: true, .. }) {
        return Some("is the server up, and the network? Proxies come from HTTPS_PROXY".to_owned());
    }
    if matches!(error, kiln_registry::Error::Status(_, refusal) if matches!(refusal.status, 401 | 403)) {
        return Some(
            "credentials come from secrets: --secret id=HTTP_AUTH_TOKEN_HOST,env=VARIABLE, or HTTP_AUTH_HEADER_HOST"
                .to_owned(),
        );
    }
    None
}

fn at(dockerfile: &Dockerfile, lines: (u32, u32)) -> Option<&Instruction> {
    let stages = dockerfile.stages.iter();
    stages
        .flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions))
        .find(|instruction| instruction.lines == lines)
}

/// The image that an instruction names.
fn image_name(instruction: &Instruction) -> Option<&str> {
    match &instruction.kind {
        Kind::From(from) => Some(&from.image.raw),
        Kind::Copy(copy) => copy.from.as_ref().map(|from| from.raw.as_str()),
        _ => None,
    }
}

fn registry(error: &kiln_registry::Error, name: Option<&str>, dockerfile: &Dockerfile) -> Option<String> {
    if error.is_about_file() {
        return download(error);
    }
    if error.is_not_found() || error.is_unauthorized() {
        let stages = dockerfile.stages.iter().filter_map(|stage| stage.name.as_deref());
        if let Some(name) = name
            && let Some(stage) = suggest::closest(name, stages)
        {
            return Some(format!(
                "no stage is called `{name}`, so it was taken for an image; did you mean the stage `{stage}`?"
            ));
        }
    }
    if error.is_not_found() {
        return Some("check the image's name and tag; a name without a registry means one of docker.io".to_owned());
    }
    if matches!(error, kiln_registry::Error::Transport { connect: true, .. }) {
        return Some(
            "is the registry up, and the network? Proxies come from HTTPS_PROXY, mirrors from registries.conf"
                .to_owned(),
        );
    }
    None
}

/// `..` at the beginning of a path is dropped, as the specification of the context wants it; people do not expect it.
fn leads_out(missing: &str, instruction: &Instruction) -> Option<String> {
    let written = instruction
        .text
        .split_whitespace()
        .find(|word| word.starts_with("../") && word.trim_start_matches("../") == missing)?;
    Some(format!(
        "`{written}` leads out of the build context, where nothing can be copied from: choose a context that contains \
         it, or name its directory with --build-context NAME=DIR and write COPY --from=NAME"
    ))
}

fn no_command(instruction: &Instruction) -> String {
    let shell =
        matches!(&instruction.kind, Kind::Run(run) if !matches!(run.command, kiln_dockerfile::ast::Command::Exec(_)));
    if shell {
        "the image has no shell (FROM scratch is empty): run the step in a stage that has one and COPY --from it"
            .to_owned()
    } else {
        "it is neither a path in the image nor on its PATH".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use kiln_build::Missing;

    use super::*;

    fn source(text: &str) -> Source {
        Source::new("Dockerfile", text.to_owned())
    }

    fn missing(path: &str) -> StepError {
        StepError::Missing(Missing {
            path: path.to_owned(),
            place: "the build context".to_owned(),
            cause: MissingCause::Absent { nearest: None },
        })
    }

    #[test]
    fn says_that_a_path_leads_out() {
        let source = source("FROM x\nCOPY ../../a/b /\n");
        let text = hint(&missing("a/b"), &source, Some((2, 2))).unwrap();
        assert!(text.starts_with("`../../a/b` leads out of the build context"), "{text}");
        assert_eq!(hint(&missing("a/c"), &source, Some((2, 2))), None);
        assert_eq!(hint(&missing("a/b"), &source, None), None);
    }

    #[test]
    fn says_which_stage_was_meant() {
        let dockerfile = kiln_dockerfile::parse("FROM a AS build\nFROM b\nCOPY --from=biuld /x /\n").0;
        let copy = at(&dockerfile, (3, 3)).unwrap();
        assert_eq!(image_name(copy), Some("biuld"));
        let stages = dockerfile.stages.iter().filter_map(|stage| stage.name.as_deref());
        assert_eq!(suggest::closest("biuld", stages), Some("build"));
    }
}
