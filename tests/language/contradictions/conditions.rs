//! Fields that are there on some machines only: without them the instruction would act on something else.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate, with};
use tlbc_tests::requests::{Ask, RISCV64, good, lines};

#[test]
fn fields_that_some_machine_does_not_have() {
    let ranges = ("[43:39] num;", "[43:39] num when ttl;");
    assert_eq!(ARM64.matches(ranges.0).count(), 2);
    refused(&ARM64.replacen(ranges.0, ranges.1, 1), &[], "E0306");
    for (text, field, instead) in [
        (
            X86_64,
            "operand va 64 bits {\n        [63:0] va;",
            "operand va 64 bits {\n        [63:0] va when pcid;",
        ),
        (X86_64, "[127:64] va;", "[127:64] va when la57;"),
        (X86_64, "[27:16] tag;", "[27:16] tag when la57;"),
        (X86_64, "[1:0]  form;", "[1:0]  form unless tce;"),
        (X86_64, "[15:0]  num;", "[15:0]  num when tce;"),
        (POWERPC64, "[51:32] tag;", "[51:32] tag when isa31;"),
        (
            POWERPC64,
            "rpt_start 64 bits {\n        [63:0]  va;",
            "rpt_start 64 bits {\n        [63:0]  va unless isa31;",
        ),
        (
            POWERPC64,
            "rpt_end 64 bits {\n        [63:0]  end;",
            "rpt_end 64 bits {\n        [63:0]  end when isa31;",
        ),
        (S390, "[63:0]  table; ", "[63:0]  table when edat1; "),
        (S390, "[63:20] va[63:20];", "[63:20] va[63:20] when edat1;"),
        (
            S390,
            "[63:3]  entry[63:3];",
            "[63:3]  entry[63:3] when edat1;",
        ),
        (S390, "[63:0]  new;", "[63:0]  new when edat1;"),
        (S390, "[63:0]  old;", "[63:0]  old when edat1;"),
    ] {
        refused(text, &[(field, instead)], "E0306");
    }
}

/// Roots and tags of loads, too.
#[test]
fn loads_whose_fields_some_machine_does_not_have() {
    let root = ("[47:1]  root[47:1];", "[47:1]  root[47:1] when ets2;");
    refused(ARM64, &[root], "E0509");
    let cr3 = ("[51:12] root[51:12];", "[51:12] root[51:12] when la57;");
    refused(X86_64, &[cr3], "E0509");
    let tag = ("[15:0]  tag;", "[15:0]  tag when ets2;");
    refused(ARM64, &[tag], "E0503 E0516");
}

/// The level that an instruction is given has a number wherever it may be given.
#[test]
fn numbers_of_levels_that_some_machine_does_not_have() {
    for (text, field, instead, expected) in [
        (
            POWERPC64,
            "[7:5]   level as pte 0, pte 5 when g64k, pmd 1, pud 2;",
            "[7:5]   level as pte 0, pte 5 when g64k, pmd 1 when isa31, pud 2;",
            "E0309",
        ),
        (POWERPC64, "pmd 1, pud 2;", "pmd 1, pud 2; // [7:5]", ""),
        (
            S390,
            "[3:0]   level as pmd 0, pud 4, p4d 8, pgd 12;",
            "[3:0]   level as pmd 0, pud 4, p4d 8, pgd 12 when edat1;",
            "E0309",
        ),
    ] {
        if expected.is_empty() {
            accepted(text, &[(field, instead)]);
        } else {
            refused(text, &[(field, instead)], expected);
        }
    }
}

/// A field may be there whenever the instruction may be used.
#[test]
fn fields_that_are_there_where_they_are_needed() {
    accepted(X86_64, &[("[27:16] tag;", "[27:16] tag when pcid;")]);
    // PCIDs need global pages.
    accepted(X86_64, &[("[127:64] va;", "[127:64] va when pge;")]);
    accepted(ARM64, &[("// an odd ASID", "// odd")]);
    let feature = ("    tables", "    feature f \"f\";\n    tables");
    let field = (
        "operand address 64 bits { [63:0] va; }",
        "operand address 64 bits { [63:0] va when f; }",
    );
    refused(slate(), &[feature, field], "E0306");
    let page = (
        "{address}, {number}\" {",
        "{address}, {number}\" requires f {",
    );
    accepted(slate(), &[feature, field, page]);
}

/// A machine whose caches depend on features.
const REFILL: &str = include_str!("../../plan/invented/definitions/refill.arch");

/// What the machine caches is decided at boot, on every machine some cache holds translations, and each case can count.
#[test]
fn what_is_cached_depends_on_what_is_known_at_boot() {
    let walker = "feature walker \"a walker fills the TLB\"";
    for of in ["of cpu", "of space"] {
        refused(REFILL, &[(walker, &format!("{walker} {of}"))], "E0407");
    }
    let tlb = "tlb   holds leaf;";
    refused(REFILL, &[(tlb, "tlb   holds leaf when walker;")], "E0203");
    let last = "invalid cached, expires when brief, never when walker;";
    refused(
        REFILL,
        &[(last, "invalid expires when brief, cached;")],
        "E0208",
    );
    let fills = "fills by software, while loaded when walker;";
    refused(
        REFILL,
        &[(fills, "fills while loaded when walker, by software;")],
        "E0208",
    );
    let stricter = "stricter faults until dropped on self, dropped by the fault when forgets;";
    let shadowed = "stricter dropped by the fault when forgets, faults until dropped on self;";
    refused(REFILL, &[(stricter, shadowed)], "E0208");
}

/// Whether entries map pages, what a CPU does that comes online, and errata are decided before a space is known.
#[test]
fn what_depends_on_what_is_known_with_a_request() {
    for of in ["of cpu", "of space"] {
        let feature = format!("    feature f \"f\" {of};\n    tables");
        let refused = |edit, expected: &str| {
            refused(slate(), &[("    tables", &feature), edit], expected);
        };
        refused(("pmd 21 leaf;", "pmd 21 leaf when f;"), "E0407");
        let erratum = "erratum e \"e\" needs f { weakens flush_page: not leaf; workaround after flush_page issue flush_all; }\n    policy";
        refused(("policy", erratum), "E0407");
        let online = ("contents unknown;", "contents unknown when f;");
        // What is of a CPU is known when it comes online.
        if of == "of space" {
            refused(online, "E0407");
        } else {
            accepted(slate(), &[("    tables", &feature), online]);
        }
    }
}

/// Some machine has each feature, also if only what features need names it.
#[test]
fn features_that_contradict_what_they_need() {
    for features in [
        "feature f \"f\" needs not f;",
        "feature f \"f\" needs g;\n    feature g \"g\" needs not f;",
    ] {
        let features = format!("    {features}\n    tables");
        refused(slate(), &[("    tables", &features)], "E0208");
    }
}

/// Words of conditions mean what they do wherever they can be tested, and nothing else has their names.
#[test]
fn words_of_conditions() {
    for word in ["hinted", "keep"] {
        let named = format!("    feature {word} \"a\";\n    tables");
        refused(slate(), &[("    tables", &named)], "E0207");
        let tested =
            format!("flush_page \"flush.page {{address}}, {{number}}\" requires {word} {{");
        refused(
            slate(),
            &[("flush_page \"flush.page {address}, {number}\" {", &tested)],
            "E0207",
        );
    }
    let kept = (
        "drops leaf of one page, this tag or global",
        "drops leaf of one page, this tag or global when keep",
    );
    refused(slate(), &[kept], "E0207");
    let page = ("    tables", "    feature small \"a\";\n    tables");
    refused(
        slate(),
        &[("geometry base", "geometry small"), page],
        "E0204",
    );
}

/// An instruction either may be interrupted or needs interrupts off.
#[test]
fn needs_that_contradict() {
    let text = "flush_page \"flush.page {address}, {number}\" {";
    let two = "flush_page \"flush.page {address}, {number}; wait\" {\n needs interrupts off; may be interrupted;";
    refused(slate(), &[(text, two)], "E0204");
}

/// Where software alone fills entries nothing refetches one.
#[test]
fn entries_that_nothing_refetches() {
    let dropped = "dropped by the fault when forgets;";
    refused(REFILL, &[(dropped, "refetched when forgets;")], "E0207");
}

/// A load, and the barrier that it follows, exist wherever it is loaded.
#[test]
fn loads_that_some_machines_lack() {
    let second = "load tag  \"load.tag {number}\"  {";
    let loads = "loads root, tag;";
    let on_walkers = (second, "load tag requires walker \"load.tag {number}\" {");
    refused(REFILL, &[on_walkers], "E0406");
    let two = (
        second,
        "load plain \"plain.tag {number}\" { per \"Refill manual, 3.3\"; }\n    load tag \"load.tag {number}\" requires walker {",
    );
    let by_machine = "loads root; loads plain unless walker; loads tag when walker;";
    accepted(REFILL, &[two, (loads, by_machine)]);
    refused(REFILL, &[two, (loads, "loads root, plain, tag;")], "E0406");
    // One text, with an effect on some machines alone.
    let one_text = (
        second,
        "load plain \"load.tag {number}\" requires not walker { per \"Refill manual, 3.3\"; drops leaf of everything, any tag; }\n    load tag \"load.tag {number}\" requires walker {",
    );
    accepted(REFILL, &[one_text, (loads, by_machine)]);
    let barrier = "barrier publish \"order\" { publishes on cpus; }";
    let ahead = format!("{barrier} barrier ahead \"ahead\" requires walker {{ }}");
    let follows = "load tag \"load.tag {number}\" { follows ahead;";
    refused(REFILL, &[(second, follows), (barrier, &ahead)], "E0406");
    let always = format!("{barrier} barrier ahead \"ahead\" {{ }}");
    accepted(REFILL, &[(second, follows), (barrier, &always)]);
}

/// A load that requires the tag takes it without a condition of its own.
#[test]
fn loads_that_require_a_tag() {
    let tag = ("[59:44] tag when asids;", "[59:44] tag;");
    refused(RISCV64, &[tag], "E0406");
    let operand = "    operand satp 64 bits {";
    let plain = "    operand plain 64 bits { [63:60] 8 when sv39; [63:60] 9 when sv48; [63:60] 10 when sv57; [59:44] 0; [43:0] root[55:12]; }";
    let load = "    load satp \"csrw satp, {satp}\" {";
    let two =
        "    load plain requires not asids \"csrw satp, {plain}\" { per \"satp_op_sfence_vma\"; }
    load satp requires asids \"csrw satp, {satp}\" {";
    let edits = [
        tag,
        (operand, &*format!("{plain}\n{operand}")),
        (load, two),
        (
            "loads satp;",
            "loads plain unless asids; loads satp when asids;",
        ),
    ];
    accepted(RISCV64, &edits);
}

/// The barrier that an instruction follows exists wherever the instruction does, and something issues it.
#[test]
fn barriers_that_are_followed() {
    let page = "per \"Refill manual, 4.1\";";
    let barrier = "barrier publish \"order\" { publishes on cpus; }";
    let with = |body: &str, before: &str| {
        refused(
            REFILL,
            &[
                (page, &format!("{page} {body}")),
                (barrier, &format!("{barrier} {before}")),
            ],
            "E0406",
        );
    };
    with(
        "follows ahead;",
        "barrier ahead \"ahead\" requires walker { }",
    );
    let clear = "writes entry at pte: invalid;";
    let text = S390.replacen(clear, &format!("{clear} follows ahead;"), 1);
    let tag = "    tag asce ";
    assert_eq!(text.matches(tag).count(), 1);
    refused(
        &text,
        &[(tag, "    barrier ahead \"bcr 14, 0\" { } tag asce ")],
        "E0207",
    );
    let va = "per \"Power ISA 3.1 III 6.9.3.2; Linux radix_tlb.c, __tlbie_va\";";
    refused(
        POWERPC64,
        &[
            (va, &format!("{va} follows ahead;")),
            (
                "domain nest     is devices;",
                "barrier ahead \"sync\" { } domain nest is devices;",
            ),
        ],
        "E0506",
    );
}

/// A number that is read at boot is right for every value that it can have.
#[test]
fn numbers_that_are_read_at_boot() {
    let limit = "limit tag_bits \"Bits of a tag\" 2..8;";
    // One value for all spaces, and wider than a tag can be.
    refused(REFILL, &[(limit, "limit tag_bits \"bits\" 1..8;")], "E0503");
    refused(
        REFILL,
        &[(limit, "limit tag_bits \"bits\" 2..33;")],
        "E0207",
    );
    let operand = "[63:8] 0; [7:0] tag;";
    refused(REFILL, &[(operand, "[63:7] 0; [6:0] tag;")], "E0303");
    refused(
        REFILL,
        &[("limit(tag_bits) bits", "limit(tag_bit) bits")],
        "E0202",
    );
    let ceiling = "ceiling limit(entries) operations;";
    refused(REFILL, &[(ceiling, "ceiling 4 operations;")], "E0208");
    let asid = "limit(tag_bits) bits; of cpu; values 1..200;";
    let high = "limit(tag_bits) bits; of cpu; values 5..200;";
    refused(REFILL, &[(asid, high)], "E0303 E0503");
    // Of two caches whose sets one instruction drops together, the numbers are the same.
    let sets = "tlb  has 128 sets, 1 set when isa31;";
    let twice = "tlb  has limit(n) sets; erat has 128 sets;";
    let domain = (
        "domain nest     is devices;",
        "limit n \"sets\" 1..256; domain nest is devices;",
    );
    let both = "drops leaf of one set, this tag in tlb;\n        where";
    refused(
        POWERPC64,
        &[
            domain,
            (sets, twice),
            (
                both,
                "drops leaf of one set, this tag in tlb, erat;\n        where",
            ),
        ],
        "E0310",
    );
}

/// A flush goes through as many sets as there are in each cache from which an instruction drops one set, whether one
/// clause names the caches, each has its own, or the kinds of entries determine them.
#[test]
fn sets_of_several_caches() {
    let caches = |tlb: &str, paths: &str, drops: &str| {
        let holds = "tlb holds leaf; paths holds walk;";
        let operand = "operand which 64 bits { [63:4] 0; [3:0] set; }\n    operand number";
        with(
            slate(),
            &[
                (
                    "    tables",
                    "    feature f \"f\";\n    limit n \"n\" 2..16;\n    limit m \"m\" 2..16;\n    tables",
                ),
                ("tlb holds leaf, walk;", &format!("{holds} {tlb} {paths}")),
                ("operand number", operand),
                ("flush.tag {number}", "flush.tag {which}, {number}"),
                ("drops leaf, walk of everything, this tag;", drops),
                (
                    "policy {",
                    "policy { ceiling limit(n) pages, limit(m) pages when f;",
                ),
            ],
        )
    };
    let one = "drops leaf, walk of one set, this tag;";
    let two = "drops leaf of one set, this tag in tlb; drops walk of one set, this tag in paths;";
    for drops in [one, two] {
        let text = |tlb, paths| caches(tlb, paths, drops);
        refused(&text("tlb has 4 sets;", ""), &[], "E0310");
        refused(&text("", "paths has 4 sets;"), &[], "E0310");
        let read = "tlb has limit(n) sets;";
        refused(&text(read, "paths has limit(m) sets;"), &[], "E0310");
        refused(
            &text(read, "paths has limit(n) sets, 4 sets when f;"),
            &[],
            "E0310",
        );
        accepted(&text(read, "paths has limit(n) sets;"), &[]);
        let some = "tlb has limit(n) sets, 4 sets when f;";
        accepted(&text(some, "paths has limit(n) sets, 4 sets when f;"), &[]);
        let arch = good(&text("tlb has 4 sets;", "paths has 16 sets;"));
        let flush = Ask::user(0x1000, 0x1000, &["pte"]).tables();
        let issued = lines(flush.on(&arch, "").issued());
        let of_sets = issued.iter().filter(|line| line.starts_with("flush.tag"));
        assert_eq!(of_sets.count(), 16, "{issued:#?}");
    }
}

/// Without the walker a table is unlinked without a flush, and so without the IPI that excludes lockless walkers.
#[test]
fn tables_are_freed_after_a_flush_where_some_machine_needs_none() {
    let freed = ("tables deferred", "tables after flush");
    refused(REFILL, &[freed], "E0602");
    let walks = ("paths holds walk when walker;", "paths holds walk;");
    accepted(REFILL, &[freed, walks]);
}
