//! Interrupts and preemption: the runtime takes its locks and issues instructions with interrupts off. Where interrupts
//! are on, another thread may run on the same CPU.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use loom::sync::Mutex;
use tlbc_machine_loom::DeviceFlush;
use tlbc_machine_loom::toys::{Broadcast, Called, Crowd, ForLife, Masked, Slots, ToyKind, Writer};
use tlbc_runtime::fault::Fault;
use tlbc_runtime::{Current, SpaceFlags};

use crate::check::{Depth::Full, finds, holds};
use crate::kernel::{Handle, World};

/// What a thread does in a space, while other threads run on the same CPU.
type Does<K> = fn(&World<K>, &Handle);

fn unmaps<K: ToyKind>(world: &World<K>, space: &Handle) {
    world.unmap(space, 0, 0);
}

fn frees_table<K: ToyKind>(world: &World<K>, space: &Handle) {
    world.unlink(space, 0);
}

fn reclaims<K: ToyKind>(world: &World<K>, space: &Handle) {
    world.reclaim(space, &Mutex::new(false));
}

fn pins<K: ToyKind>(world: &World<K>, space: &Handle) {
    assert!(world.mmu.pin_tag(space).is_ok());
    assert!(world.mmu.unpin_tag(space).is_ok());
}

fn attaches_device<K: ToyKind>(world: &World<K>, space: &Handle) {
    let device = world.machine().add_device(DeviceFlush::ByDriver);
    let attached = world.attach(device, space, 0, SpaceFlags::NONE);
    world.unmap(space, 0, 0);
    world.detach(device, space, attached);
}

fn makes_and_ends_space<K: ToyKind>(world: &World<K>, _: &Handle) {
    let space = world.space(2);
    world.end(&space, 2);
}

/// Runs a thread that does something in space 0. At its nth preemption point another thread runs, in space 1 and in new
/// spaces, and unmaps a page. Returns whether there was such a point.
fn preempted_at<K: ToyKind>(nth: usize, does: Does<K>) -> bool {
    let world = World::<K>::new(1, 8);
    let (space, other) = (world.space(0), world.space(1));
    world.on(0, || {
        let now = world.switch(Current::Kernel, Some(&space));
        let now = Rc::new(RefCell::new(Some(now)));
        let preempts = {
            let (world, space) = (world.clone(), space.clone());
            move || {
                let runs = now.borrow_mut().take().expect("what runs");
                let mut runs = world.switch(runs, Some(&other));
                world.unmap(&other, 1, 0);
                for nth in 3..8 {
                    runs = world.switch(runs, Some(&world.space(nth)));
                }
                now.replace(Some(world.switch(runs, Some(&space))));
            }
        };
        world.preempt(nth, preempts);
        does(&world, &space);
    });
    world.check();
    world.on(0, || world.was_preempted())
}

/// Runs the same for every point at which the scheduler may run another thread.
fn preempted<K: ToyKind>(does: Does<K>) {
    for nth in 0.. {
        let was_preempted = Arc::new(AtomicBool::new(false));
        holds(Full, {
            let was_preempted = was_preempted.clone();
            move || was_preempted.store(preempted_at(nth, does), Relaxed)
        });
        if !was_preempted.load(Relaxed) {
            assert!(nth > 0, "there are points");
            return;
        }
    }
}

fn preempted_in_all<K: ToyKind>() {
    for does in [unmaps, frees_table, attaches_device, makes_and_ends_space] {
        preempted::<K>(does);
    }
}

#[test]
fn another_thread_runs_at_any_point() {
    preempted_in_all::<Slots>();
    preempted_in_all::<Called>();
    preempted_in_all::<Broadcast>();
    preempted_in_all::<Writer>();
}

/// Runs it without another thread.
fn alone<K: ToyKind>(does: Does<K>) {
    let world = World::<K>::new(1, 3);
    let space = world.space(0);
    world.on(0, || does(&world, &space));
    world.check();
}

#[test]
fn locks_with_interrupts_on_are_found() {
    let (fault, how) = (Fault::LocksInterrupted, "a lock is held with interrupts on");
    finds(Full, fault, how, || alone::<Crowd<Broadcast>>(pins));
    finds(Full, fault, how, || alone::<Broadcast>(attaches_device));
    finds(Full, fault, how, || alone::<ForLife>(makes_and_ends_space));
}

#[test]
fn a_batched_unmap_with_interrupts_on_is_found() {
    holds(Full, || alone::<Masked>(reclaims));
    let (fault, how) = (Fault::ReclaimsInterrupted, "is issued with interrupts on");
    finds(Full, fault, how, || alone::<Masked>(reclaims));
}
