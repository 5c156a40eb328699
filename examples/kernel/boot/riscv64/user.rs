//! The way between user code and the kernel.

use core::arch::{asm, global_asm};
use core::ptr::addr_of_mut;

use super::backend::Op;
use crate::boot::{CPUS, Cause};

global_asm!(
    include_str!("entry.s"),
    kernel_trap = sym kernel_trap,
);

/// What scause is when software has interrupted this CPU.
const SOFTWARE_INTERRUPT: u64 = 1 << 63 | 1;
const CALL: u64 = 8;
const FETCH_ACCESS_FAULT: u64 = 1;
const LOAD_ACCESS_FAULT: u64 = 5;
const STORE_ACCESS_FAULT: u64 = 7;
const FETCH_PAGE_FAULT: u64 = 12;
const LOAD_PAGE_FAULT: u64 = 13;
const STORE_PAGE_FAULT: u64 = 15;

/// Of sie and sip: interrupts that software sends.
pub(super) const SOFTWARE: u64 = 1 << 1;

/// What the way between user code and the kernel uses of a CPU, at which tp points in the kernel. entry.s knows the fields by
/// their offsets, and start.s the size.
#[repr(C, align(512))]
pub(super) struct Entry {
    number: u64,
    kernel_sp: u64,
    /// Of user code, as are the registers.
    pc: u64,
    x: [u64; 31],
}

/// The binary logarithm of the size of an [`Entry`].
pub(super) const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();

pub(super) static mut ENTRIES: [Entry; CPUS] = {
    let mut entries = [const {
        Entry {
            number: 0,
            kernel_sp: 0,
            pc: 0,
            x: [0; 31],
        }
    }; CPUS];
    let mut cpu = 0;
    while cpu != CPUS {
        entries[cpu].number = cpu as u64;
        cpu += 1;
    }
    entries
};

unsafe extern "C" {
    fn enter_user();
}

/// Returns the number of this CPU.
pub fn cpu() -> u32 {
    let number: u64;
    // SAFETY: tp points at the entry of this CPU.
    unsafe { asm!("ld {}, (tp)", out(reg) number, options(nostack, preserves_flags, readonly)) };
    number as u32
}

fn serve_interrupt() {
    // Acknowledged first: one that comes from now on is taken again.
    // SAFETY: the bit is for this.
    unsafe { asm!("csrc sip, {}", in(reg) SOFTWARE, options(nostack)) };
    crate::shootdown_interrupt();
}

extern "C" fn kernel_trap() {
    match csrr!("scause") {
        SOFTWARE_INTERRUPT => serve_interrupt(),
        cause => panic!(
            "the kernel faults at {:#x}: cause {cause:#x}, address {:#x}",
            csrr!("sepc"),
            csrr!("stval")
        ),
    }
}

/// Notes what entry code loads for a space: nothing, because user code has no view of its own.
pub fn set_kernel_view(_op: Op) {}

/// Returns whether an instruction is a load of the user's view: none is.
pub fn set_user_view(_op: Op) -> bool {
    false
}

/// The registers of user code that does not run, in the order of [`Entry::x`].
#[derive(Clone)]
pub struct UserState {
    pub pc: u64,
    x: [u64; 31],
}

impl UserState {
    /// Returns the state in which a function begins.
    pub fn new(pc: u64, sp: u64, arguments: [u64; 4]) -> Self {
        let mut x = [0; 31];
        x[1] = sp;
        x[9..13].copy_from_slice(&arguments);
        Self { pc, x }
    }

    /// Returns the number and the values of a [`call`].
    pub fn call(&self) -> (u64, [u64; 2]) {
        (self.x[9], [self.x[10], self.x[11]])
    }
}

/// Runs user code until it comes back to the kernel, and says why it came. Interrupts are off, before and after.
pub fn run_user(state: &mut UserState) -> Cause {
    // SAFETY: each CPU uses its own, with interrupts off, and the reference does not outlive this function.
    let entry = unsafe { &mut *addr_of_mut!(ENTRIES[cpu() as usize]) };
    entry.x = state.x;
    entry.pc = state.pc;
    // SAFETY: the root of a space is loaded whose user code this is.
    unsafe { enter_user() };
    state.x = entry.x;
    state.pc = entry.pc;
    let (cause, address) = (csrr!("scause"), csrr!("stval"));
    match cause {
        SOFTWARE_INTERRUPT => {
            serve_interrupt();
            Cause::Interrupt
        }
        CALL => {
            state.pc += 4; // of an ECALL
            Cause::Call
        }
        FETCH_PAGE_FAULT | LOAD_PAGE_FAULT | STORE_PAGE_FAULT => Cause::Fault {
            address,
            is_write: cause == STORE_PAGE_FAULT,
        },
        // A table or a page at an address without memory.
        FETCH_ACCESS_FAULT | LOAD_ACCESS_FAULT | STORE_ACCESS_FAULT => {
            Cause::WalkOfFreed { address }
        }
        _ => panic!(
            "user code at {:#x}: cause {cause:#x}, address {address:#x}",
            state.pc
        ),
    }
}

/// Calls the kernel, from user code.
#[expect(
    clippy::inline_always,
    reason = "user code can call nothing outside its own pages"
)]
#[inline(always)]
pub fn call(number: u64, values: [u64; 2]) {
    // SAFETY: the kernel changes no register.
    unsafe {
        asm!("ecall", in("a0") number, in("a1") values[0], in("a2") values[1], options(nostack));
    };
}

/// Loads a word, from user code; where the kernel refuses the access the answer is `refused`.
#[expect(
    clippy::inline_always,
    reason = "user code can call nothing outside its own pages"
)]
#[inline(always)]
pub fn load(address: u64, refused: u64) -> u64 {
    let value;
    // SAFETY: the kernel decides what may be loaded.
    unsafe {
        asm!(".option push; .option norvc; ld {0}, ({1}); .option pop", inout(reg) refused => value, in(reg) address,
            options(nostack, readonly));
    };
    value
}

/// Stores a word, from user code, unless the kernel refuses the access.
#[expect(
    clippy::inline_always,
    reason = "user code can call nothing outside its own pages"
)]
#[inline(always)]
pub fn store(address: u64, value: u64) {
    // SAFETY: the kernel decides what may be stored.
    unsafe {
        asm!(".option push; .option norvc; sd {0}, ({1}); .option pop", in(reg) value, in(reg) address, options(nostack));
    }
}
