use super::*;
use crate::cpu::tests::{Set, Several};
use crate::request::{Space, SpaceId};
use crate::space::Tagging;
use crate::tag::{TagSource, TagValues, Tags};

fn space(id: u64) -> AddressSpace<Set> {
    let tagging = Tagging::Generations;
    AddressSpace::new(SpaceId(id), Space::User, (0, 0), tagging, 0)
}

fn tags(last: u64) -> Tags {
    let values = TagValues {
        first: 1,
        last,
        views: 0,
    };
    Tags {
        per_cpu: None,
        global: Some((values, TagSource::Generations)),
    }
}

#[test]
fn a_rollover_keeps_the_tag_that_a_cpu_runs() {
    let (asids, words) = (AsidAllocator::new(), [const { Word::new(0) }; 2]);
    let all = &Several::<1>::new();
    let cpu = &all.cpus[0];
    let map = AsidMap::new(&tags(3), &words, 1);
    assert!(map.has_more_than_used(0) && !map.has_more_than_used(1));
    let spaces = [2, 3, 4, 5].map(space);
    for space in &spaces[..3] {
        asids.renew(&map, cpu, space, all);
        cpu.leaving_tag.put(0);
    }
    assert_eq!(asids.rollovers.get(), 0);
    // No tag is left; the third space's is loaded while the fourth gets one.
    asids.renew(&map, cpu, &spaces[3], all);
    assert_eq!(asids.rollovers.get(), 1);
    assert_ne!(value(spaces[3].tag.get()), value(spaces[2].tag.get()));
    assert!(cpu.slots.take_everything() && !cpu.slots.take_everything());
    assert!(!asids.is_present(spaces[2].tag.get()) && asids.is_present(spaces[3].tag.get()));
    // What runs is of the present generation, so that no lock is taken.
    assert!(asids.renew_running(cpu, &spaces[3]));
    assert!(!asids.renew_running(cpu, &spaces[0]));
}

#[test]
fn no_space_gets_the_tag_that_another_cpu_runs() {
    let (asids, words) = (AsidAllocator::new(), [const { Word::new(0) }; 2]);
    let machine = &Several::<2>::new();
    let map = AsidMap::new(&tags(5), &words, 2);
    let runs = space(2);
    asids.renew(&map, &machine.cpus[0], &runs, machine);
    for id in 3..20 {
        let other = space(id);
        asids.renew(&map, &machine.cpus[1], &other, machine);
        assert_ne!(value(other.tag.get()), value(runs.tag.get()));
    }
    assert!(asids.rollovers.get() > 1);
}

#[test]
fn a_pinned_tag_survives_rollovers_until_its_last_pin_ends() {
    let (asids, words) = (AsidAllocator::new(), [const { Word::new(0) }; 2]);
    let all = &Several::<1>::new();
    let map = AsidMap::new(&tags(4), &words, 1);
    let device = space(2);
    let pinned = asids.pin(&map, &device, all).unwrap();
    assert_eq!(asids.pin(&map, &device, all), Ok(pinned));
    // Every CPU needs two that are not pinned.
    assert_eq!(asids.pin(&map, &space(3), all), Err(NoTag));
    for id in 4..20 {
        let other = space(id);
        asids.renew(&map, &all.cpus[0], &other, all);
        assert_ne!(value(other.tag.get()), pinned.value);
    }
    assert_eq!(asids.pin(&map, &device, all), Ok(pinned));
    for _ in 0..3 {
        assert_eq!(asids.unpin(&map, &device), Ok(()));
    }
    assert_eq!(asids.unpin(&map, &device), Err(NotPinned));
}

#[test]
fn memory_bounds_the_tags() {
    let words = [const { Word::new(0) }; 2];
    let values = AsidMap::new(&tags(1000), &words, 1).values.unwrap();
    assert_eq!((values.first, values.last), (1, 64));
    assert!(
        AsidMap::new(&tags(1000), &[], 1)
            .values
            .is_none_or(|v| v.last < v.first)
    );
}

/// Returns how many tags are free after a rollover.
fn free_after_rollover(asids: &AsidAllocator, map: &AsidMap<'_>, cpus: &Several<1>) -> usize {
    asids.roll_over(map, cpus);
    std::iter::from_fn(|| asids.find(map)).count()
}

#[test]
fn a_cpu_reserves_what_it_runs_and_what_it_is_leaving() {
    let (asids, words) = (AsidAllocator::new(), [const { Word::new(0) }; 2]);
    let all = &Several::<1>::new();
    let cpu = &all.cpus[0];
    let map = AsidMap::new(&tags(10), &words, 1);
    for id in [2, 3] {
        asids.renew(&map, cpu, &space(id), all);
    }
    assert_eq!(free_after_rollover(&asids, &map, all), 8);
    AsidAllocator::left_tag(cpu);
    assert_eq!(free_after_rollover(&asids, &map, all), 9);
    // It goes offline.
    AsidAllocator::forget(cpu);
    assert_eq!(free_after_rollover(&asids, &map, all), 10);
    asids.renew(&map, cpu, &space(4), all);
    AsidAllocator::left_tag(cpu);
    AsidAllocator::forget(cpu);
    assert_eq!(free_after_rollover(&asids, &map, all), 10);
}

/// Values are assigned in turn: one that was given back is assigned again after all others.
#[test]
fn a_free_tag_is_found_after_the_last_one_that_was_found() {
    let (asids, words) = (AsidAllocator::new(), [const { Word::new(0) }; 2]);
    let map = AsidMap::new(&tags(5), &words, 1);
    assert_eq!([(); 3].map(|()| asids.find(&map)), [1, 2, 3].map(Some));
    AsidAllocator::give_back(&map, 2);
    assert_eq!(
        [(); 4].map(|()| asids.find(&map)),
        [Some(4), Some(5), Some(2), None]
    );
    assert!(map.is_marked(2, false) && !map.is_marked(2, true));
    AsidAllocator::give_back(&map, 2);
    assert!(!map.is_marked(2, false) && map.is_marked(1, false));
}
