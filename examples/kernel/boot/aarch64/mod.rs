//! aarch64, on QEMU's `virt` machine with a GICv2: from reset to [`crate::start`], and what differs from other machines.

use core::arch::{asm, global_asm};
use core::ops::Range;
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use backend::{Config, Hardware, Op, Registers, Tlb};
pub use tlbc_backends::arm64 as backend;

use tlbc_runtime::{CpuMask, Issue, Record};

use super::{CPUS, Options, StaticTable, physical};
use crate::platform::Cpus;
pub use pte::PteFormat;
pub use user::{UserState, call, load, run_user, set_kernel_view, set_user_view, store};

/// Reads a system register.
macro_rules! mrs {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading this register has no effect.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags)) };
        value
    }};
}

mod pte;
mod user;

global_asm!(
    include_str!("start.s"),
    start_rust = sym crate::start,
);

/// The kernel has physical memory at this distance.
pub const OFFSET: u64 = 0xffff_0000_0000_0000;
/// The word that the boot options are in.
pub const OPTIONS: u64 = 0x4300_0000;
/// The address from which on the kernel maps what it changes: a part of every top table that no table of a space replaces.
pub const KERNEL_WINDOW: u64 = OFFSET + (256 << 30);

/// The feature by which user code runs on a view of its own.
pub const SEPARATE_VIEWS: Config = Config::KPTI;
/// How long the instructions of [`load`] and [`store`] are.
pub const ACCESS_BYTES: u64 = 4;

const UART: u64 = OFFSET + 0x0900_0000;
const GICD: u64 = OFFSET + 0x0800_0000;
const GICC: u64 = OFFSET + 0x0801_0000;
const GICD_ISENABLER: u64 = GICD + 0x100;
const GICD_SGIR: u64 = GICD + 0xf00;
const GICC_PMR: u64 = GICC + 4;
const GICC_IAR: u64 = GICC + 0xc;
const GICC_EOIR: u64 = GICC + 0x10;

/// The software-generated interrupt of shootdowns.
const SHOOTDOWN: u32 = 1;
/// The number that the GIC answers with when nothing is pending.
const SPURIOUS: u32 = 1020;

unsafe extern "C" {
    static mut kernel_top: [u64; 512];
    static mut kernel_1: [u64; 512];
    static entry_begin: u8;
    static entry_end: u8;
    fn start_secondary();
}

/// What TTBR0 names where no user space is loaded.
static EMPTY: StaticTable = StaticTable([0; 512]);
/// The upper half while user code runs, where the kernel is unmapped: [`entry_begin`] to [`entry_end`].
static mut TRAMPOLINE: [StaticTable; 4] = [const { StaticTable([0; 512]) }; 4];

/// Returns the addresses of the kernel's memory.
pub fn memory() -> Range<u64> {
    0x4000_0000..0x4400_0000
}

fn device_write(address: u64, value: u32) {
    // SAFETY: the addresses are of devices, which are mapped as such.
    unsafe { write_volatile(address as *mut u32, value) };
}

fn device_read(address: u64) -> u32 {
    // SAFETY: as for `device_write`.
    unsafe { read_volatile(address as *const u32) }
}

/// Lets another CPU run, where the emulator runs them in turns.
pub fn hand_over() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) };
}

/// Returns the number of this CPU.
pub fn cpu() -> u32 {
    mrs!("tpidr_el1") as u32
}

pub fn put(byte: u8) {
    device_write(UART, u32::from(byte));
}

/// Ends the emulation: semihosting SYS_EXIT_EXTENDED.
pub fn exit(code: u32) -> ! {
    let block = [0x20026, u64::from(code)];
    loop {
        // SAFETY: the emulator reads the block and stops.
        unsafe { asm!("hlt #0xf000", in("x0") 0x20, in("x1") &raw const block) };
    }
}

pub fn interrupts_on() -> bool {
    mrs!("daif") & (1 << 7) == 0
}

pub fn set_interrupts(on: bool) {
    // SAFETY: the kernel takes interrupts wherever it has them on.
    unsafe {
        if on {
            asm!("msr daifclr, #2", options(nostack));
        } else {
            asm!("msr daifset, #2", options(nostack));
        }
    }
}

/// Adapts the kernel's own tables to the options, on the first CPU before there are others.
pub fn prepare(options: Options) {
    let not_global = if options.kpti { pte::NOT_GLOBAL } else { 0 };
    // SAFETY: no other CPU runs; `Mmu::cpu_online` invalidates what this one has cached.
    unsafe {
        for entry in &mut *addr_of_mut!(kernel_1) {
            if *entry != 0 {
                *entry |= not_global;
            }
        }
        let [top, third, second, first] = &mut *addr_of_mut!(TRAMPOLINE);
        let (begin, end) = (addr_of!(entry_begin) as u64, addr_of!(entry_end) as u64);
        top.0[0] = physical(third) | pte::TABLE;
        third.0[1] = physical(second) | pte::TABLE;
        second.0[(begin >> 21) as usize % 512] = physical(first) | pte::TABLE;
        for page in (begin..end).step_by(4096) {
            first.0[(page >> 12) as usize % 512] = (page - OFFSET) | pte::KERNEL_PAGE | not_global;
        }
    }
}

/// Starts the other CPUs, and returns when all are online: PSCI CPU_ON, by HVC on this machine.
pub fn start_others(are_online: impl Fn() -> bool) {
    for cpu in 1..CPUS as u64 {
        let entry = physical(start_secondary as *const ());
        let result: u64;
        // SAFETY: the other CPU begins at an address that is meant for it.
        unsafe {
            asm!("hvc #0", inout("x0") 0xc400_0003_u64 => result, in("x1") cpu, in("x2") entry, in("x3") cpu,
                options(nostack));
        }
        assert_eq!(result, 0, "CPU {cpu} does not start");
    }
    while !are_online() {
        crate::turns::hand_over();
    }
}

/// Sets up what each CPU has of its own.
pub fn prepare_cpu() {
    device_write(GICD, 1);
    device_write(GICD_ISENABLER, 1 << SHOOTDOWN);
    device_write(GICC_PMR, 0xff);
    device_write(GICC, 1);
}

/// Returns the configuration of the machine. Its CPUs are alike.
pub fn config(options: Options) -> Config {
    let mut config = Config::from_registers(&Registers {
        id_aa64mmfr0_el1: mrs!("id_aa64mmfr0_el1"),
        id_aa64mmfr1_el1: mrs!("id_aa64mmfr1_el1"),
        id_aa64mmfr2_el1: mrs!("id_aa64mmfr2_el1"),
        id_aa64isar0_el1: mrs!("id_aa64isar0_el1"),
    });
    if options.plain {
        config = config.without(Config::TTL).without(Config::RANGES);
    }
    if options.kpti {
        config = config.with(Config::KPTI);
    }
    config.settled()
}

/// Returns the backend for a configuration.
pub fn tlb(config: Config) -> Tlb {
    Tlb { config }
}

/// Returns the address of the top table that the kernel's addresses are in.
pub fn kernel_table() -> u64 {
    physical(addr_of!(kernel_top))
}

/// Returns what a CPU loads that runs in no user space: TTBR0 names an empty table.
pub fn kernel_root() -> u64 {
    physical(&EMPTY)
}

/// Returns an entry for a new space's top table: 0, since the kernel's are in a table of their own here.
pub fn kernel_entry(_index: usize) -> u64 {
    0
}

/// Whether user code that runs on a view of its own has another top table than the kernel.
pub const HAS_USER_TOP: bool = false;

/// Returns an entry for that table: one that does not depend on the space, or 0.
pub fn user_top_entry(_index: usize) -> u64 {
    0
}

/// Sends the interrupt of shootdowns.
pub fn send_ipi(cpu: u32) {
    // The interrupt must not overtake what was stored before.
    // SAFETY: a barrier.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    device_write(GICD_SGIR, 1 << (16 + cpu) | SHOOTDOWN);
}

fn serve_interrupt() {
    let number = device_read(GICC_IAR);
    if number & 0x3ff < SPURIOUS {
        // Acknowledged first: one that comes from now on is taken again.
        device_write(GICC_EOIR, number);
        crate::shootdown_interrupt();
    }
}

/// Returns the sink of this CPU.
///
/// # Safety
/// As for [`Hardware::new`].
pub unsafe fn hardware() -> Hardware {
    // SAFETY: as for the caller.
    unsafe { Hardware::new() }
}

/// Returns the sink of [`Platform::sink_for`](tlbc_runtime::Platform::sink_for). No call acts on other CPUs here, so each gets an IPI.
pub fn hardware_for(cpus: &Cpus, missed: &mut Cpus) -> impl Issue<Op> + use<> {
    missed.extend(cpus);
    Record(|_| ())
}

/// Returns whether an instruction invalidates and does nothing else.
pub fn is_invalidation(op: Op) -> bool {
    !matches!(
        op,
        Op::DsbIshst
            | Op::DsbNshst
            | Op::DsbIsh
            | Op::DsbNsh
            | Op::Isb
            | Op::LoadTtbr0 { .. }
            | Op::LoadTtbr1 { .. }
    )
}

/// Returns the same instruction without effect on other CPUs.
pub fn confined(op: Op) -> Op {
    match op {
        Op::Vale1is { page } => Op::Vale1 { page },
        Op::Vae1is { page } => Op::Vae1 { page },
        Op::Vaale1is { page_any } => Op::Vaale1 { page_any },
        Op::Vaae1is { page_any } => Op::Vaae1 { page_any },
        Op::Rvale1is { range } => Op::Rvale1 { range },
        Op::Rvae1is { range } => Op::Rvae1 { range },
        Op::Rvaale1is { range_any } => Op::Rvaale1 { range_any },
        Op::Rvaae1is { range_any } => Op::Rvaae1 { range_any },
        Op::Aside1is { space } => Op::Aside1 { space },
        Op::Vmalle1is => Op::Vmalle1,
        op => op,
    }
}
