//! What a build needs of memory does not depend on how large layers are, or on how many leave at once.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use xtask::measure::Tools;

use super::{Trial, trial};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("memory::large_layer", large_layer),
    trial("memory::many_layers", many_layers),
];

/// The most that any process of a build may have resident, in KiB: 60 MiB.
const AT_MOST: u64 = 60 << 10;

/// Layers that leave at once. Each is as large as what a compressor works on at a time, or larger.
const LAYERS: u32 = 200;

/// Far more than the cap, and no work for the disk.
fn large_layer(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", "FROM scratch\nCOPY large /\n")?;
    stage.shell_ok("truncate --size=300M large")?;
    for compression in ["gzip", "zstd"] {
        within_the_cap(stage, compression)?;
    }
    Ok(())
}

fn many_layers(stage: &Stage) -> Result<()> {
    let copies = (0..LAYERS).fold("FROM scratch\n".to_owned(), |mut text, layer| {
        let _ = writeln!(text, "COPY {layer} /");
        text
    });
    stage.write("Dockerfile", copies)?;
    // No two alike: a layer that is another's is not made a second time.
    let last = LAYERS - 1;
    stage.shell_ok(&format!(
        "for n in $(seq 0 {last}); do echo $n >$n; head -c 500000 /dev/urandom >>$n; truncate --size=1M $n; done"
    ))?;
    for compression in ["gzip", "zstd"] {
        within_the_cap(stage, compression)?;
    }
    Ok(())
}

/// Builds all anew, to an archive.
fn within_the_cap(stage: &Stage, compression: &str) -> Result<()> {
    Tools::compile(&stage.path("tools"))?;
    let script = format!(
        "{} kiln build -q --no-cache -o type=oci,compression={compression},dest=$OUT/image.tar . 3>$OUT/figures",
        stage.path("tools/measure").display()
    );
    stage.shell_ok(&script)?;
    ensure!(stage.path("out/image.tar").is_file(), "there is no archive");
    let figures = fs::read_to_string(stage.path("out/figures"))?;
    let [_, peak, _] = figures.split_whitespace().collect::<Vec<_>>()[..] else {
        bail!("not three figures: {figures:?}");
    };
    let peak: u64 = peak.parse().context("no figure")?;
    ensure!(
        peak <= AT_MOST,
        "{compression}: {peak} KiB were resident, at most {AT_MOST} may be"
    );
    fs::remove_file(stage.path("out/image.tar"))?;
    Ok(())
}
