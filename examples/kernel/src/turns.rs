//! Whose turn it is, where the emulator runs one CPU at a time (`run.sh --turns`).
//!
//! It goes on with the next CPU after 100,000 instructions, and earlier when one hands over (not on riscv64). A CPU does so
//! where it waits, after each run of a program, and at random between the instructions of a flush, so that others run in the
//! middle of it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tlbc_runtime::CpuId;

use crate::boot;

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
    /// What chooses the calls, for each CPU.
    static RANDOM: [AtomicU64; boot::CPUS] = [const { AtomicU64::new(0) }; boot::CPUS];
    let random = &RANDOM[cpu.index()];
    let now = random
        .load(Ordering::Relaxed)
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    random.store(now, Ordering::Relaxed);
    if now >> 62 == 0 {
        hand_over();
    }
}
