//! `tests/dockerfiles`: written in the manner of official images and of large projects. All of them parse and plan, for
//! every stage as the target, and what was parsed still says every byte of the text.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_dockerfile::ast::{Dockerfile, Span};
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::parse_bytes;
use kiln_plan::{Images, Options, Outcome, Plan, plan};

use super::bare;

/// As many as the project promises, at least.
const PROMISED: usize = 60;

fn all() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dockerfiles");
    let entries = fs::read_dir(&directory).expect("the directory is there");
    let read = |path: PathBuf| {
        let text = fs::read(&path).expect("a file can be read");
        (path, text)
    };
    let files: Vec<_> = entries.flatten().map(|entry| read(entry.path())).collect();
    assert!(files.len() >= PROMISED, "{} in {}", files.len(), directory.display());
    files
}

fn parsed(path: &Path, text: &[u8]) -> Dockerfile {
    let (dockerfile, diagnostics) = parse_bytes(text);
    assert_eq!(errors(&diagnostics), [""; 0], "{}", path.display());
    dockerfile
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error);
    errors.map(|one| one.message.as_str()).collect()
}

/// Plans with images that have nothing but a platform.
fn planned(dockerfile: &Dockerfile, target: Option<&str>) -> Result<Plan, String> {
    let options = Options {
        target: target.map(str::to_owned),
        ..Options::default()
    };
    let mut images = Images::new();
    loop {
        match plan(dockerfile, &options, &images) {
            Outcome::Plan(plan, diagnostics) => {
                assert_eq!(errors(&diagnostics), [""; 0]);
                return Ok(*plan);
            }
            Outcome::Invalid(diagnostics) => return Err(errors(&diagnostics).join("; ")),
            Outcome::Needs(needs) => images.extend(bare(needs)),
        }
    }
}

#[test]
fn all_of_them_plan() {
    for (path, text) in all() {
        let dockerfile = parsed(&path, &text);
        let names = dockerfile.stages.iter().filter_map(|stage| stage.name.as_deref());
        for target in [None].into_iter().chain(names.map(Some)) {
            if let Err(error) = planned(&dockerfile, target) {
                panic!("{}, target {target:?}: {error}", path.display());
            }
        }
    }
}

/// The top of the tree in the order of the text.
fn spans(dockerfile: &Dockerfile) -> Vec<Span> {
    let directives = dockerfile.directives.iter().map(|directive| directive.span);
    let globals = dockerfile.globals.iter().map(|instruction| instruction.span);
    let stages = dockerfile.stages.iter().flat_map(|stage| {
        let below = stage.instructions.iter().map(|instruction| instruction.span);
        [stage.instruction.span].into_iter().chain(below)
    });
    directives.chain(globals).chain(stages).collect()
}

/// Whether a text holds no instruction: comments, blank lines, a byte order mark.
fn says_nothing(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

#[test]
fn printing_what_was_parsed_gives_the_same_bytes() {
    for (path, text) in all() {
        let dockerfile = parsed(&path, &text);
        let source = &dockerfile.source;
        let mut printed = String::new();
        for span in spans(&dockerfile) {
            let between = &source[printed.len()..span.start];
            assert!(
                says_nothing(between),
                "{}: {between:?} belongs to nothing",
                path.display()
            );
            printed.push_str(between);
            printed.push_str(&source[span.range()]);
        }
        let rest = &source[printed.len()..];
        assert!(says_nothing(rest), "{}: {rest:?} belongs to nothing", path.display());
        printed.push_str(rest);
        assert_eq!(printed.as_bytes(), text, "{}", path.display());
    }
}

/// Line ends change no step.
#[test]
fn carriage_returns_make_no_difference() {
    for (path, text) in all() {
        let text = String::from_utf8(text).unwrap().replace("\r\n", "\n");
        // Bodies of heredocs are files: they keep what they have.
        if text.contains("<<") {
            continue;
        }
        let plain = planned(&parsed(&path, text.as_bytes()), None).unwrap();
        let returns = planned(&parsed(&path, text.replace('\n', "\r\n").as_bytes()), None).unwrap();
        assert_eq!(plain.steps, returns.steps, "{}", path.display());
    }
}
