//! Overlapping gathers, and unmapping without waiting. A gather that finds an entry invalid under the table's lock may
//! rely on no agent using the entry once the gather is done.

use std::rc::Rc;

use loom::sync::Mutex;
use tlbc_machine_loom::Entry;
use tlbc_machine_loom::toys::{Broadcast, Slots, ToyKind};
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;
use tlbc_runtime::{CpuId, Current};

use crate::check::{Depth::Full, Depth::Long, RACE, fails, finds, holds};
use crate::entries::{leaf, unmapped};
use crate::kernel::{Space, World};

/// Unmaps a page on CPU 0 in a gather, and notes that its entry is cleared while the lock of the table is held.
fn unmap<K: ToyKind>(world: &World<K>, space: &Space, cleared: &Mutex<bool>) {
    world.on(0, || {
        world.mmu.gather(space, |g| {
            g.locked(cleared.lock().unwrap(), |section, cleared| {
                assert!(section.unmap(leaf(space, 0, 0)).is_ok());
                **cleared = true;
            });
        });
    });
}

/// CPU 0 clears an entry in a gather; CPU 1, which still has it cached, finds it cleared in a gather of its own.
pub fn find_cleared<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let cleared = Rc::new(Mutex::new(false));
    let _ = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, {
        let (space, cleared) = (space.clone(), cleared.clone());
        move |world| {
            let found = world.mmu.gather(&space, |g| {
                g.locked(cleared.lock().unwrap(), |_, cleared| **cleared)
            });
            let flushed = world.mmu.stats_of(CpuId(1)).full_nested != 0;
            match (found, flushed) {
                (false, _) => {}
                (true, true) => world.machine().reuse(&[0]),
                // The other gather cleared it and is done: this is after the release of its page.
                (true, false) => world.rely_on(0),
            }
        }
    });
    unmap(&world, &space, &cleared);
    there.join().unwrap();
    world.check();
}

#[test]
fn a_gather_finds_what_another_one_cleared() {
    holds(Full, find_cleared::<Slots>);
    holds(Full, find_cleared::<Broadcast>);
}

#[test]
fn without_complete() {
    fails(Full, Barrier::Complete, RACE, find_cleared::<Slots>);
}

/// CPU 0 unmaps a page in a gather, which flushes later; CPU 1, which may still have it cached, maps another page in its place.
/// From then on it may not reach the old page: the machine permits one translation of an address at a time.
fn map_in_place_of_cleared<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let cleared = Rc::new(Mutex::new(false));
    let _ = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, {
        let (space, cleared) = (space.clone(), cleared.clone());
        move |world| {
            world.mmu.gather(&space, |g| {
                g.locked(cleared.lock().unwrap(), |section, cleared| {
                    if **cleared {
                        let entry = unmapped(&space, 0, 0);
                        assert_eq!(section.map(&entry, Entry::page(1).bits()), Ok(()));
                        let reached = world.machine().reaches(1, 0);
                        assert_ne!(reached, Some(0), "the old page is still cached");
                    }
                });
            });
        }
    });
    unmap(&world, &space, &cleared);
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_mapped_where_another_gather_unmapped_one() {
    holds(Long, map_in_place_of_cleared::<Slots>);
    holds(Long, map_in_place_of_cleared::<Broadcast>);
}

#[test]
fn a_new_entry_without_the_flush_of_the_old_one_is_found() {
    let (fault, how) = (Fault::MapsUnflushed, "still cached");
    finds(Full, fault, how, map_in_place_of_cleared::<Slots>);
    finds(Full, fault, how, map_in_place_of_cleared::<Broadcast>);
}

/// CPU 0 unmaps a page without waiting, and waits; CPU 1, which still has it cached, finds it cleared in a gather.
pub fn find_unmapped<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let cleared = Rc::new(Mutex::new(false));
    let _ = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, {
        let (space, cleared) = (space.clone(), cleared.clone());
        move |world| {
            world.mmu.gather(&space, |g| {
                g.locked(cleared.lock().unwrap(), |_, cleared| {
                    if **cleared {
                        world.machine().reuse(&[0]);
                    }
                });
            });
        }
    });
    world.on(0, || world.reclaim(&space, &cleared));
    there.join().unwrap();
    world.check();
}

impl<K: ToyKind> World<K> {
    /// Unmaps page 0 of space 0, waits, and gives the page another owner.
    pub fn reclaim(&self, space: &crate::kernel::Handle, cleared: &Mutex<bool>) {
        self.mmu.reclaim(|r| {
            let unmapped = {
                let mut cleared = cleared.lock().unwrap();
                *cleared = true;
                r.unmap(space, leaf(space, 0, 0))
            };
            let Ok(Some(page)) = unmapped else {
                panic!("an entry of the space, with a page");
            };
            let Ok(page) = r.wait().redeem(page) else {
                panic!("it was waited for");
            };
            self.free(page);
        });
    }
}

#[test]
fn a_gather_finds_what_was_unmapped_without_waiting() {
    holds(Full, find_unmapped::<Slots>);
    holds(Full, find_unmapped::<Broadcast>);
}

/// CPU 0 unmaps a page without waiting, and waits, while CPU 1 leaves the space and comes back.
fn unmap_and_come_back<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let now = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn_in(1, &space, move |world, space| {
        let now = world.switch(now, None);
        world.switch(now, Some(&space))
    });
    world.on(0, || world.reclaim(&space, &Mutex::new(false)));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_reclaimed_while_a_cpu_leaves_and_comes_back() {
    holds(Full, unmap_and_come_back::<Slots>);
}
