//! Processors, and for each the smallest program: one that ends at once with code 0.

/// A kind of processor that steps can be for.
#[derive(Debug)]
pub(super) struct Processor {
    /// As platforms call it.
    pub(super) architecture: &'static str,
    /// As QEMU calls it.
    pub(super) qemu: &'static str,
    wide: bool,
    big_endian: bool,
    /// ELF's number.
    machine: u16,
    /// ELF's flags: which of the processor's conventions its programs follow.
    flags: u32,
    /// Instructions for `exit(0)`.
    exit: &'static [u8],
}

/// What most of them are.
const USUAL: Processor = Processor {
    architecture: "",
    qemu: "",
    wide: true,
    big_endian: false,
    machine: 0,
    flags: 0,
    exit: &[],
};

/// Those that Debian, and with it most images, are made for.
pub(super) const KNOWN: [Processor; 9] = [
    Processor {
        architecture: "amd64",
        qemu: "x86_64",
        machine: 62,
        // xor edi, edi; mov eax, 60; syscall
        exit: &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05],
        ..USUAL
    },
    Processor {
        architecture: "386",
        qemu: "i386",
        wide: false,
        machine: 3,
        // xor ebx, ebx; mov eax, 1; int 0x80
        exit: &[0x31, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80],
        ..USUAL
    },
    Processor {
        architecture: "arm64",
        qemu: "aarch64",
        machine: 183,
        // mov x0, #0; mov x8, #93; svc #0
        exit: &[0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4],
        ..USUAL
    },
    Processor {
        architecture: "arm",
        qemu: "arm",
        wide: false,
        machine: 40,
        // The "embedded ABI", version 5: the kernel takes no other.
        flags: 0x0500_0000,
        // mov r0, #0; mov r7, #1; svc #0
        exit: &[0x00, 0x00, 0xa0, 0xe3, 0x01, 0x70, 0xa0, 0xe3, 0x00, 0x00, 0x00, 0xef],
        ..USUAL
    },
    Processor {
        architecture: "riscv64",
        qemu: "riscv64",
        machine: 243,
        // li a0, 0; li a7, 93; ecall
        exit: &[0x13, 0x05, 0x00, 0x00, 0x93, 0x08, 0xd0, 0x05, 0x73, 0x00, 0x00, 0x00],
        ..USUAL
    },
    Processor {
        architecture: "ppc64le",
        qemu: "ppc64le",
        machine: 21,
        // ELF version 2: the entry is code, not a descriptor of it.
        flags: 2,
        // li r0, 1; li r3, 0; sc
        exit: &[0x01, 0x00, 0x00, 0x38, 0x00, 0x00, 0x60, 0x38, 0x02, 0x00, 0x00, 0x44],
        ..USUAL
    },
    Processor {
        architecture: "s390x",
        qemu: "s390x",
        big_endian: true,
        machine: 22,
        // lghi r2, 0; svc 1
        exit: &[0xa7, 0x29, 0x00, 0x00, 0x0a, 0x01],
        ..USUAL
    },
    Processor {
        architecture: "loong64",
        qemu: "loongarch64",
        machine: 258,
        // Version 1 of the ABI, with double floats in registers.
        flags: 0x43,
        // li.w $a0, 0; li.w $a7, 93; syscall 0
        exit: &[0x04, 0x00, 0x80, 0x02, 0x0b, 0x74, 0x81, 0x02, 0x00, 0x00, 0x2b, 0x00],
        ..USUAL
    },
    Processor {
        architecture: "mips64le",
        qemu: "mips64el",
        machine: 8,
        // MIPS64 release 2, position independent: what Debian's are.
        flags: 0x8000_0007,
        // li $a0, 0; li $v0, 5058; syscall
        exit: &[0x00, 0x00, 0x04, 0x24, 0xc2, 0x13, 0x02, 0x24, 0x0c, 0x00, 0x00, 0x00],
        ..USUAL
    },
];

/// How long [`Processor::magic`] is: up to the machine's number.
const MAGIC: usize = 20;

impl Processor {
    /// An ELF file with one segment, which is the whole file.
    pub(super) fn program(&self) -> Vec<u8> {
        /// Where the file begins in memory: the beginning of a page of any size, and above what is forbidden.
        const BASE: u64 = 0x10_0000;
        const EXECUTABLE: u16 = 2;
        const LOAD: u32 = 1;
        const READ_AND_EXECUTE: u32 = 5;
        const PAGE: u64 = 0x1_0000;
        let (header, segment): (u16, u16) = if self.wide { (64, 56) } else { (52, 32) };
        let start = u64::from(header + segment);
        let size = start + self.exit.len() as u64;

        let mut out = self.identity();
        self.half(&mut out, EXECUTABLE);
        self.half(&mut out, self.machine);
        self.word(&mut out, 1);
        // Entry, segments, no sections.
        for address in [BASE + start, u64::from(header), 0] {
            self.address(&mut out, address);
        }
        self.word(&mut out, self.flags);
        // Sizes and counts of the headers, those of sections being 0.
        for number in [header, segment, 1, 0, 0, 0] {
            self.half(&mut out, number);
        }
        self.word(&mut out, LOAD);
        if self.wide {
            self.word(&mut out, READ_AND_EXECUTE);
        }
        // Offset, the two addresses, the two sizes.
        for address in [0, BASE, BASE, size, size] {
            self.address(&mut out, address);
        }
        if !self.wide {
            self.word(&mut out, READ_AND_EXECUTE);
        }
        self.address(&mut out, PAGE);
        out.extend_from_slice(self.exit);
        out
    }

    /// How programs for it begin.
    pub(super) fn magic(&self) -> Vec<u8> {
        let mut program = self.program();
        program.truncate(MAGIC);
        program
    }

    /// Which bits of that count: not the version of the system, and not whether the program can be loaded anywhere.
    pub(super) fn mask(&self) -> [u8; MAGIC] {
        const SYSTEM: usize = 7;
        const KIND: usize = 16;
        let mut mask = [0xff; MAGIC];
        mask[SYSTEM] = 0;
        mask[KIND + usize::from(self.big_endian)] = 0xfe;
        mask
    }

    fn identity(&self) -> Vec<u8> {
        let mut identity = b"\x7fELF".to_vec();
        identity.extend([1 + u8::from(self.wide), 1 + u8::from(self.big_endian), 1]);
        identity.resize(16, 0);
        identity
    }

    fn half(&self, out: &mut Vec<u8>, number: u16) {
        out.extend(if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        });
    }

    fn word(&self, out: &mut Vec<u8>, number: u32) {
        out.extend(if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        });
    }

    /// As wide as the processor's.
    fn address(&self, out: &mut Vec<u8>, number: u64) {
        let bytes = number.to_be_bytes();
        let width = if self.wide { 8 } else { 4 };
        let bytes = &bytes[8 - width..];
        if self.big_endian {
            out.extend_from_slice(bytes);
        } else {
            out.extend(bytes.iter().rev());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(architecture: &str) -> &'static Processor {
        KNOWN.iter().find(|known| known.architecture == architecture).unwrap()
    }

    #[test]
    fn magic_numbers() {
        const LITTLE: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
        const BIG: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff";
        // As QEMU's own script registers them.
        for (architecture, magic, mask) in [
            ("arm64", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0", LITTLE),
            ("arm", b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0", LITTLE),
            ("s390x", b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16", BIG),
        ] {
            assert_eq!(of(architecture).magic(), magic, "{architecture}");
            assert_eq!(of(architecture).mask(), mask, "{architecture}");
        }
    }

    #[test]
    fn this_machine_runs_its_own() {
        let host = kiln_image::Platform::host().architecture;
        let Some(processor) = KNOWN.iter().find(|known| known.architecture == host) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        write_program(&path, processor);
        assert!(std::process::Command::new(path).status().unwrap().success());
    }

    /// The emulators are the judges, where they are installed, as in CI.
    #[test]
    fn emulators_run_all() {
        let directory = tempfile::tempdir().unwrap();
        for processor in &KNOWN {
            let qemu = match super::super::qemu::find(processor.qemu) {
                Ok(qemu) => qemu,
                Err(error) => {
                    assert!(std::env::var_os("CI").is_none(), "{error}");
                    eprintln!("*** SKIPPED: {error}");
                    continue;
                }
            };
            let path = directory.path().join(processor.architecture);
            write_program(&path, processor);
            let status = std::process::Command::new(qemu).arg(path).status().unwrap();
            assert!(status.success(), "{}: {status}", processor.architecture);
        }
    }

    fn write_program(path: &std::path::Path, processor: &Processor) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(path, processor.program()).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
