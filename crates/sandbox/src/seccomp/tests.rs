//! The filters, run by a small interpreter of classic BPF.

use super::bpf::{AND, Insn, JA, JEQ, JGE, JSET, LD, RET};
use super::profile::{
    ALLOW, ARCH_AARCH64, ARCH_ARM, ARCH_I386, ARCH_X86_64, CLONE_NEW, DENY, FAMILIES, LAST_KNOWN, NO_SUCH_CALL,
    PERSONALITIES, X32_BIT, aarch64, conditional, x86_64,
};
use super::table::{Column, X32_DENIED, X32_OWN, allowed, number};
use std::collections::BTreeSet;

/// `struct seccomp_data` as the kernel gives it to the program.
fn data(arch: u32, nr: u32, args: [u64; 6]) -> [u8; 64] {
    let mut data = [0; 64];
    data[0..4].copy_from_slice(&nr.to_le_bytes());
    data[4..8].copy_from_slice(&arch.to_le_bytes());
    for (index, arg) in args.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&arg.to_le_bytes());
    }
    data
}

fn run(program: &[Insn], data: &[u8; 64]) -> u32 {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let insn = program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { insn.jt } else { insn.jf });
        match insn.code {
            LD => {
                let offset = insn.k as usize;
                assert_eq!(offset % 4, 0);
                accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
            }
            JEQ => at += jump(accumulator == insn.k),
            JGE => at += jump(accumulator >= insn.k),
            JSET => at += jump(accumulator & insn.k != 0),
            JA => at += insn.k as usize,
            AND => accumulator &= insn.k,
            RET => return insn.k,
            code => panic!("unexpected instruction {code:#x}"),
        }
    }
}

fn call(program: &[Insn], arch: u32, nr: u32, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    run(program, &data(arch, nr, all))
}

fn check_column(program: &[Insn], arch: u32, column: Column) {
    let special = conditional(column);
    let special = [special.clone, special.clone3, special.personality, special.socket];
    let listed: BTreeSet<u32> = allowed(column).collect();
    for nr in (0..1000).chain(0xf_0000..0xf_0010).chain([u32::MAX, X32_BIT - 1]) {
        if special.contains(&nr) {
            assert!(!listed.contains(&nr), "{column:?} {nr} is decided by its arguments");
            continue;
        }
        let expected = if listed.contains(&nr) {
            ALLOW
        } else if nr > LAST_KNOWN {
            NO_SUCH_CALL
        } else {
            DENY
        };
        // No argument matters.
        for arg in [0, u64::MAX] {
            assert_eq!(call(program, arch, nr, &[arg; 6]), expected, "{column:?} {nr}");
        }
    }
}

fn check_conditional(program: &[Insn], arch: u32, column: Column) {
    let numbers = conditional(column);
    assert_eq!(call(program, arch, numbers.clone3, &[]), NO_SUCH_CALL);
    // fork, vfork and thread flags of the C library.
    for flags in [17, 0x4111, 0x003d_0f00, 0xffff_ffff_0000_0011] {
        assert_eq!(call(program, arch, numbers.clone, &[flags]), ALLOW, "{flags:#x}");
    }
    for bit in (0..64)
        .map(|bit| 1_u64 << bit)
        .filter(|bit| bit & u64::from(CLONE_NEW) != 0)
    {
        assert_eq!(call(program, arch, numbers.clone, &[bit | 0x11]), DENY, "{bit:#x}");
    }
    for family in 0..200_u64 {
        let expected = if FAMILIES.iter().any(|&f| u64::from(f) == family) {
            ALLOW
        } else {
            DENY
        };
        assert_eq!(call(program, arch, numbers.socket, &[family]), expected, "{family}");
        assert_eq!(
            call(program, arch, numbers.socket, &[family | 1 << 32]),
            expected,
            "{family} with a high half"
        );
    }
    for value in (0..0x3_0000).chain([0xffff_fffe, 0xffff_ffff]) {
        let expected = if PERSONALITIES.contains(&value) { ALLOW } else { DENY };
        assert_eq!(
            call(program, arch, numbers.personality, &[u64::from(value)]),
            expected,
            "{value:#x}"
        );
    }
    assert_eq!(call(program, arch, numbers.personality, &[1 << 32]), DENY);
}

#[test]
fn every_number_of_every_architecture() {
    for (program, arch, column) in [
        (x86_64(), ARCH_X86_64, Column::X86_64),
        (x86_64(), ARCH_I386, Column::I386),
        (aarch64(), ARCH_AARCH64, Column::Aarch64),
        (aarch64(), ARCH_ARM, Column::Arm),
    ] {
        check_column(&program, arch, column);
        check_conditional(&program, arch, column);
    }
}

#[test]
fn x32_shares_numbers_and_has_its_own() {
    let program = x86_64();
    for nr in 0..512 {
        let x32 = call(&program, ARCH_X86_64, nr | X32_BIT, &[0]);
        assert_eq!(x32, call(&program, ARCH_X86_64, nr, &[0]), "{nr}");
    }
    for nr in X32_OWN {
        let expected = if X32_DENIED.contains(&nr) { DENY } else { ALLOW };
        assert_eq!(call(&program, ARCH_X86_64, nr | X32_BIT, &[]), expected, "{nr}");
        assert_eq!(
            call(&program, ARCH_X86_64, nr, &[]),
            NO_SUCH_CALL,
            "{nr} without the bit"
        );
    }
    assert_eq!(call(&program, ARCH_X86_64, X32_BIT | 0x258, &[]), NO_SUCH_CALL);
}

#[test]
fn unknown_architectures_see_an_error() {
    for program in [x86_64(), aarch64()] {
        assert_eq!(call(&program, 0x1234, 0, &[]), DENY);
    }
}

#[test]
fn well_known_calls() {
    let program = x86_64();
    // mount, umount2, unshare, setns, keyctl, add_key, bpf, io_uring_setup, open_by_handle_at, reboot, swapon,
    // init_module, settimeofday, syslog, userfaultfd, kexec_load, perf_event_open, open_tree, fsopen, mbind.
    for nr in [
        165, 166, 272, 308, 250, 248, 321, 425, 304, 169, 167, 175, 164, 103, 323, 246, 298, 428, 430, 237,
    ] {
        assert_eq!(call(&program, ARCH_X86_64, nr, &[]), DENY, "{nr}");
    }
    for name in [
        "execve",
        "openat2",
        "ptrace",
        "chroot",
        "mknodat",
        "setresuid",
        "capset",
        "prctl",
        "close_range",
    ] {
        let nr = number(name, Column::X86_64).unwrap();
        assert_eq!(call(&program, ARCH_X86_64, nr, &[]), ALLOW, "{name}");
    }
}

#[test]
fn the_kernel_takes_programs_of_this_size() {
    for program in [x86_64(), aarch64()] {
        assert!(program.len() < 1000, "{}", program.len());
    }
}

/// The kernel translates a filter for each process: what it costs is its length.
#[test]
fn no_filter_is_long() {
    for program in [x86_64(), aarch64()] {
        assert!(program.len() < 320, "{}", program.len());
    }
}
