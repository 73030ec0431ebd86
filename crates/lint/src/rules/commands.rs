//! Commands that have no place in a RUN.

use super::Found;
use crate::finding::{Edit, Fix};
use crate::view::View;

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
    each(view, found, &["cd"], false, |_| {
        "`cd` is forgotten at the end of the RUN: WORKDIR says where this and what follows runs".to_owned()
    });
}

pub(super) fn sudo(view: &View<'_>, found: &mut Found<'_>) {
    each(view, found, &["sudo"], true, |_| {
        "`sudo` handles signals and terminals unpredictably: change the USER around what needs root".to_owned()
    });
}

pub(super) fn links_shell(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let mut commands = run.script.commands.iter();
        if let Some(command) = commands.find(|command| command.is(&["ln"], &["/bin/sh"])) {
            let message = "another /bin/sh surprises what relies on it: SHELL says which shell runs the commands";
            found.word((item, run), command, None, message);
        }
    }
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
