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
fn negative_entries_of_single_pages_have_one_level() {
    let pages = ("invalid never", "invalid cached as pages");
    let space = "drops leaf, walk of everything, this tag;";
    let all = "drops leaf, walk of everything, any tag;";
    let with_negative =
        |text: &str, levels: &str| text.replace("leaf,", &format!("leaf, negative{levels},"));
    let of = |levels: &str| [with_negative(space, levels), with_negative(all, levels)];
    let [space_at_pte, all_at_pte] = of(" at pte");
    let dropped = [(space, &*space_at_pte), (all, &*all_at_pte)];
    accepted(slate(), &[pages, dropped[0], dropped[1]]);
    // The whole space is flushed for an entry of the other level, which these do not drop.
    let any = ("invalid never", "invalid cached");
    refused(slate(), &[any, dropped[0], dropped[1]], "E0501");
    let [space_at_pmd, _] = of(" at pmd");
    refused(
        slate(),
        &[pages, (space, &space_at_pmd), dropped[1]],
        "E0208",
    );
    let geometry = (
        "caches {",
        "geometry large { page 64 KiB; levels { wide 16 leaf; pmd 29 leaf; pud 42; } }\n caches {",
    );
    let [space_at_any, all_at_any] = of("");
    let everywhere = [geometry, (space, &*space_at_any), (all, &*all_at_any)];
    accepted(slate(), &[everywhere[0], everywhere[1], everywhere[2], any]);
    refused(
        slate(),
        &[everywhere[0], everywhere[1], everywhere[2], pages],
        "E0207",
    );
}

#[test]
fn pieces_that_are_dropped_one_by_one_are_one_finding() {
    let together = "large leaf may split, dropped together;";
    refused(slate(), &[(together, "large leaf may split;")], "E0207");
}
