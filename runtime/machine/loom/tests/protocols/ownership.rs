//! The kernel finds pages and tables that are released twice or too early.

use tlbc_machine_loom::toys::Untagged;

use crate::check::goes_wrong;
use crate::kernel::{Handle, Page, Table, World, root, table};
use tlbc_runtime::Platform;

fn with_space(does: impl FnOnce(&World<Untagged>, &Handle)) {
    let world = World::<Untagged>::new(1, 1);
    let space = world.space(0);
    world.on(0, || does(&world, &space));
    world.check();
}

#[test]
fn a_page_that_is_released_twice() {
    goes_wrong("page 0 is released twice", || {
        with_space(|world, space| {
            world.unmap(space, 0, 0);
            world.unmap(space, 0, 0);
        });
    });
}

#[test]
fn a_page_that_is_released_while_it_is_mapped() {
    goes_wrong("page 1 is released while an entry maps it", || {
        with_space(|world, _| world.free(Page(1)));
    });
}

#[test]
fn a_table_that_is_freed_twice() {
    goes_wrong("table 2 is freed twice", || {
        with_space(|world, space| {
            world.unlink(space, 0);
            world.mmu.platform().free_table(Table(table(0)));
        });
    });
}

#[test]
fn a_table_that_is_freed_while_it_is_in_use() {
    goes_wrong("table 2 is freed while an entry points at it", || {
        with_space(|world, _| world.mmu.platform().free_table(Table(table(0))));
    });
    goes_wrong("FreedTable", || {
        with_space(|world, space| {
            let _ = world.switch(tlbc_runtime::Current::Kernel, Some(space));
            world.mmu.platform().free_table(Table(root(0)));
        });
    });
}
