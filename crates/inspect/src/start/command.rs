//! The command that an image starts.

use super::user::User;
use super::{Fault, Look, Problem, Report};
use crate::error::Error;
use crate::index::Kind;
use crate::resolve::Resolved;

impl Look<'_> {
    /// Looks whether what ENTRYPOINT and CMD say is there and can be executed by the user.
    pub(super) fn command(&self, user: &User, report: &mut Report) -> Result<(), Error> {
        let config = &self.image.config.config;
        let words = [&config.entrypoint, &config.cmd].into_iter().flatten().flatten();
        report.command = words.cloned().collect();
        let Some(first) = report.command.first().cloned() else {
            return Ok(());
        };
        let Some(found) = self.executable(&first, user, report) else {
            return Ok(());
        };
        let path = self.tree.path(found.node);
        if let Some(place) = found.place
            && let Some(fault) = self.no_format(place)?
        {
            report.problems.push(problem(path, Some(place.layer), fault));
            return Ok(());
        }
        if let Some(place) = found.place
            && let Some(fault) = self.script(place)?
        {
            report.problems.push(problem(path.clone(), Some(place.layer), fault));
        }
        report.program = Some(path);
        if let Some(word) = shell_word(&report.command) {
            let _known_or_a_problem = self.executable(&word, user, report);
        }
        Ok(())
    }

    /// The file that a word of a command means, if it is there; whatever is wrong is a problem.
    fn executable(&self, word: &str, user: &User, report: &mut Report) -> Option<Resolved> {
        let mut fault = |path, layer, fault| report.problems.push(problem(path, layer, fault));
        let Some(found) = self.find(word, user) else {
            let searched = if word.contains('/') {
                Vec::new()
            } else {
                self.path.clone()
            };
            let word = word.to_owned();
            fault(Vec::new(), None, Fault::NoCommand { word, searched });
            return None;
        };
        let path = self.tree.path(found.node);
        let place = found.place?;
        let layer = Some(place.layer);
        let entry = self.tree.entry(place);
        if entry.kind != Kind::File {
            fault(path, layer, Fault::NotAFile);
            return None;
        }
        let ids = (user.uid, user.gid);
        if let Some(directory) = self.closed_directory(&found, user) {
            fault(path, layer, Fault::NotReachable { directory, user: ids });
        } else if !user.may_execute(entry) {
            let (mode, owner) = (entry.mode, (entry.uid, entry.gid));
            fault(path, layer, Fault::NotExecutable { mode, owner, user: ids });
        }
        Some(found)
    }

    /// As a runtime looks for it: in PATH what has no slash, and there only what can be executed, if there is any.
    fn find(&self, word: &str, user: &User) -> Option<Resolved> {
        if word.contains('/') {
            let directory = &self.image.config.config.working_dir;
            let base = self.tree.resolve(0, directory.as_bytes()).map_or(0, |found| found.node);
            return self.tree.resolve(base, word.as_bytes()).ok();
        }
        let candidate = |directory: &String| {
            let found = self.tree.resolve(0, format!("{directory}/{word}").as_bytes()).ok()?;
            let is_file = found
                .place
                .is_some_and(|place| self.tree.entry(place).kind == Kind::File);
            is_file.then_some(found)
        };
        let candidates: Vec<Resolved> = self.path.iter().filter_map(candidate).collect();
        let may = |found: &&Resolved| {
            found
                .place
                .is_some_and(|place| user.may_execute(self.tree.entry(place)))
        };
        candidates.iter().find(may).or(candidates.first()).cloned()
    }

    /// The first directory on the way that the user may not enter.
    pub(super) fn closed_directory(&self, found: &Resolved, user: &User) -> Option<Vec<u8>> {
        if user.uid == 0 {
            return None;
        }
        let is_closed = |node: &&u32| {
            let place = self.tree.version(**node);
            place.is_some_and(|place| {
                let entry = self.tree.entry(place);
                !entry.is_implied && !user.may_execute(entry)
            })
        };
        found.through.iter().find(is_closed).map(|node| self.tree.path(*node))
    }
}

fn problem(path: Vec<u8>, layer: Option<u32>, fault: Fault) -> Problem {
    Problem {
        path,
        layer,
        is_of_command: true,
        fault,
    }
}

/// The program that `/bin/sh -c TEXT` starts, if the text begins with a path.
fn shell_word(command: &[String]) -> Option<String> {
    let [shell, flag, text, ..] = command else { return None };
    let is_shell = matches!(shell.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"));
    if !is_shell || flag != "-c" {
        return None;
    }
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let word = if first == "exec" { words.next()? } else { first };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    (word.contains('/') && word.chars().all(is_plain)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shells_start() {
        let word = |text: &str| shell_word(&["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()]);
        assert_eq!(word("/app/run --x").as_deref(), Some("/app/run"));
        assert_eq!(word("exec ./run").as_deref(), Some("./run"));
        for text in ["run", "A=/b c", "$HOME/run", "/a/b;c", ""] {
            assert_eq!(word(text), None, "{text}");
        }
    }
}
