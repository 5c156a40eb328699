//! What may be unmapped, and what unlinked: only valid leaf entries, and only valid pointers to tables.

use tlbc_backends::arm64::{Config, Tlb};
use tlbc_runtime::{Level, Misuse, NewSpace, Pte, Refused};
use tlbc_tests::hosted::Hosted;
use tlbc_tests::tables::Entries;

const TLB: Tlb = Tlb {
    config: Config::NONE,
};

/// Checks that it was refused, and returns it.
fn refused<T, E: Pte<Hosted<Tlb>>>(result: Result<T, Refused<E>>, why: Misuse) -> E {
    match result {
        Ok(_) => panic!("it was not refused: {why:?}"),
        Err(refused) => {
            assert_eq!(refused.why, why);
            refused.entry
        }
    }
}

#[test]
fn an_entry_of_another_kind_is_refused_and_stays() {
    let mmu = Hosted::machine(TLB, 1);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let entries = Entries::new(&TLB, &space, Level(1), 0x4000_0000, 3);
    entries.map(0, 1, 0);
    entries.link(2, 2);
    let (leaf, invalid, pointer) = (0, 1, 2);
    let bits = || [0, 1, 2].map(|index| entries.bits(index));
    let before = bits();
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                use Misuse::{AlreadyValid, NotALeaf, NotATable, NotValid, OtherPage};
                for index in [pointer, invalid] {
                    let entry = refused(section.unmap(entries.at(index)), NotALeaf);
                    let entry = refused(section.unmap_all([entry]), NotALeaf);
                    let entry = refused(section.replace(entry, before[leaf]), NotALeaf);
                    assert_eq!(section.split(&entry, before[pointer]), Err(NotALeaf));
                }
                for index in [leaf, invalid] {
                    let entry = refused(section.unlink(entries.at(index)), NotATable);
                    let entry = refused(section.unlink_subtree(entry), NotATable);
                    let entry = refused(section.collapse(entry, before[leaf]), NotATable);
                    refused(section.detach(entry), NotATable);
                }
                for index in [leaf, pointer] {
                    let mapped = section.map(&entries.at(index), before[leaf]);
                    assert_eq!(mapped, Err(AlreadyValid));
                }
                // Neighbours of which only one is valid.
                let mapped = section.map(&entries.group(1..3), before[leaf]);
                assert_eq!(mapped, Err(AlreadyValid));
                assert_eq!(section.map(&entries.at(invalid), 0), Err(NotValid));
                for bits in [0, before[pointer]] {
                    refused(section.replace(entries.at(leaf), bits), NotALeaf);
                }
                for bits in [0, before[leaf]] {
                    let split = section.split(&entries.at(leaf), bits);
                    assert_eq!(split, Err(NotATable));
                }
                refused(
                    section.collapse(entries.at(pointer), before[pointer]),
                    NotALeaf,
                );
                assert_eq!(
                    section.protect(&entries.at(invalid), |_| before[leaf]),
                    Err(NotValid)
                );
                for (index, bits) in [
                    (leaf, before[leaf] + 0x1000),
                    (leaf, before[pointer]),
                    (pointer, before[pointer] + 0x1000),
                    (pointer, before[leaf]),
                    (pointer, 0),
                ] {
                    let protected = section.protect(&entries.at(index), |_| bits);
                    assert_eq!(protected, Err(OtherPage), "{index}: {bits:#x}");
                }
            });
        });
        mmu.reclaim(|batch| {
            for index in [pointer, invalid] {
                refused(batch.unmap(&space, entries.at(index)), Misuse::NotALeaf);
            }
        });
    });
    assert_eq!(bits(), before);
    assert_eq!(mmu.platform().events(), [], "nothing was changed");
}
