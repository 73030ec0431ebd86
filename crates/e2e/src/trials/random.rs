//! Random Dockerfiles mean to Kiln what they mean to the oracle.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use xtask::command;

use super::{Trial, trial};
use crate::layout;
use crate::oracle::interpret::{self, Image};
use crate::oracle::program::Program;
use crate::oracle::random;
use crate::oracle::tree::{Content, Node, Tree};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[trial("random::oracle", agrees)];

/// Programs of one run; other ones in each.
const PROGRAMS: u32 = 48;
/// Smaller programs that are tried when one fails.
const SMALLER: u32 = 300;

/// All programs share a store, so that what they find in the cache is tried as well.
fn agrees(stage: &Stage) -> Result<()> {
    let mut runner = TestRunner::new(Config {
        cases: PROGRAMS,
        max_shrink_iters: SMALLER,
        failure_persistence: None,
        ..Config::default()
    });
    let agree = |program: Program| {
        let outcome = compare(stage, &program);
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    };
    match runner.run(&random::programs(), agree) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, program)) => bail!(
            "{why}\n--- the context: {:?}, {:?}, without {:?}\n{program}",
            program.context,
            program.links,
            program.ignored
        ),
        Err(TestError::Abort(why)) => bail!("{why}"),
    }
}

fn compare(stage: &Stage, program: &Program) -> Result<()> {
    let place = stage.context().join("program");
    write(&place, program)?;
    stage.hand_over()?;
    let out = stage.path("out/image");
    let output = format!("--output=type=oci,tar=false,dest={}", out.display());
    let mut words = vec!["build".to_owned(), "--progress=plain".to_owned(), output];
    for (name, value) in &program.arguments {
        words.push(format!("--build-arg={name}={value}"));
    }
    words.push(place.to_string_lossy().into_owned());
    let found = command::output(&mut stage.command(stage.program(), &words))?;
    let log = String::from_utf8_lossy(&found.stderr).into_owned();
    let outcome = match (interpret::interpret(program), found.status.success()) {
        (Ok(image), true) => same(&image, &layout::read(&out)?).context(log),
        (Err(_), false) => Ok(()),
        (Ok(_), false) => bail!("this can be built:\n{log}"),
        (Err(why), true) => bail!("this cannot be built: {}\n{log}", why.0),
    };
    fs::remove_dir_all(&place)?;
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    outcome
}

fn write(place: &Path, program: &Program) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::create_dir_all(place)?;
    for (path, (mode, content)) in &program.context {
        let file = place.join(path);
        let parent = file.parent().unwrap_or(place);
        fs::create_dir_all(parent)?;
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode))?;
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755))?;
    }
    for (path, target) in &program.links {
        symlink(target, place.join(path))?;
    }
    fs::write(place.join("Dockerfile"), program.to_string())?;
    // It is no file of the program's own.
    let ignored = format!("Dockerfile*\n{}\n", program.ignored.join("\n"));
    fs::write(place.join("Dockerfile.dockerignore"), ignored)?;
    Ok(())
}

fn same(wanted: &Image, found: &layout::Image) -> Result<()> {
    let tree = found.tree.nodes.iter().map(|(path, node)| {
        let content = match node.kind {
            "dir" => Content::Directory,
            "link" => Content::Link(node.link.clone()),
            _ => Content::File(String::from_utf8_lossy(&node.content).into_owned()),
        };
        let node = Node {
            content,
            mode: node.mode,
            owner: (node.uid, node.gid),
        };
        (path.clone(), node)
    });
    let tree: Tree = tree.collect();
    for path in wanted.tree.keys().chain(tree.keys()) {
        let (wanted, found) = (wanted.tree.get(path), tree.get(path));
        ensure!(wanted == found, "{path}: wanted {wanted:?}, found {found:?}");
    }
    let config = &found.config["config"];
    let env: Vec<String> = wanted
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    ensure!(
        config["Env"] == serde_json::json!(env),
        "Env: wanted {env:?}, found {}",
        config["Env"]
    );
    let labels: BTreeMap<String, String> = serde_json::from_value(config["Labels"].clone()).unwrap_or_default();
    ensure!(
        labels == wanted.labels,
        "Labels: wanted {:?}, found {labels:?}",
        wanted.labels
    );
    let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
    let workdir = wanted.workdir.clone().unwrap_or_else(|| "/".to_owned());
    let found = Some(text("WorkingDir")).filter(|path| !path.is_empty());
    let found = found.unwrap_or_else(|| "/".to_owned());
    ensure!(workdir == found, "WorkingDir: wanted {workdir}, found {found}");
    let user = wanted
        .user
        .map(|(user, group)| format!("{user}:{group}"))
        .unwrap_or_default();
    ensure!(user == text("User"), "User: wanted {user}, found {}", text("User"));
    Ok(())
}
