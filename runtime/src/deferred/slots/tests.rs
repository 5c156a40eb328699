//! The slots of one CPU, without a machine.

use super::*;

const A: SpaceId = SpaceId(10);
const B: SpaceId = SpaceId(11);
const C: SpaceId = SpaceId(12);

#[test]
fn what_is_not_remembered_is_flushed() {
    let slots = AsidSlots::default();
    let (slot, pending) = slots.find_or_assign(A, 2, 5, SpaceId::NONE);
    assert_eq!(pending, Pending::Tag);
    slots.set_seen_gen(slot, 5);
    assert_eq!(
        slots.find_or_assign(A, 2, 5, SpaceId::NONE),
        (slot, Pending::None)
    );
    assert_eq!(
        slots.find_or_assign(A, 2, 6, SpaceId::NONE),
        (slot, Pending::Tag)
    );
    let (other, _) = slots.find_or_assign(B, 2, 0, SpaceId::NONE);
    assert_ne!(other, slot);
    // A third one takes the older slot.
    assert_eq!(
        slots.find_or_assign(C, 2, 0, SpaceId::NONE),
        (slot, Pending::Tag)
    );
    assert_eq!(slots.find(A), None);
}

#[test]
fn others_are_invalidated_lazily_and_the_loaded_ones_user_view() {
    let slots = AsidSlots::default();
    let (a, _) = slots.find_or_assign(A, 8, 1, SpaceId::NONE);
    slots.set_seen_gen(a, 1);
    let (b, _) = slots.find_or_assign(B, 8, 1, SpaceId::NONE);
    slots.set_seen_gen(b, 1);
    slots.invalidate_others(LoadedTag::Slot(Some(b)));
    assert_eq!(slots.find(A), None);
    assert_eq!(
        slots.find_or_assign(B, 8, 1, SpaceId::NONE).1,
        Pending::None
    );
    assert!(slots.take_view(b) && !slots.take_view(b));
}

#[test]
fn the_line_that_is_loaded_is_not_given_away() {
    let slots = AsidSlots::default();
    let (a, _) = slots.find_or_assign(A, 2, 0, SpaceId::NONE);
    let (b, _) = slots.find_or_assign(B, 2, 0, A);
    // It would be the turn of A's, whose tag is loaded.
    assert_eq!(slots.find_or_assign(C, 2, 0, A), (b, Pending::Tag));
    assert_eq!(slots.find(A), Some(a));
    // With one slot there is no other.
    let slots = AsidSlots::default();
    let (a, _) = slots.find_or_assign(A, 1, 0, SpaceId::NONE);
    assert_eq!(slots.find_or_assign(B, 1, 0, A), (a, Pending::Tag));
}

const fn values(last: u64) -> TagValues {
    TagValues {
        first: 1,
        last,
        views: 1,
    }
}

#[test]
fn each_slot_has_a_tag() {
    let each = |last| Some((values(last), PerCpuSource::Slots));
    assert_eq!(AsidSlots::used_by(None), 0);
    assert_eq!(AsidSlots::used_by(each(6)), 3);
    assert_eq!(AsidSlots::used_by(each(100)), SLOTS);
    let slots = AsidSlots::default();
    let tags = [0, 1, 2].map(|nth| slots.tag(Some(AsidSlot(nth)), each(6)).value);
    assert_eq!(tags, [2, 4, 6]);
    assert_eq!(slots.tag(None, each(6)), Tag::default());
}

/// The values are 2, 4 and 6. Everything is flushed before one is assigned again, and the one that is loaded then is not.
#[test]
fn tags_from_generations_are_assigned_once_before_a_flush_of_everything() {
    let values = values(6);
    let tags = Some((values, PerCpuSource::Generations));
    let slots = AsidSlots::default();
    let slot = |space| slots.find_or_assign(space, 3, 0, SpaceId::NONE).0;
    let (a, b) = (slot(A), slot(B));
    let renew = |slot, loaded| {
        let pending = slots.renew_tag(slot, values, loaded);
        (slots.tag(Some(slot), tags).value, pending)
    };
    assert_eq!(renew(a, None), (2, Pending::None));
    assert_eq!(renew(b, Some(a)), (4, Pending::None));
    slots.defer_view(a);
    assert_eq!(renew(a, Some(b)), (6, Pending::None));
    assert!(!slots.take_view(a), "nothing is cached under a new tag");
    // All are assigned. The space in `a` is loaded with the tag 6.
    assert_eq!(renew(b, Some(a)), (2, Pending::All));
    assert_eq!(renew(a, Some(b)), (4, Pending::None));
    assert_eq!(
        renew(b, Some(a)),
        (2, Pending::All),
        "6 is held, 4 is loaded"
    );
    assert_eq!(renew(a, Some(b)), (6, Pending::None));
}

#[test]
fn the_only_tag_takes_a_flush_each_time() {
    let values = values(2);
    let tags = Some((values, PerCpuSource::Generations));
    let slots = AsidSlots::default();
    let (slot, _) = slots.find_or_assign(A, 1, 0, SpaceId::NONE);
    assert_eq!(slots.renew_tag(slot, values, None), Pending::None);
    assert_eq!(slots.renew_tag(slot, values, None), Pending::All);
    assert_eq!(slots.renew_tag(slot, values, Some(slot)), Pending::All);
    assert_eq!(slots.tag(Some(slot), tags).value, 2);
}

#[test]
fn the_kernel_roots_tag_is_flushed_as_others_are() {
    let slots = AsidSlots::default();
    let (a, _) = slots.find_or_assign(A, 2, 0, SpaceId::NONE);
    slots.invalidate_others(LoadedTag::KernelRoot);
    assert!(!slots.take_kernel_root() && slots.find(A).is_none());
    slots.invalidate_others(LoadedTag::Slot(Some(a)));
    assert!(slots.take_kernel_root() && !slots.take_kernel_root());
}
