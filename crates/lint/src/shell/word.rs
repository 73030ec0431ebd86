//! Words of the shell: what they say without their quotes, as far as that is known.

use std::ops::Range;

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its text without quotes; variables are `${NAME}`, the output of commands is `${…}`.
    pub(crate) text: String,
    /// Whether nothing in it is expanded.
    pub(crate) literal: bool,
    /// Where it stands in the script.
    pub(crate) range: Range<usize>,
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// What is run; behind `command`, `exec` and `builtin` that which they run.
    pub(crate) name: String,
    /// All words after the first.
    pub(crate) args: Vec<Word>,
    /// Where it stands in the script, without redirections behind it.
    pub(crate) range: Range<usize>,
    /// Where the first word stands.
    pub(crate) first: Range<usize>,
    /// Names of the variables set before it, with their values.
    pub(crate) assignments: Vec<Word>,
    /// Whether it stands in the script itself, and not in text that it expands, where places are not exact.
    pub(crate) exact: bool,
}

impl Command {
    /// Its flags: `name` of `--name=value`, each letter of `-abc`; with the number of the argument.
    pub(crate) fn flags(&self) -> impl Iterator<Item = (String, usize)> {
        self.args.iter().enumerate().flat_map(|(place, arg)| {
            let names: Vec<String> = if is_flag(&arg.text) {
                match arg.text.strip_prefix("--") {
                    Some(long) => vec![long.split('=').next().unwrap_or_default().to_owned()],
                    None => arg.text.chars().skip(1).map(String::from).collect(),
                }
            } else {
                Vec::new()
            };
            names.into_iter().map(move |name| (name, place))
        })
    }

    /// Whether it has one of these flags.
    pub(crate) fn has_flag(&self, names: &[&str]) -> bool {
        self.flags().any(|(flag, _)| names.contains(&flag.as_str()))
    }

    /// How often it has a flag.
    pub(crate) fn count_flag(&self, name: &str) -> usize {
        self.flags().filter(|(flag, _)| flag == name).count()
    }

    /// Whether one of these is among its arguments.
    pub(crate) fn has_arg(&self, wanted: &[&str]) -> bool {
        self.args.iter().any(|arg| wanted.contains(&arg.text.as_str()))
    }

    /// Whether it is one of these commands with one of these arguments.
    pub(crate) fn is(&self, names: &[&str], args: &[&str]) -> bool {
        names.contains(&self.name.as_str()) && self.has_arg(args)
    }

    /// Its arguments without flags.
    pub(crate) fn plain(&self) -> Vec<&Word> {
        self.plain_without(&[])
    }

    /// Its arguments without flags, and without what follows these flags, which take a value.
    pub(crate) fn plain_without(&self, with_value: &[&str]) -> Vec<&Word> {
        let values: Vec<usize> = self
            .flags()
            .filter(|(flag, place)| with_value.contains(&flag.as_str()) && !self.args[*place].text.contains('='))
            .map(|(_, place)| place + 1)
            .collect();
        let numbered = self.args.iter().enumerate();
        numbered
            .filter(|(place, arg)| !values.contains(place) && !is_flag(&arg.text))
            .map(|(_, arg)| arg)
            .collect()
    }

    /// The argument whose text is this.
    pub(crate) fn arg(&self, text: &str) -> Option<&Word> {
        self.args.iter().find(|arg| arg.text == text)
    }
}

/// Whether an argument is a flag; `-` and `--` alone are none.
fn is_flag(text: &str) -> bool {
    text.starts_with('-') && text != "-" && text != "--"
}
