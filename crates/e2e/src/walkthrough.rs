//! Executes the commands of a page of documentation word for word, and compares what they print with what it says they
//! print.
//!
//! A block of `sh` holds commands; all of a page are one shell's. A block of `text` right after it is what they printed:
//! each of its lines must be among their output, where numbers, digests, ages and the width of columns do not matter, and
//! `…` stands for anything. A block of `sh exit=N` ends with a command that exits with N. A block of nothing but
//! `make TARGET` is not run, as it would start what runs us; the target must be there.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};
use xtask::{command, paths};

use crate::stage::Stage;

/// Stands before the output of each block; no command prints it.
const MARK: &str = "@@kiln-walk-through";

/// Commands, and what they must print.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Line of the page, from 1.
    line: usize,
    commands: String,
    exit: u8,
    output: Vec<String>,
}

/// Plays a page (a path in the work tree) on a terminal 100 columns wide, in a directory with a copy of `examples`.
pub fn play(page: &str, stage: &Stage) -> Result<()> {
    // The page names a port: one reader at a time. The lock goes with the file, whatever becomes of us.
    let turn = turns()?;
    turn.lock()?;
    let path = paths::workspace().join(page);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let makefile = fs::read_to_string(paths::workspace().join("Makefile")).context("cannot read the Makefile")?;
    let blocks = without_targets(blocks(&text)?, &makefile)?;
    stage.copy_beside(&paths::workspace().join("examples"), "examples")?;
    let script = script(&blocks);
    // `script` gives the shell a terminal, as readers have one.
    let shell = stage.write_beside("walk-through.sh", &script)?;
    let run = format!("bash '{}'", shell.display());
    let arguments = ["-q", "-e", "-c", &run, "/dev/null"].map(str::to_owned);
    let ended = command::output(&mut stage.command("script", &arguments))?;
    let all = plain(&String::from_utf8_lossy(&ended.stdout));
    let mut printed = all.split(MARK).skip(1).peekable();
    for block in &blocks {
        let Some(output) = printed.next() else {
            bail!(
                "{page}:{}: the shell ended before this with {}:\n{all}",
                block.line,
                ended.status
            );
        };
        // What follows the last block has a mark too: without one, the shell ended in this block.
        if printed.peek().is_none() {
            bail!(
                "{page}:{}: these commands failed:\n{}{output}",
                block.line,
                block.commands
            );
        }
        if let Some(missing) = missing(&block.output, output) {
            bail!("{page}:{}: printed was:\n{output}\nand not: {missing}", block.line);
        }
    }
    Ok(())
}

/// A file of all users, so opened only to read.
fn turns() -> Result<fs::File> {
    let path = std::env::temp_dir().join("kiln-walk-through.lock");
    if !path.exists() {
        fs::File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))
}

/// The blocks of commands of a page, each with the output that follows it.
fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((fence, line)) = lines.next() {
        let Some(kind) = fence.strip_prefix("```") else {
            continue;
        };
        let body: Vec<String> = lines
            .by_ref()
            .map(|(text, _)| text)
            .take_while(|text| !text.starts_with("```"))
            .map(str::to_owned)
            .collect();
        let words: Vec<&str> = kind.split_whitespace().collect();
        match (words.as_slice(), blocks.last_mut()) {
            (["sh"], _) => blocks.push(commands(line, &body, 0)),
            (["sh", exit], _) => {
                let exit = exit.strip_prefix("exit=").and_then(|number| number.parse().ok());
                let exit = exit.with_context(|| format!("line {line}: not `sh exit=N`: {fence}"))?;
                blocks.push(commands(line, &body, exit));
            }
            (["text"], Some(last)) if last.output.is_empty() => last.output = body,
            (["text"], _) => bail!("line {line}: output of no commands"),
            _ => {}
        }
    }
    Ok(blocks)
}

fn commands(line: usize, body: &[String], exit: u8) -> Block {
    let commands = body.iter().fold(String::new(), |text, line| text + line + "\n");
    let output = Vec::new();
    Block {
        line,
        commands,
        exit,
        output,
    }
}

/// The blocks that are to be run: not those of `make TARGET`, whose targets must be in the Makefile.
fn without_targets(blocks: Vec<Block>, makefile: &str) -> Result<Vec<Block>> {
    let mut rest = Vec::new();
    for block in blocks {
        if !block.commands.lines().all(|line| line.starts_with("make ")) {
            rest.push(block);
            continue;
        }
        for target in block.commands.lines().filter_map(|line| line.split_whitespace().nth(1)) {
            let rule = format!("{target}:");
            if !makefile.lines().any(|line| line.starts_with(&rule)) {
                bail!("line {}: the Makefile has no target {target}", block.line);
            }
        }
    }
    Ok(rest)
}

/// One script for all blocks, each after a mark, the last one before a mark of its own.
fn script(blocks: &[Block]) -> String {
    let mut script = "exec </dev/null\nset -e\n".to_owned();
    for block in blocks {
        let Block { commands, exit, .. } = block;
        let begin = format!("stty -F /dev/tty cols 100 rows 50\necho '{MARK}'\n");
        let part = match exit {
            0 => format!("{begin}{commands}"),
            _ => format!("{begin}set +e\n{commands}[ $? -eq {exit} ] || exit 99\nset -e\n"),
        };
        // Writing to a string cannot fail.
        let _written = script.write_str(&part);
    }
    script + &format!("echo '{MARK}'\n")
}

/// What a terminal was sent, without control sequences (ECMA-48, 5.4) and carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                if characters.next() == Some('[') {
                    // Parameters, up to the final byte.
                    characters.by_ref().find(|c| ('@'..='~').contains(c));
                }
            }
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The first line of `wanted` that no line of `output` is like.
fn missing<'a>(wanted: &'a [String], output: &str) -> Option<&'a str> {
    let output: Vec<String> = output.lines().map(alike).collect();
    wanted
        .iter()
        .find(|line| !output.iter().any(|printed| matches(&alike(line), printed)))
        .map(String::as_str)
}

/// A line with `#` for each number and digest, without ages, with single blanks.
fn alike(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace().map(without_numbers) {
        if word == "ago" {
            while words.last().is_some_and(|last| AGE.contains(&last.as_str())) {
                words.pop();
            }
        }
        words.push(word);
    }
    words.join(" ")
}

/// The words of ages, like "Less than a second ago".
const AGE: &[&str] = &[
    "#", "Less", "than", "About", "a", "an", "second", "seconds", "minute", "minutes", "hour", "hours",
];

/// `#` for each number, and for each run of at least 12 hexadecimal digits.
fn without_numbers(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let run = |digit: fn(char) -> bool| rest.find(|c| !digit(c)).unwrap_or(rest.len());
        let hexadecimal = run(|c| c.is_ascii_hexdigit());
        let number = run(|c| c.is_ascii_digit() || c == '.');
        let taken = if hexadecimal >= 12 {
            hexadecimal
        } else if first.is_ascii_digit() {
            number
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.push('#');
        rest = &rest[taken..];
    }
    out
}

/// Whether `line` is `pattern`, in which `…` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(part) => rest.is_empty() || part.is_empty() || line.ends_with(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_page() {
        let page = "# x\n```sh\na\nb\n```\nprints\n```text\nout\n```\n```toml\nx\n```\n```sh exit=2\nc\n```\n";
        let found = blocks(page).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].commands.as_str()), (2, "a\nb\n"));
        assert_eq!(found[0].output, ["out"]);
        assert_eq!((found[1].line, found[1].exit), (13, 2));
        assert!(blocks("```text\nx\n```").is_err());
    }

    #[test]
    fn targets_must_be_there() {
        let page = |target: &str| blocks(&format!("```sh\nmake {target}   # why\n```\n```sh\nls\n```")).unwrap();
        let rest = without_targets(page("demo"), "demo: packages\n").unwrap();
        assert_eq!((rest.len(), rest[0].commands.as_str()), (1, "ls\n"));
        assert!(without_targets(page("other"), "demo: packages\n").is_err());
    }

    #[test]
    fn lines_that_are_alike() {
        for (wanted, printed, same) in [
            ("a  b", "a b", true),
            (
                "built sha256:0123456789abcdef as x, 1.98MB",
                "built sha256:fedcba9876543210 as x, 20MB",
                true,
            ),
            (
                "x latest 0123456789ab 2 minutes ago 1MB",
                "x latest abcdef012345 Less than a second ago 2MB",
                true,
            ),
            ("✔ [a 1/2] FROM … cached", "✔ [a 1/2] FROM gcc:12 cached", true),
            ("✔ [a 1/2] FROM … cached", "✔ [a 1/2] FROM gcc:12 0.1s", false),
            ("…", "whatever", true),
            ("hello", "hello, world", false),
            ("hello", "say hello", false),
        ] {
            let wanted = [wanted.to_owned()];
            assert_eq!(missing(&wanted, printed).is_none(), same, "{wanted:?} and {printed:?}");
        }
    }

    #[test]
    fn terminals_are_sent_more_than_text() {
        assert_eq!(plain("\x1b[2K\x1b[1A\x1b[32m✔\x1b[0m done\r\n"), "✔ done\n");
    }
}
