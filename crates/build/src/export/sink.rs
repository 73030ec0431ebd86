//! Files that are whole or not there when Kiln ends, however it ends.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use kiln_store::WriteBehind;

use crate::error::{StepError, StepResult};
use crate::request::Destination;

/// What the names of files have that are not complete yet, before the number of the process.
pub(crate) const UNFINISHED: &str = ".kiln-";

/// Calls `write` with the destination. A file is written under a temporary name beside it and renamed when it is
/// complete; what a failure leaves is removed. The disk is waited for where there is a file already: until it has the new
/// one, it keeps that. A power failure can take a new one, which can be written again.
pub(crate) fn with_destination<T>(
    dest: &Destination,
    write: impl FnOnce(&mut dyn Write) -> StepResult<T>,
) -> StepResult<T> {
    match dest {
        Destination::Stdout => {
            let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
            let value = write(&mut out)?;
            out.flush().map_err(StepError::io("write to", "standard output"))?;
            Ok(value)
        }
        // A device or a pipe is written to, not replaced.
        Destination::File(path) if is_special(path) => write_file(path, false, write),
        Destination::File(path) => replace(path, path.symlink_metadata().is_ok() || !is_on_own_disk(path), write),
    }
}

/// Writes a file under a temporary name beside it. Once it has its own it is on the disk: for files that others believe to
/// be whole because of their name.
pub(crate) fn with_durable_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> StepResult<T>) -> StepResult<T> {
    replace(path, true, write)
}

fn replace<T>(path: &Path, durable: bool, write: impl FnOnce(&mut dyn Write) -> StepResult<T>) -> StepResult<T> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("{UNFINISHED}{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let result = write_file(&temporary, durable, write);
    let renamed = result.and_then(|value| {
        std::fs::rename(&temporary, path).map_err(StepError::io("write", path))?;
        Ok(value)
    });
    if renamed.is_err() {
        let _already_gone = std::fs::remove_file(&temporary);
    }
    renamed
}

/// What is written knows its own names, like those in an archive; when the disk is full it is the file that counts.
fn of_file(error: StepError, file: &Path) -> StepError {
    match error {
        StepError::Io { operation, source, .. } if source.kind() == ErrorKind::StorageFull => StepError::Io {
            operation,
            path: file.to_owned(),
            source,
        },
        other => other,
    }
}

/// Whether a file there is written when the kernel has it. Others, of networks above all, say only at the end what they
/// did not take.
fn is_on_own_disk(path: &Path) -> bool {
    /// Of `linux/magic.h`: ext2 to ext4, XFS, btrfs, tmpfs, f2fs, overlayfs.
    const OWN: [u64; 6] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010, 0x794C_7630];
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    rustix::fs::statfs(directory.unwrap_or(Path::new(".")))
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| OWN.contains(&kind)))
}

fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn write_file<T>(path: &Path, durable: bool, write: impl FnOnce(&mut dyn Write) -> StepResult<T>) -> StepResult<T> {
    let file = File::create(path).map_err(StepError::io("create", path))?;
    let mut out = BufWriter::with_capacity(1 << 20, WriteBehind::new(file));
    let value = write(&mut out).map_err(|error| of_file(error, path))?;
    let file = out
        .into_inner()
        .map_err(|error| StepError::io("write", path)(error.into_error()))?;
    if durable {
        file.sync().map_err(StepError::io("write", path))?;
    }
    Ok(value)
}
