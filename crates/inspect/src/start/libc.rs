//! Kinds of machines and of C libraries.

use kiln_image::ImageConfig;

use crate::elf::Machine;

/// A C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Libc {
    /// GNU's.
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        }
    }

    /// The one that a dynamic linker is of, by its path.
    pub(super) fn of_interpreter(path: &[u8]) -> Option<Self> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        if name.starts_with(b"ld-musl-") {
            Some(Self::Musl)
        } else if name.starts_with(b"ld-linux") || name.starts_with(b"ld64") || name.starts_with(b"ld.so") {
            Some(Self::Glibc)
        } else {
            None
        }
    }

    /// The one that a library that is needed is of.
    pub(super) fn of_library(name: &[u8]) -> Option<Self> {
        if name.starts_with(b"libc.musl-") {
            Some(Self::Musl)
        } else if name == b"libc.so.6" || name.starts_with(b"ld-linux") {
            Some(Self::Glibc)
        } else {
            None
        }
    }
}

/// Numbers of machines (ELF's `e_machine`), by Go's names: whether 64 bits, whether the highest byte first.
const MACHINES: &[(&str, u16, bool, bool)] = &[
    ("amd64", 62, true, false),
    ("386", 3, false, false),
    ("arm64", 183, true, false),
    ("arm", 40, false, false),
    ("ppc64le", 21, true, false),
    ("ppc64", 21, true, true),
    ("s390x", 22, true, true),
    ("riscv64", 243, true, false),
    ("loong64", 258, true, false),
    ("mips64le", 8, true, false),
    ("mips64", 8, true, true),
    ("mipsle", 8, false, false),
    ("mips", 8, false, true),
];

/// What files of an image for that architecture are for; `None` if it is none that is known here.
pub fn machine_of(config: &ImageConfig) -> Option<Machine> {
    let found = MACHINES.iter().find(|machine| machine.0 == config.architecture);
    found.map(|(_, number, is_64, is_big)| Machine {
        number: *number,
        is_64: *is_64,
        is_big: *is_big,
    })
}

impl Machine {
    /// Go's name for it.
    pub fn name(self) -> String {
        let same = |machine: &&(&str, u16, bool, bool)| {
            (machine.1, machine.2, machine.3) == (self.number, self.is_64, self.is_big)
        };
        MACHINES
            .iter()
            .find(same)
            .map_or_else(|| format!("machine {}", self.number), |machine| machine.0.to_owned())
    }

    /// Whether a machine of this kind runs programs of that: a processor of 64 bits those of its predecessor.
    pub fn runs(self, program: Self) -> bool {
        const AMD64: u16 = 62;
        const I386: u16 = 3;
        const ARM64: u16 = 183;
        const ARM: u16 = 40;
        // Amd64 with pointers of 32 bits is another.
        self == program || matches!((self.number, program.number), (AMD64, I386) | (ARM64, ARM))
    }

    /// The directory that Debian has libraries of this kind in.
    pub(super) fn debian(self) -> Option<&'static str> {
        Some(match (self.number, self.is_64, self.is_big) {
            (62, true, _) => "x86_64-linux-gnu",
            (3, ..) => "i386-linux-gnu",
            (183, true, _) => "aarch64-linux-gnu",
            (40, ..) => "arm-linux-gnueabihf",
            (21, true, false) => "powerpc64le-linux-gnu",
            (22, true, true) => "s390x-linux-gnu",
            (243, true, _) => "riscv64-linux-gnu",
            (258, true, _) => "loongarch64-linux-gnu",
            (8, true, false) => "mips64el-linux-gnuabi64",
            _ => return None,
        })
    }
}
