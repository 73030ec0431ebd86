//! A small emitter of classic BPF for seccomp.
//!
//! Only the instructions that the kernel's own look-ahead understands are used for decisions on the call's number
//! (`LD`, `JEQ`, `JGE`, `JSET`, `AND`, `JA`, `RET`): it finds out once which calls are always allowed and then no
//! longer runs the filter for them.

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Insn {
    /// What to do.
    pub(super) code: u16,
    /// How many instructions to skip if the condition holds.
    pub(super) jt: u8,
    /// How many to skip if not.
    pub(super) jf: u8,
    /// The operand.
    pub(super) k: u32,
}

/// An operation code; the headers give its parts as wider numbers.
#[expect(clippy::cast_possible_truncation, reason = "all parts are below 256")]
const fn code(parts: u32) -> u16 {
    parts as u16
}

/// `LD [k]`: a 32-bit word of `struct seccomp_data` into the accumulator.
pub(super) const LD: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
/// Jump if the accumulator equals k.
pub(super) const JEQ: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
/// Jump if the accumulator is at least k, unsigned.
pub(super) const JGE: u16 = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
/// Jump if the accumulator and k have a bit in common.
pub(super) const JSET: u16 = code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K);
/// Jump ahead by k instructions.
pub(super) const JA: u16 = code(libc::BPF_JMP | libc::BPF_JA);
/// Mask the accumulator with k.
pub(super) const AND: u16 = code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K);
/// End with the action k.
pub(super) const RET: u16 = code(libc::BPF_RET | libc::BPF_K);

/// Offset of the call's number in `struct seccomp_data`.
pub(super) const NR: u32 = 0;
/// Offset of the architecture.
pub(super) const ARCH: u32 = 4;

/// Offset of the low half of an argument (both architectures here are little-endian).
pub(super) const fn arg_low(index: u32) -> u32 {
    16 + 8 * index
}

/// Offset of the high half of an argument.
pub(super) const fn arg_high(index: u32) -> u32 {
    arg_low(index) + 4
}

/// A run of instructions that ends with `RET` on every way through it.
pub(super) type Block = Vec<Insn>;

/// One instruction that does not jump conditionally.
pub(super) fn insn(code: u16, k: u32) -> Insn {
    Insn { code, jt: 0, jf: 0, k }
}

/// Returns an action.
pub(super) fn ret(action: u32) -> Block {
    vec![insn(RET, action)]
}

/// Does `first`, then `rest`.
pub(super) fn then(first: Insn, rest: Block) -> Block {
    let mut block = vec![first];
    block.extend(rest);
    block
}

/// Branches on the accumulator: `yes` where `code k` holds, else `no`.
pub(super) fn branch(code: u16, k: u32, yes: Block, no: Block) -> Block {
    let mut block = Vec::with_capacity(yes.len() + no.len() + 2);
    if let Ok(distance) = u8::try_from(no.len()) {
        block.push(Insn {
            code,
            jt: distance,
            jf: 0,
            k,
        });
    } else {
        // Conditional jumps reach 255 instructions; an unconditional one reaches further.
        let distance = u32::try_from(no.len()).expect("a filter has at most 4096 instructions");
        block.push(Insn { code, jt: 0, jf: 1, k });
        block.push(insn(JA, distance));
    }
    block.extend(no);
    block.extend(yes);
    block
}

/// A balanced search over the accumulator. `ranges` holds the start of each range, ascending and beginning with 0, and
/// what to do in it; a range reaches to the start of the next.
pub(super) fn search(ranges: &[(u32, Block)]) -> Block {
    match ranges {
        [] => unreachable!("a search has at least one range"),
        [(_, block)] => block.clone(),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            branch(JGE, high[0].0, search(high), search(low))
        }
    }
}

/// The ranges for [`search`] in which each of `points` (number, what to do) stands out from `otherwise`. Neighbours
/// that do the same become one range.
pub(super) fn ranges(mut points: Vec<(u32, Block)>, otherwise: &Block) -> Vec<(u32, Block)> {
    points.sort_by_key(|(number, _)| *number);
    points.dedup_by_key(|(number, _)| *number);
    let mut ranges: Vec<(u32, Block)> = Vec::new();
    let mut push = |start: u32, block: Block| {
        if ranges.last().is_none_or(|(_, last)| *last != block) {
            ranges.push((start, block));
        }
    };
    let mut next = Some(0);
    for (number, block) in points {
        if next.is_some_and(|next| next < number) {
            push(next.unwrap_or_default(), otherwise.clone());
        }
        push(number, block);
        next = number.checked_add(1);
    }
    if let Some(next) = next {
        push(next, otherwise.clone());
    }
    ranges
}

/// The same with fewer instructions: returns that are near enough to one another become one. The kernel translates a
/// filter anew for each process that installs it, which takes the longer the more there is of it.
pub(super) fn share_returns(program: &[Insn]) -> Block {
    let mut shared = Shared {
        reversed: Vec::new(),
        places: vec![0; program.len()],
    };
    for (at, &insn) in program.iter().enumerate().rev() {
        shared.add(program, at, insn);
    }
    shared.reversed.reverse();
    shared.reversed
}

/// A program from its end on.
struct Shared {
    reversed: Block,
    /// Where each instruction of the original is, counted from the end.
    places: Vec<usize>,
}

impl Shared {
    fn add(&mut self, program: &[Insn], at: usize, insn: Insn) {
        let code = u32::from(insn.code);
        let insn = match code & 0x07 {
            libc::BPF_RET => {
                let near = self.reversed.len().saturating_sub(usize::from(u8::MAX));
                let same = self.reversed[near..].iter().rposition(|other| *other == insn);
                if let Some(same) = same {
                    self.places[at] = near + same;
                    return;
                }
                insn
            }
            libc::BPF_JMP if insn.code == JA => {
                let target = at + 1 + insn.k as usize;
                let k = u32::try_from(self.distance(target)).expect("a filter has at most 4096 instructions");
                Insn { k, ..insn }
            }
            libc::BPF_JMP => {
                let (yes, no) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
                self.bring_near(program, yes);
                self.bring_near(program, no);
                // The second may have moved the first away by one.
                self.bring_near(program, yes);
                let jump = |target| u8::try_from(self.distance(target)).expect("it was brought near");
                Insn {
                    jt: jump(yes),
                    jf: jump(no),
                    ..insn
                }
            }
            _ => {
                // It goes on to the next one, wherever that is now.
                if self.distance(at + 1) > 0 {
                    self.repeat(program, at + 1);
                }
                insn
            }
        };
        self.places[at] = self.reversed.len();
        self.reversed.push(insn);
    }

    /// How many instructions lie between what comes now and that one.
    fn distance(&self, target: usize) -> usize {
        self.reversed.len() - 1 - self.places[target]
    }

    /// Makes a conditional jump to the instruction possible, which is a return if it is not.
    fn bring_near(&mut self, program: &[Insn], target: usize) {
        if self.distance(target) > usize::from(u8::MAX) {
            self.repeat(program, target);
        }
    }

    fn repeat(&mut self, program: &[Insn], target: usize) {
        let near = program[target];
        assert_eq!(u32::from(near.code) & 0x07, libc::BPF_RET, "only returns move away");
        self.places[target] = self.reversed.len();
        self.reversed.push(near);
    }
}
