//! x86-64: tags of one CPU and of the machine, the user view, walk entries, TLBSYNC, CR3, lazy CPUs.

use tlbc::model::Which;
use tlbc::plan::ir::{Node, Shape};
use tlbc::trace::{DeferredBy, Event, Trace, Until};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::{Reach, Space};

use crate::known_mistakes::{KERNEL, MIB, PAGE, USER, count, operands, page_effects};
use tlbc_tests::requests::{Ask, X86_64, bits, edited, good, names, x86};

/// Trap 7: a run of steps of 2 MiB drops no page between them.
#[test]
fn trap_7_runs_step_no_further_than_the_leaves() {
    let machine = "pge pcid invpcid invlpgb invlpgb_pages=65536";
    // Two tables are freed with their pages, the tables' entries being 2 MiB apart.
    let pages = Ask::user(USER, 4 * MIB, &["pte"])
        .tables()
        .others()
        .on(x86(), machine);
    assert_eq!(operands(&pages, "ecx"), [0x3ff], "1024 pages, bit 31 clear");
    let large = Ask::user(USER, 4 * MIB, &["pmd"])
        .others()
        .on(x86(), machine);
    assert_eq!(
        operands(&large, "ecx"),
        [0x8000_0001],
        "two leaves, bit 31 set"
    );
}

/// Trap 8: a per-CPU PCID has no meaning on other CPUs, and INVLPG drops entries of the PCID that is loaded here.
#[test]
fn trap_8_a_tag_of_one_cpu_is_not_broadcast() {
    let words = "pge pcid invpcid invlpgb invlpgb_pages=8";
    let page = |global| {
        let shape = Shape::Page(Space::User, Reach::Wide);
        let ops = page_effects(x86(), words, shape, global).ops;
        let invlpgb = x86()
            .model
            .invalidates
            .iter()
            .position(|i| i.named.name == "invlpgb");
        ops.iter()
            .any(|op| op.which == Which::Invalidate(invlpgb.expect("an instruction")))
    };
    assert!(page(true));
    assert!(!page(false));
    let targets =
        |global| page_effects(x86(), words, Shape::IpiTargets(Space::User), global).flush_ipis;
    assert!(targets(true).is_empty());
    assert_eq!(targets(false).agents, Agents::ACTIVE);
}

/// Flushes two unlinked tables below entries of the top level, and nothing else.
fn two_tables(words: &str) -> Trace {
    Ask::user(0, 2 << 48, &["p4d"]).tables().on(x86(), words)
}

/// Trap 11: INVLPG drops of the loaded PCID alone; INVPCID 0 does the user view's leaves and walk
/// entries of one address, where INVLPG drops all walk entries. Two freed tables need two of it.
#[test]
fn trap_11_each_table_costs_the_user_view_an_instruction() {
    let trace = two_tables("pge pcid invpcid pti la57");
    let descriptors = operands(&trace, "descriptor");
    let of = |at: usize| (bits(descriptors[at], 127, 64), bits(descriptors[at], 11, 0));
    assert_eq!(descriptors.len(), 2);
    assert_eq!([of(0), of(1)], [(0, 0x842), (1 << 48, 0x842)]);
    assert_eq!(operands(&trace, "kind"), [0, 0]);
}

/// Trap 12: a feature can shrink an effect. INVLPG drops all walk entries, so one serves two freed
/// tables, until EFER.TCE makes it drop those of its address alone.
#[test]
fn trap_12_tce_makes_two_tables_cost_two() {
    assert_eq!(count(&two_tables("pge pcid invpcid la57"), "invlpg"), 1);
    assert_eq!(count(&two_tables("pge pcid invpcid la57 tce"), "invlpg"), 2);
}

/// INVLPG is used for a freed table only because of its walk clause.
#[test]
fn a_freed_table_needs_the_walk_clause() {
    let text = edited(
        X86_64,
        "        drops walk of everything, loaded tag when not tce;\n",
        "",
    );
    let text = edited(
        &text,
        "        drops walk of one page, loaded tag when tce;\n",
        "",
    );
    let without = |text: &str, word: &str| {
        let line = text.lines().find(|line| line.contains(word));
        edited(text, &format!("{}\n", line.expect("a line")), "")
    };
    let arch = good(&without(&without(&text, "feature tce"), "needs EFER.TCE"));
    let page = Ask::user(USER, PAGE, &["pte"]);
    assert_eq!(names(&page.on(&arch, "pge pcid invpcid")), ["invlpg"]);
    let table = page.tables();
    assert_eq!(names(&table.on(&arch, "pge pcid invpcid")), ["invpcid"]);
    assert_eq!(names(&table.on(&arch, "pge pcid"))[0], "mov_cr3");
}

/// Trap 16: a tag can be invalidated lazily only if no other CPU relies on it. The definition allows it for `slot` and not
/// for `shared`; on a machine that has both, a kernel entry may be under either.
#[test]
fn trap_16_a_global_tag_is_not_invalidated_lazily() {
    // Not global, so that entries of the page may be under every tag.
    let kernel = "leaf under every tag, global when pge and not pti;";
    let arch = good(&edited(X86_64, kernel, "leaf under every tag;"));
    let page = Ask::kernel(KERNEL, PAGE, &["pte"]).here();
    let page = page.on(&arch, "pge pcid invpcid invlpgb");
    let here = page.here;
    assert_eq!(
        page.deferred,
        [],
        "{here:?}, and entries under shared tags are deferred"
    );
}

/// Trap 18: TLBSYNC waits for INVLPGBs of this CPU, so it comes last, on the same CPU.
#[test]
fn trap_18_tlbsync_ends_every_broadcast() {
    let words = "pge pcid invpcid invlpgb invlpgb_pages=8";
    let asks = [
        Ask::user(USER, PAGE, &["pte"]).others(),
        Ask::user(USER, 20 * PAGE, &["pte"]).tables().others(),
        Ask::kernel(KERNEL, PAGE, &["pte"]),
        Ask::event(Event::Everything).others(),
    ];
    for ask in asks {
        let trace = ask.on(x86(), words);
        let names = names(&trace);
        let (last, before) = names.split_last().expect("instructions");
        assert_eq!(*last, "tlbsync");
        assert!(
            !before.is_empty() && before.iter().all(|name| *name == "invlpgb"),
            "{before:?}"
        );
        assert!(trace.ipis.is_empty());
    }
    let plan = x86()
        .plans
        .get(Shape::Page(Space::User, Reach::Wide))
        .expect("a plan");
    let mut guards = Vec::new();
    plan.body.walk(&mut |node| {
        if let Node::Guard { scope, .. } = node {
            guards.push(format!("{scope:?}"));
        }
    });
    assert!(guards.iter().any(|scope| scope == "SameCpu"), "{guards:?}");
}

/// Trap 19: MOV to CR3 leaves globals and entries of other PCIDs, so it drops everything only on a machine without both.
#[test]
fn trap_19_cr3_drops_everything_only_without_globals_and_pcids() {
    let range = Ask::kernel(KERNEL, 2 * MIB, &["pte"]);
    let on = |words| range.on(x86(), words);
    assert_eq!(names(&on(""))[0], "mov_cr3");
    assert_eq!(names(&on("pge"))[0], "mov_cr4");
    assert_eq!(operands(&on("pge invpcid"), "kind"), [2]);
    // Kernel entries under every PCID: the others are deferred until they are loaded.
    let pcid = on("pge pcid pti");
    assert_eq!(names(&pcid)[0], "mov_cr3");
    let until: Vec<Until> = pcid.deferred.iter().map(|it| it.until).collect();
    let one = [Until::Load, Until::ReturnToUser];
    assert_eq!(
        until,
        [one, one].concat(),
        "this CPU, and each that is interrupted"
    );
    // User entries are never global.
    let user = Ask::event(Event::Everything);
    assert_eq!(names(&user.on(x86(), "pge"))[0], "mov_cr3");
}

/// Trap 19: the TLB of a CPU that comes online may hold anything, so globals are flushed as well, even if the kernel makes
/// none.
#[test]
fn trap_19_a_cpu_that_comes_online_drops_globals() {
    for words in ["pge", "pge pti", "pge pcid", "pge pcid pti"] {
        let online = Ask::event(Event::CpuOnline).on(x86(), words);
        assert_eq!(count(&online, "mov_cr4"), 1, "{words}: {:?}", online.here);
    }
    for words in ["pge pcid invpcid", "pge pcid invpcid pti"] {
        let online = Ask::event(Event::CpuOnline).on(x86(), words);
        assert_eq!(operands(&online, "kind"), [2], "{words}: {:?}", online.here);
    }
}

/// Trap 24: a lazy CPU, which only walks, is interrupted when tables are freed; an inactive CPU defers the flush.
#[test]
fn trap_24_lazy_cpus_get_an_ipi_for_freed_tables() {
    let deferred_by = |ask: &Ask| {
        let deferred = ask.on(x86(), "pge pcid").deferred;
        deferred.iter().map(|it| it.cpus).collect::<Vec<_>>()
    };
    let page = Ask::user(USER, PAGE, &["pte"]).others();
    assert_eq!(
        deferred_by(&page),
        [DeferredBy::LazyCpus, DeferredBy::InactiveCpus]
    );
    assert_eq!(deferred_by(&page.tables()), [DeferredBy::InactiveCpus]);
}

/// ADL063, RPL042: with PCIDs on, INVLPG may leave globals, so global pages take another instruction; without PCIDs, or for
/// other pages, INVLPG is used.
#[test]
fn alder_lake_keeps_invlpg_from_global_pages() {
    let kernel = |words| Ask::kernel(KERNEL, PAGE, &["pte"]).on(x86(), words);
    assert_eq!(
        operands(&kernel("pge pcid invpcid alder_lake_invlpg"), "kind"),
        [2]
    );
    assert_eq!(names(&kernel("pge pcid alder_lake_invlpg"))[0], "mov_cr4");
    assert_eq!(names(&kernel("pge alder_lake_invlpg")), ["invlpg"]);
    assert_eq!(names(&kernel("pge pcid pti alder_lake_invlpg")), ["invlpg"]);
    let user = Ask::user(USER, PAGE, &["pte"]).on(x86(), "pge pcid invpcid alder_lake_invlpg");
    assert_eq!(names(&user), ["invlpg"]);
}

/// Section 3, step 5: runs are counted where there are runs. INVLPGB has none of 1 GiB, so a hundred
/// such leaves are a hundred instructions, over the ceiling of 33.
#[test]
fn what_no_run_can_name_is_counted_one_by_one() {
    let leaves = Ask::user(0, 100 << 30, &["pud"]).others();
    let trace = leaves.on(x86(), "pge pcid invpcid invlpgb invlpgb_pages=8");
    assert!(
        count(&trace, "invlpgb") <= 33,
        "{} INVLPGBs",
        count(&trace, "invlpgb")
    );
}
