//! CPUs that come online on boot tables, which are freed afterwards, with entries that they had cached before.

use tlbc_machine_loom::toys::{
    Broadcast, Called, ForLife, Slots, ToyKind, UnderLoaded, Untagged, Viewed, Writer,
};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;

use crate::check::{Depth::Full, finds, holds};
use crate::kernel::{Layout, World};

/// Returns a world with two CPUs, whose space 0 provides the memory for boot tables.
fn world<K: ToyKind>(online: usize) -> World<K> {
    let world = World::with(Layout {
        online,
        kernel: true,
        ..Layout::of(2, 2)
    });
    world.make_boot_tables(0);
    world
}

/// CPU 1 comes online on boot tables that are loaded under a tag. The boot tables are freed, and CPU 1 runs in the
/// first space that gets a tag.
fn come_from_boot_tables<K: ToyKind>(tag: u64) {
    let world = world::<K>(1);
    let space = world.space(1);
    world.on(1, || {
        let now = world.online_from(0, tag);
        world.free_boot_tables(0);
        let _ = world.switch(now, Some(&space));
    });
    world.check();
}

/// Runs the same for the tag of the kernel's root, for a tag that the space gets, and for another one.
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
    // Under another tag the space that gets the tag does; it walks the boot tables first.
    finds(Full, fault, "FreedTable", || {
        come_from_boot_tables::<Broadcast>(1);
    });
}

/// CPU 1 goes offline, and comes back on boot tables with the entries that it had. Before it comes back a page of the
/// kernel is unmapped, or the kernel's table is freed.
fn go_and_come_back<K: ToyKind>(unmap: impl FnOnce(&World<K>)) {
    let world = world::<K>(2);
    let space = world.space(1);
    world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.cpu_offline(now);
        world.machine().stop(1);
    });
    world.on(0, || unmap(&world));
    world.on(1, || {
        let now = world.online_from(0, 7);
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
