//! Negative entries: dropped by address where an instruction for their level does so.

use tlbc::Analysis;
use tlbc::trace::{AddressRange, Event, Until};
use tlbc_runtime::request::{Extent, Ranges};

use super::{issues, left_on_hardware, with};
use tlbc_tests::requests::{Ask, Steps, What, flush_on, good, level, lines};

const NEGATIVE: &str = include_str!("definitions/negative.arch");

/// Checks the instructions for entries that were mapped.
#[track_caller]
fn negative(arch: &Analysis, start: u64, bytes: u64, levels: &[&str], expected: &[&str]) {
    let mut ranges = Ranges::new();
    for name in levels {
        ranges.negative(level(&arch.model, name), Extent::new(start, bytes));
    }
    let made = flush_on(arch, "", true, ranges);
    assert_eq!(lines(made.instructions()), expected);
}

#[test]
fn entries_that_appear_go_by_address_where_their_level_does() {
    let arch = good(NEGATIVE);
    let one = ["order", "page 0x1000, 0x42", "wait"];
    negative(&arch, 0x1000, 0x1000, &["pte"], &one);
    let two = ["order", "page 0x1000, 0x42", "page 0x2000, 0x42", "wait"];
    negative(&arch, 0x1000, 0x2000, &["pte"], &two);
    let large = [
        "order",
        "page 0x200000, 0x42",
        "large 0x200000, 0x42",
        "wait",
    ];
    negative(&arch, 0x20_0000, 0x20_0000, &["pmd"], &large);
    // Each level by its own instruction, even where the addresses are the same.
    let both = [
        "order",
        "page 0x0, 0x42",
        "page 0x0, 0x42",
        "large 0x0, 0x42",
        "wait",
    ];
    negative(&arch, 0, 0x1000, &["pte", "pmd"], &both);
    // Of the other levels nothing is invalidated by address.
    let edit = (
        "drops negative at pmd of one page",
        "drops negative at pgd of one page",
    );
    let arch = with(NEGATIVE, &[edit]);
    let whole = ["order", "space 0x42", "wait"];
    negative(&arch, 0, 0x20_0000, &["pmd"], &whole);
    negative(&arch, 0x1000, 0x2000, &["pte"], &two);
}

/// Hardware that keeps negative entries of a level that an instruction is said to drop is found.
#[test]
fn negative_entries_that_are_left_are_found_by_hardware() {
    let planned = good(NEGATIVE);
    let edit = (
        "drops negative at pmd of one page",
        "drops negative at pgd of one page",
    );
    assert_eq!(left_on_hardware(&planned, &planned.model), "");
    let text = left_on_hardware(&planned, &with(NEGATIVE, &[edit]).model);
    assert!(text.contains("a negative entry of pmd"), "{text}");
}

/// Unmapped entries take no instruction for negative entries, even if no instruction drops those by address.
#[test]
fn a_single_page_and_ranges_take_the_same_instruction() {
    let edit = (
        "drops negative at pmd of one page, this tag or global;",
        "drops nothing;",
    );
    let arch = with(NEGATIVE, &[edit]);
    let one = Ask::user(0x1000, 0x1000, &["pte"]).others();
    let two = Ask::user(0x1000, 0x2000, &["pte"]).others();
    let many = ["order", "page 0x1000, 0x42", "page 0x2000, 0x42", "wait"];
    issues(&arch, "", &one, &["order", "page 0x1000, 0x42", "wait"]);
    issues(&arch, "", &two, &many);
    negative(&arch, 0x1000, 0x2000, &["pte"], &many);
}

/// The entry on which a CPU faults may have been missing at any level above: a negative entry of each of them is flushed.
#[test]
fn a_fault_flushes_the_levels_above() {
    let all = ["pte", "pmd", "pgd"];
    let edit = (
        "drops negative at pmd of one page",
        "drops negative of one page",
    );
    for arch in [good(NEGATIVE), with(NEGATIVE, &[edit])] {
        let arch = &arch;
        for (nth, bytes) in [(0, 0x1000), (1, 0x20_0000)] {
            let level_of = |name: &&str| level(&arch.model, name);
            let mut ranges = Ranges::new();
            for level in all[nth..].iter().map(level_of) {
                ranges.negative(level, Extent::new(0x20_0000, bytes));
            }
            let wanted = flush_on(arch, "", false, ranges);
            let fault = Ask::event(Event::Fault(AddressRange {
                extent: Extent::new(0x20_0000, bytes),
                levels: vec![nth],
            }));
            let trace = fault.on(arch, "");
            assert_eq!(lines(trace.issued()), lines(wanted.instructions()));
        }
    }
}

/// An instruction for the negative entries of every level at an address is issued once for all of them.
#[test]
fn one_instruction_for_every_level_is_issued_once() {
    let edits = [
        (
            "drops negative at pte of one page",
            "drops negative of one page",
        ),
        (
            "drops negative at pmd of one page, this tag or global;",
            "drops nothing;",
        ),
    ];
    let arch = with(NEGATIVE, &edits);
    let once = ["order", "page 0x1000, 0x42", "wait"];
    negative(&arch, 0x1000, 0x1000, &["pte", "pmd"], &once);
}

/// New entries of the kernel and more rights are flushed on every CPU, unless the CPU that faults may flush them.
#[test]
fn the_kernel_s_faults_may_be_fixed() {
    let start = 0xffff_ffc0_0020_0000;
    let extent = Extent::new(start, 0x1000);
    let range = AddressRange {
        extent,
        levels: vec![0],
    };
    let in_kernel = |event: Event| Ask {
        event: What::Event(event),
        ..Ask::kernel(start, 0x1000, &[])
    };
    let mapped = in_kernel(Event::Mapped(vec![range.clone()]));
    let fixed = with(
        NEGATIVE,
        &[("    policy {", "    policy { kernel faults fixed;")],
    );
    let page = ["order", "page 0xffffffc000200000, 0x0", "wait"];
    issues(&good(NEGATIVE), "", &mapped, &page);
    issues(&fixed, "", &mapped, &[]);
    let trace = mapped.on(&fixed, "");
    let until: Vec<Until> = trace.deferred.iter().map(|it| it.until).collect();
    assert_eq!(until, [Until::Fault]);
    let fault = in_kernel(Event::Fault(range));
    assert!(fault.here_on(&fixed, "").contains(&"all".to_owned()));
    // An entry that becomes invalid is flushed as before.
    let unmapped = Ask::kernel(start, 0x1000, &["pte"]);
    issues(&fixed, "", &unmapped, &page);
    issues(&good(NEGATIVE), "", &unmapped, &page);
}
