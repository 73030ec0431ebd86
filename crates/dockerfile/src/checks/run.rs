//! The warnings that need nothing but the text.

use std::collections::{HashMap, HashSet};

use crate::ast::{Command, Dockerfile, Instruction, Kind, Pair, Span, Stage, Word};
use crate::code;
use crate::diagnostic::{Diagnostic, Severity};

/// All warnings of a tree, silenced ones and those of experimental rules included.
pub(crate) fn run(file: &Dockerfile) -> Vec<Diagnostic> {
    let mut report = Report { found: Vec::new() };
    casing(file, &mut report);
    stage_names(file, &mut report);
    file.globals.iter().for_each(|global| descriptions(global, &mut report));
    let mut shells = HashMap::new();
    for stage in &file.stages {
        let shell = stage_checks(stage, &shells, &mut report);
        if let Some(name) = &stage.name {
            shells.insert(name.as_str(), shell);
        }
    }
    report.found
}

/// A blank line within an instruction.
pub(crate) fn empty_continuation(span: Span) -> Diagnostic {
    warning(code::NO_EMPTY_CONTINUATION, "Empty continuation line".to_owned(), span)
}

fn warning(code: &'static str, message: String, span: Span) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Warning,
        message,
        span,
        help: None,
    }
}

struct Report {
    found: Vec<Diagnostic>,
}

impl Report {
    fn say(&mut self, code: &'static str, span: Span, message: String) {
        self.found.push(warning(code, message, span));
    }
}

/// Keywords are all upper or all lower case, as most of the file is.
fn casing(file: &Dockerfile, report: &mut Report) {
    let each = || {
        file.stages
            .iter()
            .flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions))
    };
    let is_lower = |word: &str| !word.contains(|c: char| c.is_ascii_uppercase());
    let is_upper = |word: &str| !word.contains(|c: char| c.is_ascii_lowercase());
    let lower = each().filter(|instruction| is_lower(&instruction.keyword.raw)).count();
    let upper = each().filter(|instruction| is_upper(&instruction.keyword.raw)).count();
    let majority = if lower > upper { "lowercase" } else { "uppercase" };
    for instruction in each() {
        let word = instruction.keyword.raw.as_str();
        let fits = if lower > upper { is_lower(word) } else { is_upper(word) };
        if !fits {
            report.say(
                code::INSTRUCTION_CASING,
                instruction.keyword.span,
                format!("Command '{word}' should match the case of the command majority ({majority})"),
            );
        }
    }
}

fn stage_names(file: &Dockerfile, report: &mut Report) {
    let mut seen = HashSet::new();
    for stage in &file.stages {
        descriptions(&stage.instruction, report);
        if let Some(as_keyword) = &stage.from.as_keyword {
            as_casing(stage, as_keyword, report);
        }
        let (Some(written), Some(name)) = (&stage.from.name, &stage.name) else {
            continue;
        };
        if written.raw != *name {
            report.say(
                code::STAGE_NAME_CASING,
                written.span,
                format!("Stage name '{}' should be lowercase", written.raw),
            );
        }
        if matches!(name.as_str(), "context" | "scratch") {
            report.say(
                code::RESERVED_STAGE_NAME,
                written.span,
                format!("Stage name should not use the same name as reserved stage {name:?}"),
            );
        }
        if !seen.insert(name.as_str()) {
            report.say(
                code::DUPLICATE_STAGE_NAME,
                written.span,
                format!("Duplicate stage name {name:?}, stage names should be unique"),
            );
        }
    }
}

/// `FROM … AS` or `from … as`.
fn as_casing(stage: &Stage, as_keyword: &Word, report: &mut Report) {
    let from = stage.instruction.keyword.raw.as_str();
    let word = as_keyword.raw.as_str();
    let both_upper = from == "FROM" && word == "AS";
    let both_lower = from == "from" && word == "as";
    // A FROM in mixed case has a warning of its own.
    if both_upper || both_lower || (from != "FROM" && from != "from") {
        return;
    }
    report.say(
        code::FROM_AS_CASING,
        as_keyword.span,
        format!("'{word}' and '{from}' keywords' casing do not match"),
    );
}

/// The warnings within a stage; whether it ends with a shell of its own.
fn stage_checks(stage: &Stage, shells: &HashMap<&str, bool>, report: &mut Report) -> bool {
    let mut shell = shells.get(stage.from.image.raw.as_str()).copied().unwrap_or(false);
    let mut last: HashMap<&str, &Instruction> = HashMap::new();
    for instruction in &stage.instructions {
        let keyword = match &instruction.kind {
            Kind::Shell(_) => {
                shell = true;
                continue;
            }
            Kind::Cmd(command) => {
                json_form("CMD", command, shell, instruction, report);
                "CMD"
            }
            Kind::Entrypoint(command) => {
                json_form("ENTRYPOINT", command, shell, instruction, report);
                "ENTRYPOINT"
            }
            Kind::Healthcheck(_) => "HEALTHCHECK",
            kind => {
                other(kind, instruction, report);
                continue;
            }
        };
        // What is said is said of the earlier one, which has no effect.
        if let Some(earlier) = last.insert(keyword, instruction) {
            report.say(
                code::MULTIPLE_INSTRUCTIONS,
                earlier.span,
                format!(
                    "Multiple {keyword} instructions should not be used in the same stage because only the last one \
                     will be used"
                ),
            );
        }
    }
    shell
}

fn json_form(keyword: &str, command: &Command, shell: bool, instruction: &Instruction, report: &mut Report) {
    if shell || matches!(command, Command::Exec(_)) {
        return;
    }
    report.say(
        code::JSON_ARGS_RECOMMENDED,
        instruction.span,
        format!("JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"),
    );
}

fn other(kind: &Kind, instruction: &Instruction, report: &mut Report) {
    match kind {
        Kind::Arg(_) => descriptions(instruction, report),
        Kind::Maintainer(_) => {
            report.say(
                code::MAINTAINER_DEPRECATED,
                instruction.span,
                "Maintainer instruction is deprecated in favor of using label".to_owned(),
            );
        }
        Kind::Env(pairs) => legacy("ENV", pairs, instruction, report),
        Kind::Label(pairs) => legacy("LABEL", pairs, instruction, report),
        Kind::Expose(ports) => ports.iter().for_each(|port| expose_word(port, report)),
        _ => {}
    }
}

fn legacy(keyword: &str, pairs: &[Pair], instruction: &Instruction, report: &mut Report) {
    if pairs.iter().any(|pair| pair.legacy) {
        report.say(
            code::LEGACY_KEY_VALUE_FORMAT,
            instruction.span,
            format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"),
        );
    }
}

/// What variables bring, only the plan knows.
fn expose_word(port: &Word, report: &mut Report) {
    if !port.raw.contains('$') {
        report.found.extend(expose(&port.raw, port.span));
    }
}

/// What there is to say about a word of EXPOSE whose variables are expanded.
pub fn expose(port: &str, span: Span) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let (numbers, protocol) = port.split_once('/').unwrap_or((port, ""));
    if protocol.contains(|c: char| c.is_ascii_uppercase()) {
        let message = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
        found.push(warning(code::EXPOSE_PROTO_CASING, message, span));
    }
    if numbers.contains(':') {
        let message =
            format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'");
        found.push(warning(code::EXPOSE_INVALID_FORMAT, message, span));
    }
    found
}

/// The comment directly above an ARG or FROM describes it: `# NAME what it is`.
fn descriptions(instruction: &Instruction, report: &mut Report) {
    let (keyword, names): (_, Vec<&str>) = match &instruction.kind {
        Kind::Arg(declarations) => ("ARG", declarations.iter().map(|each| each.name.raw.as_str()).collect()),
        Kind::From(from) => ("FROM", from.name.iter().map(|name| name.raw.as_str()).collect()),
        _ => return,
    };
    let (Some(comment), Some(name)) = (instruction.comments.last(), names.first()) else {
        return;
    };
    let first = comment.raw.split(' ').next().unwrap_or_default();
    let described = names.iter().any(|name| match keyword {
        "FROM" => name.to_lowercase() == first,
        _ => *name == first,
    });
    if !described {
        let example = match names[..] {
            [_] if keyword == "FROM" => name.to_lowercase(),
            [_] => (*name).to_owned(),
            _ => "<arg_key>".to_owned(),
        };
        let message = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
        report.say(code::INVALID_DEFINITION_DESCRIPTION, instruction.span, message);
    }
}
