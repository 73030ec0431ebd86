//! Commands that have no place in a RUN.

use kiln_dockerfile::ast::{Command as Form, Kind, Span};

use super::{Found, place};
use crate::finding::{Edit, Fix};
use crate::shell::Command;
use crate::state::{is_plain, join};
use crate::view::{Item, RunScript, View};

/// Says the same of the first command of that name in each RUN.
fn each(view: &View<'_>, found: &mut Found<'_>, names: &[&str], onbuild: bool, message: impl Fn(&str) -> String) {
    for (item, _, run) in view.runs().filter(|(item, ..)| onbuild || !item.onbuild) {
        if let Some(command) = run.script.named(names).next() {
            found.word((item, run), command, None, message(&command.name));
        }
    }
}

pub(super) fn pointless(view: &View<'_>, found: &mut Found<'_>) {
    const NAMES: &[&str] = &[
        "free", "kill", "mount", "ps", "service", "shutdown", "ssh", "top", "vim",
    ];
    each(view, found, NAMES, true, |name| {
        format!("`{name}` does nothing useful while an image is built")
    });
}

pub(super) fn cd(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs().filter(|(item, ..)| !item.onbuild) {
        let mut all = run.script.named(&["cd"]);
        let Some(command) = all.next() else { continue };
        let message = "`cd` is forgotten at the end of the RUN: WORKDIR says where this and what follows runs";
        let fix = if all.next().is_none() {
            workdir_instead(view, item, run, command)
        } else {
            None
        };
        *found.word((item, run), command, None, message) = fix;
    }
}

/// `RUN cd X && a` as WORKDIR, RUN, and WORKDIR again for what follows.
fn workdir_instead(view: &View<'_>, item: &Item<'_>, run: &RunScript, command: &Command) -> Option<Fix> {
    let text = run.line()?;
    let before = item.state.directory.as_deref();
    let [path] = &command.args[..] else { return None };
    let known = path.text.starts_with('/') || before.is_some();
    if !path.literal || !is_plain(&path.text) || !known || !text[..command.range.start].trim().is_empty() {
        return None;
    }
    let to = join(before.unwrap_or("/"), &path.text);
    let rest = &text[command.range.end..];
    let title = format!("use `WORKDIR {to}`");
    let source = &view.file.source;
    if rest.trim().is_empty() {
        let whole = item.instruction.span;
        let plain = !place::has_comment(source.get(whole.range())?);
        return plain.then(|| Fix::careful(title, vec![Edit::replace(whole, format!("WORKDIR {to}"))]));
    }
    let after = rest.trim_start().strip_prefix("&&")?;
    let start = text.len() - after.len();
    let Kind::Run(kind) = item.kind else { return None };
    let Form::Shell(word) = &kind.command else { return None };
    // Up to the command, if it stands in the same line; else up to the line's end.
    let mut end = run.place(start - 1..start)?.end;
    let line = source.get(end..)?;
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    if !line[blanks..].starts_with(view.file.escape) {
        end += blanks;
    }
    let span = Span {
        start: word.span.start,
        end,
    };
    let moves =
        place::next(view, item).is_some_and(|kind| matches!(kind, Kind::Workdir(path) if path.raw.starts_with('/')));
    if place::has_comment(source.get(span.range())?) || !run.script.chain || before.is_none() && !moves {
        return None;
    }
    let mut edits = vec![
        place::above(view, item, &format!("WORKDIR {to}")),
        Edit::replace(span, ""),
    ];
    if let Some(before) = before.filter(|_| !moves) {
        edits.push(place::below(view, item, &format!("WORKDIR {before}")));
    }
    Some(Fix::careful(title, edits))
}

pub(super) fn sudo(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let Some(command) = run.script.named(&["sudo"]).next() else {
            continue;
        };
        let message = "`sudo` handles signals and terminals unpredictably: change the USER around what needs root";
        let edits: Option<Vec<Edit>> = run
            .script
            .named(&["sudo"])
            .map(|command| without_sudo(view, run, command))
            .collect();
        // What sudo runs has another environment.
        let fix = edits.map(|edits| Fix::careful("leave `sudo` out", edits));
        if let Some(name) = place::other_than_root(item) {
            found.word((item, run), command, None, message);
            found.unfixed(format!("it runs as {name}"));
        } else {
            *found.word((item, run), command, None, message) = fix;
        }
    }
}

/// Takes the word and its flags away, as far as they mean nothing to root.
fn without_sudo(view: &View<'_>, run: &RunScript, command: &Command) -> Option<Edit> {
    let first = run.span(command, &command.first)?;
    if view.file.source.get(first.range())? != "sudo" {
        return None;
    }
    let mut rest = command
        .args
        .iter()
        .skip_while(|word| word.range.end <= command.first.end)
        .peekable();
    while let Some(flag) = rest.next_if(|word| word.text.starts_with('-')) {
        match flag.text.as_str() {
            "-E" | "-H" | "-n" | "-S" | "-EH" | "-HE" | "--" => {}
            "-u" if rest.next_if(|user| user.text == "root").is_some() => {}
            _ => return None,
        }
    }
    let next = run.span(command, &rest.next()?.range)?;
    let span = Span {
        start: first.start,
        end: next.start,
    };
    let between = view.file.source.get(span.range())?;
    (!between.contains('\n')).then(|| Edit::replace(span, ""))
}

pub(super) fn links_shell(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let mut commands = run.script.commands.iter();
        if let Some(command) = commands.find(|command| command.is(&["ln"], &["/bin/sh"])) {
            let message = "another /bin/sh surprises what relies on it: SHELL says which shell runs the commands";
            *found.word((item, run), command, None, message) = shell_instead(view, item, run, command);
        }
    }
}

/// SHELL for a RUN that does nothing but link.
fn shell_instead(view: &View<'_>, item: &Item<'_>, run: &RunScript, command: &Command) -> Option<Fix> {
    let text = run.line()?.trim();
    let [from, to] = command.plain()[..] else { return None };
    let shell = from.text.rsplit('/').next()?;
    let known = matches!(shell, "bash" | "dash" | "zsh" | "ash") && to.text == "/bin/sh";
    let whole = item.instruction.span;
    let alone = text.len() == command.range.len() && !place::has_comment(view.file.source.get(whole.range())?);
    let path = if from.text.starts_with('/') {
        from.text.clone()
    } else {
        format!("/bin/{shell}")
    };
    let edit = Edit::replace(whole, format!("SHELL [\"{path}\", \"-c\"]"));
    (known && alone && is_plain(&path) && !item.onbuild).then(|| Fix::careful("use SHELL", vec![edit]))
}

pub(super) fn large_uid(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let loose = run.script.named(&["useradd"]).find(|command| {
            let mut uids = command
                .flags()
                .filter(|(flag, _)| flag == "u")
                .filter_map(|(_, place)| command.args.get(place + 1));
            !command.has_flag(&["l", "no-log-init"]) && uids.any(|uid| uid.text.chars().count() > 5)
        });
        if let Some(command) = loose {
            let message = "useradd writes a log that is as large as the user's number is high: add `--no-log-init`";
            let place = run.span(command, &command.first);
            let fix = place.map(|span| Edit::insert(span.end, " --no-log-init"));
            *found.word((item, run), command, None, message) =
                fix.map(|edit| Fix::safe("add `--no-log-init`", vec![edit]));
        }
    }
}

pub(super) fn wget_progress(view: &View<'_>, found: &mut Found<'_>) {
    const QUIET: &[&str] = &[
        "progress",
        "q",
        "quiet",
        "o",
        "output-file",
        "a",
        "append-output",
        "no-verbose",
    ];
    for (item, _, run) in view.runs() {
        let loose: Vec<_> = run
            .script
            .named(&["wget"])
            .filter(|command| !command.has_flag(QUIET) && !command.has_arg(&["-nv"]))
            .collect();
        let Some(command) = loose.first() else { continue };
        let edit = |span: kiln_dockerfile::ast::Span| Edit::insert(span.end, " --progress=dot:giga");
        let edits: Option<Vec<Edit>> = loose
            .iter()
            .map(|command| run.span(command, &command.first).map(edit))
            .collect();
        let message = "wget draws a bar for every download into the log: add `--progress=dot:giga`, or `-nv`";
        *found.word((item, run), command, None, message) =
            edits.map(|edits| Fix::safe("add `--progress=dot:giga`", edits));
    }
}

/// RUN and ONBUILD RUN are counted by themselves.
pub(super) fn wget_and_curl(view: &View<'_>, found: &mut Found<'_>) {
    for onbuild in [false, true] {
        let mut stage = None;
        let mut seen = [false; 2];
        for (item, _, run) in view.runs().filter(|(item, ..)| item.onbuild == onbuild) {
            if item.stage != stage && !onbuild {
                seen = [false; 2];
            }
            stage = item.stage;
            let names = ["wget", "curl"];
            let here = names.map(|name| run.script.named(&[name]).next().is_some());
            seen = [seen[0] || here[0], seen[1] || here[1]];
            if seen == [true; 2]
                && (here[0] || here[1])
                && let Some(command) = run.script.named(&names).next()
            {
                let message = "this stage needs both wget and curl: one of them can do all of it";
                found.word((item, run), command, None, message);
            }
        }
    }
}
