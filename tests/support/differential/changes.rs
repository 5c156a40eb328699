//! Changes of page-table entries.

use std::sync::atomic::{AtomicU64, Ordering};

use tlbc::model::Which;
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{Changing, interpret};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Below, Change, Entry, Kind, Marks, Owner, Slot};
use tlbc_runtime::request::{LevelTable, SpaceFlags};

use super::asked::{Asked, Did};
use super::machines::{REACHES, SPACES};

impl Asked<'_> {
    /// Compares changes of entries, on a machine whose instructions write entries.
    pub fn changes(&mut self, table: &LevelTable) {
        const OLD: u64 = 0x1234_5001;
        const NEW: u64 = 0x6789_a003;
        if self.model.change.plain_store.value {
            return;
        }
        let page = |page, rights| Entry::Leaf {
            page,
            rights,
            attributes: 0,
        };
        let kinds = [
            (Kind::Map, Entry::Invalid, page(1, 1)),
            (Kind::Unmap, page(1, 1), Entry::Invalid),
            (Kind::MoreRights, page(1, 1), page(1, 3)),
            (Kind::Same, page(1, 3), page(1, 3)),
            (Kind::Remap, page(1, 3), page(2, 3)),
        ];
        let levels = Level::all().filter(|level| table[level.index()].shift != 0);
        let owners = SPACES
            .iter()
            .flat_map(|space| REACHES.map(|reach| (*space, reach)));
        let cases = levels.flat_map(|level| {
            let kinds = kinds.into_iter();
            kinds.flat_map(move |kind| [1, 7].map(|entries| (level, kind, entries)))
        });
        let cases: Vec<_> = cases.collect();
        for (space, reach) in owners {
            for &(level, (kind, old, new), entries) in &cases {
                for may_defer in [false, true] {
                    self.env.change = Changing {
                        kind,
                        level,
                        va: 0x7_6543_2000,
                        entries,
                        table: 0x4_5678_9000,
                        index: 5,
                        old: OLD,
                        new: NEW,
                        space,
                        reach,
                        may_defer,
                    };
                    let effects = interpret(self.model, self.plans, Shape::Change, &self.env);
                    let stores = effects.ops.iter().any(|op| op.which == Which::Store);
                    let plan = self.did(effects);
                    let memory: Vec<AtomicU64> =
                        (0..entries).map(|_| AtomicU64::new(OLD)).collect();
                    let slot = Slot {
                        entries: memory.as_slice().into(),
                        table: 0x4_5678_9000,
                        index: 5,
                        va: 0x7_6543_2000,
                    };
                    let change = Change {
                        level,
                        old,
                        new,
                        new_bits: NEW,
                        clears: Marks::NONE,
                        below: Below::Cleared,
                    };
                    let facts = self.tlb.change_facts(SpaceFlags::NONE);
                    assert_eq!(change.kind(&facts), kind);
                    let owner = Owner {
                        space,
                        tag: self.env.tag,
                        reach,
                        flags: SpaceFlags::NONE,
                        may_defer,
                    };
                    let (issued, changed) =
                        self.backend(|tlb, sink| tlb.change(sink, &slot, &change, &owner));
                    let did = Did {
                        issued,
                        deferred: changed.deferred,
                        ..Did::nothing()
                    };
                    assert_eq!(did, plan, "{kind:?} of level {level:?} for {owner:?}");
                    let becomes = if stores { NEW } else { OLD };
                    let all = memory.iter().all(|e| e.load(Ordering::Relaxed) == becomes);
                    assert!(all, "{kind:?} of level {level:?} for {owner:?}");
                }
            }
        }
    }
}
