//! What a table entry of VMSAv8-64 with 4 KiB pages looks like (Arm ARM D8.3).

use tlbc_runtime::Entry;

use crate::pte::{Format, Rights};

const VALID: u64 = 1;
/// A page at the lowest level, a table above.
const PAGE: u64 = 3;
pub(super) const TABLE: u64 = 3;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
pub(super) const NOT_GLOBAL: u64 = 1 << 11;
const NO_KERNEL_EXECUTION: u64 = 1 << 53;
const NO_USER_EXECUTION: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const ATTRIBUTES: u64 = 7 << 2 | USER | INNER_SHAREABLE | NOT_GLOBAL;

/// A page of the kernel that it may execute and write.
pub(super) const KERNEL_PAGE: u64 = PAGE | INNER_SHAREABLE | ACCESSED | NO_USER_EXECUTION;

pub enum PteFormat {}

impl Format for PteFormat {
    fn user_page(page: u64, rights: Rights) -> u64 {
        let mut bits =
            page | PAGE | USER | INNER_SHAREABLE | ACCESSED | NOT_GLOBAL | NO_KERNEL_EXECUTION;
        if !rights.contains(Rights::WRITE) {
            bits |= READ_ONLY;
        }
        if !rights.contains(Rights::EXECUTE) {
            bits |= NO_USER_EXECUTION;
        }
        bits
    }

    fn kernel_page(page: u64, global: bool) -> u64 {
        let not_global = if global { 0 } else { NOT_GLOBAL };
        page | KERNEL_PAGE | NO_KERNEL_EXECUTION | not_global
    }

    fn table(table: u64) -> u64 {
        table | TABLE
    }

    /// Returns a block: bit 1 is clear (D8.3.1).
    fn large(bits: u64) -> u64 {
        bits & !(PAGE & !VALID)
    }

    fn small(bits: u64, offset: u64) -> u64 {
        (bits | PAGE) + offset
    }

    fn without_write(bits: u64) -> u64 {
        bits | READ_ONLY
    }

    fn with_write(bits: u64) -> u64 {
        bits & !READ_ONLY
    }

    fn is_accessed(bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    /// Returns whether it may be written: the machine sets no mark (TCR_EL1.HD is 0).
    fn is_dirty(bits: u64) -> bool {
        bits & READ_ONLY == 0
    }

    fn decode(bits: u64, lowest: bool) -> Entry {
        if bits & VALID == 0 {
            return Entry::Invalid;
        }
        if !lowest && bits & 2 != 0 {
            return Entry::Table {
                table: bits & ADDRESS,
                attributes: 0,
            };
        }
        let mut rights = Rights::READ;
        if bits & READ_ONLY == 0 {
            rights = rights.with(Rights::WRITE);
        }
        if bits & NO_USER_EXECUTION == 0 {
            rights = rights.with(Rights::EXECUTE);
        }
        Entry::Leaf {
            page: bits & ADDRESS,
            rights: rights.bits(),
            attributes: bits & ATTRIBUTES,
        }
    }
}
