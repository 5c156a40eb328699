//! The way between user code and the kernel.

use core::arch::{asm, global_asm};
use core::ptr::{addr_of, addr_of_mut};

use super::backend::Op;
use super::{TRAMPOLINE, cpu, kernel_table, serve_interrupt};
use crate::boot::{CPUS, Cause, physical};

global_asm!(
    include_str!("entry.s"),
    kernel_interrupt = sym kernel_interrupt,
    kernel_fault = sym kernel_fault,
);

/// What the way between user code and the kernel uses of a CPU. Mapped in both views; entry.s knows the fields by
/// their offsets.
#[repr(C, align(4096))]
pub struct Entry {
    /// What TTBR1 becomes on the way in, unless 0.
    kernel_root: u64,
    /// What TTBR1 becomes on the way out, unless 0.
    user_root: u64,
    kernel_sp: u64,
    /// Which vector led here: 0 for a synchronous exception, 1 for an interrupt.
    cause: u64,
    x: [u64; 31],
    sp: u64,
    pc: u64,
    spsr: u64,
}

#[unsafe(link_section = ".entry.data")]
static mut ENTRIES: [Entry; CPUS] = [const {
    Entry {
        kernel_root: 0,
        user_root: 0,
        kernel_sp: 0,
        cause: 0,
        x: [0; 31],
        sp: 0,
        pc: 0,
        spsr: 0,
    }
}; CPUS];

unsafe extern "C" {
    fn enter_user(entry: *mut Entry);
}

extern "C" fn kernel_interrupt() {
    serve_interrupt();
}

extern "C" fn kernel_fault(esr: u64, far: u64, pc: u64) -> ! {
    panic!("the kernel faults at {pc:#x}: syndrome {esr:#x}, address {far:#x}");
}

/// Notes what entry code loads for a space, where user code has a view of its own; see
/// [`Mmu::enter_from_user_through`](tlbc_runtime::Mmu::enter_from_user_through).
pub fn set_kernel_view(op: Op) {
    if let Op::LoadTtbr1 { asid } = op {
        entry().kernel_root = kernel_table() | asid << 48;
    }
}

/// Notes what the return to user code loads. Returns whether the instruction is such a load.
pub fn set_user_view(op: Op) -> bool {
    let Op::LoadTtbr1 { asid } = op else {
        return false;
    };
    entry().user_root = physical(addr_of!(TRAMPOLINE)) | asid << 48;
    true
}

fn entry() -> &'static mut Entry {
    // SAFETY: each CPU uses its own, with interrupts off, and the references do not outlive the functions here.
    unsafe { &mut *addr_of_mut!(ENTRIES[cpu() as usize]) }
}

/// The registers of user code that does not run, in the order of [`Entry::x`].
#[derive(Clone)]
pub struct UserState {
    pub pc: u64,
    sp: u64,
    spsr: u64,
    x: [u64; 31],
}

impl UserState {
    /// Returns the state in which a function begins.
    pub fn new(pc: u64, sp: u64, arguments: [u64; 4]) -> Self {
        let mut x = [0; 31];
        x[..4].copy_from_slice(&arguments);
        Self {
            pc,
            sp,
            spsr: 0, // EL0, interrupts on
            x,
        }
    }

    /// Returns the number and the values of a [`call`].
    pub fn call(&self) -> (u64, [u64; 2]) {
        (self.x[0], [self.x[1], self.x[2]])
    }
}

/// Runs user code until it comes back to the kernel, and says why it came. Interrupts are off, before and after.
pub fn run_user(state: &mut UserState) -> Cause {
    let entry = entry();
    entry.x = state.x;
    entry.sp = state.sp;
    entry.pc = state.pc;
    entry.spsr = state.spsr;
    // SAFETY: the view of a space is loaded whose user code this is.
    unsafe { enter_user(entry) };
    state.x = entry.x;
    state.sp = entry.sp;
    state.pc = entry.pc;
    state.spsr = entry.spsr;
    if entry.cause == 1 {
        serve_interrupt();
        return Cause::Interrupt;
    }
    let (syndrome, address) = (mrs!("esr_el1"), mrs!("far_el1"));
    let is_write = syndrome & (1 << 6) != 0;
    // The class; for aborts also the status without the level: address size, translation, access flag, permission.
    match (syndrome >> 26, syndrome & 0x3c) {
        (0x15, _) => Cause::Call,
        (0x24, 0x04 | 0x08 | 0x0c) => Cause::Fault { address, is_write },
        (0x20, 0x04 | 0x08 | 0x0c) => Cause::Fault {
            address,
            is_write: false,
        },
        // An address that is too large for the machine, in an entry.
        (0x20 | 0x24, 0x00) => Cause::WalkOfFreed { address },
        _ => panic!(
            "user code at {:#x}: syndrome {syndrome:#x}, address {address:#x}",
            entry.pc
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
        asm!("svc #0", in("x0") number, in("x1") values[0], in("x2") values[1], options(nostack));
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
        asm!("ldr {0}, [{1}]", inout(reg) refused => value, in(reg) address, options(nostack, readonly));
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
    unsafe { asm!("str {0}, [{1}]", in(reg) value, in(reg) address, options(nostack)) };
}
