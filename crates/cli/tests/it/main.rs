//! Arguments, exit codes and what needs no store: the program as its users see it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs Kiln in an empty world: no environment but what is given, a store of its own, nothing on standard input.
fn kiln(directory: &Path, arguments: &[&str]) -> Output {
    kiln_with(directory, arguments, &[], b"")
}

fn kiln_with(directory: &Path, arguments: &[&str], environment: &[(&str, &str)], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("KILN_ROOT", directory.join("store"))
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kiln starts");
    // Who does not read its input has closed it by now.
    drop(child.stdin.take().expect("it is a pipe").write_all(stdin));
    child.wait_with_output().expect("kiln ends")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Wrong usage is exit code 2, with a message that has `part` in it, and nothing on standard output.
#[track_caller]
fn is_usage(directory: &Path, arguments: &[&str], part: &str) {
    let output = kiln(directory, arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(text.contains(part), "{arguments:?}: {text}");
    assert_eq!(stdout(&output), "", "{arguments:?}");
}

#[test]
fn version_goes_to_standard_output() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["version"][..], &["--version"]] {
        let output = kiln(directory.path(), arguments);
        assert_eq!(stdout(&output), format!("kiln {}\n", env!("CARGO_PKG_VERSION")));
        assert!(output.status.success());
    }
    let output = kiln(directory.path(), &["version", "--format", "{{.Os}}/{{.Version}}"]);
    assert_eq!(stdout(&output), format!("linux/{}\n", env!("CARGO_PKG_VERSION")));
    assert!(
        !directory.path().join("store").exists(),
        "no store is made for a version"
    );
}

#[test]
fn wrong_usage_is_2() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("Dockerfile"), "FROM scratch\n").unwrap();
    is_usage(path, &[], "Usage: kiln");
    is_usage(path, &["nothing"], "nothing");
    is_usage(path, &["build"], "PATH");
    is_usage(path, &["build", "--nothing", "."], "--nothing");
    is_usage(
        path,
        &["build", "--secret", "src=x", "."],
        "--secret `src=x`: an id is needed",
    );
    is_usage(path, &["build", "-o", "type=nothing", "."], "type `nothing`");
    is_usage(path, &["build", "--push", "."], "-t NAME");
    is_usage(path, &["build", "-t", "Upper", "."], "lower-case");
    is_usage(path, &["build", "--ulimit", "nofile=a", "."], "--ulimit");
    is_usage(
        path,
        &[
            "build",
            "--platform",
            "linux/amd64,linux/arm64",
            "-o",
            "type=docker,dest=x",
            ".",
        ],
        "several platforms",
    );
    is_usage(path, &["build", "--network", "bridge", "."], "bridge");
    is_usage(path, &["build", "Dockerfile"], "not a directory");
    is_usage(path, &["build", "--progress", "tty", "."], "no terminal");
    is_usage(path, &["run", "-v", "name:/x", "debian"], "named volumes");
    is_usage(path, &["run", "-d", "debian"], "--detach");
    is_usage(path, &["run", "-p", "80:8080", "debian"], "renamed");
    is_usage(path, &["login", "--password-stdin", "example.com"], "--username");
    is_usage(path, &["prune"], "--force");
}

#[test]
fn flags_that_would_not_be_obeyed_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    for (flag, value) in [("--attest", "type=sbom"), ("--cgroup-parent", "x")] {
        is_usage(
            directory.path(),
            &["build", flag, value, "."],
            &format!("error: {flag}: "),
        );
    }
    is_usage(
        directory.path(),
        &["build", "--provenance=mode=max", "."],
        "--provenance",
    );
    is_usage(directory.path(), &["build", "--sbom", "."], "--sbom");
    is_usage(
        directory.path(),
        &["build", "--call", "chek", "."],
        "error: --call chek: ",
    );
}

#[test]
fn a_build_that_cannot_begin_fails_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let fails = |arguments: &[&str], stdin: &[u8], part: &str| {
        let output = kiln_with(path, arguments, &[], stdin);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    fails(&["build", "nowhere"], b"", "nowhere");
    fails(&["build", "."], b"", "no Dockerfile");
    fails(&["build", "-f", "none", "."], b"", "none");
    fails(&["build", "-"], b"", "empty");
    fails(&["build", "-"], b"FROM a\0b", "not a text file");
    fails(&["build", "http://127.0.0.1:1/a"], b"", "Connection refused");
    fails(&["build", "--secret", "id=a,src=none", "."], b"", "does not exist");
    fails(&["build", "--build-context", "a=none", "."], b"", "does not exist");
    fails(&["build", "--ca-bundle", "none", "."], b"", "none");
}

#[test]
fn settings_that_are_wrong_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("Dockerfile"), "FROM scratch\n").unwrap();
    for (name, value) in [("DOCKER_DEFAULT_PLATFORM", "nonsense"), ("BUILDKIT_PROGRESS", "nice")] {
        let output = kiln_with(path, &["build", "."], &[(name, value)], b"");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
    std::fs::create_dir_all(path.join(".config/kiln")).unwrap();
    std::fs::write(path.join(".config/kiln/kiln.toml"), "what = 1\n").unwrap();
    let output = kiln(path, &["images"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("kiln.toml"), "{}", stderr(&output));
}

#[test]
fn errors_have_no_colours_where_nobody_sees_them() {
    let directory = tempfile::tempdir().unwrap();
    let plain = kiln(directory.path(), &["build", "nowhere"]);
    assert!(!stderr(&plain).contains('\x1b'));
    let coloured = kiln_with(directory.path(), &["build", "nowhere"], &[("CLICOLOR_FORCE", "1")], b"");
    assert!(stderr(&coloured).contains('\x1b'));
}

#[test]
fn credentials_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let docker = path.join(".docker");
    std::fs::create_dir(&docker).unwrap();
    let config = r#"{"auths": {"example.com": {"auth": "YTpi"}}, "other": 1}"#;
    std::fs::write(docker.join("config.json"), config).unwrap();
    let output = kiln(path, &["logout", "example.com"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let left = std::fs::read_to_string(docker.join("config.json")).unwrap();
    assert!(!left.contains("example.com") && left.contains("other"), "{left}");
}

#[test]
fn completions_and_pages_are_written() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = kiln(directory.path(), &["completions", shell]);
        assert!(stdout(&output).contains("kiln"), "{shell}");
    }
    let output = kiln(directory.path(), &["man", "pages"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(directory.path().join("pages/kiln-build.1")).unwrap();
    assert!(page.contains("kiln") && page.contains("Dockerfile"));
    assert!(directory.path().join("pages/kiln.1").exists());
}

#[test]
fn a_reader_that_had_enough_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        "{} completions bash | true; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_kiln")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "0\n", "{}", stderr(&output));
}

/// Compose's file names the Dockerfiles; the context of each is looked at.
#[test]
fn lint_reads_what_compose_names() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir_all(directory.path().join("web/.git")).unwrap();
    write(
        "compose.yaml",
        "services:\n  a:\n    build: web\n  b:\n    build: {dockerfile: b.Dockerfile}\n",
    );
    write("b.Dockerfile", "FROM debian:13\nRUN cd /src; make\n");
    write("web/Dockerfile", "FROM debian:13\nCOPY . /app\n");
    let lint = || {
        let output = kiln(directory.path(), &["lint", "-f", "tty", "compose.yaml"]);
        String::from_utf8(output.stdout).unwrap()
    };
    let found = lint();
    assert!(found.contains("web/Dockerfile:2 K2013"), "{found}");
    assert!(found.contains("b.Dockerfile:2 SC2164"), "{found}");
    write("web/.dockerignore", ".git\n");
    assert!(!lint().contains("K2013"));
    let hcl = kiln(directory.path(), &["lint", "docker-bake.hcl"]);
    assert_eq!(hcl.status.code(), Some(1));
}
