//! Calls of the firmware (RISC-V SBI specification): it starts CPUs, sends interrupts, and flushes other CPUs.

use core::arch::asm;

use tlbc_runtime::{CpuMask, Issue};

use super::backend::{Calls, Hardware, Op};
use super::{hart, physical};
use crate::boot::CPUS;
use crate::platform::Cpus;

const BASE: u64 = 0x10;
const PROBE_EXTENSION: u64 = 3;
const HSM: u64 = 0x48_534d;
const HART_START: u64 = 0;
const HART_GET_STATUS: u64 = 2;
/// The status of a CPU that may be started.
const STOPPED: u64 = 1;
const IPI: u64 = 0x73_5049;
const SEND_IPI: u64 = 0;
const RFENCE: u64 = 0x5246_4e43;
const REMOTE_SFENCE_VMA: u64 = 1;
const REMOTE_SFENCE_VMA_ASID: u64 = 2;

unsafe extern "C" {
    fn start_secondary();
}

/// Calls a function of the firmware, and returns its value.
fn call(extension: u64, function: u64, arguments: [u64; 5]) -> Result<u64, i64> {
    let [a0, a1, a2, a3, a4] = arguments;
    let (error, value): (i64, u64);
    // SAFETY: the functions that are called here change nothing that Rust knows of; a CPU that is started begins at an address
    // that is meant for it.
    unsafe {
        asm!("ecall", inout("a0") a0 => error, inout("a1") a1 => value, in("a2") a2, in("a3") a3, in("a4") a4,
            in("a6") function, in("a7") extension, options(nostack));
    }
    if error == 0 { Ok(value) } else { Err(error) }
}

/// Returns whether the firmware flushes other CPUs.
pub fn has_rfence() -> bool {
    call(BASE, PROBE_EXTENSION, [RFENCE, 0, 0, 0, 0]).is_ok_and(|has| has != 0)
}

/// Starts the other CPUs, and returns when all are online. A CPU may have to be started again: OpenSBI before 1.3 may let it
/// begin before it has stored where. That CPU begins where the first one does, and stops (`start.s`).
pub fn start_others(are_online: impl Fn() -> bool) {
    let is_stopped = |cpu: &u32| {
        let status = call(HSM, HART_GET_STATUS, [hart(*cpu), 0, 0, 0, 0]);
        status.expect("the status of a CPU") == STOPPED
    };
    while !are_online() {
        for cpu in (1..CPUS as u32).filter(is_stopped) {
            let entry = physical(start_secondary as *const ());
            let arguments = [hart(cpu), entry, cpu.into(), 0, 0];
            call(HSM, HART_START, arguments).expect("a CPU that starts");
        }
    }
}

/// Sends the interrupt of shootdowns.
pub fn send_ipi(cpu: u32) {
    // The CPU is online, so there is no error.
    let _ = call(IPI, SEND_IPI, [1 << hart(cpu), 0, 0, 0, 0]);
}

/// Returns the sink of this CPU.
///
/// # Safety
/// As for [`Hardware::new`].
pub unsafe fn hardware() -> Hardware<Remote<'static>> {
    // SAFETY: as for the caller.
    unsafe { Hardware::new(Remote(None)) }
}

/// Returns the sink of [`Platform::sink_for`](tlbc_runtime::Platform::sink_for): its calls act on other CPUs.
pub fn hardware_for<'s>(cpus: &'s Cpus, missed: &'s mut Cpus) -> impl Issue<Op> + use<'s> {
    // SAFETY: the CPUs are set up, and calls load no root.
    unsafe { Hardware::new(Remote(Some((cpus, missed)))) }
}

/// The CPUs that calls act on, and those that they missed. The runtime makes calls only where there are some.
pub struct Remote<'s>(Option<(&'s Cpus, &'s mut Cpus)>);

impl Remote<'_> {
    fn call(&mut self, function: u64, start: u64, size: u64, asid: u64) {
        let Some((cpus, missed)) = &mut self.0 else {
            return;
        };
        let harts = cpus.iter().fold(0, |harts, cpu| harts | 1 << hart(cpu.0));
        // The firmware refuses all of them, or none.
        if call(RFENCE, function, [harts, 0, start, size, asid]).is_err() {
            missed.extend(cpus);
        }
    }
}

impl Calls for Remote<'_> {
    fn remote_sfence_vma_asid(&mut self, address: u64, size: u64, asid: u64) {
        self.call(REMOTE_SFENCE_VMA_ASID, address, size, asid);
    }

    fn remote_sfence_vma(&mut self, address: u64, size: u64) {
        self.call(REMOTE_SFENCE_VMA, address, size, 0);
    }

    fn remote_sfence_vma_asid_all(&mut self, asid: u64) {
        self.call(REMOTE_SFENCE_VMA_ASID, 0, 0, asid);
    }

    fn remote_sfence_vma_all(&mut self) {
        self.call(REMOTE_SFENCE_VMA, 0, 0, 0);
    }
}
