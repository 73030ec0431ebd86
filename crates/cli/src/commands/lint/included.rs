//! Dockerfiles that include others: they are looked at as one text, and what is found is said of the file that it is in.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::source::Source;
use kiln_lint::{Amount, Config, Finding, Severity};

use super::{Linted, Role};
use crate::context;

/// The linter's code of what the builder refuses.
const UNREADABLE: &str = "DL1000";

/// Why nothing is mended in such a file.
const UNFIXED: &str = "files that include others, and those that are included, are mended by hand";

/// A Dockerfile's text with all that it includes.
pub(crate) struct Whole {
    pub(crate) source: Source,
    /// What is wrong with the INCLUDEs; then all errors of the text are among them.
    problems: Vec<Diagnostic>,
}

impl Whole {
    /// Reads in what a text includes; see [`context::with_includes`].
    pub(crate) fn read(text: &str, path: Option<&Path>, context: Option<&Path>) -> Self {
        match context::with_includes(text, path, context) {
            Ok(source) => Self {
                source,
                problems: Vec::new(),
            },
            Err(failed) => Self {
                source: failed.source,
                problems: failed.diagnostics,
            },
        }
    }

    /// What is found in it.
    pub(crate) fn lint(&self, config: &Config) -> Vec<Finding> {
        let mut findings = kiln_lint::lint(self.source.text(), config);
        if !self.problems.is_empty() {
            findings.retain(|finding| finding.code != UNREADABLE);
            let problems = self.problems.iter().cloned();
            findings.extend(problems.map(|problem| of_problem(&self.source, problem)));
            findings.sort_by_key(|finding| (finding.line, finding.span.start));
        }
        findings
    }
}

fn of_problem(source: &Source, problem: Diagnostic) -> Finding {
    let before = source.text().get(..problem.span.start).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let help = problem.help.map(|help| format!("; {help}")).unwrap_or_default();
    Finding {
        code: UNREADABLE,
        also: None,
        severity: Severity::Error,
        message: format!("{}{help}", problem.message),
        span: problem.span,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        fix: None,
        unfixed: None,
        cost: None,
    }
}

/// The findings by file: the Dockerfile itself, and the included files in which something is found. One that is included
/// twice is there twice.
pub(super) fn apart(mut whole: Linted, source: &Source) -> Vec<Linted> {
    let mut by_file = BTreeMap::<usize, Vec<Finding>>::new();
    for mut finding in std::mem::take(&mut whole.findings) {
        let number;
        (number, finding.span) = source.place(finding.span);
        finding.line = source.lines((finding.line, finding.line)).1.0;
        by_file.entry(number).or_default().push(finding);
    }
    let parsed = |number: usize| Rc::new(kiln_dockerfile::parse(&source.files()[number].text).0);
    whole.role = Role::Part;
    whole.file = parsed(0);
    whole.findings = by_file.remove(&0).unwrap_or_default();
    let config = whole.config.clone();
    let mut files = vec![whole];
    files.extend(by_file.into_iter().map(|(number, findings)| {
        let name = source.files()[number].name.clone();
        Linted {
            path: Some(PathBuf::from(&name)),
            name,
            file: parsed(number),
            config: config.clone(),
            findings,
            role: Role::Part,
        }
    }));
    files
}

/// Files that were looked at.
#[derive(Default)]
pub(super) struct Files {
    /// By number, in the order in which they came.
    linted: BTreeMap<usize, Linted>,
    /// The numbers of those of a place, whatever they are called.
    by_place: HashMap<PathBuf, Vec<usize>>,
    count: usize,
}

impl Files {
    /// Adds a file. One that is included somewhere is there once, however many others include it, or if it is looked at by
    /// itself too.
    pub(super) fn add(&mut self, mut file: Linted) {
        let mut number = self.count;
        self.count += 1;
        if let Some(place) = file.path.as_deref().and_then(context::absolute) {
            let here = self.by_place.entry(place).or_default();
            let linted = &self.linted;
            let is_same = |known: &Linted| Rc::ptr_eq(&known.file, &file.file) || known.file.source == file.file.source;
            let same = |number: &usize| linted.get(number).filter(|known| is_same(known));
            let roles = here.iter().filter_map(same).map(|known| known.role);
            let role = roles.fold(file.role, Role::max);
            if role != Role::Whole {
                let numbers: Vec<usize> = here.extract_if(.., |number| same(number).is_some()).collect();
                // What came first has the place and the name.
                for known in numbers.into_iter().rev() {
                    let Some(mut known_file) = self.linted.remove(&known) else {
                        continue;
                    };
                    known_file.findings.append(&mut file.findings);
                    (number, file) = (known, known_file);
                }
                file.role = role;
            }
            here.push(number);
        }
        self.linted.insert(number, file);
    }

    /// All of them. What was found more than once is said once, and nothing is mended in a file that is not all that is
    /// built.
    pub(super) fn into_linted(self) -> Vec<Linted> {
        let mut linted: Vec<Linted> = self.linted.into_values().collect();
        for part in linted.iter_mut().filter(|file| file.role != Role::Whole) {
            // Of what was measured differently the most counts.
            let order = |a: &Finding, b: &Finding| rank(a).cmp(&rank(b)).then_with(|| measured(b).cmp(&measured(a)));
            part.findings.sort_by(order);
            part.findings.dedup_by(|a, b| rank(a) == rank(b));
            for finding in &mut part.findings {
                if finding.fix.take().is_some() {
                    finding.unfixed = Some(UNFIXED.to_owned());
                }
            }
        }
        linted
    }
}

/// The order of findings, as the linter has them; those that are equal in it are the same.
fn rank(finding: &Finding) -> (u32, usize, &str, usize, &str) {
    let Span { start, end } = finding.span;
    (finding.line, start, finding.code, end, &finding.message)
}

fn measured(finding: &Finding) -> Option<Amount> {
    Some(finding.cost.as_ref()?.measured.as_ref()?.amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "# kiln=include\nFROM debian:12\n";

    /// A file's name, whether it is a part, and line and code of what is in it.
    type Shown = (String, bool, Vec<(u32, &'static str)>);

    /// What is found in files of a directory, looked at in that order.
    fn found(texts: &[(&str, &str)], order: &[&str]) -> Vec<Shown> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let mut files = Files::default();
        for name in order {
            let path = directory.path().join(name);
            let text = std::fs::read_to_string(&path).unwrap();
            let read = Whole::read(&text, Some(&path), Some(directory.path()));
            let source = &read.source;
            let config = Config::default();
            let whole = Linted {
                // As `--file-path-in-report` does.
                name: "same".to_owned(),
                path: Some(path),
                findings: read.lint(&config),
                file: Rc::new(kiln_dockerfile::parse(source.text()).0),
                config,
                role: Role::Whole,
            };
            if source.files().len() > 1 {
                for file in apart(whole, source) {
                    files.add(file);
                }
            } else {
                files.add(whole);
            }
        }
        let linted = files.into_linted();
        let shown = linted.into_iter().map(|file| {
            assert!(file.role == Role::Whole || file.findings.iter().all(|finding| finding.fix.is_none()));
            let name = file.path.unwrap().file_name().unwrap().to_string_lossy().into_owned();
            let found = file.findings.iter().map(|finding| (finding.line, finding.code));
            (name, file.role == Role::Part, found.collect())
        });
        shown.collect()
    }

    #[test]
    fn files_are_told_apart_by_where_they_are() {
        let texts = [
            ("one", &format!("{WHOLE}INCLUDE part\nADD a /a\n")[..]),
            ("two", &format!("{WHOLE}INCLUDE part\nRUN sudo x\n")),
        ];
        let part = ("part", "ADD a.py /a\n");
        let wanted = |name: &str, is_part, found: &[(u32, &'static str)]| (name.to_owned(), is_part, found.to_vec());
        assert_eq!(
            found(&[texts[0], texts[1], part], &["one", "two"]),
            [
                wanted("one", true, &[(4, "DL3020")]),
                wanted("part", true, &[(1, "DL3020")]),
                wanted("two", true, &[(4, "DL3004")]),
            ]
        );
    }

    #[test]
    fn an_included_file_is_there_once_in_whatever_order() {
        let once = format!("{WHOLE}INCLUDE part\n");
        let twice = format!("{WHOLE}INCLUDE part\nCOPY . .\nINCLUDE part\n");
        // By itself it is a Dockerfile that lacks something, which it has where it is included.
        let texts = [
            ("once", &once[..]),
            ("twice", &twice),
            ("part", "FROM debian\nADD a.py /a\nRUN sudo x\n"),
        ];
        let of_part = |order: &[&str]| {
            let files = found(&texts, order);
            let part: Vec<_> = files.into_iter().filter(|(name, ..)| name == "part").collect();
            assert_eq!(part.len(), 1, "{order:?}: {part:?}");
            part
        };
        let first = of_part(&["once", "part"]);
        assert!(first[0].1 && first[0].2.is_sorted(), "{first:?}");
        assert!(first[0].2.contains(&(1, "DL3006")), "{first:?}");
        assert_eq!(of_part(&["part", "once"]), first);
        assert_eq!(
            of_part(&["part", "part", "twice", "once"])[0].2,
            of_part(&["twice", "once", "part"])[0].2
        );
    }
}
