//! What the linter's fixes leave as it is.

use std::collections::BTreeMap;

use kiln_dockerfile::parse;
use kiln_lint::{Config, RULES, Safety};
use kiln_plan::{Op, Plan};

use crate::dockerfile::{has_error, planned};

/// What the plan of a file may differ in after the safe fixes of a rule, because the rule is about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Difference {
    /// Nothing.
    Nothing,
    /// What is run has more words, or other ones where a program goes by another name.
    Scripts,
    /// What two steps run is run by one.
    Joined,
    /// Whether archives are unpacked.
    Unpacking,
    /// Who made the image, and its labels.
    Authors,
    /// How its user is called.
    User,
}

fn difference(code: &str) -> Difference {
    match code {
        "DL3009" | "DL3014" | "DL3019" | "DL3027" | "DL3030" | "DL3032" | "DL3034" | "DL3036" | "DL3038" | "DL3040"
        | "DL3042" | "DL3046" | "DL3047" | "DL3060" => Difference::Scripts,
        "DL3059" => Difference::Joined,
        "DL3020" => Difference::Unpacking,
        "DL4000" => Difference::Authors,
        "DL3066" => Difference::User,
        _ => Difference::Nothing,
    }
}

/// Fixes of every kind keep comments to the last byte, change nothing when they are applied again, and leave out none because
/// it breaks the file. What a file plans after the safe ones of a rule is what it planned before, but for what the rule is
/// about.
pub fn fixed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for allowed in [Safety::Safe, Safety::Unsafe] {
        let all = kiln_lint::fix(text, &Config::default(), allowed);
        assert_eq!(all.dropped, [""; 0], "{text}");
        assert_eq!(comments(text), comments(&all.text), "{text}\n---\n{}", all.text);
        let again = kiln_lint::fix(&all.text, &Config::default(), allowed);
        assert_eq!(again.text, all.text, "{text}");
    }
    let (tree, found) = parse(text);
    let Some(before) = (!has_error(&found)).then(|| planned(&tree)).flatten() else {
        return;
    };
    let mut codes: Vec<&str> = kiln_lint::lint(text, &Config::default())
        .into_iter()
        .filter(|finding| finding.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Safe))
        .map(|finding| finding.code)
        .collect();
    codes.dedup();
    for code in codes {
        // The builder's own checks change nothing, and may go along with any.
        let others = RULES
            .iter()
            .map(|rule| rule.code.to_owned())
            .filter(|other| other != code);
        let config = Config {
            ignored: others.collect(),
            ..Config::default()
        };
        let fixed = kiln_lint::fix(text, &config, Safety::Safe).text;
        let after = planned(&parse(&fixed).0);
        let after = after.unwrap_or_else(|| panic!("{code} breaks it: {text}\n---\n{fixed}"));
        same(&before, &after, difference(code), &|| {
            format!("{code}: {text}\n---\n{fixed}")
        });
    }
}

/// The comment lines with what they end with, as often as they are there.
fn comments(text: &str) -> BTreeMap<&str, usize> {
    let mut comments = BTreeMap::new();
    for line in text
        .split_inclusive('\n')
        .filter(|line| line.trim_start().starts_with('#'))
    {
        *comments.entry(line).or_default() += 1;
    }
    comments
}

fn same(before: &Plan, after: &Plan, difference: Difference, what: &dyn Fn() -> String) {
    let configs = |plan: &Plan| -> Vec<String> {
        let targets = plan
            .targets
            .iter()
            .map(|target| config(target.config.clone(), difference));
        targets.collect()
    };
    assert_eq!(configs(before), configs(after), "{}", what());
    let (before, after) = (steps(before, difference), steps(after, difference));
    let (keys, new_keys): (Vec<_>, Vec<_>) = (
        before.iter().map(|step| &step.0).collect(),
        after.iter().map(|step| &step.0).collect(),
    );
    assert_eq!(keys, new_keys, "{}", what());
    for ((_, old), (_, new)) in before.iter().zip(&after) {
        let holds = if difference == Difference::Scripts {
            is_within(old, new)
        } else {
            old == new
        };
        assert!(holds, "{old:?} and {new:?} in {}", what());
    }
}

/// A config without what fixes may say otherwise: what is kept of ONBUILD is text.
fn config(mut config: kiln_image::ImageConfig, difference: Difference) -> String {
    config.history.clear();
    config.config.on_build.clear();
    if difference == Difference::Authors {
        config.author.clear();
        config.config.labels.remove("org.opencontainers.image.authors");
    }
    if difference == Difference::User {
        config.config.user = by_number(&config.config.user);
    }
    format!("{config:?}")
}

fn by_number(user: &str) -> String {
    match user.strip_prefix("root") {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => format!("0{rest}"),
        _ => user.to_owned(),
    }
}

/// Each step: all that it is but its name and place, and the words of what it runs. Of steps in a row that are alike but for
/// what they run there is one, if those may be joined.
fn steps(plan: &Plan, difference: Difference) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for step in &plan.steps {
        let mut op = step.op.clone();
        let mut words = Vec::new();
        match &mut op {
            Op::Exec(exec) => {
                let script = exec.args.last_mut().map(std::mem::take).unwrap_or_default();
                let between = |c: char| c.is_whitespace() || difference == Difference::Scripts && "();&|`".contains(c);
                words.extend(script.split(between).filter(|word| !word.is_empty()).map(str::to_owned));
                if difference == Difference::Joined {
                    exec.root = None;
                }
                if difference == Difference::User {
                    exec.user = by_number(&exec.user);
                }
            }
            Op::File(file) if difference == Difference::Unpacking => {
                for action in &mut file.actions {
                    if let kiln_plan::FileAction::Copy(copy) = action {
                        copy.unpack = false;
                    }
                }
            }
            _ => {}
        }
        let mut key = format!("{op:?} in stage {:?}", step.stage);
        if difference == Difference::Joined {
            key = without_numbers(&key);
            words.retain(|word| !matches!(word.as_str(), "&&" | "{" | "}"));
            for word in &mut words {
                *word = word.trim_end_matches(';').to_owned();
            }
            words.retain(|word| !word.is_empty());
        }
        match steps.last_mut() {
            Some((last, all)) if difference == Difference::Joined && !words.is_empty() && *last == key => {
                all.extend(words);
            }
            _ => steps.push((key, words)),
        }
    }
    steps
}

/// A text without the numbers of steps, which are others where there are fewer.
fn without_numbers(text: &str) -> String {
    let mut pieces = text.split("StepId(");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        text + "StepId" + piece.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// Whether all words are among others, in their order, but for those that fixes replace.
fn is_within(old: &[String], new: &[String]) -> bool {
    let mut new = new.iter();
    let renamed =
        |old: &str, new: &str| old.ends_with("apt") && matches!(new.strip_prefix(old), Some("-get" | "-cache"));
    old.iter()
        .all(|word| new.any(|other| other == word || renamed(word, other)))
}
