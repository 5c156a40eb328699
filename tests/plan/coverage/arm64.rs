//! arm64: broadcasts between barriers, level hints and ranges.

use std::sync::OnceLock;

use proptest::prelude::*;
use tlbc::Analysis;
use tlbc::model::Config;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::{Reach, Space};

use crate::coverage::case::{Asked, Case};
use crate::coverage::manual::{Dropped, Issued, Key, Place, arm64 as manual};
use crate::coverage::random::{addresses, asked, configurations, raw, reaches, spaces};
use tlbc_tests::configurations::possible;
use tlbc_tests::requests::{ARM64, TAG, arm64, edited, good};

/// Checks that the instructions drop all requested entries. Returns what each drops.
fn check_covered(case: &Case<'_>, granule: u64) -> Vec<(usize, Dropped)> {
    let [start, finish] = case.run();
    assert_eq!(
        (start.deferred, start.flush_ipis),
        (Deferred::NOTHING, finish.flush_ipis),
        "a broadcast is all"
    );
    let ops: Vec<Issued> = (start.ops.iter().chain(&finish.ops))
        .map(|op| case.issued(op))
        .collect();
    let names: Vec<&str> = ops.iter().map(|op| op.name.as_str()).collect();
    let wide = case.reach == Reach::Wide;
    // Published before, complete after, and fetched anew if the kernel runs there, or this CPU's own
    // translations are finished only then.
    assert_eq!(names[0], if wide { "dsb_ishst" } else { "dsb_nshst" });
    let ets2 = case
        .arch
        .model
        .features
        .iter()
        .position(|it| it.named.name == "ets2");
    let tail = if case.space == Space::Kernel || !case.config.has(ets2.expect("a feature")) {
        &["isb"][..]
    } else {
        &[]
    };
    let dsb = if wide { "dsb_ish" } else { "dsb_nsh" };
    assert!(names.ends_with(&[&[dsb][..], tail].concat()), "{names:?}");
    let drops: Vec<(usize, Dropped)> = (start.ops.iter().enumerate())
        .filter_map(|(i, op)| Some((i, manual::dropped(&case.issued(op), granule)?)))
        .collect();
    for (_, op) in ops
        .iter()
        .enumerate()
        .filter(|(i, _)| drops.iter().any(|(d, _)| d == i))
    {
        assert_eq!(op.name.ends_with("is"), wide, "{}", op.name);
    }
    let barriers: Vec<usize> = (0..names.len()).filter(|&i| names[i] == dsb).collect();
    case.covers(&drops, Some(&barriers), &|_| false);

    let ceiling = ceiling(case);
    let views = if case.space == Space::User {
        case.leaf_keys.len() as u128
    } else {
        1
    };
    assert!(
        Case::by_address(&drops) <= ceiling * views,
        "over the ceiling"
    );
    drops
}

fn ceiling(case: &Case<'_>) -> u128 {
    [511, 2047, 8191][case.config.geometry]
}

fn check(case: &Case<'_>, granule: u64) {
    let drops = check_covered(case, granule);
    case.names_no_more(&drops);
    let ceiling = ceiling(case);
    // With ranges only pages count.
    let ranges = case
        .arch
        .model
        .features
        .iter()
        .position(|f| f.named.name == "ranges");
    let ranges = ranges.is_some_and(|f| case.config.has(f));
    let (instructions, pages) = case.needs(&|_| 1);
    let over = !ranges && instructions > ceiling || pages > 1 << 21;
    let whole = drops.iter().any(|(_, d)| d.place == Place::Everything);
    assert!(
        !whole || over,
        "everything is flushed for {instructions} entries, {pages} pages"
    );
}

/// The encodings of the page sizes in TG, by geometry.
const GRANULES: [u64; 3] = [0b01, 0b10, 0b11];

/// Returns whether the kernel is unmapped while user code runs.
fn has_kpti(config: Config) -> bool {
    let mut features = arm64().model.features.iter();
    config.has(
        features
            .position(|it| it.named.name == "kpti")
            .expect("a feature"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_time: 10_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers(
        strides in 0usize..4,
        config in configurations(arm64()),
        space in spaces(),
        reach in reaches(),
        raw in proptest::array::uniform10(raw()),
        anchor in any::<u64>(),
        live in any::<bool>(),
    ) {
        let arch = with_strides(strides);
        let granule = GRANULES[config.geometry];
        let levels = manual::levels(granule);
        let asid = TAG;
        let (leaf_keys, walk_keys) = match (space, has_kpti(config)) {
            (Space::User, false) => (vec![Key::Tag(asid)], vec![Key::Tag(asid)]),
            (Space::User, true) => {
                let both = vec![Key::Tag(asid), Key::Tag(asid | 1)];
                (both.clone(), both)
            }
            (Space::Kernel, false) => (vec![Key::Global], vec![Key::OtherTag]),
            (Space::Kernel, true) => (vec![Key::OtherTag], vec![Key::OtherTag]),
        };
        let case = Case {
            arch,
            config,
            limits: Vec::new(),
            space,
            reach,
            global: true,
            asked: asked(&raw, anchor, live, &levels, &addresses(space, 48)),
            levels,
            leaf_keys,
            walk_keys,
        };
        if strides == 0 {
            check(&case, granule);
        } else {
            check_covered(&case, granule);
        }
    }
}

/// Returns the shipped definition, which has a stride for each level, or one whose policy leaves out some levels.
fn with_strides(strides: usize) -> &'static Analysis {
    const STATED: [&str; 4] = ["pte, pmd, pud", "pte, pmd", "pte, pud", "pte"];
    static ALL: [OnceLock<Analysis>; 4] = [const { OnceLock::new() }; 4];
    ALL[strides].get_or_init(|| good(&edited(ARM64, STATED[0], STATED[strides])))
}

/// The last page of the address space, alone and as the end of a range, in every configuration.
#[test]
fn kernel_ranges_end_at_the_last_page() {
    const TOP: u128 = 1 << 64;
    for config in possible(&arm64().model) {
        let granule = GRANULES[config.geometry];
        let levels = manual::levels(granule);
        let page = 1u128 << levels[0].shift;
        for pages in [1, 2, 3, 64, 65, 510, 511, 512] {
            for unlinked in [false, true] {
                let range = TOP - pages * page..TOP;
                let mut asked = Asked {
                    leaf: vec![(levels[0], range.clone())],
                    ..Asked::default()
                };
                if unlinked {
                    asked.unlinked.push((levels[1], range));
                }
                let global = !has_kpti(config);
                let case = Case {
                    arch: arm64(),
                    config,
                    limits: Vec::new(),
                    space: Space::Kernel,
                    reach: Reach::Wide,
                    global: true,
                    levels: levels.clone(),
                    asked,
                    leaf_keys: vec![if global { Key::Global } else { Key::OtherTag }],
                    walk_keys: vec![Key::OtherTag],
                };
                check(&case, granule);
            }
        }
    }
}
