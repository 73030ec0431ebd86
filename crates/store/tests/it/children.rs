//! Other processes of the tests: this program again, which then runs one function only.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const TASK: &str = "KILN_STORE_TEST_TASK";
const ROOT: &str = "KILN_STORE_TEST_ROOT";

/// Something that a child may be asked to do with the store in the directory.
type Task = fn(&Path);

const TASKS: &[(&str, Task)] = &[
    ("open", super::opening::open_and_use),
    ("add", super::together::add),
    ("sweep", super::together::sweep),
    ("work", super::crash::work),
    ("work once", super::crash::work_once),
    ("prune", super::together::prune),
    ("open and look", super::room::open_and_look),
    ("mount", super::caches::begin),
];

/// Starts a process that does the task.
pub(crate) fn start(task: &str, root: &Path) -> Child {
    start_by(Command::new(std::env::current_exe().unwrap()), task, root)
}

/// Starts the task by a program that runs others, of which the command has everything but what it is to run.
pub(crate) fn start_under(mut runner: Command, task: &str, root: &Path) -> Child {
    runner.arg(std::env::current_exe().unwrap());
    start_by(runner, task, root)
}

fn start_by(mut command: Command, task: &str, root: &Path) -> Child {
    assert!(TASKS.iter().any(|(name, _)| *name == task), "no task {task}");
    command
        .args(["--exact", "children::child", "--ignored", "--quiet"])
        .env(TASK, task)
        .env(ROOT, root)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The main function of children.
#[test]
#[ignore = "run by other tests, in processes of their own"]
fn child() {
    let task = std::env::var(TASK).expect("only other tests run this one");
    let root = PathBuf::from(std::env::var_os(ROOT).unwrap());
    let (_, run) = TASKS.iter().find(|(name, _)| *name == task).unwrap();
    run(&root);
}
