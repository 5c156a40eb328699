//! Runs whose instruction has barriers, an erratum or clauses of its own, which those for one page do not have.

use tlbc::plan::ir::Shape;
use tlbc::prove::disproved;
use tlbc_runtime::request::{Reach, Space};

use super::{issues, with};
use tlbc_tests::requests::Ask;

const TRAINS: &str = include_str!("definitions/trains.arch");
const REFILL: &str = include_str!("definitions/refill.arch");

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

/// What an instruction drops for its first page alone does not count where it is issued for a run.
#[test]
fn a_run_beside_one_page_in_one_instruction() {
    let page = "    invalidate page ";
    let run = |clauses: [&str; 2]| {
        format!(
            "    operand more 64 bits {{ [63:4] 0; [3:0] num; names num + 1 pages; }}
    invalidate run \"run {{address}}, {{more}}, {{number}}\" {{
        per \"Refill manual, 4.4\"; {} {} where self; at once; }}\n{page}",
            clauses[0], clauses[1]
        )
    };
    let leaf = "drops leaf of run of 1..16 pages, this tag or global;";
    let walk = "drops walk of one page, this tag;";
    let ceiling = ("ceiling limit(entries) operations", "ceiling 16 operations");
    let limit = "    limit entries  \"Most entries that are flushed one by one\" 1..64;\n";
    for clauses in [[leaf, walk], [walk, leaf]] {
        let arch = with(REFILL, &[(page, &run(clauses)), ceiling, (limit, "")]);
        // The last pages of one table and the first of another.
        let pages = Ask::user(0x1f_e000, 0x4000, &["pte"]);
        let one = "run 0x1fe000, 0x3, 0x42";
        issues(&arch, "walker", &pages, &["order", one]);
        let each = [0x1f_e000, 0x1f_f000, 0x20_0000, 0x20_1000];
        let each = each.map(|page: u64| format!("run {page:#x}, 0x0, 0x42"));
        let [a, b, c, d] = each.each_ref().map(String::as_str);
        issues(&arch, "walker", &pages.tables(), &["order", a, b, c, d]);
    }
}
