//! Runs whose instruction has barriers and an erratum of its own, which those for one page do not have.

use tlbc::plan::ir::Shape;
use tlbc::prove::disproved;
use tlbc_runtime::request::{Reach, Space};

use super::{issues, with};
use tlbc_tests::requests::Ask;

const TRAINS: &str = include_str!("definitions/trains.arch");

fn pages(count: u64) -> Ask {
    Ask::user(0x2000, count * 0x1000, &["pte"]).others()
}

#[test]
fn a_run_has_its_own_barriers_and_workarounds() {
    let trains = with(TRAINS, &[]);
    let one = ["order", "flush.page 0x2000, 0x42", "wait"];
    issues(&trains, "", &pages(1), &one);
    // Which of both the loops issue is not known where they are completed.
    let many = [
        "order",
        "ahead",
        "flush.run 0x1000000000002, 0x42",
        "wait",
        "arrived",
    ];
    issues(&trains, "", &pages(4), &many);
    let worked_around = [
        "order",
        "ahead",
        "flush.run 0x1000000000002, 0x42",
        "flush.all",
        "wait",
        "arrived",
    ];
    issues(&trains, "half", &pages(4), &worked_around);
    for space in [Space::User, Space::Kernel] {
        let ranges = Shape::Ranges(space, Reach::Wide);
        let failed = disproved(&trains.model, &trains.plans, ranges);
        assert!(failed.is_none(), "{failed:?}");
    }
}
