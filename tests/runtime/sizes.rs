//! The sizes of the types for which a kernel provides memory do not grow unnoticed.
#![cfg(target_pointer_width = "64")]

#[path = "../benches/gather/entries.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod entries;
#[path = "../benches/gather/machine.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod machine;
#[path = "../benches/gather/platform.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod platform;
#[path = "../benches/gather/task.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod task;

use std::mem::size_of;

use machine::Arm64;
use platform::Bare;
use task::Bench;

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::platform::BATCH;
use tlbc_runtime::request::{Extent, Ranges};
use tlbc_runtime::{Gather, PageBatch};
use tlbc_tests::hosted::{self, Hosted};

#[test]
fn a_batch_is_a_page_of_memory() {
    // With pages and references to memory of 8 bytes, neither of which is ever 0.
    assert_eq!(size_of::<Option<platform::Page>>(), 8);
    assert_eq!(size_of::<PageBatch<Bare<Arm64>>>(), 4096);
    assert_eq!(BATCH, 510);
}

/// On the stack: eight pages, two batches, one run, and room for ranges of every level. With pages and references to
/// memory of 8 bytes it is 344.
#[test]
fn a_gather_is_small() {
    const PAGES: usize = 8;
    // The host's pages have a flag beside the number, its memory a counter; it is the same of every backend.
    let page = size_of::<Option<hosted::Page>>();
    let memory = size_of::<Option<hosted::Memory<hosted::Page>>>();
    let expected = 264 + 2 * memory + PAGES * page;
    assert_eq!(size_of::<Gather<'_, Hosted<arm64::Tlb>>>(), expected);
    assert_eq!(size_of::<Gather<'_, Hosted<x86_64::Tlb>>>(), expected);
    assert_eq!(Bench::<Arm64>::SIZE, 344);
}

#[test]
fn ranges_are_a_run_and_two_extents_a_level() {
    assert_eq!(size_of::<Extent>(), 16);
    assert_eq!(
        size_of::<Ranges>(),
        (1 + 2 * 6) * size_of::<Extent>() + 2 * 8
    );
}
