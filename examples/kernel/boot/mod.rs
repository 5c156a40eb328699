//! What differs between machines, one folder each: the way from reset to [`crate::start`], exceptions, interrupts, and the
//! format of table entries. Each folder has the same functions; what they must do is said here.

use core::ops::Range;
use core::ptr::addr_of;

/// How many CPUs the kernel starts.
pub const CPUS: usize = 4;

/// Options of the boot: a word in memory that the emulator stores.
#[derive(Clone, Copy)]
pub struct Options {
    /// The kernel is unmapped while user code runs (KPTI, PTI).
    pub kpti: bool,
    /// Features that are optional to use are not used.
    pub plain: bool,
    /// The emulator runs the CPUs in turns (`turns.rs`).
    pub turns: bool,
    /// What is wrong with the instruction sink on purpose (`sink.rs`).
    pub sabotage: u8,
    /// The only scenario, or 0 for all.
    pub scenario: u8,
    /// How many pages are unmapped and used again.
    pub pages: usize,
}

impl Options {
    /// Reads the options. The word has a bit for each of the first three, the scenario from bit 4 on, the sabotage from bit 8
    /// on, and the pages in thousands from bit 16 on.
    pub fn read() -> Self {
        // SAFETY: the memory is mapped, and nothing else is there.
        let word =
            unsafe { core::ptr::read_volatile((machine::OFFSET + machine::OPTIONS) as *const u64) };
        Self {
            kpti: word & 1 != 0,
            plain: word & 2 != 0,
            turns: word & 4 != 0,
            sabotage: (word >> 8) as u8,
            scenario: (word >> 4) as u8 & 0xf,
            pages: (word >> 16) as usize * 1000,
        }
    }

    pub fn runs(&self, scenario: u8) -> bool {
        self.scenario == 0 || self.scenario == scenario
    }
}

unsafe extern "C" {
    static image_end: u8;
    static user_begin: u8;
    static user_end: u8;
}

/// A page table in the kernel's image.
#[repr(C, align(4096))]
struct StaticTable([u64; 512]);

/// Returns the physical address of a part of the kernel's image.
fn physical<T>(of: *const T) -> u64 {
    of as u64 - machine::OFFSET
}

/// Returns where the kernel's image ends in its memory.
pub fn image_end_address() -> u64 {
    physical(addr_of!(image_end))
}

/// Returns the part of the image that has user programs.
pub fn programs() -> Range<u64> {
    physical(addr_of!(user_begin))..physical(addr_of!(user_end))
}

/// Why user code came back to the kernel.
#[derive(Debug, Clone, Copy)]
pub enum Cause {
    /// An interrupt, which was served.
    Interrupt,
    /// User code calls the kernel.
    Call,
    /// An access faulted: nothing is mapped, or it is not allowed.
    Fault { address: u64, is_write: bool },
    /// The walk for an access read an entry that the kernel never stores: it was in a table that is freed.
    WalkOfFreed { address: u64 },
}

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/mod.rs"]
mod machine;
#[cfg(target_arch = "riscv64")]
#[path = "riscv64/mod.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/mod.rs"]
mod machine;

pub use machine::*;
