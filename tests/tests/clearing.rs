//! What may be cleared, and what unlinked: valid leaf entries alone, and valid pointers to tables.

use tlbc_backends::arm64::{Config, Tlb};
use tlbc_runtime::pte::{Entry, Slot, Was};
use tlbc_runtime::{Level, Linked, Mapped, Misuse, NewSpace, OwnedEntry, SpaceId};
use tlbc_tests::hosted::{Hosted, Page, Table};
use tlbc_tests::tables::{Entries, Leaf};

const TLB: Tlb = Tlb {
    config: Config::NONE,
};

/// An entry that says something else than its owner believes.
#[derive(Debug)]
struct Claimed<'t>(Leaf<'t>, Entry);

impl OwnedEntry for Claimed<'_> {
    fn space(&self) -> SpaceId {
        self.0.space()
    }

    fn level(&self) -> Level {
        self.0.level()
    }

    fn slot(&self) -> Slot<'_> {
        self.0.slot()
    }

    fn entry(&self) -> Entry {
        self.1
    }
}

impl Mapped<Hosted<Tlb>> for Claimed<'_> {
    fn unmapped(self, was: Was) -> Option<Page> {
        Mapped::<Hosted<Tlb>>::unmapped(self.0, was)
    }
}

impl Linked<Hosted<Tlb>> for Claimed<'_> {
    fn unlinked(self) -> Table {
        Table::given_up(0)
    }
}

#[test]
fn what_is_no_leaf_is_refused_and_stays() {
    let mmu = Hosted::machine(TLB, 1);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let entries = Entries::new(&TLB, &space, Level(1), 0x4000_0000, 1);
    entries.map(0, 1, 0);
    let before = entries.bits(0);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                // A pointer to a table owes more than a leaf does, and what is invalid has no page.
                for says in [
                    Entry::Table {
                        table: 1,
                        attributes: 0,
                    },
                    Entry::Invalid,
                ] {
                    let leaf = entries.leaf(0).expect("a leaf");
                    let refused = section.clear(Claimed(leaf, says)).expect_err("no leaf");
                    assert_eq!(refused.why, Misuse::NoSuchLevel);
                }
                // And what maps a page points at no table.
                for says in [
                    Entry::Leaf {
                        page: 1,
                        rights: 1,
                        attributes: 0,
                    },
                    Entry::Invalid,
                ] {
                    let leaf = entries.leaf(0).expect("a leaf");
                    let refused = section.unlink(Claimed(leaf, says)).expect_err("no table");
                    assert_eq!(refused.why, Misuse::NoSuchLevel);
                }
            });
        });
    });
    assert_eq!(entries.bits(0), before);
    assert_eq!(mmu.platform().events(), [], "nothing was changed");
}
