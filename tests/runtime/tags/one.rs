//! A machine with one tag for user spaces on each CPU.

use tlbc_runtime::Level;
use tlbc_tests::machines::{Case, Kind, Named};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

/// A space is flushed, and loaded, under the only tag while no other root is loaded under it: the kernel's root is loaded in between.
/// The machine checks that no tag is used for two roots, and what is flushed before another root is loaded is filled again.
fn spaces_take_turns<B: Named>(case: &Case<B>) {
    let tags = case.backend.tags();
    if tags.per_cpu.is_none() || tags.global.is_some() {
        return;
    }
    assert_eq!(case.kind, Kind::CpuTags);
    let mut cpus = Scheduler::with_tags(case.backend.clone(), 2, 1);
    let spaces = [(); 3].map(|()| case.process(&cpus));
    let of_tag = |cpus: &Scheduler<B>| cpus.mmu.platform().loaded_tag(0).map(|tag| tag.value);
    for process in [0, 1, 1, 2, 0, 1] {
        cpus.run(0, &spaces[process]);
        assert_eq!(
            of_tag(&cpus),
            tags.per_cpu.and_then(|(values, _)| values.nth(0))
        );
        cpus.return_to_user(0);
        cpus.enter_from_user(0);
        // Another CPU changes what the first one has cached.
        let table = Entries::new(
            &cpus.mmu.platform().backend().clone(),
            &spaces[0],
            Level(0),
            0,
            1,
        );
        table.map(0, 7, 0);
        cpus.unmap(1, &spaces[0], &table, 0);
    }
}

#[test]
fn spaces_that_share_the_only_tag_of_a_cpu_take_turns() {
    tlbc_tests::on_every_machine!(spaces_take_turns);
}
