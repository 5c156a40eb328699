//! The selection rule where instructions tie: the criteria that no included machine needs.

use super::{issues, left_on_hardware, with};
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;
use tlbc_tests::requests::{Ask, edited, findings, good};

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

/// Handlers of IPIs and events hold no lock: an instruction without it is used there, even if it costs more.
#[test]
fn what_needs_no_lock_is_used_where_the_lock_is_not_held() {
    const RENEW: &str = include_str!("definitions/renew.arch");
    let locked = r#"invalidate locked "locked" {
        per "Renew manual, 4.5";
        drops leaf, negative of everything, any tag;
        where self;
        needs lock;
        after settle;
    }
    invalidate all "all"#;
    let cheaper = (r#"invalidate all "all"#, locked);
    let arch = with(RENEW, &[cheaper]);
    let kernel = Ask::kernel(0xc000_2000, 0x1_0000, &["pte"]);
    issues(&arch, "", &kernel, &["all", "settle"]);
    let online = Ask::event(Event::CpuOnline);
    issues(&arch, "", &online, &["all", "settle"]);
    // Without the lock it would be selected.
    let needs = ("needs lock;", "needs no lock;");
    issues(
        &with(&edited(RENEW, cheaper.0, cheaper.1), &[needs]),
        "",
        &kernel,
        &["locked", "settle"],
    );
    // Where nothing else covers, it is reported.
    let only = edited(RENEW, "cost 8;", "needs lock;");
    let found = findings(&only);
    assert!(found.iter().all(|it| it.starts_with("E0413")), "{found:?}");
    assert!(!found.is_empty());
}

/// Where instructions reach every CPU, only the sender flushes, which holds the lock.
#[test]
fn the_sender_may_use_what_needs_the_lock() {
    const NEGATIVE: &str = include_str!("definitions/negative.arch");
    let mine = r#"invalidate mine "mine {number}" {
        per "Negative manual, 4.5";
        drops leaf, negative, walk of everything, this tag;
        where self;
        needs lock;
        after complete;
    }
    invalidate all "all"#;
    let arch = with(NEGATIVE, &[(r#"invalidate all "all"#, mine)]);
    let whole = Ask::event(Event::Everything);
    issues(&arch, "", &whole, &["order", "mine 0x42", "wait"]);
    let switch = Ask::event(Event::Switch(Pending::Tag));
    let loads = ["order", "space 0x42", "wait", "root 0x42000040000000"];
    issues(&arch, "", &switch, &loads);
}

/// Entries under no tag go with those of any, where nothing else takes their address.
#[test]
fn an_instruction_that_drops_global_entries_gets_any_tag() {
    const LEVELS: &str = include_str!("definitions/levels.arch");
    let start = 0xffff_c000_0000_0000;
    let kernel = Ask::kernel(start, 0x2000, &["pte"]);
    let arch = good(LEVELS);
    let pages = [
        "begin",
        "inval.pte 0xffffc00000000000, 0x0",
        "inval.pte 0xffffc00000001000, 0x0",
        "end",
    ];
    issues(&arch, "", &kernel, &pages);
    issues(&arch, "", &kernel.clone().here(), &pages);
    assert_eq!(left_on_hardware(&arch, &arch.model), "");
    // The pointers to its tables are under every tag.
    let of_one = [
        (
            "drops walk at pmd of one page, any tag;",
            "drops walk at pmd of one page, this tag;",
        ),
        ("inval.table {address}", "inval.table {address}, {number}"),
    ];
    let all = ["begin", "inval.all", "end"];
    issues(&with(LEVELS, &of_one), "", &kernel.tables(), &all);
    // An instruction without a tag is preferred, although it invalidates more.
    let any = (
        "invalidate pages \"inval.pte",
        "invalidate any \"inval.any {address}\" {
        per \"Levels manual, 4.0\";
        drops leaf of one page, any tag;
        where cpus;
        needs no lock;
        after end;
    }
    invalidate pages \"inval.pte",
    );
    let one = Ask::kernel(start, 0x1000, &["pte"]);
    let page = ["begin", "inval.any 0xffffc00000000000", "end"];
    issues(&with(LEVELS, &[any]), "", &one, &page);
    // One that leaves global entries is of no use.
    let own = LEVELS.replace("this tag or global", "this tag");
    issues(&good(&own), "", &one, &all);
}
