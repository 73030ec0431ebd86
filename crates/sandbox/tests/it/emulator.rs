//! Programs that another program runs. The interpreter here is `cat`, which needs no other processor: the kernel calls
//! it with the file's path and then the first argument as given, which is the same, so it shows the file twice.

use crate::support::{BUSYBOX, Root, lack};
use kiln_sandbox::{Emulator, EmulatorError, Interpreter, User, runs};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A file of a kind that no machine runs.
const FILE: &str = "KILN\n";

/// What `cat` makes of it.
const SHOWN: &str = "KILN\nKILN\n";

/// A root with an executable `/file`, and an emulator for its kind; `None`, loudly, where there is none.
fn stage() -> Option<(Root, Emulator)> {
    let root = Root::new()?;
    put_file(&root);
    match register(&interpreter(&root)) {
        Err(error @ (EmulatorError::OldKernel { .. } | EmulatorError::NoBinfmtMisc)) => {
            lack(&error.to_string());
            None
        }
        emulator => Some((root, emulator.unwrap())),
    }
}

pub(crate) fn put_file(root: &Root) {
    let file = root.path("rootfs/file");
    fs::write(&file, FILE).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Not in the root file system.
pub(crate) fn interpreter(root: &Root) -> std::path::PathBuf {
    let cat = root.path("cat");
    fs::copy(BUSYBOX, &cat).unwrap();
    cat
}

fn register(path: &Path) -> Result<Emulator, EmulatorError> {
    Emulator::new(&Interpreter {
        path,
        magic: b"KILN",
        mask: &[0xff; 4],
    })
}

#[test]
fn the_interpreter_runs_files_of_its_kind() {
    let Some((root, emulator)) = stage() else { return };
    let shown = root.run("/file; exec /file", |spec| spec.emulator = Some(emulator.clone()));
    assert_eq!(shown.ok(), SHOWN.repeat(2));
    let shown = root.try_run(&["/file"], |spec| spec.emulator = Some(emulator.clone()));
    assert_eq!(shown.unwrap().ok(), SHOWN, "as the step's own command");
    let native = root.run("echo native", |spec| spec.emulator = Some(emulator));
    assert_eq!(native.ok(), "native\n", "programs of this machine run as ever");
}

#[test]
fn nobody_else_has_it() {
    let Some((root, emulator)) = stage() else { return };
    let not_executable = |outcome: &str| assert!(outcome.contains("Exec format error"), "{outcome}");
    not_executable(&root.try_run(&["/file"], |_| {}).unwrap_err().to_string());
    let here = Command::new(root.path("rootfs/file")).spawn().unwrap_err();
    assert_eq!(here.raw_os_error(), Some(Errno::NOEXEC.raw_os_error()));
    drop(emulator);
    not_executable(&root.try_run(&["/file"], |_| {}).unwrap_err().to_string());
}

#[test]
fn a_step_keeps_what_it_began_with() {
    let Some((root, emulator)) = stage() else { return };
    let mount = root.mount();
    let mut spec = root.spec(&mount, &["sh", "-c", "read line; exec /file"]);
    spec.emulator = Some(emulator);
    let stdio = || kiln_sandbox::Stdio::Pipe;
    let mut child = kiln_sandbox::spawn(&spec, stdio(), stdio(), stdio()).unwrap();
    // The last one that the caller has.
    drop(spec);
    drop(child.stdin());
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut fs::File::from(child.stdout().unwrap()), &mut shown).unwrap();
    assert_eq!((shown.as_str(), child.wait().unwrap().code), (SHOWN, Some(0)));
}

#[test]
fn ids_and_privileges_stay() {
    let Some((root, emulator)) = stage() else { return };
    let usual = "grep -E '^(Cap|Uid|Gid|Groups|Seccomp:|NoNewPrivs)' /proc/self/status; id; stat -c %u:%g /proc/1 /bin";
    let of = |user: &User, emulator: Option<&Emulator>| {
        let outcome = root.run(usual, |spec| {
            spec.user = user.clone();
            spec.emulator = emulator.cloned();
        });
        outcome.ok()
    };
    let app = User {
        uid: 1000,
        gid: 1001,
        groups: vec![7],
    };
    for user in [User::default(), app.clone()] {
        assert_eq!(of(&user, Some(&emulator)), of(&user, None), "{user:?}");
    }
    let owners = root.run("touch /own && chown 33:44 /own && stat -c %u:%g /own", |spec| {
        spec.emulator = Some(emulator.clone());
    });
    assert_eq!(owners.ok(), "33:44\n");
    let shown = root.try_run(&["/file"], |spec| {
        spec.user = app;
        spec.emulator = Some(emulator.clone());
    });
    assert_eq!(shown.unwrap().ok(), SHOWN, "for other users too");
}

#[test]
fn privileged_steps_can_mount() {
    let Some((root, emulator)) = stage() else { return };
    let script = "mount -t tmpfs none /tmp && touch /tmp/x && ls /tmp";
    let outcome = root.run(script, |spec| {
        spec.privileged = true;
        spec.emulator = Some(emulator.clone());
    });
    assert_eq!(outcome.ok(), "x\n");
    let usual = root.run(script, |spec| spec.emulator = Some(emulator));
    assert_ne!(usual.exit.code, Some(0), "others cannot");
}

#[test]
fn a_trial_says_whether_a_program_runs() {
    let Some((_root, emulator)) = stage() else { return };
    assert!(runs(FILE.as_bytes(), Some(&emulator)).unwrap());
    assert!(!runs(FILE.as_bytes(), None).unwrap());
    assert!(!runs(b"other", Some(&emulator)).unwrap());
    // It asks for an applet that is not there, and says so by its exit code.
    let fails = fs::read(BUSYBOX).unwrap();
    assert!(!runs(&fails, None).unwrap());
}

#[test]
fn an_interpreter_that_is_not_there() {
    let Some((root, _)) = stage() else { return };
    let error = register(&root.path("nothing")).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot register the emulator: No such file or directory (os error 2)"
    );
}
