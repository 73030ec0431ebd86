//! What the machine itself needs for the bytes concerned, with ordinary tools and with the C programs of
//! `scripts/bench`.

use super::super::context::Context;
use super::super::workload::{BASE, Line, Run, Workload, dockerfile};

/// Bare steps, in C, over the base that [`with_base`] unpacks.
pub(super) fn steps(count: u32) -> Run {
    Run {
        as_root: true,
        ..Line::program(&format!("@dir/tools/floor @dir/lower @scratch {count} :")).into()
    }
}

/// Unpacks the base for [`steps`].
pub(super) fn with_base(workload: Workload) -> Workload {
    let file = dockerfile("base");
    workload.setup(
        ("base", format!("FROM {BASE}\n")),
        [Line::kiln(&format!(
            "build -q -o type=local,dest=@dir/lower -f {file} {}",
            Context::Empty.path()
        ))],
    )
}

/// A process that digests the Dockerfile.
pub(super) fn read(name: &str) -> Run {
    Line::program(&format!("sha256sum {}", dockerfile(name))).into()
}

/// A look at each file.
pub(super) fn walk(context: Context) -> Run {
    Line::program(&format!("@dir/tools/walk {}", context.path())).into()
}

/// A copy without shared bytes.
pub(super) fn copy(context: Context) -> Line {
    Line::program(&format!("cp -r --reflink=never {} @scratch/copy", context.path()))
}

/// A copy by hard links.
pub(super) fn link(context: Context) -> Run {
    Line::program(&format!("cp -al {} @scratch/copy", context.path())).into()
}

/// A tar, its compression, and the digests of both at the same time.
pub(super) fn pack(directory: &str, compress: &str) -> Line {
    Line::shell(packing(directory, compress))
}

/// The same while something else is done.
pub(super) fn pack_beside(directory: &str, compress: &str, other: &str) -> Line {
    Line::shell(format!("{other} & {}; wait", packing(directory, compress)))
}

fn packing(directory: &str, compress: &str) -> String {
    format!(
        "tar -C {directory} -cf - . | tee >(sha256sum >@scratch/tar.digest) | {compress} | tee @scratch/image.tar | sha256sum"
    )
}

/// The compressors of [`pack`]: the fastest that Debian packages, at the level that is nearest to Kiln's.
pub(super) const GZIP: &str = "igzip -1 -c";
pub(super) const ZSTD: &str = "zstd -1 -q -c";
