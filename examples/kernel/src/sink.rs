//! Where the backend's instructions go: to the CPU.
//!
//! A sink can be broken on purpose: then the kernel must notice that memory is used after it was freed. The loads of the
//! return to user code have a sink of their own, since the code that runs then must not be seen by user code.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tlbc_runtime::{CpuId, Issue, Record};

use crate::boot;
use crate::boot::backend::Op;
use crate::platform::Cpus;
use crate::turns;

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
    let serves = &SERVES[cpu.index()];
    serves.store(true, Ordering::Relaxed);
    serve();
    serves.store(false, Ordering::Relaxed);
}

/// The sink of a CPU.
pub struct Sink<H> {
    cpu: CpuId,
    hardware: H,
}

/// Returns the sink of a CPU.
pub fn sink(cpu: CpuId) -> Sink<impl Issue<Op>> {
    // SAFETY: the CPUs are set up as the backend requires (`boot/`), and every root that the runtime loads is that of a process
    // which lives as long as a CPU may walk its tables (`process.rs`).
    let hardware = unsafe { boot::hardware() };
    Sink { cpu, hardware }
}

/// Returns the sink whose calls act on other CPUs: without any of them when invalidations are left out or do not reach others.
pub fn sink_for<'s>(cpus: &'s Cpus, missed: &'s mut Cpus) -> impl Issue<Op> {
    let mut calls = boot::hardware_for(cpus, missed);
    Record(move |op| {
        if sabotage() == Sabotage::Nothing || !boot::is_invalidation(op) {
            calls.issue(op);
        }
    })
}

impl<H: Issue<Op>> Issue<Op> for Sink<H> {
    fn issue(&mut self, op: Op) {
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
        turns::sometimes_hand_over(self.cpu);
    }
}

/// The sink of a CPU that returns to user code. It leaves the loads of the user's view to the last instructions before user
/// code runs (`boot/`).
pub struct Returning<S>(pub S);

impl<S: Issue<Op>> Issue<Op> for Returning<S> {
    fn issue(&mut self, op: Op) {
        if !boot::set_user_view(op) {
            self.0.issue(op);
        }
    }
}
