//! BuildKit's warnings that need nothing but the text, and the settings (`# check=…`) that silence them.

use std::collections::{HashMap, HashSet};

use crate::ast::{Command, Dockerfile, Instruction, Kind, Pair, Span, Stage, Word};
use crate::code;
use crate::diagnostic::{Diagnostic, Severity};

/// What `# check=…` says: at the top of the file, or above an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `skip=all`
    pub skip_all: bool,
    /// `skip=A,B`: names of rules.
    pub skip: Vec<String>,
    /// `error=true`: any warning fails the build.
    pub error: bool,
    /// `experimental=all`
    pub experimental_all: bool,
    /// `experimental=A,B`: names of rules.
    pub experimental: Vec<String>,
}

impl Config {
    /// Reads what is behind `check=`: up to three of `skip`, `error` and `experimental`, parted by `;`. The error is
    /// what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut config = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let invalid = || format!("invalid check option {part:?}");
            let (key, value) = part.split_once('=').ok_or_else(invalid)?;
            let names = || {
                value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
            };
            match key.trim() {
                "skip" if value.trim() == "all" => config.skip_all = true,
                "skip" => config.skip = names().collect(),
                "experimental" if value.trim() == "all" => config.experimental_all = true,
                "experimental" => config.experimental = names().collect(),
                "error" => config.error = boolean(value.trim()).ok_or_else(invalid)?,
                _ => return Err(invalid()),
            }
        }
        Ok(config)
    }

    /// The settings of a file; those of a directive that cannot be read, which the parser reports, are the defaults.
    pub fn of(file: &Dockerfile) -> Self {
        let directive = file.directives.iter().find(|directive| directive.name == "check");
        directive
            .and_then(|directive| Self::parse(&directive.value.raw).ok())
            .unwrap_or_default()
    }

    /// The settings in the comments above an instruction; they add to those of the file.
    pub fn of_comments(comments: &[Word]) -> Self {
        let mut settings = comments.iter().filter_map(|word| {
            let (key, value) = word.raw.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("check")
                .then(|| Self::parse(value).ok())?
        });
        settings.next_back().unwrap_or_default()
    }

    /// Whether a rule is silenced.
    pub fn skips(&self, rule: &str) -> bool {
        self.skip_all || self.skip.iter().any(|name| name == rule)
    }
}

/// What Go's `ParseBool` takes.
fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// All warnings of a tree but those that comments above their instruction silence.
pub(crate) fn run(file: &Dockerfile) -> Vec<Diagnostic> {
    let mut report = Report { found: Vec::new() };
    casing(file, &mut report);
    stage_names(file, &mut report);
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
    fn say(&mut self, instruction: &Instruction, code: &'static str, span: Span, message: impl FnOnce() -> String) {
        if !Config::of_comments(&instruction.comments).skips(code) {
            self.found.push(warning(code, message(), span));
        }
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
            report.say(instruction, code::INSTRUCTION_CASING, instruction.keyword.span, || {
                format!("Command '{word}' should match the case of the command majority ({majority})")
            });
        }
    }
}

fn stage_names(file: &Dockerfile, report: &mut Report) {
    let mut seen = HashSet::new();
    for stage in &file.stages {
        if let Some(as_keyword) = &stage.from.as_keyword {
            as_casing(stage, as_keyword, report);
        }
        let (Some(written), Some(name)) = (&stage.from.name, &stage.name) else {
            continue;
        };
        if written.raw != *name {
            report.say(&stage.instruction, code::STAGE_NAME_CASING, written.span, || {
                format!("Stage name '{}' should be lowercase", written.raw)
            });
        }
        if matches!(name.as_str(), "context" | "scratch") {
            report.say(&stage.instruction, code::RESERVED_STAGE_NAME, written.span, || {
                format!("Stage name should not use the same name as reserved stage {name:?}")
            });
        }
        if !seen.insert(name.as_str()) {
            report.say(&stage.instruction, code::DUPLICATE_STAGE_NAME, written.span, || {
                format!("Duplicate stage name {name:?}, stage names should be unique")
            });
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
    report.say(&stage.instruction, code::FROM_AS_CASING, as_keyword.span, || {
        format!("'{word}' and '{from}' keywords' casing do not match")
    });
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
            report.say(earlier, code::MULTIPLE_INSTRUCTIONS, earlier.span, || {
                format!(
                    "Multiple {keyword} instructions should not be used in the same stage because only the last one \
                     will be used"
                )
            });
        }
    }
    shell
}

fn json_form(keyword: &str, command: &Command, shell: bool, instruction: &Instruction, report: &mut Report) {
    if shell || matches!(command, Command::Exec(_)) {
        return;
    }
    report.say(instruction, code::JSON_ARGS_RECOMMENDED, instruction.span, || {
        format!("JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals")
    });
}

fn other(kind: &Kind, instruction: &Instruction, report: &mut Report) {
    match kind {
        Kind::Maintainer(_) => {
            report.say(instruction, code::MAINTAINER_DEPRECATED, instruction.span, || {
                "Maintainer instruction is deprecated in favor of using label".to_owned()
            });
        }
        Kind::Env(pairs) => legacy("ENV", pairs, instruction, report),
        Kind::Label(pairs) => legacy("LABEL", pairs, instruction, report),
        Kind::Expose(ports) => ports.iter().for_each(|port| expose(port, instruction, report)),
        _ => {}
    }
}

fn legacy(keyword: &str, pairs: &[Pair], instruction: &Instruction, report: &mut Report) {
    if pairs.iter().any(|pair| pair.legacy) {
        report.say(instruction, code::LEGACY_KEY_VALUE_FORMAT, instruction.span, || {
            format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format")
        });
    }
}

/// What variables bring, only the plan knows.
fn expose(port: &Word, instruction: &Instruction, report: &mut Report) {
    if port.raw.contains('$') {
        return;
    }
    let (numbers, protocol) = port.raw.split_once('/').unwrap_or((&port.raw, ""));
    if protocol.contains(|c: char| c.is_ascii_uppercase()) {
        report.say(instruction, code::EXPOSE_PROTO_CASING, port.span, || {
            format!(
                "Defined protocol '{}' in EXPOSE instruction should be lowercase",
                port.raw
            )
        });
    }
    if numbers.contains(':') {
        report.say(instruction, code::EXPOSE_INVALID_FORMAT, port.span, || {
            format!(
                "EXPOSE instruction should not define an IP address or host-port mapping, found '{}'",
                port.raw
            )
        });
    }
}
