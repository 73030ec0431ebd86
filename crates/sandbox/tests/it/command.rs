//! Starting, ending, and what is around a command.

use crate::support::{Root, follow};
use kiln_sandbox::{Error, Spec, Stdio, User, spawn};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

#[test]
fn exit_codes_and_signals() {
    let Some(root) = Root::new() else { return };
    assert_eq!(root.sh("exit 0").exit.code, Some(0));
    assert_eq!(root.sh("exit 42").exit.code, Some(42));
    let killed = root.sh("(kill -9 1; sleep 1); cat /dev/zero | head -c 1 > /dev/null; sh -c 'kill -11 $$'; exit 7");
    assert_eq!(killed.exit.code, Some(7), "process 1 is safe from itself: {killed:?}");
    assert!(killed.exit.max_rss > 0);
}

#[test]
fn output_and_input() {
    let Some(root) = Root::new() else { return };
    let outcome = root.sh("echo out; echo err >&2");
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(root.sh("cat; echo end").ok(), "end\n", "standard input is empty");
    let mount = root.mount();
    let mut child = spawn(&root.spec(&mount, &["cat"]), Stdio::Pipe, Stdio::Pipe, Stdio::Null).unwrap();
    std::fs::File::from(child.stdin().unwrap())
        .write_all(b"through")
        .unwrap();
    let mut text = String::new();
    std::fs::File::from(child.stdout().unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "through");
    assert_eq!(child.wait().unwrap().code, Some(0));
}

#[test]
fn environment_is_exactly_what_was_given() {
    let Some(root) = Root::new() else { return };
    let env = root
        .run("env", |spec| spec.env.push(("A".to_owned(), "b c=d\n".to_owned())))
        .ok();
    let mut lines: Vec<&str> = env
        .lines()
        .filter(|line| !matches!(line.split_once('=').map(|v| v.0), Some("PWD" | "SHLVL")))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["", "A=b c=d", "PATH=/bin"]);
}

#[test]
fn process_surroundings() {
    let Some(root) = Root::new() else { return };
    assert_eq!(root.sh("umask").ok(), "0022\n");
    assert_eq!(root.sh("echo $$").ok(), "1\n");
    assert_eq!(
        root.run("hostname", |spec| spec.hostname = "builder".to_owned()).ok(),
        "builder\n"
    );
    let status = root.try_run(&["cat", "/proc/self/status"], |_| {}).unwrap().ok();
    for line in ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    assert_eq!(
        root.sh("ls /proc/self/fd").ok().lines().count(),
        4,
        "three streams and the directory itself"
    );
    assert_eq!(
        root.sh("cut -d' ' -f6 /proc/self/stat").ok(),
        "1\n",
        "a session of its own"
    );
}

#[test]
fn working_directory_is_made_and_stays() {
    let Some(root) = Root::new() else { return };
    let outcome = root.run("pwd; stat -c '%u:%g %a' . ..", |spec| {
        spec.cwd = "/new/deep".to_owned();
        spec.user = User {
            uid: 1000,
            gid: 1001,
            groups: vec![],
        };
    });
    assert_eq!(outcome.ok(), "/new/deep\n1000:1001 755\n1000:1001 755\n");
    assert_eq!(root.upper(), ["new", "new/deep"]);
}

#[test]
fn working_directory_in_proc_and_bad_ones() {
    let Some(root) = Root::new() else { return };
    assert_eq!(
        root.run("pwd", |spec| spec.cwd = "/proc/self".to_owned()).ok(),
        "/proc/1\n"
    );
    let error = root
        .try_run(&["true"], |spec| spec.cwd = "/bin/busybox".to_owned())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot set up the step: create the working directory /bin/busybox: Not a directory (os error 20)"
    );
    let error = root
        .try_run(&["true"], |spec| spec.cwd = "relative".to_owned())
        .unwrap_err();
    assert!(matches!(error, Error::InvalidSpec(_)), "{error}");
}

#[test]
fn commands_that_cannot_be_started() {
    let Some(root) = Root::new() else { return };
    std::fs::write(root.path("rootfs/bin/plain"), "no program").unwrap();
    std::fs::write(root.path("rootfs/bin/script"), "#!/no/interpreter\n").unwrap();
    std::fs::write(root.path("rootfs/bin/garbage"), [0x7f; 100]).unwrap();
    for name in ["script", "garbage"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(root.path("rootfs/bin").join(name), mode).unwrap();
    }
    let check = |command: &str, message: &str, code: i32| {
        let error = root.try_run(&[command], |_| {}).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.exit_code(), Some(code));
    };
    check("nosuch", "exec: \"nosuch\": not found", 127);
    check("/no/such", "exec: \"/no/such\": not found", 127);
    check("plain", "exec: \"plain\": Permission denied (os error 13)", 126);
    check("garbage", "exec: \"garbage\": Exec format error (os error 8)", 126);
    check(
        "/bin/script",
        "exec: \"/bin/script\": its interpreter or dynamic loader does not exist in the image",
        126,
    );
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn kill_ends_all_descendants() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    let spec = root.spec(
        &mount,
        &[
            "sh",
            "-c",
            "(trap '' TERM; sleep 1000) & (sleep 1000 &) ; echo ready; sleep 1000",
        ],
    );
    let mut child = spawn(&spec, Stdio::Null, Stdio::Pipe, Stdio::Null).unwrap();
    let mut stdout = std::fs::File::from(child.stdout().unwrap());
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    child.kill().unwrap();
    let exit = child.wait().unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    // Nobody holds the pipe any more.
    assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap(), exit);
}

#[test]
fn dropping_a_child_ends_it() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    let start = Instant::now();
    let child = spawn(
        &root.spec(&mount, &["sleep", "100"]),
        Stdio::Null,
        Stdio::Null,
        Stdio::Null,
    )
    .unwrap();
    drop(child);
    // It was not waited for.
    assert!(start.elapsed() < Duration::from_secs(100));
}

#[test]
fn steps_outlive_the_thread_that_asked_for_them() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    let spec = root.spec(&mount, &["sh", "-c", "sleep 0.3; echo done"]);
    let mut child = std::thread::scope(|scope| {
        scope
            .spawn(|| spawn(&spec, Stdio::Null, Stdio::Pipe, Stdio::Null).unwrap())
            .join()
            .unwrap()
    });
    let mut text = String::new();
    std::fs::File::from(child.stdout().unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!((child.wait().unwrap().code, text.as_str()), (Some(0), "done\n"));
}

#[test]
fn many_threads_at_once() {
    let Some(root) = Root::new() else { return };
    let roots: Vec<Root> = (0..16).map_while(|_| Root::new()).collect();
    drop(root);
    std::thread::scope(|scope| {
        for (number, root) in roots.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..5 {
                    let outcome = root.run("echo $N; id -u", |spec| {
                        spec.env.push(("N".to_owned(), number.to_string()));
                        spec.user = User {
                            uid: round,
                            gid: round,
                            groups: vec![],
                        };
                    });
                    assert_eq!(outcome.ok(), format!("{number}\n{round}\n"));
                }
            });
        }
    });
    // The steps of other users shared this process's memory for a moment; it is its own again.
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::Dumpable);
}

#[test]
fn one_root_for_several_steps() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    for (script, expected) in [("echo one > /file", ""), ("cat /file; ls /proc/1 > /dev/null", "one\n")] {
        let spec = root.spec(&mount, &["sh", "-c", script]);
        assert_eq!(follow(&spec).unwrap().ok(), expected);
    }
    // The steps' mounts do not show through the root's descriptor.
    let proc = kiln_sandbox::open_in_root(
        mount.as_fd(),
        "/proc",
        rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    );
    assert_eq!(rustix::fs::Dir::new(proc.unwrap()).unwrap().count(), 2);
}

#[test]
fn invalid_specs() {
    let Some(root) = Root::new() else { return };
    let changes: [fn(&mut Spec<'_>); 4] = [
        |spec| spec.args.clear(),
        |spec| spec.args = vec![String::new()],
        |spec| spec.args = vec!["a\0b".to_owned()],
        |spec| spec.env.push(("A".to_owned(), "\0".to_owned())),
    ];
    for change in changes {
        let error = root.try_run(&["true"], change).unwrap_err();
        assert!(matches!(error, Error::InvalidSpec(_)), "{error}");
    }
}

#[test]
fn steps_die_with_kiln() {
    use std::os::unix::fs::PermissionsExt;
    let Some(root) = Root::new() else { return };
    let program = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .join("../examples/steps");
    let home = root.path("home");
    let mut arguments = vec![
        root.path("rootfs").display().to_string(),
        "1".to_owned(),
        home.display().to_string(),
    ];
    arguments.extend(["/bin/sh", "-c", "echo ready; sleep 987654"].map(str::to_owned));
    std::fs::set_permissions(root.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let stdout = std::process::Stdio::piped();
    let mut kiln = std::process::Command::new(program)
        .args(arguments)
        .stdout(stdout)
        .spawn()
        .unwrap();
    let mut stdout = kiln.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    kiln.kill().unwrap();
    kiln.wait().unwrap();
    // The end of the pipe is in the step's hands only.
    assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
}
