//! The traps of the cover relation, as far as arm64 and x86-64 have them: that the planner falls
//! into none, on the shipped definitions or on copies with one fact changed.
//!
//! Not here: a mandatory page size (6), entries keyed by their table (14) and loops over sets (15),
//! which neither machine has; devices (10) and nXS forms (23), which the definitions do not
//! describe; what the sender and the handler know (20), and nested gathers (25), which are the
//! runtime's.

mod common;

use common::{
    ARM64, Ask, X86_64, arm64, bits, edited, env, findings, good, level, machine, ranges_on, x86,
};
use tlbc::Analysis;
use tlbc::plan::ir::{Node, Shape};
use tlbc::trace::interpret::{Effects, Env, Which, interpret};
use tlbc::trace::{Debit, Event, Trace};
use tlbc_runtime::clause::{Holders, Level};
use tlbc_runtime::request::{Extent, Ranges, Reach, Space};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4 * KIB;
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// The names of the instructions that this CPU issues.
fn names(trace: &Trace) -> Vec<&str> {
    trace.here.iter().map(|i| i.name.as_str()).collect()
}

/// How often this CPU issues an instruction.
fn count(trace: &Trace, name: &str) -> usize {
    names(trace).iter().filter(|n| **n == name).count()
}

/// Every such operand that this CPU issues.
fn operands(trace: &Trace, operand: &str) -> Vec<u128> {
    let all = trace.here.iter().flat_map(|i| &i.operands);
    all.filter(|(name, ..)| name == operand)
        .map(|(_, word, _)| *word)
        .collect()
}

/// A definition without the block that begins so.
fn without(text: &str, head: &str) -> String {
    let start = text.find(head).unwrap_or_else(|| panic!("no `{head}`"));
    let indent = text[..start].len() - text[..start].rfind('\n').expect("a line before") - 1;
    let close = format!("\n{}}}\n", " ".repeat(indent));
    let end = start + text[start..].find(&close).expect("an end") + close.len();
    format!("{}{}", &text[..start], &text[end..])
}

/// A plan, interpreted for a page of user space whose tag is of one CPU or of the machine.
fn page_effects(arch: &Analysis, words: &str, shape: Shape, of_machine: bool) -> Effects {
    let env = Env {
        page: (USER, Level(0)),
        ..env(machine(&arch.model, words), of_machine, Ranges::new())
    };
    interpret(&arch.model, &arch.plans, shape, &env)
}

/// Trap 1: `tag or global` says less of walk entries than of leaves. VAE1 drops a global leaf
/// whatever its ASID operand, but walk entries of that ASID alone: a kernel table that is freed
/// behind it stays reachable under all others.
#[test]
fn trap_1_kernel_tables_go_under_every_asid() {
    for words in ["", "ttl", "ranges", "kpti", "ttl ranges kpti"] {
        let table = Ask::kernel(KERNEL, PAGE, &["pte"])
            .tables()
            .on(arm64(), words);
        assert_eq!(
            names(&table),
            ["dsb_ishst", "vaae1is", "dsb_ish", "isb"],
            "{words}"
        );
    }
    // Without VAAE1 there is nothing by address, and VMALLE1 is all that is left.
    let text = without(
        &without(ARM64, "invalidate vaae1{is}"),
        "invalidate rvaae1{is}",
    );
    let table = Ask::kernel(KERNEL, PAGE, &["pte"])
        .tables()
        .on(&good(&text), "ttl ranges");
    assert_eq!(names(&table), ["dsb_ishst", "vmalle1is", "dsb_ish", "isb"]);
    // Without that as well nothing is, and VAE1 is not taken for an answer.
    let found = findings(&without(&text, "invalidate vmalle1{is}"));
    let walk = found
        .iter()
        .find(|f| f.contains("walk entries of the kernel"));
    let walk = walk.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(
        walk.starts_with("E0501") || walk.starts_with("E0502"),
        "{walk}"
    );
}

/// Trap 3: a level hint makes the plain forms promise no walk entries, and some levels have none.
#[test]
fn trap_3_no_hint_where_walk_entries_are_owed() {
    for words in ["ttl", "g16k ttl", "g64k ttl"] {
        let table = Ask::user(USER, 64 * KIB, &["pte"])
            .tables()
            .others()
            .on(arm64(), words);
        let pages = operands(&table, "page");
        assert!(count(&table, "vae1is") > 0);
        assert!(
            pages.iter().all(|page| bits(*page, 47, 44) == 0),
            "{words}: {pages:x?}"
        );
    }
    // Ranges promise walk entries above the level described, and so may say the level of the leaf.
    let table = Ask::user(USER, 2 * MIB, &["pte"])
        .tables()
        .others()
        .on(arm64(), "ttl ranges");
    let ttl: Vec<u64> = operands(&table, "range")
        .iter()
        .map(|r| bits(*r, 38, 37))
        .collect();
    assert_eq!((names(&table)[1], ttl), ("rvae1is", vec![3]));
    // If the manual promised the same of the plain form, it would be hinted: the clause decides.
    let clause = "this tag unless hinted;";
    let promised = edited(
        ARM64,
        &format!("drops walk of one page, {clause}"),
        "drops walk above hint of one page, this tag;",
    );
    let table = Ask::user(USER, PAGE, &["pte"])
        .tables()
        .on(&good(&promised), "ttl");
    assert_eq!(bits(operands(&table, "page")[0], 47, 44), 0b0111);
}

/// Trap 4: where pages and large leaves are mixed, a hint of one level leaves the other standing,
/// and steps of 2 MiB would leave pages between.
#[test]
fn trap_4_leaves_of_unknown_size_are_named_without_a_level() {
    let mixed = Ask::user(USER, 4 * MIB, &["pte", "pmd"]).others();
    let arm = mixed.on(arm64(), "ttl ranges");
    let ranges = operands(&arm, "range");
    assert_eq!(names(&arm), ["dsb_ishst", "rvale1is", "dsb_ish"]);
    // 1024 pages: (15+1) << 6, TTL 00.
    assert_eq!(
        (bits(ranges[0], 38, 37), bits(ranges[0], 45, 39)),
        (0, 0b01_01111)
    );
    let x86 = mixed.on(x86(), "pge pcid invpcid invlpgb invlpgb_pages=512");
    let ecx = operands(&x86, "ecx");
    assert_eq!(ecx, [0x1ff, 0x1ff], "two runs of 512 pages, bit 31 clear");
}

/// Trap 5: one address drops all of a large leaf only where its pieces are dropped together.
#[test]
fn trap_5_a_fractured_leaf_goes_by_one_address() {
    let large = Ask::user(USER, 2 * MIB, &["pmd"]).here();
    assert_eq!(large.here_on(x86(), "pge pcid"), ["invlpg [0x4000000000]"]);
    assert_eq!(count(&large.on(arm64(), ""), "vale1"), 1);
    // A machine that does not promise it is not taken for one that does.
    let (sole, both) = (
        "large leaf may split;",
        "large leaf may split, dropped together;",
    );
    for text in [ARM64, X86_64] {
        let found = findings(&edited(text, both, sole));
        assert!(
            !found.is_empty(),
            "pieces that stay are no concern of anybody"
        );
    }
}

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

/// Trap 8: a PCID of one CPU means nothing on another, and INVLPG drops of what is loaded here.
#[test]
fn trap_8_a_tag_of_one_cpu_is_not_broadcast() {
    let words = "pge pcid invpcid invlpgb invlpgb_pages=8";
    let page = |of_machine| {
        let shape = Shape::Page(Space::User, Reach::Wide);
        let ops = page_effects(x86(), words, shape, of_machine).ops;
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
    let told =
        |of_machine| page_effects(x86(), words, Shape::Told(Space::User), of_machine).deliver;
    assert!(told(true).is_nobody());
    assert_eq!(told(false).holders, Holders::ACTIVE);
}

/// Trap 9: the inner shareable domain is all CPUs by a fact of the platform alone.
#[test]
fn trap_9_inner_is_every_cpu_only_because_it_says_so() {
    let broadcast = Ask::user(USER, PAGE, &["pte"]).others();
    assert_eq!(count(&broadcast.on(arm64(), ""), "vale1is"), 1);
    // A domain of this CPU's core: the same instructions no longer reach the others.
    let found = findings(&edited(
        ARM64,
        "domain inner is cpus;",
        "domain inner is core;",
    ));
    assert!(found.iter().any(|f| f.starts_with("E0601")), "{found:#?}");
}

/// Two tables below entries of the top level go, and nothing else.
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

/// INVLPG covers a freed table by its walk clause and by nothing else.
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
    let feature = text
        .lines()
        .find(|l| l.contains("feature tce"))
        .expect("a feature");
    let arch = good(&edited(&text, &format!("{feature}\n"), ""));
    let page = Ask::user(USER, PAGE, &["pte"]);
    assert_eq!(names(&page.on(&arch, "pge pcid invpcid")), ["invlpg"]);
    let table = page.tables();
    assert_eq!(names(&table.on(&arch, "pge pcid invpcid")), ["invpcid"]);
    assert_eq!(names(&table.on(&arch, "pge pcid"))[0], "mov_cr3");
}

/// Trap 16: a tag can be disowned only where nobody else counts on it. `slot` says that it may be
/// retired, `shared` does not, and on a machine that has both a kernel entry may stand under either.
#[test]
fn trap_16_a_tag_of_the_machine_is_not_retired() {
    for words in ["pcid invlpgb", "pcid invpcid invlpgb"] {
        let page = Ask::kernel(KERNEL, PAGE, &["pte"]).here().on(x86(), words);
        assert_eq!(
            page.owed,
            [],
            "{words}: {:?}, and entries under shared tags are owed",
            page.here
        );
    }
}

/// Trap 17: an interrupt drains only if it is taken after the local flush: CPUs that are told issue
/// their own, and those that need nothing but the interrupt get it when the flush is complete.
#[test]
fn trap_17_who_is_interrupted_flushes_first() {
    let told = Ask::user(USER, PAGE, &["pte"])
        .others()
        .on(x86(), "pge pcid");
    assert_eq!(common::lines(&told.others), ["invlpg [0x4000000000]"]);
    let words = "c1pro_sme";
    let start = page_effects(arm64(), words, Shape::Page(Space::User, Reach::Wide), true);
    let finish = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::User, Reach::Wide),
        true,
    );
    assert!(start.interrupt.is_nobody() && start.deliver.is_nobody());
    assert_eq!(
        (finish.interrupt.sets, finish.ops.len()),
        (1, 1),
        "the set `sme`, after one DSB"
    );
    // For the kernel's mappings, and for this CPU alone, the erratum means nothing.
    let kernel = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::Kernel, Reach::Wide),
        true,
    );
    let here = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::User, Reach::Here),
        true,
    );
    assert!(kernel.interrupt.is_nobody() && here.interrupt.is_nobody());
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
        let (last, before) = trace.here.split_last().expect("instructions");
        assert_eq!(last.name, "tlbsync");
        assert!(
            !before.is_empty() && before.iter().all(|i| i.name == "invlpgb"),
            "{before:?}"
        );
        assert!(trace.others.is_empty());
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

/// Trap 19: MOV to CR3 leaves globals and other PCIDs. Without either it drops everything, with
/// them it does not: the same instruction in another universe.
#[test]
fn trap_19_cr3_is_everything_only_where_there_is_nothing_else() {
    let range = Ask::kernel(KERNEL, 2 * MIB, &["pte"]);
    let on = |words| range.on(x86(), words);
    assert_eq!(names(&on(""))[0], "mov_cr3");
    assert_eq!(names(&on("pge"))[0], "mov_cr4");
    assert_eq!(operands(&on("pge invpcid"), "kind"), [2]);
    // Kernel entries under every PCID: the others are owed until they are loaded.
    let pcid = on("pcid");
    assert_eq!(names(&pcid)[0], "mov_cr3");
    let until: Vec<&str> = pcid.owed.iter().map(|debit: &Debit| debit.until).collect();
    assert_eq!(until, ["load", "load"], "this CPU, and each that is told");
    // User entries are never global.
    let user = Ask::event(Event::Everything);
    assert_eq!(names(&user.on(x86(), "pge"))[0], "mov_cr3");
}

/// Trap 19 again: a CPU that comes up knows nothing of its caches, so globals go as well, whether or
/// not the kernel makes any.
#[test]
fn trap_19_arrival_drops_globals() {
    for words in ["pge", "pge pti", "pge pcid", "pge pcid pti"] {
        let arrive = Ask::event(Event::Arrive).on(x86(), words);
        assert_eq!(count(&arrive, "mov_cr4"), 5, "{words}: {:?}", arrive.here);
    }
    for words in ["pge pcid invpcid", "pge pcid invpcid pti"] {
        let arrive = Ask::event(Event::Arrive).on(x86(), words);
        assert_eq!(operands(&arrive, "kind"), [2], "{words}: {:?}", arrive.here);
    }
}

/// Trap 21: a range with a level hint is unpredictable unless it starts where an entry of that level
/// does, so what is asked for is rounded out first.
#[test]
fn trap_21_hinted_ranges_start_at_an_entry() {
    let of = |words, start, bytes| {
        let trace = Ask::user(start, bytes, &["pmd"]).on(arm64(), words);
        let range = operands(&trace, "range")[0];
        (bits(range, 38, 37), bits(range, 36, 0))
    };
    // VA[20:12], VA[24:14] and VA[28:16] are zero.
    assert_eq!(
        of("ttl ranges", USER + 2 * MIB + PAGE, 4 * MIB),
        (2, 0x400_0200)
    );
    assert_eq!(
        of("g16k ttl ranges", USER + 16 * KIB, 64 * MIB),
        (2, 0x100_0000)
    );
    assert_eq!(
        of("g64k ttl ranges", USER + 64 * KIB, 1024 * MIB),
        (2, 0x40_0000)
    );
}

/// Trap 22: the last page of the addresses ends at 2^64, and an address that is not canonical makes
/// INVLPG do nothing.
#[test]
fn trap_22_addresses_at_the_very_end() {
    let last = |pages: u64| Ask::kernel((pages * PAGE).wrapping_neg(), pages * PAGE, &["pte"]);
    assert_eq!(
        last(1).here_on(x86(), "pge"),
        ["invlpg [0xfffffffffffff000]"]
    );
    let two = ["invlpg [0xffffffffffffe000]", "invlpg [0xfffffffffffff000]"];
    assert_eq!(last(2).here_on(x86(), "pge"), two);
    let arm = [
        "dsb ishst",
        "tlbi vaale1is, 0xfffffffffff",
        "dsb ish",
        "isb",
    ];
    assert_eq!(last(1).here_on(arm64(), ""), arm);
    // VA[48:12] of the last two pages, and bit 55 set in VA[55:12] of the lowest kernel page.
    let range = operands(&last(2).on(arm64(), "ranges"), "range_any")[0];
    assert_eq!(bits(range, 36, 0), 0x1f_ffff_fffe);
    let lowest = Ask::kernel(0xffff_0000_0000_0000, PAGE, &["pte"]).on(arm64(), "");
    assert_eq!(operands(&lowest, "page_any"), [0xff0_0000_0000]);
    // The space's addresses are the machine's: bit 47 of a user address is another half.
    let (four, five) = ("pge", "pge la57");
    let high = Ask::user(1 << 47, PAGE, &["pte"]);
    assert_eq!(high.here_on(x86(), five), ["invlpg [0x800000000000]"]);
    assert!(std::panic::catch_unwind(|| high.here_on(x86(), four)).is_err());
}

/// Trap 24: a lazy CPU that only walks is told when tables go, and one that is parked owes.
#[test]
fn trap_24_lazy_cpus_are_told_of_freed_tables() {
    let holders = |ask: &Ask| {
        let owed = ask.on(x86(), "pge pcid").owed;
        owed.iter().map(|debit| debit.holder).collect::<Vec<_>>()
    };
    let page = Ask::user(USER, PAGE, &["pte"]).others();
    assert_eq!(holders(&page), ["lazy CPUs", "parked CPUs"]);
    assert_eq!(holders(&page.tables()), ["parked CPUs"]);
}

/// ADL063, RPL042: with PCIDs on INVLPG may leave globals, so kernel pages go otherwise; without
/// PCIDs, or for what is not global, it serves as ever.
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

/// The refill rule: what is below a cut is still valid, so no leaf goes while a walk entry above it
/// can make it again. The page's VAE1 drops the walk entry over both leaves; the leaf of 2 MiB may
/// only go once that is complete.
#[test]
fn leaves_of_another_level_wait_for_the_walk_entry() {
    let arch = arm64();
    let level = |name| level(&arch.model, name);
    let mut ranges = Ranges::new();
    ranges.leaf(level("pte"), Extent::new(USER, PAGE));
    ranges.leaf(level("pmd"), Extent::new(USER + 2 * MIB, 2 * MIB));
    ranges.walk(level("pud"), Extent::new(USER, 1024 * MIB));
    ranges.below_live();
    let issued = ranges_on(arch, "", ranges);
    let names: Vec<&str> = issued
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let walk = names
        .iter()
        .position(|n| *n == "vae1is")
        .expect("the walk entry goes");
    let leaf = names
        .iter()
        .rposition(|n| n.starts_with("va"))
        .expect("the leaf goes");
    let same = names[walk..=leaf].iter().all(|n| *n == "vae1is");
    assert!(same || names[walk..leaf].contains(&"dsb_ish"), "{names:?}");
}

/// Section 3, step 5: a walk clause takes one instruction for each cut, whatever its reach. One
/// table below an entry of the top level is one VAE1, not the whole ASID.
#[test]
fn one_cut_is_one_instruction_however_far_it_reaches() {
    let table = Ask::user(USER, 16 * KIB, &["pud"]).tables().others();
    assert_eq!(
        names(&table.on(arm64(), "g16k")),
        ["dsb_ishst", "vae1is", "dsb_ish"]
    );
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
