//! Where the backend's instructions go: to the CPU.
//!
//! The sink changes two things on the way. The loads of [`Mmu::return_to_user`](tlbc_runtime::Mmu::return_to_user) would run
//! in code that user code must not see, so they are left to the last instructions before user code runs (`boot/`). And a
//! sink can be broken on purpose: then the kernel must notice that memory is used after it was freed.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tlbc_runtime::{CpuId, Issue};

use crate::boot;
use crate::boot::backend::{Hardware, Op};

/// What is wrong with the sinks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    Nothing,
    /// Instructions that invalidate are left out.
    Drops,
    /// Those that reach other CPUs act on this one alone, and a CPU that handles a shootdown IPI issues none.
    StaysHere,
}

static SABOTAGE: AtomicU8 = AtomicU8::new(0);
/// Whether each CPU serves the request of another one.
static SERVES: [AtomicBool; boot::CPUS] = [const { AtomicBool::new(false) }; boot::CPUS];
/// Whether each CPU is about to return to user code.
static RETURNS: [AtomicBool; boot::CPUS] = [const { AtomicBool::new(false) }; boot::CPUS];

pub fn set_sabotage(sabotage: u8) {
    SABOTAGE.store(sabotage, Ordering::Relaxed);
}

pub fn sabotage() -> Sabotage {
    match SABOTAGE.load(Ordering::Relaxed) {
        0 => Sabotage::Nothing,
        1 => Sabotage::Drops,
        _ => Sabotage::StaysHere,
    }
}

/// Runs what serves the request of another CPU. Interrupts are off.
pub fn while_serving(cpu: CpuId, serve: impl FnOnce()) {
    while_set(&SERVES[cpu.index()], serve);
}

/// Runs what ends with the loads for user code, which go to the return code. Interrupts are off.
pub fn while_returning(cpu: CpuId, load: impl FnOnce()) {
    while_set(&RETURNS[cpu.index()], load);
}

fn while_set(flag: &AtomicBool, run: impl FnOnce()) {
    flag.store(true, Ordering::Relaxed);
    run();
    flag.store(false, Ordering::Relaxed);
}

/// The sink of a CPU.
pub struct Sink {
    cpu: CpuId,
    hardware: Hardware,
}

impl Sink {
    pub fn new(cpu: CpuId) -> Self {
        // SAFETY: the CPUs are set up as the backend requires (`boot/`), and every root that the runtime loads is that of a
        // process which lives as long as a CPU may walk its tables (`process.rs`).
        let hardware = unsafe { Hardware::new() };
        Self { cpu, hardware }
    }
}

impl Issue<Op> for Sink {
    fn issue(&mut self, op: Op) {
        if RETURNS[self.cpu.index()].load(Ordering::Relaxed) && boot::set_user_view(op) {
            return;
        }
        let op = match sabotage() {
            Sabotage::Drops if boot::is_invalidation(op) => return,
            Sabotage::StaysHere if boot::is_invalidation(op) => {
                if SERVES[self.cpu.index()].load(Ordering::Relaxed) {
                    return;
                }
                boot::confined(op)
            }
            Sabotage::Nothing | Sabotage::Drops | Sabotage::StaysHere => op,
        };
        self.hardware.issue(op);
    }
}
