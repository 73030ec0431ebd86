//! Docker's default seccomp profile, as it comes out for Docker's default capabilities.

use super::bpf::{
    AND, ARCH, Block, Insn, JEQ, JGE, JSET, LD, NR, arg_high, arg_low, branch, insn, ranges, ret, search,
    share_returns, then,
};
use super::table::{Column, X32_DENIED, X32_OWN, allowed};

pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// What Docker answers to a call that is not allowed.
pub(super) const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
/// What makes the C libraries fall back to an older call.
pub(super) const NO_SUCH_CALL: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();

/// Calls above this number are newer than the profile. A C library that tries them must see ENOSYS, not EPERM, to fall
/// back (container runtimes do the same).
pub(super) const LAST_KNOWN: u32 = 466;

pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Values of `AUDIT_ARCH_*`.
pub(super) const ARCH_X86_64: u32 = 0xc000_003e;
pub(super) const ARCH_I386: u32 = 0x4000_0003;
pub(super) const ARCH_AARCH64: u32 = 0xc000_00b7;
pub(super) const ARCH_ARM: u32 = 0x4000_0028;

/// The flags of `clone` that make namespaces: cgroup, UTS, IPC, user, PID, network, mount.
pub(super) const CLONE_NEW: u32 = 0x7e02_0000;

/// Address families of `socket` that are allowed. Missing are `DECnet`, Econet, ATM SVC, `IrDA`, WAN PIPE, IUCV, CAIF,
/// the kernel's crypto interface (`AF_ALG`), virtual machine sockets (`AF_VSOCK`), and all above `AF_MCTP`.
pub(super) const FAMILIES: [u32; 37] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36,
    39, 41, 42, 43, 44, 45,
];

/// Personalities that are allowed: Linux, 32-bit Linux, each also reporting version 2.6, and the question which it is.
pub(super) const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The numbers of the calls whose arguments decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditional {
    pub(super) clone: u32,
    pub(super) clone3: u32,
    pub(super) personality: u32,
    pub(super) socket: u32,
}

pub(super) const fn conditional(column: Column) -> Conditional {
    let (clone, personality, socket) = match column {
        Column::X86_64 => (56, 135, 41),
        Column::I386 => (120, 136, 359),
        Column::Aarch64 => (220, 92, 198),
        Column::Arm => (120, 136, 281),
    };
    Conditional {
        clone,
        clone3: 435,
        personality,
        socket,
    }
}

/// The filter for programs of x86-64, i386 and x32.
#[cfg_attr(
    not(any(test, target_arch = "x86_64")),
    expect(dead_code, reason = "another architecture")
)]
pub(super) fn x86_64() -> Block {
    let i386 = then(insn(LD, NR), search(&calls(Column::I386)));
    let native = then(insn(LD, NR), x86_64_and_x32());
    share_returns(&by_arch(ARCH_X86_64, native, ARCH_I386, i386))
}

/// The filter for programs of aarch64 and 32-bit ARM.
#[cfg_attr(
    not(any(test, target_arch = "aarch64")),
    expect(dead_code, reason = "another architecture")
)]
pub(super) fn aarch64() -> Block {
    let native = then(insn(LD, NR), search(&calls(Column::Aarch64)));
    let arm = then(insn(LD, NR), search(&calls(Column::Arm)));
    share_returns(&by_arch(ARCH_AARCH64, native, ARCH_ARM, arm))
}

/// Never kills on an unknown architecture: the program sees an error as for any other denied call.
fn by_arch(first: u32, first_block: Block, second: u32, second_block: Block) -> Block {
    let second = branch(JEQ, second, second_block, ret(DENY));
    then(insn(LD, ARCH), branch(JEQ, first, first_block, second))
}

/// What to do for each range of numbers.
fn calls(column: Column) -> Vec<(u32, Block)> {
    let numbers = conditional(column);
    let mut points: Vec<(u32, Block)> = allowed(column).map(|number| (number, ret(ALLOW))).collect();
    points.push((numbers.clone, clone()));
    points.push((numbers.clone3, ret(NO_SUCH_CALL)));
    points.push((numbers.personality, personality()));
    points.push((numbers.socket, socket()));
    let mut ranges = ranges(points, &ret(DENY));
    deny_newer(&mut ranges);
    ranges
}

/// Turns the denials above [`LAST_KNOWN`] into ENOSYS.
fn deny_newer(ranges: &mut Vec<(u32, Block)>) {
    let deny = ret(DENY);
    let at = ranges.partition_point(|(start, _)| *start <= LAST_KNOWN);
    for (_, block) in &mut ranges[at..] {
        if *block == deny {
            *block = ret(NO_SUCH_CALL);
        }
    }
    if ranges[at - 1].1 == deny {
        ranges.insert(at, (LAST_KNOWN + 1, ret(NO_SUCH_CALL)));
    }
}

/// Looks up the number in the accumulator, which may carry the x32 bit. x32 shares the numbers below 512 with x86-64, so
/// for those the bit is taken off and one look-up serves both.
fn x86_64_and_x32() -> Block {
    let own = x32_own();
    let own_length = u8::try_from(own.len()).expect("the numbers of x32 make about ten instructions");
    let mut block = vec![
        Insn {
            code: JSET,
            jt: 0,
            jf: own_length + 2,
            k: X32_BIT,
        },
        insn(AND, !X32_BIT),
        Insn {
            code: JGE,
            jt: 0,
            jf: own_length,
            k: *X32_OWN.start(),
        },
    ];
    block.extend(own);
    block.extend(search(&calls(Column::X86_64)));
    block
}

fn x32_own() -> Block {
    let points = X32_OWN
        .map(|number| (number, ret(if X32_DENIED.contains(&number) { DENY } else { ALLOW })))
        .collect();
    search(&ranges(points, &ret(NO_SUCH_CALL)))
}

/// No new namespaces.
fn clone() -> Block {
    then(insn(LD, arg_low(0)), branch(JSET, CLONE_NEW, ret(DENY), ret(ALLOW)))
}

/// By address family. The kernel takes it as a 32-bit `int`, so the high half must not be able to hide it.
fn socket() -> Block {
    let points = FAMILIES.iter().map(|&family| (family, ret(ALLOW))).collect();
    then(insn(LD, arg_low(0)), search(&ranges(points, &ret(DENY))))
}

fn personality() -> Block {
    let points = PERSONALITIES.iter().map(|&value| (value, ret(ALLOW))).collect();
    let low = then(insn(LD, arg_low(0)), search(&ranges(points, &ret(DENY))));
    then(insn(LD, arg_high(0)), branch(JEQ, 0, low, ret(DENY)))
}
