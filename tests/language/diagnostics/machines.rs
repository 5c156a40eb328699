//! Impossible machines: by their instructions, features, switches, errata or policies, or because a plan is impossible.

use crate::diagnostics::{cases, invalidate};

#[test]
fn instructions() {
    cases(
        "instructions",
        &[
            &invalidate(
                "drop_two \"drop.two\"",
                "drops leaf at hint of one page, this tag; where self; after refetch;",
            ),
            "barrier wait \"wait flushes\" { completes on cpus; drained; }",
            "barrier wait \"wait flushes\" { completes on cpus; }",
            "operand none 64 bits { [63:0] 0; }\nload none \"load.none {none}\" { per \"Toy manual, 3.2\"; drops leaf, walk of everything, this tag unless keep; }\nreturn_to_user { loads none; }",
        ],
    );
}

#[test]
fn features() {
    cases(
        "features",
        &[
            "feature tags \"has tags\";
feature near \"drops here\" needs tags;
tag color when tags { 8 bits; of machine; from generations; }
invalidate drop_page requires near \"drop.page {page}\" {
    per \"Toy manual, 4.1\";
    drops leaf at hint of one page, this tag;
    where cpus;
    after wait;
}
operand root 64 bits { [63:56] tag when tags; [55:0] root[55:0]; }
load root \"load.root {root}\" { per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless tags; }",
            "feature own \"has its own refetch\";
barrier refetch \"refetch\" requires own { resyncs on self; }",
            "feature one \"one\";
invalidate drop_again requires one \"drop.again\" {
    per \"Toy manual, 4.5\";
    drops leaf, walk of everything, any tag;
    where cpus;
    after wait;
}
erratum early \"Toy 4\" { weakens wait: not drained; workaround after wait issue drop_again, wait; }",
            "feature late \"late\" of space;
feature early \"early\" needs late;
tag color when early { 8 bits; of machine; from generations; }
space user { addresses low 38 bits, low 37 bits when late; leaf under color; walk under color; }
geometry g4k { page 4 KiB; levels { pte 12 leaf hint 1; pmd 21 leaf hint 2; pgd 30, 31 when late; } }
invalidate drop_page requires early \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops leaf at hint of one page, this tag; where cpus; after wait; }
invalidate drop_space requires early \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops leaf of everything, this tag; where cpus; after wait; }
operand root 64 bits { [63:56] tag when early; [55:0] root[55:0]; }
load root \"load.root {root}\" { per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless early; }",
        ],
    );
}

#[test]
fn switches() {
    let page = &invalidate(
        "drop_page requires tags \"drop.page {page}\"",
        "drops leaf at hint of one page, this tag; where cpus; after wait;",
    );
    let space = &invalidate(
        "drop_space requires tags \"drop.space {space}\"",
        "drops leaf of everything, this tag; where cpus; after wait;",
    );
    let optional = format!(
        "feature tags \"has tags\";\ntag color when tags {{ 8 bits; of machine; from generations; }}\n{page}\n{space}"
    );
    let root = "operand root 64 bits { [63:56] tag when tags; [55] keep; [54:0] root[54:0]; }";
    cases(
        "switches",
        &[
            "tag color { 8 bits; of machine; from generations; values 7..7; }",
            &format!(
                "{optional}\noperand root 64 bits {{ [63:56] tag when tags; [55:0] root[55:0]; }}"
            ),
            &format!(
                "{optional}\n{root}\nload root \"load.root {{root}}\" {{ per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless keep; }}"
            ),
            &format!(
                "{optional}\n{}\nload root \"load.root {{root}}\" {{ per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless keep; }}",
                root.replace("keep;", "keep when tags;")
            ),
            "feature other \"other\";\nswitch { loads root when other; resync refetch; }",
        ],
    );
}

#[test]
fn errata() {
    let erratum = |facts: &str| {
        format!("cpu_set some \"some CPUs\";\nerratum e \"Toy 9\" {{\n    {facts}\n}}")
    };
    cases(
        "errata",
        &[
            &erratum("weakens wait: not walk on some;"),
            &erratum("weakens wait: not gone on some;"),
            &erratum("weakens wait: not drained on some;"),
            &erratum(
                "weakens wait: not drained;\n    weakens wait: not drained on some;\n    workaround after wait issue wait, drop_all;",
            ),
            &format!(
                "barrier wait_here \"wait here\" {{ completes on self; gone; drained; }}\n{}",
                erratum(
                    "weakens wait: not gone;\n    weakens wait: not drained on some;\n    workaround after wait issue drop_all, wait_here;"
                )
            ),
        ],
    );
}

#[test]
fn policies() {
    let policy = |facts: &str| format!("policy {{\n    {facts}\n    ceiling 64 operations;\n}}");
    cases(
        "policies",
        &[
            &policy("gather pages batched, tables after flush;"),
            &policy("shootdown ipi; gather pages batched, tables after flush;"),
            &format!(
                "caches {{ tlb holds leaf; one per cpu; large leaf may split, dropped together; fills while loaded; invalid never; stricter refetched; }}\n{}",
                policy("shootdown ipi; gather pages batched, tables after flush;")
            ),
        ],
    );
}

#[test]
fn what_planning_finds() {
    cases(
        "planning",
        &[
            "space kernel { addresses high 38 bits; leaf under color 0; walk under color 0; resync refetch; }
invalidate drop_all \"drop.all {space}\" { per \"Toy manual, 4.3\"; drops leaf, walk of everything, this tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf, walk of everything, loaded tag; where self; after wait; }",
            "invalidate drop_page \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops leaf at hint of one page, this tag; where cpus; after wait; }
invalidate drop_space \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops leaf of everything, this tag; where cpus; after wait; }
invalidate drop_all \"drop.all\" { per \"Toy manual, 4.3\"; drops leaf of everything, any tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf of everything, any tag; where self; after wait; }",
        ],
    );
}

/// Sizes that must be given, sets, calls of the platform, entries that instructions write.
#[test]
fn stranger_machines() {
    let page = |fields: &str, drops: &str| {
        format!(
            "operand page 64 bits {{ [63:56] tag; {fields} [47:0] va[59:12]; }}
invalidate drop_page \"drop.page {{page}}\" {{ per \"Toy manual, 4.1\"; drops {drops}; where cpus; after wait; }}"
        )
    };
    let call = |name: &str, with: &str| {
        format!(
            "invalidate {name} call firmware with {with} {{ per \"Toy manual, 9\"; drops leaf at hint of one page, this tag; where cpus; at once; }}"
        )
    };
    let writer = |levels: &str, drops: &str| {
        format!(
            "operand entry 64 bits {{ [63:0] table; }}
operand of 64 bits {{ [63:12] va[63:12]; [11:2] 0; [1:0] level as pte 0, pmd 1, pgd 2; }}
change {{ by writers; }}
invalidate clear \"clear {{entry}}, {{of}}\" {{ per \"Toy manual, 4.5\"; writes entry at {levels}: invalid; drops {drops}; where cpus; at once; }}"
        )
    };
    let erratum = "erratum e \"Toy 9\" {
    weakens drop_page: not leaf;
    workaround after drop_page issue drop_page with tag 0;
}";
    let leafless = "invalidate drop_page \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops walk at hint of one page, this tag; where cpus; after wait; }
invalidate drop_space \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops walk of everything, this tag; where cpus; after wait; }
invalidate drop_all \"drop.all\" { per \"Toy manual, 4.3\"; drops walk of everything, any tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops walk of everything, any tag; where self; after wait; }";
    let levels = "pte, pmd, pgd";
    cases(
        "stranger_machines",
        &[
            &page("[55:48] 0;", "leaf at level of one page, this tag"),
            &page(
                "[55:50] 0; [49:48] level as pte 1, pmd 2 when big;",
                "leaf at level of one page, this tag",
            )
            .replace("operand", "feature big \"large pages\";\noperand"),
            "caches { tlb holds leaf, walk; tlb has 8 sets; one per core; walk spans its reach; large leaf kept whole; fills while loaded; invalid never; stricter refetched; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf, walk of one set, any tag; where core; after wait; }",
            "caches { tlb holds leaf, walk; one per core; walk spans its reach; large leaf kept whole; fills while loaded; invalid never; stricter refetched; }
tag color { 8 bits; of cpu; from slots; }",
            &format!("{}\n{}", call("a", "page"), call("b", "page, space")),
            &call("a", "page, page"),
            &writer("pte, pmd", "leaf, walk of subtree, this table"),
            &writer(levels, "leaf of one page, this tag"),
            &writer(levels, "walk of subtree, this table"),
            &format!("{}\n{leafless}", writer(levels, "leaf, walk of subtree, this table")),
            erratum,
        ],
    );
}
