//! QEMU's user emulation on this machine.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::NotRunnable;

/// Where packages put it, and where people do.
const DIRECTORIES: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/run/current-system/sw/bin"];

/// The emulator for a processor by QEMU's name: a program without a dynamic loader, which a step's root would lack.
pub(super) fn find(processor: &str) -> Result<PathBuf, NotRunnable> {
    find_in(DIRECTORIES.map(Path::new), processor)
}

fn find_in<const N: usize>(directories: [&Path; N], processor: &str) -> Result<PathBuf, NotRunnable> {
    // Most distributions call the static one so; in others both are the same file.
    let names = [format!("qemu-{processor}-static"), format!("qemu-{processor}")];
    let candidates = names
        .iter()
        .flat_map(|name| directories.map(|directory| directory.join(name)));
    let mut dynamic = None;
    for path in candidates {
        match is_static(&path) {
            Ok(true) => return Ok(path),
            Ok(false) => dynamic = dynamic.or(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(NotRunnable::Unreadable {
                    path,
                    reason: error.to_string(),
                });
            }
        }
    }
    let [name, other] = names;
    Err(match dynamic {
        Some(path) => NotRunnable::Dynamic { path, name },
        None => NotRunnable::NoEmulator { name, other },
    })
}

/// Whether the kernel starts it without another file: a program for this machine, of 64 bits and little endian as all
/// that Kiln has a seccomp profile for, whose headers name no loader.
fn is_static(path: &Path) -> io::Result<bool> {
    const LOADER: u32 = 3;
    let file = File::open(path)?;
    let mut header = [0; 64];
    if let Err(error) = file.read_exact_at(&mut header, 0) {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            Ok(false)
        } else {
            Err(error)
        };
    }
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(false);
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let mut offset = [0; 8];
    offset.copy_from_slice(&header[32..40]);
    let (offset, size, count) = (u64::from_le_bytes(offset), half(54), half(56));
    for number in 0..count {
        let mut kind = [0; 4];
        let at = offset.saturating_add(u64::from(number) * u64::from(size));
        file.read_exact_at(&mut kind, at)?;
        if u32::from_le_bytes(kind) == LOADER {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_programs() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(!is_static(&script).unwrap());
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap(), "a Rust program");
        assert!(is_static(Path::new("/bin/busybox")).unwrap(), "of busybox-static");
        let missing = is_static(&directory.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_static_one_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
        let find = || find_in([&first, &second], "x").map_err(|error| error.to_string());
        for path in [&first, &second] {
            std::fs::create_dir(path).unwrap();
        }
        assert_eq!(
            find().unwrap_err(),
            "QEMU is not installed: there is no qemu-x-static and no qemu-x"
        );
        let dynamic = second.join("qemu-x-static");
        std::fs::copy(std::env::current_exe().unwrap(), &dynamic).unwrap();
        let error = find().unwrap_err();
        assert!(
            error.starts_with(&format!("{} is not linked statically", dynamic.display())),
            "{error}"
        );
        let good = second.join("qemu-x");
        std::fs::copy("/bin/busybox", &good).unwrap();
        assert_eq!(find(), Ok(good));
    }
}
