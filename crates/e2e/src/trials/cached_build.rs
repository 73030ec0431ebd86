//! A build for caches at services: on several stores, with a layer that goes there in parts.

use anyhow::{Result, ensure};

use crate::forged::noise;
use crate::stage::Stage;

const DOCKERFILE: &str = "\
FROM busybox:1.35 AS made
RUN echo made > /made
FROM busybox:1.35
COPY --from=made /made /made
COPY big /big
RUN cat /proc/sys/kernel/random/uuid > /once
";
const STEPS: usize = 4;

/// Bytes of `/big`: more than any service takes at once.
pub(super) const BIG: usize = 65 << 20;

/// Writes what is built.
pub(super) fn prepare(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.write("big", noise(BIG))
}

/// Builds on one of the stores, with variables and a flag. The result must be right. Gives what was said.
pub(super) fn play(stage: &Stage, variables: &str, root: &str, flag: &str) -> Result<String> {
    let output = stage.shell(&format!(
        "{variables} kiln --root ../out/{root} build --progress=plain '{flag}' -o ../out/files ."
    ))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}\n{said}", output.status);
    stage.shell_ok("cmp big ../out/files/big && grep -q made ../out/files/made")?;
    Ok(said)
}

/// No step ran, and nothing was wrong with the cache.
pub(super) fn all_cached(said: &str) -> Result<()> {
    let cached = said.matches("CACHED").count();
    ensure!(cached == STEPS && !said.contains("warning"), "{said}");
    Ok(())
}
