//! The scripts of a file, each read as its shell reads it: which shell that is, which variables are set, and what there
//! is to say.

use std::collections::HashSet;

use kiln_dockerfile::ast::Kind;

use crate::rules::RULES;
use crate::shell::{Dialect, Reader, Remark, Text, checkers};
use crate::view::{Item, View};

/// Longer scripts are not read: what repeats or nests in them may take long.
const LONGEST: usize = 32 << 10;

/// What nests deeper is not read.
const DEEPEST: usize = 64;

/// What the scripts of a file have together, at most.
const LONGEST_ALL: usize = 1 << 20;

/// Variables that builds set without being told.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// What is said of the script of an item, by its number.
pub(crate) type Remarks = Vec<(usize, Remark)>;

/// Reads all scripts.
pub(crate) fn read(view: &View<'_>) -> Remarks {
    let codes: Vec<&'static str> = RULES
        .iter()
        .map(|rule| rule.code)
        .filter(|code| is_of_shell(code))
        .collect();
    let wanted = |code: &&'static str| !view.config.ignored.contains(*code);
    let codes: Vec<&'static str> = codes.into_iter().filter(wanted).collect();
    let checkers = checkers(&codes);
    let mut found = Remarks::new();
    let mut scopes: Vec<Scope<'_>> = Vec::new();
    let mut left = LONGEST_ALL;
    for (number, item) in view.items().enumerate() {
        let Some(stage) = item.stage else { continue };
        if scopes.len() <= stage {
            let parent = view.parents[stage].and_then(|parent| scopes.get(parent));
            let scope = parent.cloned().unwrap_or_else(|| Scope::new(view));
            scopes.push(scope);
        }
        scopes[stage].read(item);
        let Some((dialect, script)) = scopes[stage].script(item) else {
            continue;
        };
        if script.len() > LONGEST.min(left) || nesting(script) > DEEPEST {
            continue;
        }
        left -= script.len();
        let names = if item.onbuild {
            named(script, &PROXIES.into_iter().collect())
        } else {
            named(script, &scopes[stage].names)
        };
        let names = &names;
        let text = Text { script, dialect, names };
        for checker in &checkers {
            found.extend(checker.check(&text).into_iter().map(|remark| (number, remark)));
        }
    }
    found
}

/// Those of the names that occur in a script. The others are not told to who reads it: there may be thousands.
fn named<'t>(script: &'t str, names: &HashSet<&str>) -> Vec<&'t str> {
    let words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut seen = HashSet::new();
    words
        .filter(|word| names.contains(word) && seen.insert(*word))
        .collect()
}

/// How deep a script nests, at most: what its words or its brackets open and close, whether they are quoted or not. They
/// count apart, as the `)` of a `case` closes nothing.
fn nesting(script: &str) -> usize {
    let words = script.split(|c: char| c.is_ascii_whitespace() || ";|&()`".contains(c));
    let of_words = words.map(|word| match word {
        "if" | "case" | "for" | "while" | "until" | "select" => 1,
        "fi" | "esac" | "done" => -1,
        _ => 0,
    });
    let of_brackets = script.bytes().map(|byte| match byte {
        b'(' | b'{' | b'[' => 1,
        b')' | b'}' | b']' => -1,
        _ => 0,
    });
    highest(of_words).max(highest(of_brackets))
}

/// The highest that a count from zero reaches, which does not go below.
fn highest(steps: impl Iterator<Item = isize>) -> usize {
    let (_, highest) = steps.fold((0_usize, 0_usize), |(count, highest), step| {
        let count = count.saturating_add_signed(step);
        (count, highest.max(count))
    });
    highest
}

/// Whether a code is one of `ShellCheck`'s.
pub(crate) fn is_of_shell(code: &str) -> bool {
    code.starts_with("SC")
}

/// What a RUN finds.
#[derive(Clone)]
struct Scope<'a> {
    /// `None` is no shell that can be read.
    dialect: Option<Dialect>,
    names: HashSet<&'a str>,
}

impl<'a> Scope<'a> {
    fn new(view: &View<'_>) -> Self {
        // Files with the other escape character are Windows': its shell is none of these.
        let unix = view.file.escape == '\\';
        Self {
            dialect: unix.then_some(Dialect::Sh),
            names: PROXIES.into_iter().collect(),
        }
    }

    /// Takes in what an instruction sets.
    fn read(&mut self, item: &Item<'a>) {
        if item.onbuild {
            return;
        }
        match item.kind {
            Kind::Shell(words) => self.dialect = dialect(words),
            Kind::Env(pairs) => pairs.iter().for_each(|pair| self.name(&pair.key.raw)),
            Kind::Arg(all) => all.iter().for_each(|each| self.name(&each.name.raw)),
            _ => {}
        }
    }

    fn name(&mut self, name: &'a str) {
        let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let digit = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
        if valid && !digit {
            self.names.insert(name);
        }
    }

    /// The script of an item and the shell that reads it.
    fn script<'i>(&self, item: &'i Item<'_>) -> Option<(Dialect, &'i str)> {
        let run = item.script.as_ref()?;
        let dialect = match run.reader {
            Reader::Stage => self.dialect?,
            Reader::Own(dialect) => dialect,
            Reader::Other => return None,
        };
        Some((dialect, run.text()?))
    }
}

/// The shell of SHELL's words.
fn dialect(words: &[String]) -> Option<Dialect> {
    let mut words = words.iter();
    let first = words.next()?;
    if first.ends_with("/env") {
        return Dialect::of(words.find(|word| !word.starts_with('-'))?);
    }
    Dialect::of(first)
}
