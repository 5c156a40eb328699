//! The selection rule where instructions tie: the criteria that no included machine needs.

use super::{issues, with};
use tlbc_tests::requests::Ask;

const BATCH: &str = include_str!("definitions/batch.arch");

/// An instruction for one page, in front of the one of the definition, that invalidates walk entries as well.
const WIDER: &str = r#"invalidate wider "wider {address}, {number}" {
        per "Batch manual, 8.0";
        drops leaf of one page, this tag or global in tlb;
        drops walk of one page, this tag;
        where cpus;
        needs no lock;
        after end;
    }
    invalidate page "page"#;

fn page(instruction: &str) -> [&str; 5] {
    ["begin", instruction, "end", "micro", "other"]
}

/// Fewer kinds of entries beyond the request count before the order in the file.
#[test]
fn of_equal_costs_the_fewer_kinds_win() {
    let arch = with(BATCH, &[(r#"invalidate page "page"#, WIDER)]);
    let ask = Ask::user(0x1000, 0x1000, &["pte"]).others();
    issues(&arch, "", &ask, &page("page 0x1000, 0x42"));
    issues(&arch, "", &ask.tables(), &page("wider 0x1000, 0x42"));
}

/// The cost of instructions counts before the kinds of entries beyond the request.
#[test]
fn a_lower_cost_wins_over_fewer_kinds() {
    let dearer = (
        "per \"Batch manual, 8.1\";",
        "per \"Batch manual, 8.1\";\n        cost 2;",
    );
    let arch = with(BATCH, &[(r#"invalidate page "page"#, WIDER), dearer]);
    let ask = Ask::user(0x1000, 0x1000, &["pte"]).others();
    issues(&arch, "", &ask, &page("wider 0x1000, 0x42"));
}
