//! Rules of `ShellCheck`'s that look at one command, and that `shuck` does not have.

use super::Script;
use super::check::{Checker, Remark, Text};
use super::word::{Command, Word};

type Look = fn(&Command) -> Option<(&Word, String)>;

const RULES: &[(&str, Look)] = &[
    ("SC2114", system_directory),
    ("SC2174", mode_of_parents),
    ("SC2185", no_starting_point),
    ("SC2226", link_without_name),
];

/// Our own grammar, and those of the rules that are asked for.
pub(super) struct Commands(Vec<(&'static str, Look)>);

impl Commands {
    pub(super) fn new(codes: &[&'static str]) -> Self {
        Self(RULES.iter().filter(|(code, _)| codes.contains(code)).copied().collect())
    }
}

impl Checker for Commands {
    fn check(&self, text: &Text<'_>) -> Vec<Remark> {
        let script = Script::parse(text.script);
        let mut found = Vec::new();
        for command in &script.commands {
            found.extend(self.0.iter().filter_map(|(code, look)| {
                let (word, message) = look(command)?;
                Some(Remark {
                    code,
                    message,
                    range: word.range.clone(),
                })
            }));
        }
        found
    }
}

/// Directories without which no program starts.
const SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/lib",
];

fn system_directory(command: &Command) -> Option<(&Word, String)> {
    let recursive = command.name == "rm" && command.has_flag(&["r", "R", "recursive"]);
    if !recursive || command.has_arg(&["--preserve-root"]) {
        return None;
    }
    let is_system = |word: &&Word| {
        let text = word.text.strip_suffix("/*").unwrap_or(&word.text);
        let text = if text.is_empty() { "/" } else { text };
        SYSTEM.contains(&text)
    };
    let word = command.plain().into_iter().find(is_system)?;
    Some((word, format!("this removes the system directory `{}`", word.text)))
}

fn mode_of_parents(command: &Command) -> Option<(&Word, String)> {
    let deep = |word: &&Word| {
        let path = word.text.trim_start_matches("./").trim_start_matches("../");
        path.trim_matches('/').contains('/')
    };
    if command.name != "mkdir" || !command.has_flag(&["p", "parents"]) {
        return None;
    }
    let (_, place) = command.flags().find(|(flag, _)| flag == "m" || flag == "mode")?;
    command.plain_without(&["m", "mode"]).iter().find(|word| deep(word))?;
    let message = "`-m` with `-p` is the mode of the last directory alone: those above get the usual one";
    Some((command.args.get(place)?, message.to_owned()))
}

/// `find -name x`: only GNU's starts at the working directory then.
fn no_starting_point(command: &Command) -> Option<(&Word, String)> {
    let first = command.args.first().filter(|_| command.name == "find")?;
    let options = ["-H", "-L", "-P"];
    let word = command
        .args
        .iter()
        .find(|word| !options.contains(&word.text.as_str()))?;
    let test = word.text.starts_with('-') && !word.text.starts_with("-O") && word.text != "-D";
    let help = word.text == "--help" || word.text == "--version" || word.text == "-version" || word.text == "-help";
    let message = "say where `find` is to start: not every `find` takes the working directory";
    (test && !help && !word.text.starts_with("--")).then(|| (first, message.to_owned()))
}

fn link_without_name(command: &Command) -> Option<(&Word, String)> {
    let target = command.has_flag(&["t", "target-directory", "help", "version"]);
    let plain = command.plain_without(&["S", "suffix"]);
    let [word] = plain[..] else { return None };
    let sure = command.name == "ln" && !target && word.literal;
    let message = "`ln` with one name links into the working directory: say where the link is to be";
    sure.then(|| (word, message.to_owned()))
}
