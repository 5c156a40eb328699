//! Caches that are dropped set by set, one made from the other.

use tlbc::Analysis;
use tlbc::torment::whole;
use tlbc::trace::Event;

use super::{issues, left_on_hardware, with};
use tlbc_tests::requests::{Ask, good};

const SETS: &str = include_str!("definitions/sets.arch");

/// The first addresses of the kernel.
const KERNEL: u64 = 0xffff_ffc0_0000_0000;

/// An instruction for one set of two caches: what it drops from the second is made again from a set of the first that is
/// still to come, so the sets are gone through twice.
#[test]
fn sets_of_a_cache_go_after_all_sets_of_its_source() {
    let sets = good(SETS);
    let all = [
        "of.set 0x0",
        "of.set 0x1",
        "of.set 0x2",
        "of.set 0x3",
        "wait",
    ];
    let twice = [&["order"][..], &all, &all, &["refetch"]].concat();
    issues(&sets, "", &Ask::event(Event::CpuOnline), &twice);
    let kernel = Ask::kernel(KERNEL, 0x9000, &["pte"]).here();
    issues(&sets, "", &kernel, &twice);
    let space = ["order", "of.space 0x42", "wait"];
    issues(&sets, "", &Ask::event(Event::Everything), &space);
    // Where neither cache is made from the other, once.
    let apart = with(SETS, &[FROM_TLB]);
    let once = [&["order"][..], &all, &["refetch"]].concat();
    issues(&apart, "", &kernel, &once);
}

/// The second cache of the hardware, where a definition says that it is not made from the first.
const FROM_TLB: (&str, &str) = ("micro holds leaf from tlb;", "micro holds leaf;");

/// On the hardware the entries of one address may be in a later set of the first cache than of the second.
#[test]
fn hardware_fills_between_two_sets() {
    let sets = good(SETS);
    assert_eq!(left_on_hardware(&sets, &sets.model), "");
    let apart = with(SETS, &[FROM_TLB]);
    let text = left_on_hardware(&apart, &sets.model);
    assert!(text.contains("in `micro`"), "{text}");
    // The whole runtime as well.
    let broken = Analysis {
        plans: apart.plans,
        ..sets
    };
    let options = whole::Options {
        schedules: 100,
        shrinks: false,
        ..whole::Options::default()
    };
    let failure = whole::torment(&broken, &options)
        .expect("a machine")
        .failure;
    let text = failure.expect("a complaint").complaint;
    assert!(text.contains("may use an entry"), "{text}");
}
