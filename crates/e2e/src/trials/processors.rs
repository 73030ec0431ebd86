//! Machines without the emulator, with a bad one, or with one of their own: what the build and the doctor say.

use anyhow::{Result, ensure};

use super::{Trial, only};
use crate::expect::Rung;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    only(Rung::Root, "processors::no_emulator", no_emulator),
    only(Rung::Root, "processors::dynamic_emulator", dynamic_emulator),
    only(Rung::Root, "processors::bad_emulator", bad_emulator),
    only(Rung::Root, "processors::no_user_namespaces", no_user_namespaces),
    only(Rung::Root, "processors::registered", registered),
];

const DOCKERFILE: &str = "FROM --platform=linux/arm64 arm64v8/busybox:1.35\nRUN uname -m\n";

/// A machine of its own, as far as that goes: a user namespace, whose root has the ids of this machine, with a list of
/// emulators and limits of its own, and a /usr/bin that can be changed.
const SCRIPT: &str = "
mkfifo go
unshare --user --mount sh -ec 'read line <go; exec setpriv --reuid=0 --regid=0 --clear-groups sh -e ./inside' &
until [ \"$(readlink /proc/$!/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do sleep 0.01; done
echo '0 0 65536' >/proc/$!/uid_map
echo '0 0 65536' >/proc/$!/gid_map
echo >go
wait $!";

const INSIDE: &str = "
mkdir files
mount -t tmpfs tmpfs files
mkdir files/upper files/work
mount -t overlay -o lowerdir=/usr/bin,upperdir=files/upper,workdir=files/work overlay /usr/bin
CHANGE
for arguments in 'build --progress=plain .' doctor; do
    kiln $arguments || echo \"exit code $?\"
done";

/// What build and doctor say on a machine that was changed so.
struct Said {
    build: String,
    doctor: String,
}

fn on_a_machine(stage: &Stage, change: &str) -> Result<Said> {
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.write("script", SCRIPT)?;
    stage.write("inside", INSIDE.replace("CHANGE", change))?;
    let output = stage.shell("sh -e ./script")?;
    let [doctor, build] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    ensure!(output.status.success(), "the script failed:\n{doctor}{build}");
    Ok(Said { build, doctor })
}

/// The build fails for that reason, which the doctor knows too, and says what to do.
fn refused(stage: &Stage, change: &str, reason: &str, remedy: &str) -> Result<()> {
    let Said { build, doctor } = on_a_machine(stage, change)?;
    let error = "error[PlatformNotRunnable]: programs for linux/arm64 cannot run on this machine: ";
    for part in [error, reason, remedy] {
        ensure!(build.contains(part), "the build does not say {part:?}:\n{build}");
    }
    ensure!(doctor.contains("exit code 1"), "the build did not fail:\n{build}");
    let line = doctor.lines().find(|line| line.starts_with("arm64 "));
    ensure!(
        line.is_some_and(|line| line.contains("no: ") && line.contains(reason)),
        "the doctor does not say {reason:?}:\n{doctor}"
    );
    Ok(())
}

fn no_emulator(stage: &Stage) -> Result<()> {
    refused(
        stage,
        "rm -f /usr/bin/qemu-*",
        "QEMU is not installed: there is no qemu-aarch64-static and no qemu-aarch64",
        "apt-get install qemu-user-static",
    )
}

fn dynamic_emulator(stage: &Stage) -> Result<()> {
    refused(
        stage,
        "rm -f /usr/bin/qemu-*; cp /usr/bin/env /usr/bin/qemu-aarch64",
        "/usr/bin/qemu-aarch64 is not linked statically",
        "apt-get install qemu-user-static",
    )
}

fn bad_emulator(stage: &Stage) -> Result<()> {
    refused(
        stage,
        "cp /bin/busybox /usr/bin/qemu-aarch64-static",
        "/usr/bin/qemu-aarch64-static does not run a program that only ends",
        "install QEMU 6.0 or later",
    )
}

fn no_user_namespaces(stage: &Stage) -> Result<()> {
    refused(
        stage,
        "echo 0 >/proc/sys/user/max_user_namespaces",
        "user namespaces are not allowed here",
        "sysctl user.max_user_namespaces=15000",
    )
}

/// It is used as it is, though it is nowhere to be found any more.
fn registered(stage: &Stage) -> Result<()> {
    let register = "
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic='\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
mask='\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
printf %s \":qemu-aarch64:M:0:$magic:$mask:/usr/bin/qemu-aarch64-static:F\" >/proc/sys/fs/binfmt_misc/register
rm -f /usr/bin/qemu-*";
    let Said { build, doctor } = on_a_machine(stage, register)?;
    ensure!(
        build.contains("aarch64") && !doctor.contains("exit code"),
        "{build}{doctor}"
    );
    let line = doctor.lines().find(|line| line.starts_with("arm64 "));
    let expected = "by the emulator that is registered on this machine";
    ensure!(line.is_some_and(|line| line.contains(expected)), "{doctor}");
    Ok(())
}
