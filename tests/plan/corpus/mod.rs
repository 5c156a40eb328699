//! Real bugs as replays: each row fails with the fault, and passes without it.
//!
//! In: `rows.txt`, which lists bugs that were found in kernels, hypervisors and hardware, with a public source; and a file for
//! each family of them, which says how a row is replayed, or why it is not. Out: nothing, or the rows whose replay does not
//! fail with the fault, or fails without it. Holds: every row of the list is in the file of its family once. A row without a
//! source is no known bug: it is a mistake that one could make.
//!
//! There are these kinds of replay:
//!
//! * [`definition`](definitions): a wrong fact in a shipped definition, or a machine that is not the one described. `check`
//!   refuses it, or the prover or hostile hardware finds what its plans leave.
//! * [`plan`](plans): a plan with a fault, which the prover rejects, and hostile hardware where it runs such plans.
//! * [`knob`](programs): a fault of the runtime, of plans, of operands or of the kernel, that random programs find.
//! * [`order`](orders): a fault of the runtime, and the order of steps in which it does harm.
//! * `misuse`: a program that the compiler rejects.
//! * [`unflushed`](relaxations), [`request`](relaxations): less work than one could do, which is accepted.

mod definitions;
mod orders;
mod plans;
mod programs;
mod read;
mod relaxations;

use std::collections::BTreeSet;
use std::fs;

use read::{Story, Treatment, directory};

/// The families: each has a file.
macro_rules! families {
    ($($family:ident)*) => {
        const FAMILIES: &[&str] = &[$(stringify!($family)),*];

        $(#[test]
        fn $family() {
            replayed(stringify!($family));
        })*
    };
}

families!(b1 b2 b3 b4 b5 b6 b7 b8);

/// Replays every row of a family.
fn replayed(family: &str) {
    let mut wrong = Vec::new();
    for Story { id, treatment } in read::family(family) {
        let Treatment::Replayed(replays) = treatment else {
            continue;
        };
        for replay in replays {
            if let Err(why) = replay.run() {
                wrong.push(format!("{id}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_is_in_the_file_of_its_family_once() {
    let rows = read::rows();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "two rows have one name");
    let mut described = BTreeSet::new();
    let mut replayed = 0;
    for family in FAMILIES {
        for story in read::family(family) {
            let of_family = story.id.split('-').next().map(str::to_lowercase);
            assert_eq!(of_family.as_deref(), Some(*family), "{}", story.id);
            match &story.treatment {
                Treatment::Replayed(replays) => {
                    assert!(!replays.is_empty(), "{} has no replay", story.id);
                    replayed += 1;
                }
                Treatment::NotExpressed(why) => {
                    assert!(why.len() > 30, "{}: {why}", story.id);
                }
            }
            described.insert(story.id);
        }
    }
    assert_eq!(
        described
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        ids
    );
    let files = fs::read_dir(directory()).expect("a directory");
    let paths = files.map(|file| file.expect("a file").path());
    let families = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    assert_eq!(families.count(), FAMILIES.len(), "a file is not read");
    println!("{replayed} of {} rows are replayed", rows.len());
    assert!(
        replayed * 10 > rows.len() * 7,
        "{replayed} of {}",
        rows.len()
    );
}

#[test]
fn every_order_is_part_of_a_row() {
    let used: BTreeSet<String> = { FAMILIES.iter() }
        .flat_map(|family| read::family(family))
        .flat_map(|story| match story.treatment {
            Treatment::Replayed(replays) => replays,
            Treatment::NotExpressed(_) => Vec::new(),
        })
        .filter_map(|replay| Some(replay.order()?.to_owned()))
        .collect();
    let known = orders::ORDERS.iter().map(|order| order.name.to_owned());
    assert_eq!(used, known.collect());
}
