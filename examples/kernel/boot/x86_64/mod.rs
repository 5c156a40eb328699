//! x86-64, on a PC: from reset to [`crate::start`], and what differs from other machines.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::arch::{asm, global_asm};
use core::mem::size_of;
use core::ops::Range;
use core::ptr::{addr_of, addr_of_mut, copy_nonoverlapping, read_volatile, write_volatile};

use backend::{Config, Op, Registers, Tlb};
pub use tlbc_backends::x86_64 as backend;

use super::{CPUS, Cause, Options, StaticTable, physical};
pub use pte::PteFormat;

mod pte;

global_asm!(
    include_str!("start.s"),
    start_rust = sym crate::start,
);
global_asm!(
    include_str!("entry.s"),
    kernel_trap = sym kernel_trap,
);

/// The kernel has physical memory at this distance.
pub const OFFSET: u64 = 0xffff_ffff_8000_0000;
/// The word that the boot options are in.
pub const OPTIONS: u64 = 0x0300_0000;
/// The address from which on the kernel maps what it changes: an entry of every top table, all with the same table below.
pub const KERNEL_WINDOW: u64 = ((WINDOW_INDEX as u64) << 39) | 0xffff_0000_0000_0000;

/// The feature by which user code runs on a view of its own.
pub const SEPARATE_VIEWS: Config = Config::PTI;
/// How long the instructions of [`load`] and [`store`] are.
pub const ACCESS_BYTES: u64 = 3;

/// The entry of every top table that maps the kernel.
const KERNEL_INDEX: usize = 511;
/// The entry of every top table that maps what the kernel changes.
const WINDOW_INDEX: usize = 510;

const APIC: u64 = 0xffff_ffff_fee0_0000;
const APIC_EOI: u64 = APIC + 0xb0;
const APIC_SPURIOUS: u64 = APIC + 0xf0;
const APIC_ICR: u64 = APIC + 0x300;
const APIC_ICR_TARGET: u64 = APIC + 0x310;
/// Where the code is that the other CPUs start with: below 1 MiB.
const TRAMPOLINE: u64 = 0x8000;

/// The interrupt of shootdowns.
const SHOOTDOWN: u8 = 0x40;
const SPURIOUS: u8 = 0xff;
const CALL: u8 = 0x80;
const PAGE_FAULT: u64 = 14;

const KERNEL_CODE: u16 = 0x08;
const USER_DATA: u16 = 0x18 | 3;
const USER_CODE: u16 = 0x20 | 3;
/// The first of the descriptors that name a TSS, 16 bytes each, one a CPU.
const TSS: u16 = 0x30;

unsafe extern "C" {
    static mut kernel_1: [u64; 512];
    static mut kernel_memory: [u64; 512];
    static mut kernel_devices: [u64; 512];
    static entry_begin: u8;
    static entry_end: u8;
    static vectors: [[u8; 16]; 256];
    static trampoline: u8;
    static trampoline_end: u8;
}

/// What a CPU loads that runs in no user space.
static mut KERNEL_TOP: StaticTable = StaticTable([0; 512]);
/// Below [`WINDOW_INDEX`] of every top table.
static mut WINDOW: StaticTable = StaticTable([0; 512]);
/// Below [`KERNEL_INDEX`] of the top tables that user code runs on, where the kernel is unmapped:
/// [`entry_begin`] to [`entry_end`].
static mut USER_VIEW: [StaticTable; 3] = [const { StaticTable([0; 512]) }; 3];

/// A task state segment, of which only the stack is used.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    rsp0: u64,
    rest: [u32; 22],
    io_map: u32,
}

/// What the way between user code and the kernel uses of a CPU. Mapped in both views; entry.s knows the fields by
/// their offsets.
#[repr(C, align(4096))]
struct Entry {
    /// What CR3 becomes on the way in, unless 0.
    kernel_root: u64,
    /// What CR3 becomes on the way out, unless 0.
    user_root: u64,
    kernel_sp: u64,
    padding: u64,
    /// Of user code. The processor pushes its frame at the end.
    frame: Frame,
    task: TaskState,
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
static mut ENTRIES: [Entry; CPUS] = [const {
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
        task: TaskState {
            reserved: 0,
            rsp0: 0,
            rest: [0; 22],
            io_map: 104 << 16,
        },
    }
}; CPUS];

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

unsafe extern "C" {
    fn enter_user(entry: *mut Entry);
}

/// The kernel's memory.
pub fn memory() -> Range<u64> {
    0x10_0000..0x400_0000
}

fn apic_write(address: u64, value: u32) {
    // SAFETY: the registers of the local APIC are mapped as a device.
    unsafe { write_volatile(address as *mut u32, value) };
}

fn apic_read(address: u64) -> u32 {
    // SAFETY: as for `apic_write`.
    unsafe { read_volatile(address as *const u32) }
}

fn out(port: u16, value: u8) {
    // SAFETY: the ports are of the serial line, of interrupt controllers that are not used, and of the emulator.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// The number of this CPU: that of its TSS.
pub fn cpu() -> u32 {
    let selector: u16;
    // SAFETY: reading this register has no effect.
    unsafe { asm!("str {:x}", out(reg) selector, options(nostack, preserves_flags)) };
    u32::from((selector - TSS) / 16)
}

pub fn put(byte: u8) {
    out(0x3f8, byte);
}

/// Ends the emulation: the device isa-debug-exit. QEMU exits with `2 * code + 1`.
pub fn exit(code: u32) -> ! {
    loop {
        // SAFETY: the emulator stops.
        unsafe {
            asm!("out dx, eax", in("dx") 0xf4, in("eax") code, options(nostack, preserves_flags));
        };
    }
}

pub fn interrupts_on() -> bool {
    let flags: u64;
    // SAFETY: reading the flags has no effect.
    unsafe { asm!("pushfq; pop {}", out(reg) flags, options(preserves_flags)) };
    flags & (1 << 9) != 0
}

pub fn set_interrupts(on: bool) {
    // SAFETY: the kernel takes interrupts wherever it has them on.
    unsafe {
        if on {
            asm!("sti", options(nostack));
        } else {
            asm!("cli", options(nostack));
        }
    }
}

/// Adapts the kernel's own tables to the options, on the first CPU before there are others.
pub fn prepare(options: Options) {
    let global = if options.kpti { 0 } else { pte::GLOBAL };
    // SAFETY: no other CPU runs; `Mmu::cpu_online` invalidates what this one has cached.
    unsafe {
        for entry in (*addr_of_mut!(kernel_memory))
            .iter_mut()
            .chain(&mut *addr_of_mut!(kernel_devices))
        {
            *entry |= global;
        }
        let top = &mut *addr_of_mut!(KERNEL_TOP);
        top.0[KERNEL_INDEX] = physical(addr_of!(kernel_1)) | pte::TABLE;
        top.0[WINDOW_INDEX] = physical(addr_of!(WINDOW)) | pte::TABLE;
        let [third, second, first] = &mut *addr_of_mut!(USER_VIEW);
        let (begin, end) = (addr_of!(entry_begin) as u64, addr_of!(entry_end) as u64);
        third.0[510] = physical(second) | pte::TABLE;
        second.0[(begin >> 21) as usize % 512] = physical(first) | pte::TABLE;
        for page in (begin..end).step_by(4096) {
            first.0[(page >> 12) as usize % 512] = (page - OFFSET) | pte::KERNEL_PAGE | global;
        }
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

/// Starts the other CPUs: INIT, then twice SIPI (SDM 3A, 9.4.4).
pub fn start_others() {
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
        apic_write(APIC_ICR, message);
        for _ in 0..100_000 {
            core::hint::spin_loop();
        }
    }
}

/// Sets up what each CPU has of its own.
pub fn prepare_cpu() {
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
        let pge: u64 = if Config::from_registers(&registers()).has(Config::PGE) {
            1 << 7
        } else {
            0
        };
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, in(reg) pge, options(nostack));
    }
    // The older interrupt controllers send nothing.
    out(0x21, 0xff);
    out(0xa1, 0xff);
    apic_write(APIC_SPURIOUS, 0x100 | u32::from(SPURIOUS));
}

fn registers() -> Registers {
    let extended = |leaf| {
        if __cpuid(0x8000_0000).eax >= leaf {
            __cpuid(leaf)
        } else {
            __cpuid_count(0, u32::MAX)
        }
    };
    let (basic, features) = (__cpuid(1), __cpuid_count(7, 0));
    let (flags, sizes) = (extended(0x8000_0001), extended(0x8000_0008));
    Registers {
        cpuid_01h_edx: basic.edx.into(),
        cpuid_01h_ecx: basic.ecx.into(),
        cpuid_07h_0_ebx: features.ebx.into(),
        cpuid_80000008h_ebx: sizes.ebx.into(),
        cpuid_80000001h_ecx: flags.ecx.into(),
        cr4: 0, // four levels: start.s
        cpuid_80000008h_edx: sizes.edx.into(),
    }
}

/// The configuration of the machine. Its CPUs are alike.
pub fn config(options: Options) -> Config {
    // CR4.PCIDE and EFER.TCE stay off (see `Hardware::new`), and INVLPGB needs PCIDs. The emulator has none of them.
    let mut config = Config::from_registers(&registers())
        .without(Config::PCID)
        .without(Config::TCE);
    if options.plain {
        config = config.without(Config::INVPCID);
    }
    if options.kpti {
        config = config.with(Config::PTI);
    }
    config.settled()
}

/// The backend for a configuration.
pub fn tlb(config: Config) -> Tlb {
    Tlb {
        config,
        invlpgb_pages: 1,
    }
}

/// The top table that the kernel's addresses are in.
pub fn kernel_table() -> u64 {
    physical(addr_of!(KERNEL_TOP))
}

/// What a CPU loads that runs in no user space.
pub fn kernel_root() -> u64 {
    physical(addr_of!(KERNEL_TOP))
}

/// The entries of a new space's top table that are the kernel's.
pub fn kernel_entry(index: usize) -> u64 {
    // SAFETY: the entries of the kernel's table do not change once CPUs are online.
    unsafe { (*addr_of!(KERNEL_TOP)).0[index] }
}

/// Whether user code that runs on a view of its own has another top table than the kernel.
pub const HAS_USER_TOP: bool = true;

/// The entries of that table which do not depend on the space.
pub fn user_top_entry(index: usize) -> u64 {
    if index == KERNEL_INDEX {
        physical(addr_of!(USER_VIEW)) | pte::TABLE
    } else {
        0
    }
}

/// Sends the interrupt of shootdowns.
pub fn send_ipi(cpu: u32) {
    // In xAPIC mode the store that sends is not reordered with earlier stores.
    apic_write(APIC_ICR_TARGET, cpu << 24);
    apic_write(APIC_ICR, 0x4000 | u32::from(SHOOTDOWN));
    while apic_read(APIC_ICR) & 0x1000 != 0 {
        core::hint::spin_loop();
    }
}

fn serve_interrupt(vector: u64) {
    if vector == u64::from(SHOOTDOWN) {
        // Acknowledged first: one that comes from now on is taken again.
        apic_write(APIC_EOI, 0);
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

/// What entry code loads for a space, where user code has a view of its own; see
/// [`Mmu::enter_from_user_through`](tlbc_runtime::Mmu::enter_from_user_through).
pub fn set_kernel_view(op: Op) {
    if let Op::LoadCr3 { cr3 } = op {
        entry().kernel_root = cr3;
    }
}

/// What the return to user code loads.
///
/// Returns whether the instruction is such a load.
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
            registers,
        }
    }

    /// The number and the values of a [`call`].
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
        flags: 0x202, // interrupts on
        rsp: state.sp,
        ss: USER_DATA.into(),
    };
    // SAFETY: the view of a space is loaded whose user code this is.
    unsafe { enter_user(entry) };
    let frame = &entry.frame;
    state.registers = frame.registers;
    state.pc = frame.rip;
    state.sp = frame.rsp;
    match frame.vector {
        PAGE_FAULT => {
            let address: u64;
            // SAFETY: reading this register has no effect.
            unsafe {
                asm!("mov {}, cr2", out(reg) address, options(nostack, preserves_flags));
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

/// Whether an instruction invalidates, and nothing else.
pub fn is_invalidation(op: Op) -> bool {
    !matches!(op, Op::Tlbsync | Op::LoadCr3 { .. })
}

/// The same instruction without effect on other CPUs.
pub fn confined(op: Op) -> Op {
    op
}
