//! x86-64: flushes of this CPU, and INVLPGB on all CPUs.

use proptest::prelude::*;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::{Reach, Space};

use crate::coverage::case::Case;
use crate::coverage::manual::{Dropped, Issued, Key, Level, Place, x86_64 as manual};
use crate::coverage::random::{addresses, asked, configurations, raw, reaches, spaces};
use tlbc_tests::requests::{TAG, x86};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_time: 10_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers(
        config in configurations(x86()),
        most in prop_oneof![Just(1u64), Just(2), Just(8), Just(512), Just(65536)],
        space in spaces(),
        reach in reaches(),
        global in any::<bool>(),
        raw in proptest::array::uniform10(raw()),
        anchor in any::<u64>(),
        live in any::<bool>(),
    ) {
        let arch = x86();
        let has = |name: &str| {
            let feature = arch.model.features.iter().position(|f| f.named.name == name);
            config.has(feature.expect("a feature"))
        };
        let levels = manual::levels(has("la57"));
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
            global: global && has("invlpgb"),
            asked: asked(&raw, anchor, live, &levels, &addresses(space, bits)),
            levels,
            leaf_keys,
            walk_keys,
        };
        let cpu = manual::Cpu {
            tce: has("tce"),
            la57: has("la57"),
            pcid: has("pcid"),
            most,
            alder_lake: config.errata == 1,
            shared: has("invlpgb"),
            loaded: tag,
        };
        check(&case, &cpu);
    }
}

fn check(case: &Case<'_>, cpu: &manual::Cpu) {
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
        .filter_map(|(i, op)| Some((i, manual::dropped(&case.issued(op), cpu)?)))
        .collect();
    let deferred = |key: Key| match key {
        Key::OtherTag => start.deferred.contains(Deferred::OTHERS_UNTIL_LOAD),
        Key::Tag(tag) => tag != cpu.loaded && start.deferred.contains(Deferred::VIEW_UNTIL_RETURN),
        Key::Global => false,
    };
    case.covers(&drops, broadcast.then_some(&barriers), &deferred);
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
    let walks = kernel && cpu.pcid && !case.asked.unlinked.is_empty();
    let globals = kernel && cpu.pcid && global && cpu.alder_lake && !broadcast;
    // Nor, on this CPU alone, leaves under PCIDs that all CPUs share and that cannot be invalidated lazily.
    let others = kernel && cpu.shared && !global && !broadcast;
    let whole = drops.iter().any(|(_, d)| d.place == Place::Everything);
    assert!(
        !whole || instructions > 33 || walks || globals || others,
        "everything is flushed for {instructions} instructions"
    );
}
