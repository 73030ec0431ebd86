//! A terminal of the step's own.

use crate::support::Root;
use kiln_sandbox::{Spec, Stdio, TerminalSize, User, spawn};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};

/// What is written to a terminal until all have closed it. Something is typed once `ready` was written.
fn follow(mut terminal: &File, typed: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    let mut typed = Some(typed);
    loop {
        if String::from_utf8_lossy(&text).contains("ready")
            && let Some(keys) = typed.take()
        {
            terminal.write_all(keys.as_bytes()).unwrap();
        }
        match terminal.read(&mut buffer) {
            // EIO, for which there is no kind.
            Err(error) if error.raw_os_error() == Some(5) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => text.extend_from_slice(&buffer[..read.unwrap()]),
        }
    }
    String::from_utf8(text).unwrap().replace('\r', "")
}

fn run(root: &Root, script: &str, typed: &str, uid: u32) -> (String, Option<i32>) {
    let mount = root.mount();
    let spec = Spec {
        terminal: Some(TerminalSize { columns: 91, rows: 27 }),
        user: User { uid, ..User::default() },
        ..root.spec(&mount, &["sh", "-c", script])
    };
    let mut child = spawn(&spec, Stdio::Null, Stdio::Null, Stdio::Null).unwrap();
    let terminal = File::from(child.terminal().unwrap());
    assert!(child.terminal().is_none());
    let text = follow(&terminal, typed);
    (text, child.wait().unwrap().code)
}

#[test]
fn a_terminal_has_a_name_a_size_and_an_owner() {
    let Some(root) = Root::new() else { return };
    let script = "tty; stty size; stat -c %u $(tty); test -t 0 && test -t 1 && test -t 2; exit $((40 + $?))";
    assert_eq!(
        run(&root, script, "", 0),
        ("/dev/pts/0\n27 91\n0\n".to_owned(), Some(40))
    );
    let (text, _) = run(&root, script, "", 1000);
    assert!(text.ends_with("1000\n"), "{text}");
}

#[test]
fn what_is_typed_is_read_and_keys_are_signals() {
    let Some(root) = Root::new() else { return };
    let script = "echo ready; read -r line; echo got $line";
    assert_eq!(run(&root, script, "words\n", 0).0, "ready\nwords\ngot words\n");
    // The terminal controls the session: Ctrl-C reaches it, and `/dev/tty` is it.
    let script = "trap 'echo interrupted; exit 3' INT; echo ready > /dev/tty; sleep 60 & wait";
    let (text, code) = run(&root, script, "\x03", 0);
    assert!(text.contains("interrupted"), "{text}");
    assert_eq!(code, Some(3));
}

#[test]
fn without_one_there_is_none() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    let spec = root.spec(&mount, &["sh", "-c", "test -t 0 || test -e /dev/pts/0"]);
    let mut child = spawn(&spec, Stdio::Null, Stdio::Null, Stdio::Null).unwrap();
    assert!(child.terminal().is_none());
    assert_eq!(child.wait().unwrap().code, Some(1));
}
