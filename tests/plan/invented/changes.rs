//! Machines whose instructions write entries, make them invalid and complete later.

use tlbc::Analysis;
use tlbc::trace::Step;
use tlbc::trace::interpret::Changing;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Reach, Space};

use super::with;
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{Steps, TAG, change_on, findings, good};

const WRITTEN: &str = include_str!("definitions/written.arch");

fn change(kind: Kind, reach: Reach, space: Space) -> Changing {
    Changing {
        kind,
        entries: 2,
        va: 0x1000,
        table: 0x8000,
        space,
        reach,
        ..Changing::default()
    }
}

/// Checks the instructions and stores of a change.
#[track_caller]
fn issues(arch: &Analysis, words: &str, change: Changing, expected: &[&str]) {
    let config = machine(&arch.model, words).config;
    let made = change_on(arch, config, TAG, change);
    let line = |step: &Step| match step.instruction() {
        Some(it) => it.asm.join("; "),
        None => "(the entries are stored)".to_owned(),
    };
    let lines: Vec<String> = made.steps().iter().map(line).collect();
    assert_eq!(lines, expected, "{change:?}");
}

#[track_caller]
fn changes(arch: &Analysis, words: &str, kinds: &[Kind], space: Space, expected: &[&str]) {
    for &kind in kinds {
        issues(arch, words, change(kind, Reach::Wide, space), expected);
    }
}

/// The barrier is issued once for all entries, before the new ones are stored.
#[test]
fn entries_become_invalid_and_are_stored_when_that_is_complete() {
    let written = good(WRITTEN);
    let cleared = [
        "clear.all 0x8000, 0x1000",
        "clear.all 0x8008, 0x2000",
        "settle.all",
        "(the entries are stored)",
    ];
    let kinds = [Kind::Unmap, Kind::Remap, Kind::MoreRights];
    changes(&written, "", &kinds, Space::User, &cleared);
    changes(
        &written,
        "",
        &[Kind::Map],
        Space::User,
        &["(the entries are stored)"],
    );
    let here = [
        "clear 0x8000, 0x1000",
        "clear 0x8008, 0x2000",
        "settle",
        "(the entries are stored)",
    ];
    for kind in kinds {
        issues(&written, "", change(kind, Reach::Here, Space::User), &here);
    }
}

/// No flush follows that would publish a new entry of the kernel and synchronize the context of this CPU.
#[test]
fn the_kernel_finds_its_new_entries() {
    let written = good(WRITTEN);
    let cleared = [
        "clear.all 0x8000, 0x1000",
        "clear.all 0x8008, 0x2000",
        "settle.all",
        "(the entries are stored)",
    ];
    let gone = [&cleared[..], &["refetch"]].concat();
    changes(&written, "", &[Kind::Unmap], Space::Kernel, &gone);
    let stored = [&cleared[..], &["order", "refetch"]].concat();
    changes(
        &written,
        "",
        &[Kind::Remap, Kind::MoreRights],
        Space::Kernel,
        &stored,
    );
}

/// The workaround of an instruction that writes entries is issued once, before completion.
#[test]
fn workarounds_of_instructions_that_write_entries_are_issued() {
    let written = good(WRITTEN);
    let with_workaround = [
        "clear.all 0x8000, 0x1000",
        "clear.all 0x8008, 0x2000",
        "everything.all",
        "settle.all",
        "(the entries are stored)",
    ];
    changes(
        &written,
        "stuck",
        &[Kind::Unmap, Kind::Remap],
        Space::User,
        &with_workaround,
    );
    // In front of each entry there is an address.
    let before = (
        "workaround after clear_all issue everything_all;",
        "workaround before clear_all issue page, everything_all; workaround before clear_all issue everything_all;",
    );
    let page = (
        "    change {",
        "    invalidate page \"page {address}\" {
        per \"Written manual, 5.4\";
        drops leaf of one page, any tag;
        where cpus;
        after settle;
    }
    change {",
    );
    let written = with(WRITTEN, &[before, page]);
    let each = [
        "page 0x1000",
        "everything.all",
        "clear.all 0x8000, 0x1000",
        "page 0x2000",
        "everything.all",
        "clear.all 0x8008, 0x2000",
        "settle.all",
        "(the entries are stored)",
    ];
    changes(&written, "stuck", &[Kind::Unmap], Space::User, &each);
}

#[test]
fn a_workaround_that_needs_an_address_after_a_writer_is_refused() {
    let page = (
        "    change {",
        "    invalidate page \"page {address}\" {
        per \"Written manual, 5.4\";
        drops leaf of one page, any tag;
        where cpus;
        after settle;
    }
    change {",
    );
    let text = tlbc_tests::requests::edited(WRITTEN, page.0, page.1)
        .replace("issue everything_all;", "issue page;");
    let found = findings(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("E0506"), "{found:#?}");
}
