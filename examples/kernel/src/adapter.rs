//! What the runtime does not offer yet, in terms of what it does.

use tlbc_runtime::pte::{Below, Change, Entry, Marks, Slot, Was};
use tlbc_runtime::{Gather, Level, Linked, Mapped, Misuse, OwnedEntry, Platform, Refused, SpaceId};

/// A page-table entry, as its owner: whoever holds the value may change the entry, under the table's lock.
pub trait Pte<P: Platform>: Sized {
    fn space(&self) -> SpaceId;
    fn level(&self) -> Level;
    fn slot(&self) -> Slot<'_>;
    fn decode(level: Level, bits: u64) -> Entry;
    fn into_page(self, old: Was) -> Option<P::Page>;
    fn into_table(self, old: Was) -> Option<P::Table>;
}

struct Owned<E>(E);

impl<E> Owned<E> {
    fn says<P: Platform>(&self) -> Entry
    where
        E: Pte<P>,
    {
        E::decode(self.0.level(), self.0.slot().load(0))
    }
}

impl<E: Pte<crate::platform::Kernel>> OwnedEntry for Owned<E> {
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
        self.says()
    }
}

type K = crate::platform::Kernel;

impl<E: Pte<K>> Mapped<K> for Owned<E> {
    fn unmapped(self, was: Was) -> Option<<K as Platform>::Page> {
        self.0.into_page(was)
    }
}

struct Link<E>(Owned<E>, u64);

impl<E: Pte<K>> OwnedEntry for Link<E> {
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
        E::decode(self.level(), self.1)
    }
}

impl<E: Pte<K>> Linked<K> for Link<E> {
    fn unlinked(self) -> <K as Platform>::Table {
        let was = Was {
            first: self.1,
            any: self.1,
        };
        self.0.0.into_table(was).expect("a table")
    }
}

pub struct Section<'s, 'g, 'id, 'm>(&'s mut tlbc_runtime::Section<'g, 'id, 'm, K>);

fn refused<E>(refused: Refused<Owned<E>>) -> Refused<E> {
    Refused {
        why: refused.why,
        entry: refused.entry.0,
    }
}

impl Section<'_, '_, '_, '_> {
    pub fn map<E: Pte<K>>(&mut self, pte: &E, bits: u64) -> Result<(), Misuse> {
        let change = Change {
            level: pte.level(),
            old: Entry::Invalid,
            new: E::decode(pte.level(), bits),
            new_bits: bits,
            clears: Marks::NONE,
            below: Below::Cleared,
        };
        self.0.change(&pte.slot(), &change).map(|_| ())
    }

    pub fn unmap_all<E: Pte<K>>(
        &mut self,
        ptes: impl IntoIterator<Item = E>,
    ) -> Result<(), Refused<E>> {
        self.0
            .clear_all(ptes.into_iter().map(Owned))
            .map_err(refused)
    }

    pub fn protect<E: Pte<K>>(
        &mut self,
        pte: &E,
        mut new: impl FnMut(u64) -> u64,
    ) -> Result<Was, Misuse> {
        let level = pte.level();
        self.0.update(&pte.slot(), |was| {
            let bits = new(was.any);
            Change {
                level,
                old: E::decode(level, was.any),
                new: E::decode(level, bits),
                new_bits: bits,
                clears: Marks::NONE,
                below: Below::Cleared,
            }
        })
    }

    pub fn replace<E: Pte<K>>(&mut self, pte: E, bits: u64) -> Result<(), Refused<E>> {
        let new = E::decode(pte.level(), bits);
        self.0.replace(Owned(pte), new, bits).map_err(refused)
    }

    pub fn unlink<E: Pte<K>>(&mut self, pte: E) -> Result<(), Refused<E>> {
        let bits = pte.slot().load(0);
        self.0.unlink(Link(Owned(pte), bits)).map_err(|it| Refused {
            why: it.why,
            entry: it.entry.0.0,
        })
    }
}

pub fn locked<'id, 'm, G, R>(
    gather: &mut Gather<'id, 'm, K>,
    guard: G,
    body: impl FnOnce(&mut Section<'_, '_, 'id, 'm>, &mut G) -> R,
) -> R {
    gather.locked(guard, |section, guard| body(&mut Section(section), guard))
}
