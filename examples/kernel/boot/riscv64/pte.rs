//! What a table entry of Sv48 looks like (privileged specification, Sv39 and Sv48).

use tlbc_runtime::Entry;

use crate::pte::{Format, Rights};

const VALID: u64 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
const ACCESSED: u64 = 1 << 6;
const DIRTY: u64 = 1 << 7;
const PPN: u64 = ((1 << 44) - 1) << 10;
/// N and PBMT, of Svnapot and Svpbmt.
const HIGH: u64 = 7 << 61;
const ATTRIBUTES: u64 = USER | GLOBAL | HIGH;

pub enum PteFormat {}

/// Returns the page number of an entry.
fn ppn(address: u64) -> u64 {
    address >> 12 << 10
}

/// Returns the address that an entry has as a page number.
fn address(bits: u64) -> u64 {
    (bits & PPN) >> 10 << 12
}

/// Machines with Svade do not set the marks but fault, so the kernel sets them in advance.
impl Format for PteFormat {
    fn user_page(page: u64, rights: Rights) -> u64 {
        let mut bits = ppn(page) | VALID | READ | USER | ACCESSED;
        if rights.contains(Rights::WRITE) {
            bits |= WRITE | DIRTY;
        }
        if rights.contains(Rights::EXECUTE) {
            bits |= EXECUTE;
        }
        bits
    }

    fn kernel_page(page: u64, global: bool) -> u64 {
        let global = if global { GLOBAL } else { 0 };
        ppn(page) | VALID | READ | WRITE | ACCESSED | DIRTY | global
    }

    fn table(table: u64) -> u64 {
        ppn(table) | VALID
    }

    /// Returns the entry as it is: one that allows something maps a page, at any level.
    fn large(bits: u64) -> u64 {
        bits
    }

    fn small(bits: u64, offset: u64) -> u64 {
        bits + ppn(offset)
    }

    fn without_write(bits: u64) -> u64 {
        bits & !WRITE
    }

    fn with_write(bits: u64) -> u64 {
        bits | WRITE | DIRTY
    }

    fn is_accessed(bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    fn is_dirty(bits: u64) -> bool {
        bits & DIRTY != 0
    }

    fn decode(bits: u64, lowest: bool) -> Entry {
        if bits & VALID == 0 {
            return Entry::Invalid;
        }
        if !lowest && bits & (READ | WRITE | EXECUTE) == 0 {
            return Entry::Table {
                table: address(bits),
                attributes: 0,
            };
        }
        let mut rights = Rights::READ;
        if bits & WRITE != 0 {
            rights = rights.with(Rights::WRITE);
        }
        if bits & EXECUTE != 0 {
            rights = rights.with(Rights::EXECUTE);
        }
        Entry::Leaf {
            page: address(bits),
            rights: rights.bits(),
            attributes: bits & ATTRIBUTES,
        }
    }
}
