//! A tree as lines of text, one per instruction.

use std::fmt::Write;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Command, Healthcheck, Heredoc, Instruction, Kind, Pair, SourcePath, Transfer, Word};

pub(crate) fn dockerfile(file: &Dockerfile) -> String {
    let mut out = String::new();
    for directive in &file.directives {
        writeln!(out, "# {}={:?}", directive.name, directive.value.raw).unwrap();
    }
    for global in &file.globals {
        writeln!(out, "{}", instruction(global)).unwrap();
    }
    for stage in &file.stages {
        writeln!(out, "{}", instruction(&stage.instruction)).unwrap();
        for each in &stage.instructions {
            writeln!(out, "  {}", instruction(each)).unwrap();
        }
    }
    out
}

pub(crate) fn instruction(instruction: &Instruction) -> String {
    let comments: Vec<_> = instruction.comments.iter().map(|word| word.raw.as_str()).collect();
    let comments = if comments.is_empty() {
        String::new()
    } else {
        format!(" comments={comments:?}")
    };
    let (first, last) = instruction.lines;
    format!("{first}-{last} {}{comments}", kind(&instruction.kind))
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Add(add) => {
            let mut out = format!("ADD {}", transfer(&add.transfer));
            optional(&mut out, "checksum", add.checksum.as_ref());
            for (name, value) in [("keep-git-dir", add.keep_git_dir), ("unpack", add.unpack)] {
                if let Some(value) = value {
                    write!(out, " {name}={value}").unwrap();
                }
            }
            out
        }
        Kind::Arg(declarations) => {
            let each = declarations.iter().map(|each| match &each.default {
                Some(default) => format!("{}={:?}", each.name.raw, default.raw),
                None => each.name.raw.clone(),
            });
            format!("ARG {}", each.collect::<Vec<_>>().join(" "))
        }
        Kind::Cmd(each) => format!("CMD {}", command(each)),
        Kind::Copy(copy) => {
            let mut out = format!("COPY {}", transfer(&copy.transfer));
            optional(&mut out, "from", copy.from.as_ref());
            if copy.parents {
                out.push_str(" parents");
            }
            out
        }
        Kind::Entrypoint(each) => format!("ENTRYPOINT {}", command(each)),
        Kind::Env(each) => format!("ENV {}", pairs(each)),
        Kind::Expose(each) => format!("EXPOSE {:?}", raw(each)),
        Kind::From(from) => {
            let mut out = format!("FROM {:?}", from.image.raw);
            optional(&mut out, "name", from.name.as_ref());
            optional(&mut out, "platform", from.platform.as_ref());
            out
        }
        Kind::Healthcheck(Healthcheck::None) => "HEALTHCHECK NONE".to_owned(),
        Kind::Healthcheck(Healthcheck::Check {
            command: each,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        }) => {
            let mut out = format!("HEALTHCHECK {}", command(each));
            let numbers = [
                ("interval", interval),
                ("timeout", timeout),
                ("start-period", start_period),
                ("start-interval", start_interval),
                ("retries", retries),
            ];
            for (name, value) in numbers {
                if let Some(value) = value {
                    write!(out, " {name}={value}").unwrap();
                }
            }
            out
        }
        Kind::Label(each) => format!("LABEL {}", pairs(each)),
        Kind::Maintainer(word) => format!("MAINTAINER {:?}", word.raw),
        Kind::Onbuild(onbuild) => format!("ONBUILD {:?} ({})", onbuild.text, self::kind(&onbuild.instruction.kind)),
        Kind::Run(run) => {
            let mut out = format!("RUN {}", command(&run.command));
            for (name, words) in [("mount", &run.mounts), ("device", &run.devices)] {
                if !words.is_empty() {
                    write!(out, " {name}={:?}", raw(words)).unwrap();
                }
            }
            optional(&mut out, "network", run.network.as_ref());
            optional(&mut out, "security", run.security.as_ref());
            for each in &run.heredocs {
                write!(out, " {}", heredoc(each)).unwrap();
            }
            out
        }
        Kind::Shell(words) => format!("SHELL {words:?}"),
        Kind::Stopsignal(word) => format!("STOPSIGNAL {:?}", word.raw),
        Kind::User(word) => format!("USER {:?}", word.raw),
        Kind::Volume(each) => format!("VOLUME {:?}", raw(each)),
        Kind::Workdir(word) => format!("WORKDIR {:?}", word.raw),
    }
}

fn raw(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.raw.as_str()).collect()
}

fn optional(out: &mut String, name: &str, word: Option<&Word>) {
    if let Some(word) = word {
        write!(out, " {name}={:?}", word.raw).unwrap();
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::Shell(word) => format!("{:?}", word.raw),
        Command::Exec(words) => format!("{words:?}"),
    }
}

fn pairs(pairs: &[Pair]) -> String {
    let each = pairs.iter().map(|pair| {
        format!(
            "{:?}{}{:?}",
            pair.key.raw,
            if pair.legacy { " " } else { "=" },
            pair.value.raw
        )
    });
    each.collect::<Vec<_>>().join(" ")
}

fn heredoc(heredoc: &Heredoc) -> String {
    let descriptor = heredoc.descriptor.map(|number| number.to_string()).unwrap_or_default();
    let dash = if heredoc.strip_tabs { "-" } else { "" };
    let quote = if heredoc.expand { "" } else { "'" };
    format!(
        "{descriptor}<<{dash}{quote}{}{quote} {:?}",
        heredoc.name, heredoc.content
    )
}

fn transfer(transfer: &Transfer) -> String {
    let sources = transfer.sources.iter().map(|source| match source {
        SourcePath::Path(word) => format!("{:?}", word.raw),
        SourcePath::Heredoc(each) => heredoc(each),
    });
    let mut out = format!(
        "{} -> {:?}",
        sources.collect::<Vec<_>>().join(" "),
        transfer.destination.raw
    );
    optional(&mut out, "chown", transfer.chown.as_ref());
    optional(&mut out, "chmod", transfer.chmod.as_ref());
    if transfer.link {
        out.push_str(" link");
    }
    if !transfer.exclude.is_empty() {
        write!(out, " exclude={:?}", raw(&transfer.exclude)).unwrap();
    }
    out
}
