//! Instructions with the same text have the same effect, and workarounds come in a useful order.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate};

#[test]
fn instructions_of_one_text() {
    for local in ["vmalle1", "vale1", "aside1", "rvaale1"] {
        let text = ARM64.replacen(&format!("tlbi {local}{{is}}"), &format!("tlbi {local}"), 1);
        refused(&text, &[], "E0410");
    }
    refused(
        ARM64,
        &[("\"tlbi vale1{is}, {page}\"", "\"tlbi vae1{is}, {page}\"")],
        "E0410",
    );
    refused(ARM64, &[("\"dsb ish\"  ", "\"dsb ishst\"")], "E0410");
    refused(ARM64, &[("\"dsb nsh\"  ", "\"dsb ish\"")], "E0410");
    // The text for the assembler counts, not the one that is shown.
    refused(
        POWERPC64,
        &[(
            "encoded \".long 0x7c070264 | ({rs} << 21) | ({rb_pid} << 11)\"",
            "encoded \".long 0x7c030264 | ({rs} << 21) | ({rb_pid} << 11)\"",
        )],
        "E0410",
    );
    refused(
        S390,
        &[(
            "\"ipte {table}, {page}, %r0, 1\"",
            "\"ipte {table}, {page}, %r0, 0\"",
        )],
        "E0410",
    );
    refused(
        S390,
        &[(
            "\"lctlg %c7, %c7, 0({control})\" {",
            "\"lctlg %c1, %c1, 0({control})\" {\n        drops leaf, walk of everything, any tag;",
        )],
        "E0410",
    );
}

#[test]
fn forms_of_one_number() {
    refused(
        X86_64,
        &[("form everything = 2", "form everything = 3")],
        "E0410",
    );
    refused(
        X86_64,
        &[("form run        = 0b000111", "form run        = 0b000110")],
        "E0410",
    );
}

#[test]
fn instructions_of_one_text_on_different_machines() {
    let by_version = "invalidate ptlb \"ptlb\" requires rdp {
        per \"a later manual\";
        drops leaf, walk of everything, any tag;
        where cpus;
        needs no lock;
        at once;
    }
    invalidate ptlb_before \"ptlb\" requires not rdp {";
    accepted(S390, &[("invalidate ptlb \"ptlb\" {", by_version)]);
    let both = by_version.replace(" requires not rdp", "");
    refused(S390, &[("invalidate ptlb \"ptlb\" {", &both)], "E0410");
}

#[test]
fn flushes_before_the_change_is_visible() {
    let wide = "    barrier dsb_ishst \"dsb ishst\" { publishes on inner; keeps flags; }\n";
    refused(ARM64, &[(wide, "")], "E0411");
    refused(
        ARM64,
        &[(
            wide,
            "    barrier dsb_ishst \"dsb ishst\" { publishes on self; keeps flags; }\n",
        )],
        "E0411",
    );
    let both = "    barrier dsb_nshst \"dsb nshst\" { publishes on self; keeps flags; }\n";
    refused(ARM64, &[(wide, ""), (both, "")], "E0411");
    // The wider serves this CPU as well.
    accepted(ARM64, &[(both, "")]);
    refused(
        ARM64,
        &[("dsb ishst\" {", "dsb ishst\" requires ttl {")],
        "E0411",
    );
    refused(POWERPC64, &[("publishes on all_agents; ", "")], "E0411");
    refused(
        POWERPC64,
        &[("publishes on all_agents;", "publishes on core;")],
        "E0411",
    );
    // The nest MMU walks the tables of some spaces.
    refused(
        POWERPC64,
        &[
            ("publishes on all_agents;", "publishes on cpus;"),
            (
                "domain all_agents",
                "domain all is cpus;\n    domain all_agents",
            ),
        ],
        "E0411",
    );
    for text in [S390, X86_64] {
        let (before, rest) = text
            .split_once("    publishes assumed")
            .expect("it is assumed");
        let (_, after) = rest.split_once('\n').expect("a line");
        refused(&format!("{before}{after}"), &[], "E0411");
    }
}

#[test]
fn texts_that_an_assembler_reads_alike() {
    for text in [
        "dsb  ish",
        "DSB ISH",
        "dsb\tish",
        ".arch armv8-a; dsb ish",
        " dsb ish ",
    ] {
        refused(ARM64, &[("\"dsb nsh\"  ", &format!("\"{text}\""))], "E0410");
    }
    refused(
        S390,
        &[(
            "\"idte {origin}, %r0, {segment}, 1\"",
            "\"IDTE {origin},%r0,{segment},0\"",
        )],
        "E0410",
    );
    let pid2 = "encoded \".long 0x7c0b0264 | ({rs} << 21) | ({rb_pid} << 11)\"";
    for encoded in [
        ".long 0x7C030264|({rs}<<21)|({rb_pid}<<11)",
        ".long 0x7c030264 | ({rb_pid} << 11) | ({rs} << 21)",
        ".4byte 2080572004 | ({rs} << 21) | ({rb_pid} << 11)",
    ] {
        refused(
            POWERPC64,
            &[(pid2, &format!("encoded \"{encoded}\""))],
            "E0410",
        );
    }
    // What is shown says what is issued.
    refused(POWERPC64, &[("\"slbia 3\"", "\"slbia 7\"")], "E0410");
    refused(
        POWERPC64,
        &[(
            "\"tlbie {rb_pid}, {rs}, 1, 1, 1\"",
            "\"tlbie {rb_pid}, {rs}, 0, 1, 1\"",
        )],
        "E0410",
    );
}

#[test]
fn loads_of_one_text() {
    refused(
        S390,
        &[(
            "\"lctlg %c7, %c7, 0({control})\"",
            "\"lctlg %c1, %c1, 0({control})\"",
        )],
        "E0410",
    );
}

#[test]
fn new_entries_that_other_walkers_do_not_see() {
    // Other CPUs walk new entries, with or without an IPI.
    for shootdown in ["shootdown broadcast", "shootdown ipi"] {
        for on in ["self", "core"] {
            refused(
                slate(),
                &[
                    ("publishes on cpus", &format!("publishes on {on}")),
                    ("shootdown broadcast", shootdown),
                ],
                "E0411",
            );
        }
    }
    let devices = (
        "walk under every tag; resync",
        "walk under every tag; devices; resync",
    );
    refused(slate(), &[devices], "E0411");
}

#[test]
fn a_form_says_what_it_drops() {
    let form = "form tag        = 1 requires pcid { drops leaf, walk of everything, this tag; }";
    let silent = "form tag = 1 requires pcid { }";
    refused(X86_64, &[(form, silent)], "E0401");
}

#[test]
fn what_only_some_instructions_can_be_is_said_of_these() {
    let per = "per \"manual, 4.3\";";
    for fact in ["retry while busy;", "may be interrupted;"] {
        refused(slate(), &[(per, &format!("{per} {fact}"))], "E0207");
    }
    accepted(
        slate(),
        &[
            (per, &format!("{per} may be interrupted;")),
            ("\"flush.all\"", "\"flush.all; nop\""),
        ],
    );
}

#[test]
fn entries_are_of_levels_that_have_such() {
    let covers = "one per cpu; leaf at pgd covers 4 entries;";
    refused(slate(), &[("one per cpu;", covers)], "E0208");
    let every = "drops leaf, walk of everything, any tag;";
    for more in [
        "drops leaf at pgd of everything, any tag;",
        "drops walk at pte of everything, any tag;",
    ] {
        refused(slate(), &[(every, &format!("{every} {more}"))], "E0208");
    }
    accepted(
        slate(),
        &[
            ("one per cpu;", "one per cpu; leaf at pmd covers 4 entries;"),
            (
                every,
                "drops leaf, walk of everything, any tag;
                drops leaf at pmd of everything, any tag; drops walk at pmd of everything, any tag;",
            ),
        ],
    );
}

#[test]
fn a_list_has_each_member_once() {
    let twice = |text: &str, fact: &str, with: &str| refused(text, &[(fact, with)], "E0204");
    for (fact, with) in [
        ("gone; drained;", "gone; gone; drained;"),
        ("gone; drained;", "gone; drained; drained;"),
        ("resyncs on self;", "resyncs on self; resyncs on self;"),
        (
            "resyncs on self;",
            "resyncs on self; keeps flags; keeps flags;",
        ),
        ("drops leaf of one page", "drops leaf, leaf of one page"),
        // The levels of the first would be lost.
        (
            "drops leaf of one page",
            "drops leaf at pte, leaf at pmd of one page",
        ),
        ("this tag or global;", "this or this tag or global;"),
        (
            "per \"manual, 4.3\";",
            "per \"manual, 4.3\"; needs lock; needs lock;",
        ),
        (
            "drops leaf of one page, this tag or global;",
            "drops leaf of one page, this tag or global; drops leaf of one page, this tag or global;",
        ),
        ("loads root;", "loads root, root;"),
        ("holds leaf, walk;", "holds leaf, leaf, walk;"),
        ("everything, any tag;", "everything, any tag in tlb, tlb;"),
        ("leaf under asid;", "leaf under asid or asid;"),
        (
            "shootdown broadcast;",
            "shootdown broadcast; strides pte, pte;",
        ),
        (
            "    policy {",
            "    unconfirmed caches, caches \"why\";\n    policy {",
        ),
    ] {
        twice(slate(), fact, with);
    }
    twice(
        ARM64,
        "domain inner is cpus;",
        "domain inner is cpus, cpus;",
    );
    let entries = "drops leaf of run of 1..limit(invlpgb_pages) entries at pte, pmd, any tag;";
    twice(
        X86_64,
        entries,
        &entries.replace("at pte, pmd", "at pte, pte, pmd"),
    );
}
