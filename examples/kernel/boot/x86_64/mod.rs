//! x86-64, on a PC: from reset to [`crate::start`], and what differs from other machines.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::arch::{asm, global_asm};
use core::ops::Range;
use core::ptr::{addr_of, addr_of_mut};

use backend::{Config, Hardware, Op, Registers, Tlb};
pub use tlbc_backends::x86_64 as backend;

use tlbc_runtime::{CpuMask, Issue, Record};

use super::{CPUS, Cause, Options, StaticTable, physical};
use crate::platform::Cpus;
pub use apic::{send_ipi, start_others};
pub use descriptors::cpu;
pub use pte::PteFormat;
pub use user::{UserState, call, load, run_user, set_kernel_view, set_user_view, store};

mod apic;
mod descriptors;
mod pte;
mod user;

global_asm!(
    include_str!("start.s"),
    start_rust = sym crate::start,
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

unsafe extern "C" {
    static mut kernel_1: [u64; 512];
    static mut kernel_memory: [u64; 512];
    static mut kernel_devices: [u64; 512];
    static entry_begin: u8;
    static entry_end: u8;
}

/// Returns what a CPU loads that runs in no user space.
static mut KERNEL_TOP: StaticTable = StaticTable([0; 512]);
/// Below [`WINDOW_INDEX`] of every top table.
static mut WINDOW: StaticTable = StaticTable([0; 512]);
/// Below [`KERNEL_INDEX`] of the top tables that user code runs on, where the kernel is unmapped:
/// [`entry_begin`] to [`entry_end`].
static mut USER_VIEW: [StaticTable; 3] = [const { StaticTable([0; 512]) }; 3];

/// Lets another CPU run, where the emulator runs them in turns.
pub use core::hint::spin_loop as hand_over;

/// Returns the addresses of the kernel's memory.
pub fn memory() -> Range<u64> {
    0x10_0000..0x400_0000
}

fn out(port: u16, value: u8) {
    // SAFETY: the ports are of the serial line, of interrupt controllers that are not used, and of the emulator.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
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
    }
    descriptors::prepare();
}

/// Sets up what each CPU has of its own.
pub fn prepare_cpu() {
    descriptors::load();
    let pge: u64 = if Config::from_registers(&registers()).has(Config::PGE) {
        1 << 7
    } else {
        0
    };
    // SAFETY: the kernel's tables are complete.
    unsafe {
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, in(reg) pge, options(nostack));
    }
    // The older interrupt controllers send nothing.
    out(0x21, 0xff);
    out(0xa1, 0xff);
    apic::enable();
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

/// Returns the configuration of the machine. Its CPUs are alike.
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

/// Returns the backend for a configuration.
pub fn tlb(config: Config) -> Tlb {
    Tlb {
        config,
        invlpgb_pages: 1,
    }
}

/// Returns the address of the top table that the kernel's addresses are in.
pub fn kernel_table() -> u64 {
    physical(addr_of!(KERNEL_TOP))
}

/// Returns what a CPU loads that runs in no user space.
pub fn kernel_root() -> u64 {
    physical(addr_of!(KERNEL_TOP))
}

/// Returns an entry for a new space's top table: the kernel's one, or 0.
pub fn kernel_entry(index: usize) -> u64 {
    // SAFETY: the entries of the kernel's table do not change once CPUs are online.
    unsafe { (*addr_of!(KERNEL_TOP)).0[index] }
}

/// Whether user code that runs on a view of its own has another top table than the kernel.
pub const HAS_USER_TOP: bool = true;

/// Returns an entry for that table: one that does not depend on the space, or 0.
pub fn user_top_entry(index: usize) -> u64 {
    if index == KERNEL_INDEX {
        physical(addr_of!(USER_VIEW)) | pte::TABLE
    } else {
        0
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
    !matches!(op, Op::Tlbsync | Op::LoadCr3 { .. })
}

/// Returns the same instruction without effect on other CPUs.
pub fn confined(op: Op) -> Op {
    op
}
