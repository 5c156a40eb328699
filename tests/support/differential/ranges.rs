//! Random ranges on random machines. Every instruction that a plan may issue is issued in some case.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use tlbc::Analysis;
use tlbc::model::{Config, DefinitionName, Instr, Limit};
use tlbc::plan::ir::{Issue, Node};
use tlbc_runtime::level::{LEVELS, Level};
use tlbc_runtime::request::{Extent, LevelTable, Ranges, Reach, Scope, Space, Tag};

use super::asked::{Asked, env};
use super::machines::{Module, SPACES, addresses, machine_of};
use crate::configurations;

/// A random extent that does not depend on the machine yet.
#[derive(Debug, Clone, Copy)]
struct AddressRange {
    /// Where it begins, as a fraction of the space.
    place: u64,
    /// The end of the space from which the fraction counts.
    from_top: bool,
    /// The number of entries of its level, and of further base pages.
    entries: u64,
    pages: u64,
}

fn address_range() -> impl Strategy<Value = AddressRange> {
    let entries = prop_oneof![
        6 => 0..8u64,
        3 => 0..70u64,
        2 => 0..600u64,
        1 => 0..1u64 << 22,
        1 => (1u64 << 16) - 2..(1 << 16) + 3,
    ];
    let pages = prop_oneof![3 => Just(0), 1 => 0..600u64];
    // Close together, so that one level's extent often lies in another's; or anywhere.
    let place = prop_oneof![4 => 0..1u64 << 24, 1 => any::<u64>()];
    (place, any::<bool>(), entries, pages).prop_map(|(place, from_top, entries, pages)| {
        AddressRange {
            place,
            from_top,
            entries,
            pages,
        }
    })
}

impl AddressRange {
    /// Returns the extent for entries of `1 << shift` bytes: within the space, in whole base pages.
    fn extent(self, (start, bits): (u64, u32), shift: u32, page: u32) -> Extent {
        let size = 1u128 << bits;
        let bytes = (u128::from(self.entries) << shift) + (u128::from(self.pages) << page);
        let bytes = bytes.clamp(1 << page, size);
        let place = (u128::from(self.place) << page) % (size - bytes + 1);
        let place = if self.from_top {
            size - bytes - place
        } else {
            place
        };
        let offset = place as u64 >> page << page;
        Extent::new(start + offset, bytes as u64)
    }
}

/// A random request that does not depend on the machine yet.
#[derive(Debug, Clone)]
struct Case {
    config: u64,
    limits: Vec<u64>,
    space: Space,
    reach: Reach,
    tag: Tag,
    leaf: [Option<AddressRange>; LEVELS],
    walk: [Option<AddressRange>; LEVELS],
    live: bool,
    /// Whether leaf entries were mapped instead of unmapped.
    negative: bool,
    /// Whether a single entry is flushed as a page instead of a range.
    reduced: bool,
    root: (u64, u64),
}

fn case() -> impl Strategy<Value = Case> {
    let level = |weight| proptest::option::weighted(weight, address_range());
    let levels = |weight| std::array::from_fn::<_, LEVELS, _>(|_| level(weight));
    let request = (
        proptest::sample::select(SPACES.to_vec()),
        proptest::sample::select(vec![Reach::Here, Reach::Wide, Reach::Given]),
        (any::<u16>(), any::<bool>()).prop_map(|(value, global)| Tag {
            value: value.into(),
            global,
        }),
    );
    (
        (any::<u64>(), proptest::collection::vec(any::<u64>(), 4)),
        request,
        (levels(0.5), levels(0.3), proptest::bool::weighted(0.3)),
        (any::<bool>(), proptest::bool::weighted(0.2)),
        any::<(u64, u64)>(),
    )
        .prop_map(
            |(
                (config, limits),
                (space, reach, tag),
                (leaf, walk, live),
                (reduced, negative),
                root,
            )| Case {
                config,
                limits,
                space,
                reach,
                tag,
                leaf,
                walk,
                live,
                negative,
                reduced,
                root,
            },
        )
}

impl Case {
    fn ranges(&self, addresses: (u64, u32), table: &LevelTable) -> Ranges {
        let mut ranges = Ranges::new();
        let page = table[0].shift;
        let extent = |range: &AddressRange, shift| range.extent(addresses, shift, page);
        for level in Level::all() {
            let facts = table[level.index()];
            if facts.shift == 0 {
                continue;
            }
            if let (Some(leaf), true) = (&self.leaf[level.index()], facts.leaf) {
                let extent = extent(leaf, facts.shift);
                if self.negative {
                    ranges.negative(level, extent);
                } else {
                    ranges.leaf(level, extent);
                }
            }
            if let (Some(walk), true) = (&self.walk[level.index()], level != Level(0)) {
                ranges.walk(level, extent(walk, facts.shift));
            }
        }
        if self.live {
            ranges.subtree();
        }
        ranges
    }
}

/// Compares plans and backend for random ranges, and panics if they differ. Returns the names of the instructions that
/// were issued.
pub fn plans_and_backend_agree_on_ranges(
    analysis: &Analysis,
    module: &Module,
    runs: &Runs,
) -> BTreeSet<String> {
    let Analysis { model, plans } = analysis;
    let possible: Vec<Config> = configurations::possible(model).collect();
    let seen = RefCell::default();
    let mut runner = TestRunner::new(Runs {
        failure_persistence: None,
        ..runs.clone()
    });
    let outcome = runner.run(&case(), |case| {
        let config = possible[(case.config % possible.len() as u64) as usize];
        // The least, the most, or anything, oftener small.
        let limit = |(limit, random): (&Limit, &u64)| match random % 20 {
            0 => limit.least,
            1..=3 => limit.most,
            bits => {
                let width = (limit.most - limit.least + 1) >> (bits - 4);
                limit.least + (random >> 8) % width.max(1)
            }
        };
        let limits: Vec<u64> = model.limits.iter().zip(&case.limits).map(limit).collect();
        let tlb = machine_of(module, model, config, &limits).expect("a possible machine");
        let table = model.level_table(config);
        let ranges = case.ranges(addresses(model, case.space, config), &table);
        let mut env = env(config, &limits, case.tag);
        env.ranges = ranges;
        (env.root.table, env.root.empty) = case.root;
        let scope = if case.reduced {
            ranges.scope(&table)
        } else {
            Scope::Ranges(&ranges)
        };
        if let Scope::Page { va, level, .. } = scope {
            env.page = (va, level);
        }
        let mut asked = Asked {
            model,
            plans,
            tlb: &*tlb,
            env,
            seen: &seen,
        };
        asked.events();
        asked.changes(&table);
        asked.flush(case.space, case.reach, Scope::Teardown);
        asked.flush(case.space, case.reach, scope);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    seen.into_inner()
}

/// Returns the names of the instructions that a plan may issue.
pub fn planned(Analysis { model, plans }: &Analysis) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut add = |named: &DefinitionName| {
        used.insert(named.name.clone());
    };
    for plan in plans.iter() {
        plan.body.walk(&mut |node| match node {
            Node::Issue(Issue { invalidate, .. }) => add(&model.invalidates[*invalidate].named),
            Node::Workaround {
                erratum, number, ..
            } => {
                for issued in &model.errata[*erratum].workarounds[*number].issue {
                    match issued.instr {
                        Instr::Invalidate(invalidate) => {
                            add(&model.invalidates[invalidate].named);
                        }
                        Instr::Barrier(barrier) => add(&model.barriers[barrier].named),
                    }
                }
            }
            Node::Publish {
                barrier: Some(barrier),
            }
            | Node::Complete { barrier, .. }
            | Node::Resync { barrier } => add(&model.barriers[*barrier].named),
            Node::Load { load, .. } => add(&model.loads[*load].named),
            _ => {}
        });
    }
    used
}
