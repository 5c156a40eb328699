//! Whose turn it is, where the emulator runs one CPU at a time (`run.sh --turns`).
//!
//! It goes on with the next CPU after 100,000 instructions, and earlier when one hands over (not on riscv64). A CPU does so
//! where it waits, after each run of a program, and at random between the instructions of a flush, so that others run in the
//! middle of it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tlbc_runtime::CpuId;

use crate::boot;
use crate::random::Random;

static IN_TURNS: AtomicBool = AtomicBool::new(false);

/// Notes whether CPUs run in turns, before there is more than one.
pub fn prepare(in_turns: bool) {
    IN_TURNS.store(in_turns, Ordering::Relaxed);
}

/// Lets another CPU run; where all run at the same time, says that this one waits.
pub fn hand_over() {
    if IN_TURNS.load(Ordering::Relaxed) {
        boot::hand_over();
    } else {
        core::hint::spin_loop();
    }
}

/// Hands over once in four calls, at random.
pub fn sometimes_hand_over(cpu: CpuId) {
    /// The random numbers of each CPU, which alone uses them.
    static RANDOM: [AtomicU64; boot::CPUS] = [const { AtomicU64::new(1) }; boot::CPUS];
    let its = &RANDOM[cpu.index()];
    let mut random = Random(its.load(Ordering::Relaxed));
    let hands_over = random.below(4) == 0;
    its.store(random.0, Ordering::Relaxed);
    if hands_over {
        hand_over();
    }
}
