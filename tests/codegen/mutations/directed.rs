//! Definitions whose backends are compiled and compared like those of mutants, whatever the seed.

use tlbc_tests::mutate::renamed;

use crate::mutations::became;
use crate::mutations::seeds::Seed;
use crate::mutations::{Became, batch};

/// A seed, names that become other names, and texts that become other texts.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
);

const CASES: &[Case] = &[
    // Caches that are made from others, completion by request, negative entries by level, entries that are written.
    ("relay", &[], &[]),
    ("twofold", &[], &[]),
    ("fork", &[], &[]),
    ("batch", &[], &[]),
    ("negative", &[], &[]),
    ("written", &[], &[]),
    // Instructions for one level.
    ("levels", &[], &[]),
    // A publisher that depends on a feature.
    (
        "refill",
        &[],
        &[(
            "    operand address",
            "    barrier near \"order.here\" requires walker { publishes on self; }\n\n    operand address",
        )],
    ),
    // An instruction before each entry, whose operands are made where the loop is.
    (
        "written",
        &[],
        &[
            (
                "workaround after clear_all issue everything_all;",
                "workaround before clear_all issue page; workaround before clear_all issue everything_all;",
            ),
            (
                "    change {",
                "    invalidate page \"page {address}\" { per \"5.4\"; drops leaf of one page, any tag; \
                 where cpus; after settle; }\n    change {",
            ),
        ],
    ),
    // Operands like the variables of generated code, and like what these are called instead.
    ("slate", &[("address", "tag"), ("number", "tag_bits")], &[]),
    ("slate", &[("address", "va_bits"), ("number", "va")], &[]),
    ("slate", &[("address", "each"), ("number", "cpu")], &[]),
    ("slate", &[("address", "left"), ("number", "start")], &[]),
    (
        "slate",
        &[("address", "encode_number"), ("number", "step")],
        &[],
    ),
    ("slate", &[("address", "op"), ("number", "scratch_")], &[]),
    (
        "quartz",
        &[("entry", "address_0"), ("number", "entry_0")],
        &[],
    ),
    // Words of Rust, and names without a letter.
    (
        "slate",
        &[
            ("refetch", "self"),
            ("complete", "super"),
            ("publish", "crate"),
        ],
        &[],
    ),
    (
        "slate",
        &[
            ("refetch", "_"),
            ("complete", "__"),
            ("address", "_"),
            ("number", "__"),
        ],
        &[],
    ),
    (
        "slate",
        &[
            ("pte", "self"),
            ("pmd", "fn"),
            ("pgd", "gen"),
            ("base", "_"),
        ],
        &[],
    ),
    (
        "slate",
        &[("flush_page", "async"), ("flush_tag", "try")],
        &[],
    ),
    (
        "archdefs/x86_64.arch",
        &[("invlpgb_pages", "self"), ("pcid", "_"), ("la57", "type")],
        &[],
    ),
    (
        "archdefs/x86_64.arch",
        &[
            ("invlpgb_pages", "config"),
            ("pcid", "none"),
            ("la57", "names"),
        ],
        &[],
    ),
    (
        "archdefs/x86_64.arch",
        &[("invlpgb_pages", "walk"), ("pcid", "of_space")],
        &[],
    ),
    // Words that `asm!` takes for its own, and variables and functions of generated code.
    (
        "slate",
        &[("address", "options"), ("number", "clobber_abi")],
        &[],
    ),
    ("slate", &[("address", "each"), ("number", "op")], &[]),
    (
        "slate",
        &[("flush_page", "operations"), ("flush_tag", "pass")],
        &[],
    ),
    (
        "slate",
        &[("flush_page", "level_table"), ("pte", "levels")],
        &[],
    ),
    // Names that are the same in another case, and those of items of the module.
    (
        "slate",
        &[("refetch", "complete_"), ("publish", "_complete")],
        &[],
    ),
    (
        "slate",
        &[("refetch", "load_root"), ("publish", "load__root")],
        &[],
    ),
    ("slate", &[("address", "a__b"), ("number", "a_b")], &[]),
    (
        "slate",
        &[("pte", "effects"), ("pmd", "address_units")],
        &[],
    ),
    (
        "archdefs/arm64.arch",
        &[("pud", "range_units"), ("pgd", "effects")],
        &[],
    ),
    (
        "archdefs/powerpc64.arch",
        &[
            ("gtse", "none"),
            ("g64k", "stride"),
            ("rb_va", "page_shift"),
        ],
        &[],
    ),
    // Instructions like types of the runtime, and modules like words of the latest edition.
    (
        "slate",
        &[
            ("flush_page", "change"),
            ("flush_tag", "pass"),
            ("complete", "runs"),
        ],
        &[],
    ),
    (
        "slate",
        &[("slate", "core")],
        &[(
            "per \"manual, 4.1\"",
            "per \"see runs::Runs and change::Change\"",
        )],
    ),
    // Narrow operands, of which an address may be built for each entry.
    (
        "narrow",
        &[],
        &[(
            "[31:12] va[31:12]; [11:0] 0;",
            "[31:20] 0; [19:0] va >> page;",
        )],
    ),
    (
        "toy",
        &[],
        &[(
            "[47:0] va[59:12];",
            "[47:0] va[59:12] when hinted; [47:0] va[59:12] when not hinted;",
        )],
    ),
    (
        "slate",
        &[],
        &[("[63:48] tag;", "[63:48] tag when not keep;")],
    ),
    // Conditions that always hold, and alternatives of which none may.
    (
        "slate",
        &[],
        &[("ceiling 64 operations;", "ceiling 64 operations when base;")],
    ),
    (
        "sizes",
        &[],
        &[(
            "ceiling 64 operations;",
            "ceiling 64 operations when other;",
        )],
    ),
    // IPIs for an erratum, where a switch flushes.
    (
        "hashed",
        &[],
        &[(
            "    policy {",
            "    cpu_set odd \"odd\"; erratum odd_wait \"1\" { weakens complete: not drained on odd; }\n    policy {",
        )],
    ),
    // Tests of which the first leads to nothing.
    (
        "layered",
        &[],
        &[(
            "drops leaf of one page, this tag or global in tlb;",
            "drops leaf of one page, this tag or global in tlb; drops walk of one page, this tag;",
        )],
    ),
    // Constants of what is never issued.
    (
        "archdefs/powerpc64.arch",
        &[],
        &[(
            "    caches {",
            "    caches {\n        leaf at pte covers 2 entries;",
        )],
    ),
    // Operands and registers to load like parameters.
    (
        "slate",
        &[],
        &[
            ("operand root 64", "operand c 64"),
            (
                "load root \"load.root {root}\"",
                "load self \"load.root {c}\"",
            ),
            ("loads root", "loads self"),
        ],
    ),
    // Braces and registers in texts.
    (
        "slate",
        &[],
        &[("\"order\"", "\"mov {scratch}, 0; mov {scratch}, {{1}}\"")],
    ),
    (
        "slate",
        &[("address", "scratch_bits")],
        &[("\"flush.page ", "\"mov {scratch}, 1; flush.page ")],
    ),
];

#[test]
fn names_and_shapes_that_generated_code_might_not_be_made_for() {
    let seeds = crate::mutations::seeds::all();
    let accepted = CASES.iter().map(|(name, names, texts)| {
        let seed: &Seed = seeds
            .iter()
            .find(|seed| seed.name == *name)
            .expect("a seed");
        let text = renamed(&seed.text, names);
        let text = texts.iter().fold(text, |text, (old, new)| {
            assert_eq!(text.matches(old).count(), 1, "{name}: {old}");
            text.replace(old, new)
        });
        match became(text) {
            Became::Accepted(accepted) => accepted,
            Became::Refused(why) => panic!("{name} {names:?} {texts:?} is refused: {why}"),
            Became::Panicked(why) => panic!("{name} {names:?} {texts:?}: {why}"),
        }
    });
    let accepted: Vec<_> = accepted.collect();
    let failures = batch::failures(&accepted);
    let failed = failures.iter().map(|(index, why)| (CASES[*index], why));
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
