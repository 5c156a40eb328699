//! The kernel's root has a tag, under which the kernel's pages and tables stay cached while another root is loaded.

use tlbc_machine_loom::toys::{Slots, ToyKind, UnderLoaded, Untagged};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;

use crate::check::{Depth::Full, finds, holds};
use crate::kernel::{Layout, World};

/// CPU 1, which has used the kernel's root before, is lazy in a space. CPU 0 unmaps a page of the kernel or frees a
/// table of it, and then a table of the space: CPU 1 goes back to the kernel's root.
fn unmap_and_go_back<K: ToyKind>(unmap: impl FnOnce(&World<K>)) {
    let world = World::<K>::with(Layout {
        kernel: true,
        ..Layout::of(2, 1)
    });
    let space = world.space(0);
    let now = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, move |world| world.switch(now, None));
    world.on(0, || {
        unmap(&world);
        world.unlink(&space, 0);
    });
    let _ = there.join().unwrap();
    world.check();
}

fn unmap_page<K: ToyKind>() {
    unmap_and_go_back::<K>(|world| world.unmap_kernel(0));
}

fn free_table<K: ToyKind>() {
    unmap_and_go_back::<K>(World::unlink_kernel);
}

#[test]
fn a_kernel_page_is_unmapped_while_another_root_is_loaded() {
    holds(Full, unmap_page::<UnderLoaded>);
    holds(Full, unmap_page::<Slots>);
    holds(Full, unmap_page::<Untagged>);
}

#[test]
fn a_kernel_table_is_freed_while_another_root_is_loaded() {
    holds(Full, free_table::<UnderLoaded>);
    holds(Full, free_table::<Slots>);
    holds(Full, free_table::<Untagged>);
}

#[test]
fn a_forgotten_tag_of_the_kernel_root_is_found() {
    let fault = Fault::ForgetsKernelRoot;
    finds(Full, fault, "ForeignPage", unmap_page::<UnderLoaded>);
    finds(Full, fault, "FreedTable", free_table::<UnderLoaded>);
}
