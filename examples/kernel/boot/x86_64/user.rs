//! The way between user code and the kernel.

use core::arch::{asm, global_asm};
use core::ptr::addr_of_mut;

use super::backend::Op;
use super::descriptors::{TaskState, USER_CODE, USER_DATA};
use super::{CPUS, Cause, apic, cpu};

global_asm!(
    include_str!("entry.s"),
    kernel_trap = sym kernel_trap,
);

pub(super) const CALL: u8 = 0x80;
const PAGE_FAULT: u64 = 14;
/// In the error code of a page fault: an entry had a reserved bit.
const RESERVED_BIT: u64 = 8;

/// What the way between user code and the kernel uses of a CPU. Mapped in both views; entry.s knows the fields by
/// their offsets.
#[repr(C, align(4096))]
pub(super) struct Entry {
    /// What CR3 becomes on the way in, unless 0.
    kernel_root: u64,
    /// What CR3 becomes on the way out, unless 0.
    user_root: u64,
    kernel_sp: u64,
    padding: u64,
    /// Of user code. The processor pushes its frame at the end.
    frame: Frame,
    pub(super) task: TaskState,
}

/// What is on the stack, from the lowest address up.
#[repr(C)]
struct Frame {
    /// r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax.
    registers: [u64; 15],
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
    ss: u64,
}

#[unsafe(link_section = ".entry.data")]
pub(super) static mut ENTRIES: [Entry; CPUS] = [const {
    Entry {
        kernel_root: 0,
        user_root: 0,
        kernel_sp: 0,
        padding: 0,
        frame: Frame {
            registers: [0; 15],
            vector: 0,
            error: 0,
            rip: 0,
            cs: 0,
            flags: 0,
            rsp: 0,
            ss: 0,
        },
        task: TaskState::NEW,
    }
}; CPUS];

unsafe extern "C" {
    fn enter_user(entry: *mut Entry);
}

fn serve_interrupt(vector: u64) {
    if vector == u64::from(apic::SHOOTDOWN) {
        // Acknowledged first: one that comes from now on is taken again.
        apic::acknowledge();
        crate::shootdown_interrupt();
    }
}

extern "C" fn kernel_trap(frame: &Frame) {
    if frame.vector < 32 {
        let address: u64;
        // SAFETY: reading this register has no effect.
        unsafe { asm!("mov {}, cr2", out(reg) address, options(nostack, preserves_flags)) };
        panic!(
            "the kernel faults at {:#x}: vector {}, error {:#x}, address {address:#x}",
            frame.rip, frame.vector, frame.error
        );
    }
    serve_interrupt(frame.vector);
}

/// Notes what entry code loads for a space, where user code has a view of its own; see
/// [`Mmu::enter_from_user_through`](tlbc_runtime::Mmu::enter_from_user_through).
pub fn set_kernel_view(op: Op) {
    if let Op::LoadCr3 { cr3 } = op {
        entry().kernel_root = cr3;
    }
}

/// Notes what the return to user code loads. Returns whether the instruction is such a load.
pub fn set_user_view(op: Op) -> bool {
    let Op::LoadCr3 { cr3 } = op else {
        return false;
    };
    entry().user_root = cr3;
    true
}

fn entry() -> &'static mut Entry {
    // SAFETY: each CPU uses its own, with interrupts off, and the references do not outlive the functions here.
    unsafe { &mut *addr_of_mut!(ENTRIES[cpu() as usize]) }
}

/// The places in [`Frame::registers`] of rdi, rsi, rdx and rcx.
const ARGUMENTS: [usize; 4] = [8, 9, 11, 12];

/// The registers of user code that does not run, in the order of [`Frame::registers`].
#[derive(Clone)]
pub struct UserState {
    pub pc: u64,
    sp: u64,
    flags: u64,
    registers: [u64; 15],
}

impl UserState {
    /// Returns the state in which a function begins.
    pub fn new(pc: u64, sp: u64, arguments: [u64; 4]) -> Self {
        let mut registers = [0; 15];
        for (place, argument) in ARGUMENTS.into_iter().zip(arguments) {
            registers[place] = argument;
        }
        // A function finds the stack as a call leaves it.
        Self {
            pc,
            sp: sp - 8,
            flags: 0x202, // interrupts on
            registers,
        }
    }

    /// Returns the number and the values of a [`call`].
    pub fn call(&self) -> (u64, [u64; 2]) {
        let [number, first, second, _] = ARGUMENTS.map(|place| self.registers[place]);
        (number, [first, second])
    }
}

/// Runs user code until it comes back to the kernel, and says why it came. Interrupts are off, before and after.
pub fn run_user(state: &mut UserState) -> Cause {
    let entry = entry();
    entry.frame = Frame {
        registers: state.registers,
        vector: 0,
        error: 0,
        rip: state.pc,
        cs: USER_CODE.into(),
        flags: state.flags,
        rsp: state.sp,
        ss: USER_DATA.into(),
    };
    // SAFETY: the view of a space is loaded whose user code this is.
    unsafe { enter_user(entry) };
    let frame = &entry.frame;
    state.registers = frame.registers;
    state.pc = frame.rip;
    state.sp = frame.rsp;
    state.flags = frame.flags;
    match frame.vector {
        PAGE_FAULT => {
            let address: u64;
            // SAFETY: reading this register has no effect.
            unsafe {
                asm!("mov {}, cr2", out(reg) address, options(nostack, preserves_flags));
            }
            if frame.error & RESERVED_BIT != 0 {
                return Cause::WalkOfFreed { address };
            }
            let is_write = frame.error & 2 != 0;
            Cause::Fault { address, is_write }
        }
        vector if vector == u64::from(CALL) => Cause::Call,
        vector if vector >= 32 => {
            serve_interrupt(vector);
            Cause::Interrupt
        }
        vector => panic!(
            "user code at {:#x}: vector {vector}, error {:#x}",
            frame.rip, frame.error
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
        asm!("int 0x80", in("rdi") number, in("rsi") values[0], in("rdx") values[1], options(nostack));
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
        asm!("mov rax, [rdx]", inout("rax") refused => value, in("rdx") address, options(nostack, readonly));
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
    unsafe { asm!("mov [rdx], rax", in("rax") value, in("rdx") address, options(nostack)) };
}
