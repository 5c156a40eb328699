//! Counters that wrap: each starts one step, or two steps, before its end.

use tlbc_machine_loom::toys::{Broadcast, Called, Slots};
use tlbc_runtime::fault::Fault;

use crate::changes::complete_and_attach;
use crate::check::{Depth::Full, Depth::Preemptions, finds, holds, with_counters_at};
use crate::gathers::{find_cleared, find_unmapped};
use crate::shootdown::unmap_and_switch_in;
use crate::tags::roll_over;

/// The last value of a counter of this many bits, and the value before.
fn end(bits: u32) -> [u64; 2] {
    let last = u64::MAX >> (64 - bits);
    [last, last - 1]
}

#[test]
fn a_cpu_catches_up_when_the_tlb_generation_wraps() {
    for count in end(64) {
        with_counters_at(count, || {
            holds(Full, unmap_and_switch_in::<Slots>);
            holds(Full, unmap_and_switch_in::<Called>);
        });
    }
}

#[test]
fn deferred_flushes_are_completed_when_their_count_wraps() {
    for count in end(64) {
        with_counters_at(count, || {
            holds(Preemptions(2), complete_and_attach);
            holds(Full, find_unmapped::<Slots>);
        });
    }
}

#[test]
fn gathers_find_each_other_when_counts_wrap() {
    with_counters_at(u64::MAX, || {
        holds(Preemptions(2), find_cleared::<Slots>);
    });
}

#[test]
fn generations_of_tags_wrap() {
    for [count, before] in [end(32), end(48)] {
        with_counters_at(count, || holds(Preemptions(2), roll_over::<Broadcast>));
        with_counters_at(before, || holds(Preemptions(2), roll_over::<Called>));
    }
}

#[test]
fn comparing_half_a_generation_is_found() {
    let (fault, how) = (Fault::ComparesHalfGenerations, "a space has two tags");
    let [last, _] = end(32);
    with_counters_at(last, || {
        finds(Full, fault, how, roll_over::<Broadcast>);
        finds(Full, fault, how, roll_over::<Called>);
    });
}
