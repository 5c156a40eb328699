//! The tables of descriptors: segments, interrupts and the task state of each CPU.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut};

use super::CPUS;
use super::user::{CALL, ENTRIES};

const KERNEL_CODE: u16 = 0x08;
pub(super) const USER_DATA: u16 = 0x18 | 3;
pub(super) const USER_CODE: u16 = 0x20 | 3;
/// The first of the descriptors that name a TSS, 16 bytes each, one a CPU.
const TSS: u16 = 0x30;

unsafe extern "C" {
    static vectors: [[u8; 16]; 256];
}

/// A task state segment, of which only the stack is used.
#[repr(C, packed(4))]
pub(super) struct TaskState {
    reserved: u32,
    rsp0: u64,
    rest: [u32; 22],
    io_map: u32,
}

impl TaskState {
    pub(super) const NEW: Self = Self {
        reserved: 0,
        rsp0: 0,
        rest: [0; 22],
        io_map: 104 << 16,
    };
}

/// Null, kernel code, kernel data, user data, user code, unused, and two words for the TSS of each CPU.
#[unsafe(link_section = ".entry.data")]
static mut GDT: [u64; 6 + 2 * CPUS] = {
    let mut gdt = [0; 6 + 2 * CPUS];
    gdt[1] = 0x00af_9a00_0000_ffff;
    gdt[2] = 0x00cf_9200_0000_ffff;
    gdt[3] = 0x00cf_f200_0000_ffff;
    gdt[4] = 0x00af_fa00_0000_ffff;
    gdt
};

#[repr(C, align(4096))]
struct InterruptTable([[u64; 2]; 256]);

#[unsafe(link_section = ".entry.data")]
static mut IDT: InterruptTable = InterruptTable([[0; 2]; 256]);

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Returns the number of this CPU: that of its TSS.
pub fn cpu() -> u32 {
    let selector: u16;
    // SAFETY: reading this register has no effect.
    unsafe { asm!("str {:x}", out(reg) selector, options(nostack, preserves_flags)) };
    u32::from((selector - TSS) / 16)
}

/// Fills the table of interrupts, on the first CPU before there are others.
pub(super) fn prepare() {
    // SAFETY: no other CPU runs, and this one takes no interrupt yet.
    unsafe {
        for (vector, gate) in (*addr_of_mut!(IDT)).0.iter_mut().enumerate() {
            let handler = addr_of!(vectors[vector]) as u64;
            let level = if vector == usize::from(CALL) {
                3 << 45
            } else {
                0
            };
            let interrupt_gate = 0x8e00 << 32;
            gate[0] = handler & 0xffff
                | u64::from(KERNEL_CODE) << 16
                | interrupt_gate
                | level
                | (handler & 0xffff_0000) << 32;
            gate[1] = handler >> 32;
        }
    }
}

/// Loads the tables on this CPU, with an own stack for entry from user code.
pub(super) fn load() {
    let cpu = (__cpuid(1).ebx >> 24) as usize; // the task register is not loaded yet
    // SAFETY: the tables are complete, and each CPU writes its own entries of them alone.
    unsafe {
        let entry = addr_of_mut!(ENTRIES[cpu]);
        (*entry).task.rsp0 = addr_of!((*entry).task) as u64 & !0xf;
        let (task, limit) = (
            addr_of!((*entry).task) as u64,
            size_of::<TaskState>() as u64 - 1,
        );
        GDT[6 + 2 * cpu] =
            limit | (task & 0x00ff_ffff) << 16 | 0x89 << 40 | (task >> 24 & 0xff) << 56;
        GDT[7 + 2 * cpu] = task >> 32;
        let gdt = TablePointer {
            limit: (size_of::<[u64; 6 + 2 * CPUS]>() - 1) as u16,
            base: addr_of!(GDT) as u64,
        };
        let idt = TablePointer {
            limit: 4095,
            base: addr_of!(IDT) as u64,
        };
        asm!("lgdt [{}]", in(reg) &raw const gdt, options(nostack));
        asm!("lidt [{}]", in(reg) &raw const idt, options(nostack));
        asm!(
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2: mov {scratch:e}, {data}",
            "mov ss, {scratch:x}",
            "mov ds, {scratch:x}",
            "mov es, {scratch:x}",
            "ltr {task:x}",
            code = const KERNEL_CODE,
            data = const KERNEL_CODE + 8,
            task = in(reg) TSS + 16 * cpu as u16,
            scratch = out(reg) _,
        );
    }
}
