//! Whether an image will start, in words.

use kiln_inspect::start::{self, Fault, Problem, Report};
use kiln_inspect::{Error, Image, Tree};

use super::Verdict;
use super::budget::Budget;

/// What was looked at, in the order in which it is told.
pub(super) const CHECKS: [&str; 10] = [
    "command",
    "user",
    "machine",
    "libraries",
    "versions",
    "scripts",
    "certificates",
    "time-zone",
    "workdir",
    "volumes",
];

/// Where a library of that name is among the other layers of the build that made the image: the stage, and the path there.
pub(crate) type Stages<'a> = dyn Fn(&[u8]) -> Option<(String, String)> + 'a;

/// Those for which programs, libraries and scripts are read.
const OF_PROGRAMS: [&str; 5] = ["machine", "libraries", "versions", "scripts", "certificates"];

/// What must be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Nothing,
    /// All but what is in programs.
    NoPrograms,
    All,
}

impl Needed {
    fn by(budget: &Budget) -> Self {
        let are_skipped = |checks: &[&str]| checks.iter().all(|check| budget.skips(check));
        if !are_skipped(&OF_PROGRAMS) {
            Self::All
        } else if !are_skipped(&CHECKS) || (budget.read_only && !budget.skips("read-only")) {
            Self::NoPrograms
        } else {
            Self::Nothing
        }
    }
}

/// Looks at what a budget does not skip.
pub(super) fn look(image: &Image, tree: &Tree<'_>, budget: &Budget) -> Result<Report, Error> {
    match Needed::by(budget) {
        Needed::Nothing => Ok(Report::default()),
        Needed::NoPrograms => start::check_without_programs(image, tree),
        Needed::All => start::check(image, tree),
    }
}

/// A verdict for each problem, and one for each kind of thing that is all right; none of checks that are skipped.
pub(crate) fn verdicts(
    image: &Image,
    report: &Report,
    stages: &Stages<'_>,
    skips: impl Fn(&str) -> bool,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for check in CHECKS.into_iter().filter(|check| !skips(check)) {
        let failed: Vec<Verdict> = report
            .problems
            .iter()
            .filter(|problem| check_of(&problem.fault) == check)
            .map(|problem| verdict(image, problem, stages))
            .collect();
        if failed.is_empty() {
            verdicts.extend(well(check, image, report).map(|message| Verdict::pass(check, message)));
        }
        verdicts.extend(failed);
    }
    verdicts
}

/// What there is to say where nothing is wrong; nothing where there was nothing to look at.
fn well(check: &str, image: &Image, report: &Report) -> Option<String> {
    let path = |bytes: &[u8]| format!("/{}", String::from_utf8_lossy(bytes));
    Some(match check {
        "command" => match &report.program {
            Some(program) => format!("{} is there and may be executed", path(program)),
            None => "the image says none".to_owned(),
        },
        "user" => match image.config.config.user.as_str() {
            "" => "root, since the image says none".to_owned(),
            user => format!("{user} is known, or a number"),
        },
        "machine" if report.binaries > 0 => format!("what is started is for {}", image.config.architecture),
        "libraries" if report.binaries > 0 => {
            format!("{} programs and libraries find all that they need", report.binaries)
        }
        "versions" if report.binaries > 0 => "no library is too old for what needs it".to_owned(),
        "scripts" if report.scripts > 0 => format!("the interpreters of {} scripts are there", report.scripts),
        "certificates" => format!(
            "{} has certificates to trust",
            path(report.tls.as_deref()?).trim_start_matches('/')
        ),
        "time-zone" => format!("{} is there", report.time_zone.as_deref()?),
        "workdir" if !report.is_root && !image.config.config.working_dir.is_empty() => {
            format!("the user may enter {}", image.config.config.working_dir)
        }
        "volumes" if !report.is_root && !image.config.config.volumes.is_empty() => {
            "the user may write to all volumes".to_owned()
        }
        _ => return None,
    })
}

const fn check_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::NoCommand { .. }
        | Fault::NotAFile
        | Fault::NotExecutable { .. }
        | Fault::NotReachable { .. }
        | Fault::NoFormat => "command",
        Fault::UnknownUser { .. } | Fault::UnknownGroup { .. } => "user",
        Fault::WrongMachine { .. } => "machine",
        Fault::NoInterpreter { .. } | Fault::NoLibrary { .. } | Fault::WrongLibc { .. } => "libraries",
        Fault::NoVersion { .. } => "versions",
        Fault::NoScriptInterpreter { .. } => "scripts",
        Fault::NoCertificates { .. } => "certificates",
        Fault::NoTimeZone { .. } => "time-zone",
        Fault::WorkdirClosed { .. } => "workdir",
        Fault::VolumeClosed { .. } => "volumes",
    }
}

fn verdict(image: &Image, problem: &Problem, stages: &Stages<'_>) -> Verdict {
    let (message, mend) = words(image, problem);
    let mend = match &problem.fault {
        Fault::NoLibrary {
            name, elsewhere: None, ..
        } => match stages(name) {
            Some((stage, path)) => format!("add `COPY --from={stage} {path} {}`", directory_of(image)),
            None => mend,
        },
        _ => mend,
    };
    let verdict = Verdict {
        is_of_command: problem.is_of_command,
        ..Verdict::fail(check_of(&problem.fault), message)
    };
    let verdict = if problem.path.is_empty() {
        verdict
    } else {
        verdict.about(&problem.path, problem.layer)
    };
    verdict.mend(mend)
}

/// What is wrong, and the line that would mend it.
fn words(image: &Image, problem: &Problem) -> (String, String) {
    let path = text(&problem.path);
    match &problem.fault {
        Fault::NoCommand { word, searched } if searched.is_empty() => (
            format!("the command `{word}` is not in the image"),
            format!("add `COPY --from=STAGE … {word}`, or correct ENTRYPOINT or CMD"),
        ),
        Fault::NoCommand { word, searched } => (
            format!("the command `{word}` is in none of {}", searched.join(", ")),
            if searched.iter().any(|directory| directory == "/bin") && matches!(word.as_str(), "sh" | "bash") {
                "without a shell use the exec form: `ENTRYPOINT [\"/program\"]`".to_owned()
            } else {
                "add it, name it with its whole path, or add its directory: `ENV PATH=…`".to_owned()
            },
        ),
        Fault::NotAFile => (
            "the command is no file".to_owned(),
            "correct ENTRYPOINT or CMD".to_owned(),
        ),
        Fault::NotExecutable { mode, owner, user } => (
            format!(
                "has mode {mode:04o} and owner {}:{}: user {}:{} may not execute it",
                owner.0, owner.1, user.0, user.1
            ),
            format!("where it comes in: `COPY --chmod=755 … /{path}`"),
        ),
        Fault::NotReachable { directory, user } => (
            format!("user {}:{} may not enter /{}", user.0, user.1, text(directory)),
            format!("`RUN chmod a+x /{}`, in the step that makes it", text(directory)),
        ),
        Fault::NoFormat => (
            "is neither a program nor a script with `#!` in its first line".to_owned(),
            "begin it with `#!/bin/sh`, or start it by a shell: `ENTRYPOINT [\"/bin/sh\", \"…\"]`".to_owned(),
        ),
        Fault::UnknownUser { name, has_passwd } => (
            if *has_passwd {
                format!("the user `{name}` is not in /etc/passwd")
            } else {
                format!("the user `{name}` is not known: there is no /etc/passwd")
            },
            "`USER 65532:65532` needs no name; or make the user: `RUN useradd …`, `COPY --from=STAGE /etc/passwd /etc/`"
                .to_owned(),
        ),
        Fault::UnknownGroup { name } => (
            format!("the group `{name}` is not in /etc/group"),
            "use a number, or make the group: `RUN groupadd …`".to_owned(),
        ),
        Fault::WrongMachine { found, wanted } => (
            format!("is for {}, and the image for {wanted}", found.name()),
            format!("build it for {wanted}, or the image with `--platform linux/{}`", found.name()),
        ),
        Fault::NoCertificates { .. } | Fault::NoTimeZone { .. } | Fault::WorkdirClosed { .. } | Fault::VolumeClosed { .. } => {
            surroundings(&path, &problem.fault)
        }
        other => libraries(image, other),
    }
}

fn surroundings(path: &str, fault: &Fault) -> (String, String) {
    match fault {
        Fault::NoCertificates { library } => (
            format!("the command loads {}, and there are no certificates to trust", text(library)),
            "install ca-certificates, or add `COPY --from=STAGE /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/`; a server \
             that asks nobody needs none: `--skip certificates`"
                .to_owned(),
        ),
        Fault::NoTimeZone { zone, has_others: true } => (
            format!("TZ is `{zone}`, which is no time zone of /usr/share/zoneinfo"),
            "correct it: `ENV TZ=Region/City`".to_owned(),
        ),
        Fault::NoTimeZone { zone, .. } => (
            format!("TZ is `{zone}`, and there are no time zones: it counts as UTC"),
            "install tzdata, or add `COPY --from=STAGE /usr/share/zoneinfo /usr/share/zoneinfo`".to_owned(),
        ),
        Fault::WorkdirClosed { directory, user } => (
            format!(
                "is the working directory, and user {}:{} may not enter /{}",
                user.0,
                user.1,
                text(directory)
            ),
            format!("`RUN chmod a+x /{}`, in the step that makes it", text(directory)),
        ),
        Fault::VolumeClosed { owner, user } => (
            match owner {
                Some((uid, gid)) => format!("is a volume of {uid}:{gid}, and user {}:{} may not write there", user.0, user.1),
                None => format!("is a volume that will be root's, and user {}:{} may not write there", user.0, user.1),
            },
            format!("before VOLUME: `RUN mkdir -p /{path} && chown {}:{} /{path}`", user.0, user.1),
        ),
        _ => (String::new(), String::new()),
    }
}

fn libraries(image: &Image, fault: &Fault) -> (String, String) {
    match fault {
        Fault::NoInterpreter {
            interpreter,
            wanted,
            found,
        } => {
            let interpreter = text(interpreter);
            let name = wanted.map_or("its C library", |libc| libc.name());
            match found {
                Some(found) if wanted.is_some() && Some(*found) != *wanted => (
                    format!(
                        "is made for {name}, and the image has {} ({interpreter} is not there)",
                        found.name()
                    ),
                    format!(
                        "build it in a stage with {}, link it statically, or use a base with {name}",
                        found.name()
                    ),
                ),
                _ => (
                    format!("is linked dynamically, and its linker {interpreter} is not there"),
                    format!("link it statically (`-static`, `CGO_ENABLED=0`), or use a base with {name}"),
                ),
            }
        }
        Fault::NoLibrary {
            name,
            elsewhere: Some(place),
            needs_ldconfig,
        } => (
            format!(
                "needs {}, which is at /{}, where nobody looks for it",
                text(name),
                text(place)
            ),
            if *needs_ldconfig {
                "add `RUN ldconfig` after the library comes in".to_owned()
            } else {
                let directory = text(place);
                let directory = directory.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!(
                    "add `ENV LD_LIBRARY_PATH=/{directory}`, or put it where libraries are: {}",
                    directory_of(image)
                )
            },
        ),
        Fault::NoLibrary { name, .. } => (
            format!("needs {}, which is not in the image", text(name)),
            format!(
                "add `COPY --from=STAGE …/{} {}`, or install its package",
                text(name),
                directory_of(image)
            ),
        ),
        Fault::WrongLibc { wanted, found } => (
            format!(
                "needs {}, and is loaded by a program of {}",
                wanted.name(),
                found.name()
            ),
            format!("build it in a stage with {}", found.name()),
        ),
        Fault::NoVersion {
            library,
            found,
            version,
            newest,
        } => {
            let has = match newest {
                Some(newest) => format!("no more than {}", text(newest)),
                None => "no such versions".to_owned(),
            };
            (
                format!(
                    "needs {} of {}, and /{} has {has}",
                    text(version),
                    text(library),
                    text(found)
                ),
                "build it on the base that it runs on, or take a newer base".to_owned(),
            )
        }
        Fault::NoScriptInterpreter {
            interpreter,
            ends_in_return: true,
        } => (
            format!(
                "its first line ends with a carriage return after {}",
                text(interpreter).trim_end()
            ),
            "give the file the line ends of Unix: `RUN sed -i 's/\\r$//' …`, or `* text eol=lf` in .gitattributes"
                .to_owned(),
        ),
        Fault::NoScriptInterpreter { interpreter, .. } => (
            format!("its interpreter {} is not in the image", text(interpreter)),
            format!(
                "install {}, or begin the script with one that is there",
                text(interpreter)
            ),
        ),
        _ => (String::new(), String::new()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where libraries are, in an image like this.
fn directory_of(image: &Image) -> &'static str {
    match image.config.architecture.as_str() {
        "amd64" => "/usr/lib/x86_64-linux-gnu/",
        "arm64" => "/usr/lib/aarch64-linux-gnu/",
        _ => "/usr/lib/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_is_not_looked_at() {
        let of_programs = OF_PROGRAMS.join(" ");
        let all = CHECKS.join(" ");
        for (skipped, read_only, expected) in [
            (String::new(), false, Needed::All),
            ("libraries machine versions scripts".to_owned(), false, Needed::All),
            (of_programs, false, Needed::NoPrograms),
            (all.clone(), false, Needed::Nothing),
            (all.clone(), true, Needed::NoPrograms),
            (format!("{all} read-only"), true, Needed::Nothing),
        ] {
            let budget = Budget {
                skip: skipped.split_whitespace().map(str::to_owned).collect(),
                read_only,
                ..Budget::default()
            };
            assert_eq!(Needed::by(&budget), expected, "{skipped}");
        }
    }
}
