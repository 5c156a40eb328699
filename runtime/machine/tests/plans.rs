//! The machine complains about each fault of a plan, and about nothing else.
//!
//! CPU 0 clears a page, or a table with it, and frees it, while CPU 1 runs in the space.

use tlbc_machine::{
    Complaint, DeviceFlush, Entry, InvalidatedEntries, KERNEL, KERNEL_PAGE, Kept, Machine, Op,
    SharedMachine, Stores, Where,
};

const TAG: u64 = 5;

/// CPUs 0 and 1 run in the space of table 1, whose table 2 maps page 0 of memory at page 0 and page 1 at page 1.
fn machine(stores: Stores) -> SharedMachine {
    let machine = Machine::new(stores, 2, 3, 2);
    machine.own(0, 1);
    machine.own(1, 1);
    for frame in 0..2 {
        machine.store(2, frame, Entry::page(frame).bits());
    }
    machine.store(1, 0, Entry::Table(2).bits());
    machine.issue(0, &Op::Publish);
    for cpu in 0..2 {
        let kept = Kept::All;
        machine.issue(
            cpu,
            &Op::Load {
                root: 1,
                tag: TAG,
                kept,
            },
        );
        machine.run_user(cpu);
    }
    machine
}

fn page(page: u64) -> InvalidatedEntries {
    InvalidatedEntries {
        tag: Some(TAG),
        page: Some(page),
        walks: false,
    }
}

fn with_walks(target: InvalidatedEntries) -> InvalidatedEntries {
    InvalidatedEntries {
        walks: true,
        ..target
    }
}

/// Issues these instructions on CPU 0.
fn run(machine: &Machine, plan: &[Op]) {
    for op in plan {
        machine.issue(0, op);
    }
}

/// Returns the complaint when a page is cleared, these instructions are issued, and the page has a new owner.
fn unmap(plan: &[Op]) -> Option<Complaint> {
    let machine = machine(Stores::Published);
    machine.store(2, 0, 0);
    run(&machine, plan);
    machine.reuse(&[0]);
    machine.complaint()
}

fn everywhere(target: InvalidatedEntries) -> Op {
    Op::Invalidate(target, Where::Everywhere)
}

#[test]
fn a_page_may_be_freed_after_publish_invalidate_and_complete() {
    let whole_tag = InvalidatedEntries {
        page: None,
        ..with_walks(page(0))
    };
    for target in [
        page(0),
        with_walks(page(0)),
        whole_tag,
        InvalidatedEntries::ALL,
    ] {
        let plan = [Op::Publish, everywhere(target), Op::Complete];
        assert_eq!(unmap(&plan), None, "{target:?}");
    }
    let at_once = Op::Invalidate(page(0), Where::EverywhereAtOnce);
    assert_eq!(unmap(&[Op::Publish, at_once]), None);
}

#[test]
fn a_page_must_not_be_freed_earlier() {
    let (publish, complete) = (Op::Publish, Op::Complete);
    let other_tag = InvalidatedEntries {
        tag: Some(TAG + 1),
        ..page(0)
    };
    let wrong: [&[Op]; 7] = [
        &[],
        &[publish, complete],
        &[everywhere(page(0)), complete],
        &[everywhere(page(0)), publish, complete],
        &[publish, everywhere(page(0))],
        &[publish, everywhere(page(1)), complete],
        &[publish, everywhere(other_tag), complete],
    ];
    for plan in wrong {
        assert_eq!(unmap(plan), Some(Complaint::ForeignPage), "{plan:?}");
    }
    let here = Op::Invalidate(page(0), Where::Here);
    assert_eq!(
        unmap(&[publish, here, complete]),
        Some(Complaint::ForeignPage)
    );
}

/// Returns the complaint for the same with the whole table.
fn unlink(plan: &[Op]) -> Option<Complaint> {
    let machine = machine(Stores::Published);
    machine.store(2, 0, 0);
    machine.store(2, 1, 0);
    machine.store(1, 0, 0);
    run(&machine, plan);
    machine.reuse(&[0, 1]);
    machine.free_table(2);
    machine.complaint()
}

#[test]
fn walk_entries_are_invalidated_before_their_table_is_freed() {
    let both = [page(0), page(1)];
    let right = both.map(|page| everywhere(with_walks(page)));
    assert_eq!(
        unlink(&[Op::Publish, right[0], right[1], Op::Complete]),
        None
    );
    let leaves = both.map(everywhere);
    let plan = [Op::Publish, leaves[0], leaves[1], Op::Complete];
    assert_eq!(unlink(&plan), Some(Complaint::FreedTable));
}

#[test]
fn a_page_is_filled_again_through_a_walk_entry_that_is_invalidated_later() {
    // The entries of the table stay valid: the whole table is unlinked.
    let unlink = |plan: &[Op]| {
        let machine = machine(Stores::Published);
        machine.store(1, 0, 0);
        run(&machine, plan);
        machine.reuse(&[0]);
        machine.complaint()
    };
    let (publish, complete) = (Op::Publish, Op::Complete);
    // Invalidates the walk entry of both pages.
    let walk = everywhere(with_walks(page(1)));
    let leaf = everywhere(page(0));
    let walk_first = [publish, walk, complete, leaf, complete];
    let not_complete = [publish, walk, leaf, complete];
    let leaf_first = [publish, leaf, walk, complete];
    assert_eq!(unlink(&walk_first), None);
    assert_eq!(unlink(&not_complete), Some(Complaint::ForeignPage));
    assert_eq!(unlink(&leaf_first), Some(Complaint::ForeignPage));
    // One instruction invalidates both at the same moment.
    for target in [with_walks(page(0)), InvalidatedEntries::ALL] {
        assert_eq!(unlink(&[publish, everywhere(target), complete]), None);
    }
}

#[test]
fn a_lazy_cpu_uses_no_page_but_reads_tables() {
    let machine = machine(Stores::Published);
    machine.stop_user(1);
    machine.store(2, 0, 0);
    machine.issue(0, &Op::Publish);
    machine.issue(0, &Op::Invalidate(page(0), Where::Here));
    machine.reuse(&[0]);
    assert_eq!(machine.complaint(), None);
    machine.free_table(2);
    assert_eq!(machine.complaint(), Some(Complaint::FreedTable));
}

#[test]
fn a_removed_right_is_not_used() {
    for (flushed, complaint) in [(true, None), (false, Some(Complaint::OldRight))] {
        let machine = machine(Stores::Published);
        let read_only = Entry::Page {
            frame: 0,
            write: false,
            attributes: 0,
        };
        machine.store(2, 0, read_only.bits());
        machine.issue(0, &Op::Publish);
        if flushed {
            machine.issue(0, &everywhere(page(0)));
            machine.issue(0, &Op::Complete);
        }
        machine.rely_on_read_only(0);
        assert_eq!(machine.complaint(), complaint);
    }
}

#[test]
fn a_tag_is_flushed_before_another_space_has_it() {
    for (kept, complaint) in [
        (Kept::All, Some(Complaint::ForeignPage)),
        (Kept::OtherTags, None),
        (Kept::Nothing, None),
    ] {
        let machine = machine(Stores::AsLoaded);
        machine.stop_user(0);
        machine.issue(
            0,
            &Op::Load {
                root: 0,
                tag: TAG,
                kept,
            },
        );
        machine.run_user(0);
        assert_eq!(machine.complaint(), complaint, "{kept:?}");
    }
}

#[test]
fn a_device_is_flushed_before_a_page_is_freed() {
    for (flushed, complaint) in [(true, None), (false, Some(Complaint::ForeignPage))] {
        let machine = machine(Stores::AsLoaded);
        let device = machine.add_device(DeviceFlush::ByDriver);
        machine.attach_device(device, 1, 0);
        machine.store(2, 0, 0);
        for cpu in 0..2 {
            machine.issue(cpu, &Op::Invalidate(page(0), Where::Here));
        }
        if flushed {
            machine.invalidate_devices();
        }
        machine.reuse(&[0]);
        assert_eq!(machine.complaint(), complaint);
    }
}

#[test]
fn a_page_is_not_accessed_with_old_attributes() {
    for (flushed, complaint) in [(true, None), (false, Some(Complaint::OldAttributes))] {
        let machine = machine(Stores::Published);
        let other = Entry::Page {
            frame: 0,
            write: true,
            attributes: 1,
        };
        machine.store(2, 0, other.bits());
        machine.issue(0, &Op::Publish);
        if flushed {
            run(&machine, &[everywhere(page(0)), Op::Complete]);
        }
        machine.rely_on_attributes(0, 1);
        assert_eq!(machine.complaint(), complaint);
    }
}

/// Returns a machine where page 0 of the same space was read-only before, and CPUs and the device have the stricter
/// entry.
fn more_rights(device: Option<DeviceFlush>) -> (SharedMachine, Entry) {
    let machine = machine(Stores::AsLoaded);
    let read_only = Entry::Page {
        frame: 0,
        write: false,
        attributes: 0,
    };
    machine.store(2, 0, read_only.bits());
    run(
        &machine,
        &[Op::Invalidate(page(0), Where::EverywhereAtOnce)],
    );
    if let Some(by) = device {
        let device = machine.add_device(by);
        machine.attach_device(device, 1, TAG);
    }
    (machine, Entry::page(0))
}

#[test]
fn a_stricter_entry_stops_agents_that_cannot_fault() {
    let (cpus, writable) = more_rights(None);
    cpus.store(2, 0, writable.bits());
    cpus.rely_on_writable(0);
    assert_eq!(cpus.complaint(), None, "user code faults and tries again");

    let (device, writable) = more_rights(Some(DeviceFlush::ByInstructions));
    device.store(2, 0, writable.bits());
    device.rely_on_writable(0);
    assert_eq!(device.complaint(), Some(Complaint::StricterEntry));

    let (device, writable) = more_rights(Some(DeviceFlush::ByInstructions));
    device.store(2, 0, writable.bits());
    device.issue(0, &Op::InvalidateDevices);
    device.rely_on_writable(0);
    assert_eq!(device.complaint(), None);
}

#[test]
fn a_device_that_broadcasts_reach_caches_under_the_tag() {
    for (target, complaint) in [
        (page(0), None),
        (
            InvalidatedEntries {
                tag: Some(TAG + 1),
                ..page(0)
            },
            Some(Complaint::ForeignPage),
        ),
    ] {
        let (machine, _) = more_rights(Some(DeviceFlush::ByBroadcasts));
        machine.stop_user(0);
        machine.stop_user(1);
        machine.store(2, 0, 0);
        run(&machine, &[everywhere(target), Op::Complete]);
        machine.reuse(&[0]);
        assert_eq!(machine.complaint(), complaint, "{target:?}");
    }
}

/// CPU 0 has a kernel page under the tag of the space, and under tag 0 as well. Table 3 is the kernel's.
fn kernel_machine() -> SharedMachine {
    let machine = Machine::new(Stores::AsLoaded, 1, 4, 1);
    machine.own_by_kernel(0);
    machine.store(3, 0, Entry::page(0).bits());
    for root in [1, 2] {
        machine.store(root, KERNEL, Entry::Table(3).bits());
    }
    for (root, tag) in [(1, 0), (2, TAG)] {
        let kept = Kept::All;
        machine.issue(0, &Op::Load { root, tag, kept });
    }
    machine.run_kernel(0);
    machine
}

#[test]
fn the_kernel_uses_its_pages_under_any_loaded_tag() {
    let kept = Kept::All;
    for (returns, complaint) in [(false, None), (true, Some(Complaint::ForeignPage))] {
        let machine = kernel_machine();
        machine.store(3, 0, 0);
        let (page, walks) = (Some(KERNEL_PAGE), true);
        run(&machine, &[Op::InvalidateLoaded { page, walks }]);
        machine.reuse(&[0]);
        assert_eq!(machine.complaint(), None, "no user code runs");
        if returns {
            let (root, tag) = (1, 0);
            machine.issue(0, &Op::Load { root, tag, kept });
        }
        assert_eq!(machine.complaint(), complaint);
    }
}

#[test]
fn a_cpu_that_starts_keeps_its_entries_and_fills_from_its_boot_tables() {
    // The CPU has the tag loaded again, from which a page and the table have been removed since.
    let machine = kernel_machine();
    machine.stop_kernel(0);
    machine.stop(0);
    machine.reuse(&[0]);
    machine.free_table(3);
    assert_eq!(machine.complaint(), None, "it does nothing");
    machine.store(1, KERNEL, 0);
    machine.boot(0, 1, TAG + 1);
    assert_eq!(machine.complaint(), None);
    machine.boot(0, 1, TAG);
    assert_eq!(machine.complaint(), Some(Complaint::FreedTable));
}
