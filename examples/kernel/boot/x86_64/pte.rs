//! What a table entry of 4-level paging looks like (SDM 3A, 4.5.4).

use tlbc_runtime::Entry;

use crate::pte::{Format, Rights};

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const NO_CACHE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// A page, above the lowest level; there it is the third bit of the memory type, which is another one in large pages. The kernel
/// sets neither.
const LARGE_OR_PAT: u64 = 1 << 7;
pub(super) const GLOBAL: u64 = 1 << 8;
const NO_EXECUTION: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const ATTRIBUTES: u64 = USER | WRITE_THROUGH | NO_CACHE | LARGE_OR_PAT | GLOBAL;

/// A table of the kernel's.
pub(super) const TABLE: u64 = PRESENT | WRITE;
/// A page of the kernel that it may execute and write.
pub(super) const KERNEL_PAGE: u64 = PRESENT | WRITE;

pub enum PteFormat {}

impl Format for PteFormat {
    fn user_page(page: u64, rights: Rights) -> u64 {
        let mut bits = page | PRESENT | USER;
        if rights.contains(Rights::WRITE) {
            bits |= WRITE;
        }
        if !rights.contains(Rights::EXECUTE) {
            bits |= NO_EXECUTION;
        }
        bits
    }

    fn kernel_page(page: u64, global: bool) -> u64 {
        let global = if global { GLOBAL } else { 0 };
        page | KERNEL_PAGE | NO_EXECUTION | global
    }

    fn table(table: u64) -> u64 {
        table | PRESENT | WRITE | USER
    }

    fn large(bits: u64) -> u64 {
        bits | LARGE_OR_PAT
    }

    fn small(bits: u64, offset: u64) -> u64 {
        (bits & !LARGE_OR_PAT) + offset
    }

    fn without_write(bits: u64) -> u64 {
        bits & !WRITE
    }

    fn with_write(bits: u64) -> u64 {
        bits | WRITE
    }

    fn is_accessed(bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    fn is_dirty(bits: u64) -> bool {
        bits & DIRTY != 0
    }

    fn decode(bits: u64, lowest: bool) -> Entry {
        if bits & PRESENT == 0 {
            return Entry::Invalid;
        }
        if !lowest && bits & LARGE_OR_PAT == 0 {
            return Entry::Table {
                table: bits & ADDRESS,
                attributes: bits & (WRITE | USER | NO_EXECUTION),
            };
        }
        let mut rights = Rights::READ;
        if bits & WRITE != 0 {
            rights = rights.with(Rights::WRITE);
        }
        if bits & NO_EXECUTION == 0 {
            rights = rights.with(Rights::EXECUTE);
        }
        Entry::Leaf {
            page: bits & ADDRESS,
            rights: rights.bits(),
            attributes: bits & ATTRIBUTES,
        }
    }
}
