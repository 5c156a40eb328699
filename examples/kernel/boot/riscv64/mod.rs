//! riscv64, on QEMU's `virt` machine, whose firmware has the SBI: from the firmware to [`crate::start`], and what differs from other
//! machines.

use core::arch::{asm, global_asm};
use core::ops::Range;
use core::ptr::{addr_of, addr_of_mut, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};

use backend::{Config, Op, Tlb};
pub use tlbc_backends::riscv64 as backend;

use super::{CPUS, Options, StaticTable, physical};
use crate::pte::Format;
use device_tree::DeviceTree;
pub use pte::PteFormat;
pub use sbi::{hardware, hardware_for, send_ipi, start_others};
pub use user::{UserState, call, cpu, load, run_user, set_kernel_view, set_user_view, store};

/// Reads a control and status register.
macro_rules! csrr {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading this register has no effect.
        unsafe {
            core::arch::asm!(concat!("csrr {}, ", $name), out(reg) value, options(nostack, preserves_flags));
        }
        value
    }};
}

mod device_tree;
mod pte;
mod sbi;
mod user;

global_asm!(
    include_str!("start.s"),
    start_rust = sym crate::start,
    entries = sym user::ENTRIES,
    entry_shift = const user::ENTRY_SHIFT,
);

/// The kernel has physical memory at this distance.
pub const OFFSET: u64 = 0xffff_ff80_0000_0000;
/// The word that the boot options are in.
pub const OPTIONS: u64 = 0x8300_0000;
/// The address from which on the kernel maps what it changes: an entry of every top table, all with the same table below.
pub const KERNEL_WINDOW: u64 = ((WINDOW_INDEX as u64) << 39) | 0xffff_0000_0000_0000;

/// The feature by which user code runs on a view of its own: there is none.
pub const SEPARATE_VIEWS: Config = Config::NONE;
/// How long the instructions of [`load`] and [`store`] are.
pub const ACCESS_BYTES: u64 = 4;

/// The entry of every top table that maps what the kernel changes.
const WINDOW_INDEX: usize = 510;

const UART: u64 = OFFSET + 0x1000_0000;
/// A device that ends the emulation.
const TEST: u64 = OFFSET + 0x10_0000;

unsafe extern "C" {
    static mut kernel_top: [u64; 512];
    static boot_hart: u64;
    static boot_device_tree: u64;
}

/// Below [`WINDOW_INDEX`] of every top table.
static mut WINDOW: StaticTable = StaticTable([0; 512]);

/// How many bits of an ASID the machine has, found before the first CPU comes online.
static ASID_BITS: AtomicU32 = AtomicU32::new(0);

/// Lets another CPU run, where the emulator runs them in turns: not before the turn of this one is over.
pub use core::hint::spin_loop as hand_over;

/// Returns the addresses of the kernel's memory.
pub fn memory() -> Range<u64> {
    0x8000_0000..0x8400_0000
}

/// Returns the hart ID of a CPU. The IDs are 0 and the numbers after it, and any of them may be that of the first CPU.
fn hart(cpu: u32) -> u64 {
    // SAFETY: it does not change.
    let first = unsafe { boot_hart };
    match u64::from(cpu) {
        0 => first,
        cpu if cpu == first => 0,
        cpu => cpu,
    }
}

pub fn put(byte: u8) {
    // SAFETY: the address is that of a device.
    unsafe { write_volatile(UART as *mut u8, byte) };
}

/// Ends the emulation. QEMU exits with the code.
pub fn exit(code: u32) -> ! {
    let word = if code == 0 {
        0x5555
    } else {
        0x3333 | code << 16
    };
    loop {
        // SAFETY: the emulator stops.
        unsafe { write_volatile(TEST as *mut u32, word) };
    }
}

/// Of sstatus: whether interrupts are on in the kernel.
const SIE: u64 = 1 << 1;

pub fn interrupts_on() -> bool {
    csrr!("sstatus") & SIE != 0
}

pub fn set_interrupts(on: bool) {
    // SAFETY: the kernel takes interrupts wherever it has them on.
    unsafe {
        if on {
            asm!("csrs sstatus, {}", in(reg) SIE, options(nostack));
        } else {
            asm!("csrc sstatus, {}", in(reg) SIE, options(nostack));
        }
    }
}

/// Completes the kernel's own tables, on the first CPU before there are others.
pub fn prepare(_options: Options) {
    // SAFETY: no other CPU runs, and nothing is mapped there yet.
    unsafe {
        (*addr_of_mut!(kernel_top))[WINDOW_INDEX] = PteFormat::table(physical(addr_of!(WINDOW)));
    }
    ASID_BITS.store(asid_bits(), Ordering::Relaxed);
}

/// Returns how many bits of satp.ASID can be set, which are the lowest ones (privileged specification, satp).
fn asid_bits() -> u32 {
    let satp = csrr!("satp");
    let written: u64;
    // SAFETY: the same tables are loaded before and after, with global entries only; what was cached is dropped.
    unsafe {
        asm!("csrw satp, {ones}", "csrr {written}, satp", "csrw satp, {satp}", "sfence.vma",
            ones = in(reg) satp | 0xffff << 44, written = out(reg) written, satp = in(reg) satp, options(nostack));
    }
    (written >> 44 & 0xffff).count_ones()
}

/// Sets up what each CPU has of its own.
pub fn prepare_cpu() {
    // SAFETY: they are taken where interrupts are on.
    unsafe { asm!("csrs sie, {}", in(reg) user::SOFTWARE, options(nostack)) };
}

/// Returns the configuration of the machine. Its CPUs are alike.
pub fn config(options: Options) -> Config {
    assert!(!options.kpti, "user code has no view of its own here");
    let config = Config::SV48;
    if options.plain {
        return config.settled();
    }
    // SAFETY: the firmware has said where the device tree is, and the kernel's frames end before it.
    let tree = unsafe { DeviceTree::at(boot_device_tree) };
    let features = [
        (Config::ASIDS, 1 << asid_bits() >= 2 * CPUS),
        (Config::SBI, sbi::has_rfence()),
        (Config::SVINVAL, tree.has_extension("svinval")),
        (Config::SVVPTC, tree.has_extension("svvptc")),
    ];
    let present = features.into_iter().filter(|(_, is_present)| *is_present);
    present
        .fold(config, |config, (flag, _)| config.with(flag))
        .settled()
}

/// Returns the backend for a configuration.
pub fn tlb(config: Config) -> Tlb {
    Tlb {
        config,
        asid_bits: ASID_BITS.load(Ordering::Relaxed),
    }
}

/// Returns the address of the top table that the kernel's addresses are in.
pub fn kernel_table() -> u64 {
    physical(addr_of!(kernel_top))
}

/// Returns what a CPU loads that runs in no user space.
pub fn kernel_root() -> u64 {
    kernel_table()
}

/// Returns an entry for a new space's top table: the kernel's one, or 0.
pub fn kernel_entry(index: usize) -> u64 {
    // SAFETY: the entries of the kernel's table do not change once CPUs are online.
    unsafe { (*addr_of!(kernel_top))[index] }
}

/// Whether user code that runs on a view of its own has another top table than the kernel.
pub const HAS_USER_TOP: bool = false;

/// Returns an entry for that table: one that does not depend on the space, or 0.
pub fn user_top_entry(_index: usize) -> u64 {
    0
}

/// Returns whether an instruction invalidates and does nothing else.
pub fn is_invalidation(op: Op) -> bool {
    !matches!(
        op,
        Op::SfenceWInval | Op::SfenceInvalIr | Op::LoadSatp { .. }
    )
}

/// Returns the same instruction without effect on other CPUs.
pub fn confined(op: Op) -> Op {
    op
}
