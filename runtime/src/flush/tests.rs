mod machine;

use super::*;
use crate::agents::Agents;
use crate::backend::Record;
use crate::cpu::tests::{Set, Several, set};
use crate::mask::{CpuMask, CpuSet, SharedCpuMask, set_of};
use crate::request::{SpaceId, Tag};
use crate::space::Tagging;
use machine::{Machine, Op, VALUES};
use std::vec::Vec;

const THIS: CpuId = CpuId(0);
const PAGE: Scope<'static> = Scope::Page {
    va: 0x3000,
    level: Level(0),
    table: false,
};
const TABLE: Scope<'static> = Scope::Page {
    va: 0x3000,
    level: Level(0),
    table: true,
};
const EVERYTHING: Scope<'static> = Scope::Everything { tables: true };

/// A space that is in the slots of CPUs.
fn of_slots() -> AddressSpace<Set> {
    AddressSpace::new(SpaceId(7), Space::User, (0, 0), Tagging::Cpu, 6)
}

/// A space with a global tag on a machine whose instructions reach every CPU.
fn of_generations(tag: u64) -> AddressSpace<Set> {
    let space = AddressSpace::new(SpaceId(7), Space::User, (0, 0), Tagging::Generations, 0);
    space.tag.put(tag);
    space
}

/// Returns the first of the CPUs, with what is kept for it.
fn this<const N: usize>(cpus: &Several<N>) -> (CpuId, &CpuTlb<Set>) {
    (THIS, &cpus.cpus[THIS.index()])
}

/// Makes a CPU one that has loaded a space.
fn load<const N: usize>(cpus: &Several<N>, cpu: usize, space: &AddressSpace<Set>) {
    let local = &cpus.cpus[cpu];
    if space.slots != 0 {
        let generation = space.counts.tlb_gen.now();
        let (slot, _) = local
            .slots
            .find_or_assign(space.id, 6, generation, SpaceId::NONE);
        local.slots.set_seen_gen(slot, generation);
    }
    local.loaded.put(space.id.0);
    space.cpumask.insert(CpuId(cpu as u32), Barrier::Unload);
}

/// The other CPUs that flush, and whether this one does.
fn flushes<C: Cpus<Set = Set>, B: Backend>(flush: &Flush<'_, B, C>) -> (Set, bool) {
    let classes = flush.ipis.agents;
    let others = set_of(flush.space.other_targets(flush.cpus, THIS, classes));
    let here = !matches!(flush.course, Course::Others | Course::Nowhere);
    (others, here)
}

/// Runs a flush on this CPU, and returns what it issues.
fn run<B: Backend<Op = Op>, C: Cpus>(mut flush: Flush<'_, B, C>) -> Vec<Op> {
    let mut issued = Vec::new();
    let started = flush.start(&mut Record(|op| issued.push(op)));
    flush.add_to_stats();
    let left = flush.finish(&mut Record(|op| issued.push(op)), started);
    assert!(left.is_empty());
    issued
}

#[test]
fn active_cpus_get_an_ipi_and_lazy_ones_only_for_tables() {
    let (cpus, space) = (Several::<5>::new(), of_slots());
    (0..5).for_each(|cpu| load(&cpus, cpu, &space));
    cpus.cpus[2].lazy.put(1);
    cpus.cpus[3].loaded.put(SpaceId::KERNEL.0);
    cpus.cpus[4].loaded.put(SpaceId::NONE.0); // offline
    let plan = |scope| Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &space, scope);
    assert_eq!(flushes(&plan(PAGE)), (set([1]), true));
    assert_eq!(flushes(&plan(TABLE)), (set([1, 2]), true));
    // With tagged entries of CPUs that have left the space; one that is offline has none.
    let all = space.targets(&cpus, this(&cpus), Agents::CPUS);
    assert!(all.here && all.others);
    let others: CpuSet<1> = set_of(space.other_targets(&cpus, THIS, Agents::CPUS));
    assert_eq!(others, set([1, 2, 3]));
    cpus.cpus[1].loaded.put(SpaceId::SWITCHING.0);
    assert_eq!(flushes(&plan(PAGE)), (set([1]), true));
}

#[test]
fn a_cpu_that_cannot_use_the_entries_issues_nothing() {
    let (cpus, space) = (Several::<2>::new(), of_slots());
    load(&cpus, 1, &space);
    let plan = || Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &space, PAGE);
    assert_eq!(flushes(&plan()), (set([1]), false));
    assert_eq!(run(plan()), []);
    assert_eq!(cpus.cpus[0].stats.by_ipi.get(), 1);
    cpus.cpus[1].loaded.put(SpaceId::KERNEL.0);
    assert_eq!(flushes(&plan()), (Set::NONE, false));
    assert_eq!(run(plan()), []);
    assert_eq!(cpus.cpus[0].stats.unneeded.get(), 1);
}

#[test]
fn a_lazy_cpu_flushes_pages_when_it_uses_the_space_again() {
    let (cpus, space) = (Several::<2>::new(), of_slots());
    load(&cpus, 0, &space);
    cpus.cpus[0].lazy.put(1);
    let plan = |scope| Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &space, scope);
    assert_eq!(flushes(&plan(PAGE)), (set([]), false));
    assert_eq!(run(plan(PAGE)), []);
    let here = &cpus.cpus[0].slots;
    let slot = space.slot_on(&cpus.cpus[0]).expect("a slot");
    assert_ne!(here.seen_gen(slot), space.counts.tlb_gen.now());
    // It may walk a table that is freed, until it leaves the space.
    assert_eq!(flushes(&plan(TABLE)), (set([]), true));
}

#[test]
fn a_teardown_is_flushed_where_the_space_is_loaded() {
    let (cpus, space) = (Several::<2>::new(), of_generations(5));
    let teardown = || {
        run(Flush::plan(
            &Machine::<false, false>,
            &cpus,
            this(&cpus),
            &space,
            Scope::Teardown,
        ))
    };
    let flushed = |reach| [Op::Invalidate(5, reach), Op::Complete];
    (0..2).for_each(|cpu| load(&cpus, cpu, &space));
    assert_eq!(teardown(), flushed(Reach::Wide));
    // No CPU can use entries of another space before a rollover, which flushes everything.
    cpus.cpus[1].loaded.put(SpaceId::KERNEL.0);
    assert_eq!(teardown(), flushed(Reach::Here));
    cpus.cpus[0].loaded.put(SpaceId::KERNEL.0);
    assert_eq!(teardown(), []);
    assert_eq!(cpus.cpus[0].stats.unneeded.get(), 1);
    // A CPU that is switching may still have it loaded.
    cpus.cpus[1].loaded.put(SpaceId::SWITCHING.0);
    assert_eq!(teardown(), flushed(Reach::Wide));
    cpus.cpus[1].loaded.put(SpaceId::NONE.0);
    assert_eq!(teardown(), []);
    // A device keeps entries, under the tag or by itself.
    for devices in [&space.devices, &space.pins] {
        devices.put(1);
        assert_eq!(teardown(), flushed(Reach::Wide));
        devices.put(0);
    }
    // A tag that another space gets without a rollover.
    let of_life = AddressSpace::new(SpaceId(8), Space::User, (0, 0), Tagging::Life, 0);
    let flush = Flush::plan(
        &Machine::<false, false>,
        &cpus,
        this(&cpus),
        &of_life,
        Scope::Teardown,
    );
    assert_eq!(run(flush), [Op::Invalidate(0, Reach::Wide), Op::Complete]);
}

#[test]
fn the_only_cpu_flushes_itself_and_has_then_seen_the_generation() {
    let (cpus, space) = (Several::<2>::new(), of_slots());
    load(&cpus, 0, &space);
    let here = &cpus.cpus[0];
    let slot = space.slot_on(here).expect("a slot");
    let own = VALUES.nth(slot.index() as u64).expect("a value");
    let flush = Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &space, PAGE);
    assert_eq!(run(flush), [Op::Invalidate(own, Reach::Here), Op::Complete]);
    assert_eq!(here.slots.seen_gen(slot), space.counts.tlb_gen.now());
    assert!(here.slots.take_view(slot), "what the backend deferred");
    assert_eq!((here.stats.here.get(), here.stats.pages[1].get()), (1, 1));
    // Another CPU changed the space, and its flush has not reached this one: it still has to follow.
    let missed = space.counts.tlb_gen.raise();
    run(Flush::plan(
        &Machine::<true, false>,
        &cpus,
        this(&cpus),
        &space,
        PAGE,
    ));
    assert_eq!(here.slots.seen_gen(slot).wrapping_add(1), missed);
}

/// A message that the CPU handles while it waits for others may make it load another root, which completes what is deferred.
#[test]
fn what_a_flush_defers_is_recorded_before_its_cpu_waits() {
    let (cpus, space) = (Several::<2>::new(), of_slots());
    (0..2).for_each(|cpu| load(&cpus, cpu, &space));
    let here = &cpus.cpus[0];
    let slot = space.slot_on(here).expect("a slot");
    let mut flush = Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &space, PAGE);
    let started = flush.start(&mut Record(|_| ()));
    assert!(here.slots.take_view(slot), "what the start has deferred");
    let _ = flush.finish(&mut Record(|_| ()), started);
    assert!(!here.slots.take_view(slot), "it is deferred once");
}

#[test]
fn instructions_act_here_alone_where_no_other_cpu_holds_entries() {
    fn check<const WAITS: bool>() {
        let machine = Machine::<false, WAITS>;
        let (cpus, space) = (Several::<2>::new(), of_generations(5));
        load(&cpus, 0, &space);
        let issued = || run(Flush::plan(&machine, &cpus, this(&cpus), &space, PAGE));
        let here = [Op::Publish, Op::Invalidate(5, Reach::Here), Op::Complete];
        assert_eq!(issued(), here);
        let stats = &cpus.cpus[0].stats;
        assert_eq!((stats.here.get(), stats.broadcast.get()), (1, 0));
        // Another CPU attaches the space while the changes are published.
        let mut flush = Flush::plan(&machine, &cpus, this(&cpus), &space, PAGE);
        let mut late = Vec::new();
        let started = flush.start(&mut Record(|op| {
            late.push(op);
            load(&cpus, 1, &space);
        }));
        let _ = flush.finish(&mut Record(|_| ()), started);
        assert_eq!(late, [Op::Publish, Op::Invalidate(5, Reach::Wide)]);
        // A space that another CPU has run is not published twice.
        let wide = [Op::Invalidate(5, Reach::Wide), Op::Complete];
        assert_eq!(issued(), wide);
        // A CPU that does not have the space loaded cannot flush it by instructions that act on it alone.
        space.cpumask.remove(CpuId(1), Barrier::Unload);
        cpus.cpus[0].loaded.put(SpaceId::KERNEL.0);
        assert_eq!(issued(), wide);
        let kernel = AddressSpace::new(SpaceId::KERNEL, Space::Kernel, (0, 0), Tagging::Kernel, 0);
        let wide = [Op::Invalidate(0, Reach::Wide), Op::Complete];
        assert_eq!(
            run(Flush::plan(&machine, &cpus, this(&cpus), &kernel, PAGE)),
            wide
        );
    }
    check::<true>();
    check::<false>();
}

#[test]
fn a_flush_of_everything_removes_cpus_from_the_cpumask_that_have_not_loaded_the_space() {
    let (cpus, space) = (Several::<3>::new(), of_generations(5));
    (0..3).for_each(|cpu| load(&cpus, cpu, &space));
    cpus.cpus[1].loaded.put(SpaceId::KERNEL.0);
    let mut flush = Flush::plan(
        &Machine::<false, true>,
        &cpus,
        this(&cpus),
        &space,
        EVERYTHING,
    );
    let started = flush.start(&mut Record(|_| ()));
    assert_eq!(
        space.counts.changes.get(),
        1,
        "CPUs wait that attach the space"
    );
    assert_eq!(set_of::<Set>(space.cpus_in_mask(&cpus)), set([0, 1, 2]));
    let _ = flush.finish(&mut Record(|_| ()), started);
    assert_eq!(space.counts.changes.get(), 0);
    assert_eq!(set_of::<Set>(space.cpus_in_mask(&cpus)), set([0, 2]));
    // A flush of less leaves the cpumask as it is.
    cpus.cpus[2].loaded.put(SpaceId::KERNEL.0);
    run(Flush::plan(
        &Machine::<false, true>,
        &cpus,
        this(&cpus),
        &space,
        PAGE,
    ));
    assert_eq!(set_of::<Set>(space.cpus_in_mask(&cpus)), set([0, 2]));
}

#[test]
fn a_flush_starts_again_under_a_tag_that_the_space_got_since() {
    let (cpus, space) = (Several::<2>::new(), of_generations(5));
    (0..2).for_each(|cpu| load(&cpus, cpu, &space));
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x1000, 0x3000));
    let mut issued = Vec::new();
    let scope = Scope::Ranges(&ranges);
    let mut flush = Flush::plan(&Machine::<false, true>, &cpus, this(&cpus), &space, scope);
    let started = flush.start(&mut Record(|op| {
        issued.push(op);
        space.tag.put(9); // as another CPU does at a rollover
    }));
    assert!(started.is_some());
    let wide = |tag| Op::Invalidate(tag, Reach::Wide);
    assert_eq!(issued, [wide(5), wide(9)]);
    assert_eq!(flush.request.tag.value, 9);
    let ceiling = &cpus.cpus[0].stats.full_ceiling;
    assert_eq!(ceiling.get(), 1, "one flush, which started twice");
}

#[test]
fn the_kernels_space_is_flushed_on_every_cpu_that_is_online() {
    let cpus = Several::<3>::new();
    let kernel = AddressSpace::new(SpaceId::KERNEL, Space::Kernel, (0, 0), Tagging::Kernel, 0);
    let flush = Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &kernel, PAGE);
    assert_eq!(flushes(&flush), (set([1, 2]), true));
    cpus.online().remove(CpuId(2), Barrier::Unload);
    let flush = Flush::plan(&Machine::<true, false>, &cpus, this(&cpus), &kernel, PAGE);
    assert_eq!(flushes(&flush), (set([1]), true));
    let tag = Tag {
        value: 0,
        global: true,
    };
    assert_eq!(flush.request.tag, tag);
}

#[test]
fn sizes_count_the_entries_of_every_level() {
    let (cpus, space) = (Several::<1>::new(), of_slots());
    load(&cpus, 0, &space);
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x1000, 0x3000));
    ranges.leaf(Level(1), Extent::new(0x20_0000, 0x40_0000));
    run(Flush::plan(
        &Machine::<true, false>,
        &cpus,
        this(&cpus),
        &space,
        Scope::Ranges(&ranges),
    ));
    let stats = &cpus.cpus[0].stats;
    assert_eq!(stats.pages[4].get(), 1, "five entries");
    assert_eq!(stats.full_ceiling.get(), 1);
}
