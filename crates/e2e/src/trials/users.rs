//! Users that lack what rootless builds need: the error says what is missing and what to do.

use anyhow::{Result, ensure};

use super::{Trial, only};
use crate::expect::Rung;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    only(Rung::Root, "users::no_range", no_range),
    only(Rung::Root, "users::no_newuidmap", no_newuidmap),
    only(Rung::Root, "users::newuidmap_without_rights", newuidmap_without_rights),
];

/// A user without name, and a range for it, in files that cover the system's for the script alone.
const SCRIPT: &str = "
mkdir files
mount -t tmpfs tmpfs files
echo \"$RANGE\" >files/range
mount --bind files/range /etc/subuid
mount --bind files/range /etc/subgid
mkdir files/upper files/work
mount -t overlay -o lowerdir=/usr/bin,upperdir=files/upper,workdir=files/work overlay /usr/bin
BREAK
export KILN_ROOT=/nonexistent/store
for arguments in 'build .' doctor; do
    setpriv --reuid=61234 --regid=61234 --clear-groups kiln $arguments || echo \"exit code $?\"
done";

/// Builds and asks the doctor, after `broken` was done to the system. Both must say all of `parts`.
fn refused(stage: &Stage, range: &str, broken: &str, parts: &[&str]) -> Result<()> {
    stage.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")?;
    stage.write("script", SCRIPT.replace("$RANGE", range).replace("BREAK", broken))?;
    let output = stage.shell("unshare --mount --propagation=private sh -e ./script")?;
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    ensure!(output.status.success(), "the script failed:\n{out}{err}");
    ensure!(out.contains("exit code 125"), "{out}{err}");
    for part in parts {
        ensure!(err.contains(part), "the build does not say {part:?}:\n{err}");
        ensure!(out.contains(part), "the doctor does not say {part:?}:\n{out}");
    }
    ensure!(err.contains("kiln doctor"), "{err}");
    Ok(())
}

fn no_range(stage: &Stage) -> Result<()> {
    let range = "somebody:700000:65536";
    refused(
        stage,
        range,
        "",
        &["user 61234", "/etc/subuid", "usermod --add-subuids 765536-831071"],
    )
}

fn no_newuidmap(stage: &Stage) -> Result<()> {
    let range = "61234:700000:65536";
    refused(
        stage,
        range,
        "rm /usr/bin/newuidmap",
        &["newuidmap is not installed", "package `uidmap`"],
    )
}

fn newuidmap_without_rights(stage: &Stage) -> Result<()> {
    let range = "61234:700000:65536";
    refused(
        stage,
        range,
        "chmod 755 /usr/bin/newuidmap",
        &["newuidmap failed", "setuid root"],
    )
}
