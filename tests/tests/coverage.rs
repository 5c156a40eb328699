//! Random requests on random machines: what is issued drops all that was asked for, no more than is
//! documented, and within the ceiling.
//!
//! Operands are read back with `common::manual`, which knows the manuals and not the definitions.

mod common;

use common::manual::{self, Dropped, Issued, Key, Level, Place};
use common::{Machine, TAG, arm64, env, x86};
use proptest::prelude::*;
use std::ops::Range;
use tlbc::Analysis;
use tlbc::model::Config;
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{Effects, Op, Which, interpret};
use tlbc_runtime::backend::Owed;
use tlbc_runtime::clause;
use tlbc_runtime::request::{Extent, Ranges, Reach, Scope, Space};

/// What was changed: by level, from the leaf up, in first and last address.
#[derive(Debug, Clone, Default)]
struct Asked {
    leaf: Vec<(Level, Range<u128>)>,
    cut: Vec<(Level, Range<u128>)>,
    live: bool,
}

impl Asked {
    fn all(&self) -> impl Iterator<Item = &(Level, Range<u128>)> {
        self.leaf.iter().chain(&self.cut)
    }
}

/// Out to whole entries of a level.
fn rounded(range: &Range<u128>, shift: u32) -> Range<u128> {
    let low = (1u128 << shift) - 1;
    range.start & !low..(range.end + low) & !low
}

fn entries(range: &Range<u128>, shift: u32) -> u128 {
    let out = rounded(range, shift);
    (out.end - out.start) >> shift
}

fn bytes_of(place: Place) -> Option<Range<u128>> {
    match place {
        Place::Everything => None,
        Place::Points { start, step, count } => {
            let start = u128::from(start);
            Some(start..start + (u128::from(count - 1) << step) + 1)
        }
    }
}

/// Which entries of a level contain an address that is named, by their numbers.
fn hit(place: Place, shift: u32) -> Vec<Range<u128>> {
    let one = |entries: Range<u128>| std::iter::once(entries).collect();
    match place {
        Place::Everything => one(0..u128::MAX),
        Place::Points { start, step, count } => {
            let (start, last) = (u128::from(start), u128::from(count - 1));
            if step <= shift {
                return one(start >> shift..((start + (last << step)) >> shift) + 1);
            }
            let entry = |i: u128| (start + (i << step)) >> shift;
            (0..=last).map(|i| entry(i)..entry(i) + 1).collect()
        }
    }
}

/// Whether every entry of a level that the range touches contains an address that is named.
fn covered(range: &Range<u128>, shift: u32, places: impl Iterator<Item = Place>) -> bool {
    let mut hits: Vec<Range<u128>> = places.flat_map(|place| hit(place, shift)).collect();
    hits.sort_by_key(|hit| hit.start);
    let out = rounded(range, shift);
    let (mut at, end) = (out.start >> shift, out.end >> shift);
    for hit in hits {
        if hit.start > at {
            break;
        }
        at = at.max(hit.end);
    }
    at >= end
}

/// A request on a machine, and how the machine caches it.
struct Case<'a> {
    arch: &'a Analysis,
    config: Config,
    limits: Vec<u64>,
    space: Space,
    reach: Reach,
    of_machine: bool,
    levels: Vec<Level>,
    asked: Asked,
    /// Under what leaves are cached, and under what walk entries.
    leaf_keys: Vec<Key>,
    walk_keys: Vec<Key>,
}

impl Case<'_> {
    fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::new();
        let level = |level: &Level| {
            let index = self.arch.model.level(level.name).expect("a level");
            clause::Level(u8::try_from(index).expect("few levels"))
        };
        let extent = |range: &Range<u128>| {
            let start = u64::try_from(range.start).expect("an address");
            let bytes = u64::try_from(range.end - range.start).expect("a length");
            Extent::new(start, bytes)
        };
        for (at, range) in &self.asked.leaf {
            ranges.leaf(level(at), extent(range));
        }
        for (at, range) in &self.asked.cut {
            ranges.walk(level(at), extent(range));
        }
        if self.asked.live {
            ranges.below_live();
        }
        ranges
    }

    /// Start and finish, as a backend does them.
    fn run(&self) -> [Effects; 2] {
        let ranges = self.ranges();
        let machine = Machine {
            config: self.config,
            limits: self.limits.clone(),
        };
        let mut env = env(machine, self.of_machine, ranges);
        let levels = self.arch.model.level_table(self.config);
        let shape = match ranges.scope(&levels) {
            Scope::Page { va, level, .. } => {
                env.page = (va, level);
                Shape::Page(self.space, self.reach)
            }
            _ => Shape::Ranges(self.space, self.reach),
        };
        [shape, Shape::Finish(self.space, self.reach)]
            .map(|shape| interpret(&self.arch.model, &self.arch.plans, shape, &env))
    }

    fn issued(&self, op: &Op) -> Issued {
        let model = &self.arch.model;
        let name = match op.which {
            Which::Barrier(index) => &model.barriers[index].named.name,
            Which::Invalidate(index) => &model.invalidates[index].named.name,
            Which::Load(index) => &model.loads[index].named.name,
            Which::Store => panic!("a flush stores nothing"),
        };
        let operand =
            |&(index, word): &(usize, u128)| (model.operands[index].named.name.clone(), word);
        Issued {
            name: name.clone(),
            operands: op.operands.iter().map(operand).collect(),
        }
    }

    /// Every entry of the request is dropped, unless that is owed.
    ///
    /// Where what is below the cuts is still valid, a leaf does not count as gone while a walk entry
    /// above it can make it again: that goes by the same instruction, or by one before, which a
    /// barrier of `barriers` has completed, or which is complete at once if there are none.
    fn covers(
        &self,
        drops: &[(usize, Dropped)],
        barriers: Option<&[usize]>,
        owed: &dyn Fn(Key) -> bool,
    ) {
        let walk_keys: Vec<Key> = self
            .walk_keys
            .iter()
            .copied()
            .filter(|k| !owed(*k))
            .collect();
        for &key in self.leaf_keys.iter().filter(|key| !owed(**key)) {
            let above = |walk: &&Key| self.space == Space::Kernel || **walk == key;
            let above: Vec<Key> = walk_keys.iter().filter(above).copied().collect();
            let stays_gone = |at: usize, op: &Dropped| {
                !self.asked.live
                    || above
                        .iter()
                        .all(|k| self.makes_no_more(drops, at, op, barriers, *k))
            };
            for (level, range) in &self.asked.leaf {
                let places = drops
                    .iter()
                    .filter(|(at, op)| op.leaf(*level, key) && stays_gone(*at, op));
                let places = places.map(|(_, d)| d.place);
                let name = level.name;
                assert!(
                    covered(range, level.shift, places),
                    "leaf@{name} {range:x?} under {key:?}"
                );
            }
        }
        for &key in &walk_keys {
            for (level, range) in &self.asked.cut {
                let places = drops.iter().filter_map(|(_, d)| d.walk(*level, key));
                let name = level.name;
                assert!(
                    covered(range, level.shift, places),
                    "walk@{name} {range:x?} under {key:?}"
                );
            }
        }
    }

    /// Whether no cut walk entry over what an instruction names is left when it is issued.
    fn makes_no_more(
        &self,
        drops: &[(usize, Dropped)],
        at: usize,
        op: &Dropped,
        barriers: Option<&[usize]>,
        key: Key,
    ) -> bool {
        let named = bytes_of(op.place).unwrap_or(0..u128::MAX);
        let done = |before: usize| {
            before < at && barriers.is_none_or(|all| all.iter().any(|b| before < *b && *b < at))
        };
        self.asked.cut.iter().all(|(level, cut)| {
            let cut = rounded(cut, level.shift);
            let both = cut.start.max(named.start)..cut.end.min(named.end);
            let before = drops.iter().filter(|(before, _)| done(*before));
            let places = before.filter_map(|(_, d)| d.walk(*level, key));
            both.is_empty() || op.walk(*level, key).is_some() || covered(&both, level.shift, places)
        })
    }

    /// Nothing is named outside the entries of the request.
    fn names_no_more(&self, drops: &[(usize, Dropped)]) {
        let within: Vec<Range<u128>> = (self.asked.all())
            .map(|(level, range)| rounded(range, level.shift))
            .collect();
        for bytes in drops.iter().filter_map(|(_, d)| bytes_of(d.place)) {
            let inside = |all: &Range<u128>| all.start <= bytes.start && bytes.end <= all.end;
            assert!(
                within.iter().any(inside),
                "{bytes:x?} is named, of {within:x?}"
            );
        }
    }

    /// Instructions and pages, with one instruction for each `run` entries of a level.
    fn needs(&self, run: &dyn Fn(Level) -> u128) -> (u128, u128) {
        self.asked
            .all()
            .fold((0, 0), |(ops, pages), (level, range)| {
                let n = entries(range, level.shift);
                (
                    ops + n.div_ceil(run(*level)),
                    pages + (n << (level.shift - self.levels[0].shift)),
                )
            })
    }

    fn by_address(drops: &[(usize, Dropped)]) -> u128 {
        drops
            .iter()
            .filter(|(_, d)| d.place != Place::Everything)
            .count() as u128
    }
}

/// One changed range: where, of how many entries, and whether it is there at all.
type Raw = (bool, u64, u64, u8);

fn raw() -> impl Strategy<Value = Raw> {
    let count = prop_oneof![6 => 1u64..20, 3 => 1u64..600, 1 => 1u64..3_000_000];
    (any::<bool>(), 0u64..2000, count, 0u8..4)
}

/// A few changed ranges near each other, or at the very end of the space.
fn asked(raw: &[Raw], anchor: u64, live: bool, levels: &[Level], space: &Range<u128>) -> Asked {
    let mut asked = Asked {
        live,
        ..Asked::default()
    };
    let near = |level: Level, &(there, offset, count, place): &Raw| -> Option<Range<u128>> {
        let bytes = (u128::from(count) << level.shift.min(30)).min(space.end - space.start);
        let base = levels[0].shift;
        let start = match place {
            // Up to the last page.
            0 => space.end - bytes,
            1 => space.start,
            _ => {
                let span = (space.end - space.start) >> base;
                let at = (u128::from(anchor) % span) & !0x3ffff;
                (space.start + ((at + u128::from(offset)) << base)).min(space.end - bytes)
            }
        };
        there.then_some(start..start + bytes)
    };
    for (index, &level) in levels.iter().enumerate() {
        if let Some(range) = near(level, &raw[index]).filter(|_| level.leaf) {
            asked.leaf.push((level, range));
        }
        if let Some(range) = near(level, &raw[5 + index]).filter(|_| index > 0) {
            asked.cut.push((level, range));
        }
    }
    if asked.all().next().is_none() {
        let range = near(levels[0], &(true, raw[0].1, raw[0].2, raw[0].3));
        asked.leaf.push((levels[0], range.expect("it is there")));
    }
    asked
}

/// The upper or the lower half.
fn addresses(space: Space, bits: u32) -> Range<u128> {
    match space {
        Space::User => 0..1 << bits,
        Space::Kernel => (1 << 64) - (1 << bits)..1 << 64,
    }
}

fn spaces() -> impl Strategy<Value = Space> {
    prop_oneof![Just(Space::User), Just(Space::Kernel)]
}

fn reaches() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Here), Just(Reach::Wide)]
}

/// Every set of features that a machine can have.
fn x86_features() -> impl Strategy<Value = u32> {
    let sets = 0u32..1 << x86().model.features.len();
    let possible = |features: &u32| {
        let config = Config {
            features: *features,
            ..Config::default()
        };
        x86().model.possible(config)
    };
    proptest::sample::select(sets.filter(possible).collect::<Vec<u32>>())
}

fn check_arm64(case: &Case<'_>, granule: u64) {
    let [start, finish] = case.run();
    assert_eq!(
        (start.owed, start.deliver),
        (Owed::NOTHING, finish.deliver),
        "a broadcast is all"
    );
    let ops: Vec<Issued> = (start.ops.iter().chain(&finish.ops))
        .map(|op| case.issued(op))
        .collect();
    let names: Vec<&str> = ops.iter().map(|op| op.name.as_str()).collect();
    let wide = case.reach == Reach::Wide;
    // Published before, complete after, and fetched anew if the kernel runs there.
    assert_eq!(names[0], if wide { "dsb_ishst" } else { "dsb_nshst" });
    let tail = if case.space == Space::Kernel {
        &["isb"][..]
    } else {
        &[]
    };
    let dsb = if wide { "dsb_ish" } else { "dsb_nsh" };
    assert!(names.ends_with(&[&[dsb][..], tail].concat()), "{names:?}");
    let drops: Vec<(usize, Dropped)> = (start.ops.iter().enumerate())
        .filter_map(|(i, op)| Some((i, manual::arm64(&case.issued(op), granule)?)))
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
    case.names_no_more(&drops);

    let ceiling = [511, 2047, 8191][case.config.geometry];
    let views = if case.space == Space::User {
        case.leaf_keys.len() as u128
    } else {
        1
    };
    assert!(
        Case::by_address(&drops) <= ceiling * views,
        "over the ceiling"
    );
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
        "everything goes for {instructions} entries, {pages} pages"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_time: 10_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arm64_covers(
        geometry in 0usize..3,
        features in 0u32..8,
        errata in 0u32..4,
        space in spaces(),
        reach in reaches(),
        raw in proptest::array::uniform10(raw()),
        anchor in any::<u64>(),
        live in any::<bool>(),
    ) {
        let arch = arm64();
        let granule = [0b01, 0b10, 0b11][geometry];
        let levels = manual::arm64_levels(granule);
        let kpti = arch.model.features.iter().position(|f| f.named.name == "kpti").expect("a feature");
        let kpti = features & 1 << kpti != 0;
        let asid = TAG;
        let (leaf_keys, walk_keys) = match (space, kpti) {
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
            config: Config { features, errata, geometry },
            limits: Vec::new(),
            space,
            reach,
            of_machine: true,
            asked: asked(&raw, anchor, live, &levels, &addresses(space, 48)),
            levels,
            leaf_keys,
            walk_keys,
        };
        check_arm64(&case, granule);
    }

    #[test]
    fn x86_covers(
        features in x86_features(),
        errata in 0u32..2,
        most in prop_oneof![Just(1u64), Just(2), Just(8), Just(512), Just(65536)],
        space in spaces(),
        reach in reaches(),
        of_machine in any::<bool>(),
        raw in proptest::array::uniform10(raw()),
        anchor in any::<u64>(),
        live in any::<bool>(),
    ) {
        let arch = x86();
        let config = Config { features, errata, geometry: 0 };
        let has = |name: &str| {
            let feature = arch.model.features.iter().position(|f| f.named.name == name);
            config.has(feature.expect("a feature"))
        };
        let levels = manual::x86_levels(has("la57"));
        let tag = if has("pcid") { TAG } else { 0 };
        let mut keys = vec![Key::Tag(tag)];
        let (leaf_keys, walk_keys) = match space {
            Space::User => {
                if has("pti") && has("pcid") {
                    keys.push(Key::Tag(tag | 1 << 11));
                }
                (keys.clone(), keys)
            }
            Space::Kernel => {
                if has("pcid") {
                    keys.push(Key::OtherTag);
                }
                let global = has("pge") && !has("pti");
                (if global { vec![Key::Global] } else { keys.clone() }, keys)
            }
        };
        let bits = if has("la57") { 56 } else { 47 };
        let case = Case {
            arch,
            config,
            limits: vec![most],
            space,
            reach,
            of_machine: of_machine && has("invlpgb"),
            asked: asked(&raw, anchor, live, &levels, &addresses(space, bits)),
            levels,
            leaf_keys,
            walk_keys,
        };
        let cpu = manual::X86 {
            tce: has("tce"),
            la57: has("la57"),
            pcid: has("pcid"),
            most,
            alder_lake: errata == 1,
            shared: has("invlpgb"),
            loaded: tag,
        };
        check_x86(&case, &cpu);
    }
}

fn check_x86(case: &Case<'_>, cpu: &manual::X86) {
    let [start, finish] = case.run();
    let ops: Vec<Issued> = (start.ops.iter().chain(&finish.ops))
        .map(|op| case.issued(op))
        .collect();
    let names: Vec<&str> = ops.iter().map(|op| op.name.as_str()).collect();
    let broadcast = names.contains(&"invlpgb");
    let barriers: Vec<usize> = (0..names.len())
        .filter(|&i| names[i] == "tlbsync")
        .collect();
    let last = names.iter().rposition(|name| *name == "invlpgb");
    assert!(
        last.is_none_or(|last| barriers.iter().any(|b| *b > last)),
        "no TLBSYNC: {names:?}"
    );
    // Loaded tags: only this CPU is known to have them loaded.
    assert!(
        !(broadcast && case.reach == Reach::Wide)
            || names
                .iter()
                .all(|n| n.starts_with("invlpgb") || *n == "tlbsync")
    );
    let drops: Vec<(usize, Dropped)> = (start.ops.iter().enumerate())
        .filter_map(|(i, op)| Some((i, manual::x86(&case.issued(op), cpu)?)))
        .collect();
    let owed = |key: Key| match key {
        Key::OtherTag => start.owed.contains(Owed::OTHERS_UNTIL_LOAD),
        Key::Tag(tag) => tag != cpu.loaded && start.owed.contains(Owed::VIEW_UNTIL_RESUME),
        Key::Global => false,
    };
    case.covers(&drops, broadcast.then_some(&barriers), &owed);
    case.names_no_more(&drops);

    let views = if case.space == Space::User {
        case.leaf_keys.len() as u128
    } else {
        1
    };
    assert!(
        Case::by_address(&drops) <= 33 * views,
        "{} instructions are over the ceiling",
        drops.len()
    );
    // INVLPGB names runs of pages and of 2 MiB, nothing larger.
    let run = |level: Level| match level.name {
        "pte" | "pmd" if broadcast => u128::from(cpu.most),
        _ => 1,
    };
    let (instructions, _) = case.needs(&run);
    let kernel = case.space == Space::Kernel;
    let global = case.leaf_keys == [Key::Global];
    // By address nothing drops walk entries under other PCIDs, nor, on Alder Lake, globals.
    let walks = kernel && cpu.pcid && !case.asked.cut.is_empty();
    let globals = kernel && cpu.pcid && global && cpu.alder_lake && !broadcast;
    // Nor, on this CPU alone, leaves under PCIDs that the whole machine shares and nobody can disown.
    let others = kernel && cpu.shared && !global && !broadcast;
    let whole = drops.iter().any(|(_, d)| d.place == Place::Everything);
    assert!(
        !whole || instructions > 33 || walks || globals || others,
        "everything goes for {instructions} instructions"
    );
}

/// The last page of the address space, alone and as the end of a range, in every configuration.
#[test]
fn kernel_ranges_end_at_the_last_page() {
    const TOP: u128 = 1 << 64;
    for geometry in 0..3 {
        let granule = [0b01, 0b10, 0b11][geometry];
        let levels = manual::arm64_levels(granule);
        let page = 1u128 << levels[0].shift;
        for features in 0..8 {
            for pages in [1, 2, 3, 64, 65, 510, 511, 512] {
                for cut in [false, true] {
                    let range = TOP - pages * page..TOP;
                    let mut asked = Asked {
                        leaf: vec![(levels[0], range.clone())],
                        ..Asked::default()
                    };
                    if cut {
                        asked.cut.push((levels[1], range));
                    }
                    let kpti = features & 0b100 != 0;
                    let case = Case {
                        arch: arm64(),
                        config: Config {
                            features,
                            errata: 0,
                            geometry,
                        },
                        limits: Vec::new(),
                        space: Space::Kernel,
                        reach: Reach::Wide,
                        of_machine: true,
                        levels: levels.clone(),
                        asked,
                        leaf_keys: vec![if kpti { Key::OtherTag } else { Key::Global }],
                        walk_keys: vec![Key::OtherTag],
                    };
                    check_arm64(&case, granule);
                }
            }
        }
    }
}
