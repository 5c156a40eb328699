//! CPUs that come online on boot tables, which are freed afterwards, with whatever they had cached before.

use tlbc_machine_loom::toys::{
    Broadcast, Called, ForLife, Kind, Slots, UnderLoaded, Untagged, Viewed, Writer,
};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;

use crate::check::{Depth::Full, finds, holds};
use crate::kernel::{Layout, World};

/// A world with two CPUs, whose space 0 is there for boot tables.
fn world<K: Kind>(online: usize) -> World<K> {
    let world = World::with(Layout {
        online,
        kernel: true,
        ..Layout::of(2, 2)
    });
    world.make_boot_tables(0);
    world
}

/// CPU 1 comes online on boot tables that are loaded under a tag. They are freed, and it runs in the first space that is
/// given a tag.
fn come_from_boot_tables<K: Kind>(tag: u64) {
    let world = world::<K>(1);
    let space = world.space(1);
    world.on(1, || {
        let now = world.arrive_from(0, tag);
        world.free_boot_tables(0);
        let _ = world.switch(now, Some(&space));
    });
    world.check();
}

/// The same for the tag of the kernel's root, for one that the space is given, and for another.
fn tags() -> [u64; 3] {
    [0, 1, 7]
}

#[test]
fn boot_tables_are_freed_when_a_cpu_is_online() {
    for tag in tags() {
        holds(Full, move || come_from_boot_tables::<Slots>(tag));
        holds(Full, move || come_from_boot_tables::<UnderLoaded>(tag));
        holds(Full, move || come_from_boot_tables::<Viewed>(tag));
        holds(Full, move || come_from_boot_tables::<Untagged>(tag));
        holds(Full, move || come_from_boot_tables::<Broadcast>(tag));
        holds(Full, move || come_from_boot_tables::<Called>(tag));
        holds(Full, move || come_from_boot_tables::<ForLife>(tag));
        holds(Full, move || come_from_boot_tables::<Writer>(tag));
    }
}

#[test]
fn a_flush_before_the_root_is_found() {
    let fault = Fault::FlushesBeforeRoot;
    // Under the tag of the kernel's root the kernel uses what the boot tables mapped.
    finds(Full, fault, "ForeignPage", || {
        come_from_boot_tables::<Slots>(0);
    });
    finds(Full, fault, "ForeignPage", || {
        come_from_boot_tables::<Writer>(0);
    });
    // Under another one that does the space that is given it; it walks them first.
    finds(Full, fault, "FreedTable", || {
        come_from_boot_tables::<Broadcast>(1);
    });
}

/// CPU 1 goes offline, and comes back on boot tables with the entries that it had; meanwhile a page of the kernel is
/// unmapped, or its table freed.
fn go_and_come_back<K: Kind>(unmap: impl FnOnce(&World<K>)) {
    let world = world::<K>(2);
    let space = world.space(1);
    world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.cpu_offline(now);
        world.machine().stop(1);
    });
    world.on(0, || unmap(&world));
    world.on(1, || {
        let now = world.arrive_from(0, 7);
        let _ = world.switch(now, Some(&space));
    });
    world.check();
}

#[test]
fn a_cpu_comes_back_after_a_kernel_page_was_unmapped() {
    holds(Full, || {
        go_and_come_back::<UnderLoaded>(|world| world.unmap_kernel(0));
    });
    holds(Full, || {
        go_and_come_back::<Slots>(|world| world.unmap_kernel(0));
    });
    holds(Full, || {
        go_and_come_back::<Broadcast>(|world| world.unmap_kernel(0));
    });
}

#[test]
fn a_cpu_comes_back_after_a_kernel_table_was_freed() {
    holds(Full, || {
        go_and_come_back::<UnderLoaded>(World::unlink_kernel);
    });
    holds(Full, || go_and_come_back::<Slots>(World::unlink_kernel));
    holds(Full, || go_and_come_back::<Broadcast>(World::unlink_kernel));
}

#[test]
fn a_stale_root_is_found() {
    finds(Full, Fault::KeepsStaleRoot, "FreedTable", || {
        go_and_come_back::<UnderLoaded>(World::unlink_kernel);
    });
}
