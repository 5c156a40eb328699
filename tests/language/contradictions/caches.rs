//! Several caches: from which others their entries are made, and which are dropped together.

use super::{accepted, refused, slate, with};

const HOLDS: &str = "tlb holds leaf, walk;";

#[test]
fn entries_that_are_made_from_another_cache_are_of_its_kind() {
    let of = |caches: &str| with(slate(), &[(HOLDS, caches)]);
    accepted(&of("tlb holds leaf, walk; micro holds leaf from tlb;"), &[]);
    for caches in [
        "tlb holds leaf, walk; micro holds leaf, walk from tlb;",
        "tlb holds leaf; paths holds walk from tlb;",
        "tlb holds leaf; paths holds walk; micro holds leaf from paths;",
    ] {
        refused(&of(caches), &[], "E0207");
    }
}

/// A walk begins at an entry of any cache, so one cache fills the other again while that is invalidated.
#[test]
fn walk_entries_of_two_caches_are_dropped_together() {
    let both = "drops leaf, walk of everything, this tag;";
    let alone = "drops leaf, walk of everything, this tag in tlb;";
    let two = (HOLDS, "tlb holds leaf, walk; other holds leaf, walk;");
    accepted(slate(), &[two]);
    refused(slate(), &[two, (both, alone)], "E0207");
}

#[test]
fn pieces_that_are_dropped_one_by_one_are_one_finding() {
    let together = "large leaf may split, dropped together;";
    refused(slate(), &[(together, "large leaf may split;")], "E0207");
}
