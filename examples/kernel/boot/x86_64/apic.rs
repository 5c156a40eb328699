//! The local APIC: interrupts that a CPU sends, and the start of the other CPUs.

use core::ptr::{addr_of, copy_nonoverlapping, read_volatile, write_volatile};

use super::OFFSET;

const APIC: u64 = 0xffff_ffff_fee0_0000;
const APIC_EOI: u64 = APIC + 0xb0;
const APIC_SPURIOUS: u64 = APIC + 0xf0;
const APIC_ICR: u64 = APIC + 0x300;
const APIC_ICR_TARGET: u64 = APIC + 0x310;
/// Where the code is that the other CPUs start with: below 1 MiB.
const TRAMPOLINE: u64 = 0x8000;

/// The interrupt of shootdowns.
pub(super) const SHOOTDOWN: u8 = 0x40;
const SPURIOUS: u8 = 0xff;

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

fn write(address: u64, value: u32) {
    // SAFETY: the registers of the local APIC are mapped as a device.
    unsafe { write_volatile(address as *mut u32, value) };
}

fn read(address: u64) -> u32 {
    // SAFETY: as for `write`.
    unsafe { read_volatile(address as *const u32) }
}

/// Enables this CPU's APIC.
pub(super) fn enable() {
    write(APIC_SPURIOUS, 0x100 | u32::from(SPURIOUS));
}

/// Lets the next interrupt come.
pub(super) fn acknowledge() {
    write(APIC_EOI, 0);
}

/// Starts the other CPUs, and returns when all are online: INIT, then twice SIPI (SDM 3A, 9.4.4).
pub fn start_others(are_online: impl Fn() -> bool) {
    const INIT: u32 = 0x000c_4500;
    const START: u32 = 0x000c_4600 | (TRAMPOLINE >> 12) as u32;
    // SAFETY: the memory at the destination is not used.
    unsafe {
        let length = addr_of!(trampoline_end) as usize - addr_of!(trampoline) as usize;
        let from = (addr_of!(trampoline) as u64 + OFFSET) as *const u8;
        copy_nonoverlapping(from, (TRAMPOLINE + OFFSET) as *mut u8, length);
    }
    for message in [INIT, START, START] {
        // To all but this one.
        write(APIC_ICR, message);
        for _ in 0..100_000 {
            core::hint::spin_loop();
        }
    }
    while !are_online() {
        crate::turns::hand_over();
    }
}

/// Sends the interrupt of shootdowns.
pub fn send_ipi(cpu: u32) {
    // In xAPIC mode the store that sends is not reordered with earlier stores.
    write(APIC_ICR_TARGET, cpu << 24);
    write(APIC_ICR, 0x4000 | u32::from(SHOOTDOWN));
    while read(APIC_ICR) & 0x1000 != 0 {
        core::hint::spin_loop();
    }
}
