//! Statements that are left out and follow from other facts are derived: the plan is the same with them.

use tlbc::Analysis;
use tlbc::model::Config;
use tlbc::trace::interpret::Changing;
use tlbc::trace::{Event, Step};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::pte::Kind as Change;
use tlbc_runtime::request::Reach;

use super::{ARM64, slate, with};
use tlbc_tests::requests::{Ask, TAG, change_on, good, lines};

/// What a switch issues.
fn switch(analysis: &Analysis) -> Vec<String> {
    lines(
        Ask::event(Event::Switch(Pending::None))
            .on(analysis, "")
            .issued(),
    )
}

/// The generated module.
fn module(name: &str, text: &str) -> String {
    let compiled = tlbc::compile([(name, text)]);
    assert!(
        compiled.diagnostics.is_empty(),
        "{:#?}",
        compiled.diagnostics
    );
    compiled.outputs[0].text.clone()
}

#[test]
fn roots_and_tags_that_are_loaded_one_after_the_other() {
    let said = good(ARM64);
    let expected = switch(&said);
    assert_eq!(
        expected
            .iter()
            .filter(|line| line.contains("ttbr0_el1"))
            .count(),
        2
    );
    let unsaid = ARM64
        .lines()
        .filter(|line| !line.contains("half loaded is unsafe"));
    let unsaid: String = unsaid.flat_map(|line| [line, "\n"]).collect();
    assert_eq!(switch(&good(&unsaid)), expected);
    // In any order, and in statements of their own.
    let other_order = unsaid.replace("loads ttbr1, ttbr0;", "loads ttbr0, ttbr1;");
    let other_order = switch(&good(&other_order));
    assert!(other_order[0].contains("ttbr0_el1"), "{other_order:?}");
    assert_eq!(other_order.len(), expected.len());
    let apart = unsaid.replace("loads ttbr1, ttbr0;", "loads ttbr1; loads ttbr0;");
    assert_eq!(switch(&good(&apart)), expected);
    // Root and tag in one load are never half loaded.
    assert_eq!(
        switch(&good(slate())),
        ["load.root 0x42000040000000", "refetch"]
    );
}

#[test]
fn tags_that_may_change_are_read_after_the_change_is_published() {
    // The locked exchange that changes an entry publishes it before the tag is read.
    assert!(
        module("x86_64.arch", include_str!("../../../archdefs/x86_64.arch"))
            .contains("tag_after_publish: false")
    );
    let unsaid = ARM64.replace("        read after publish;\n", "");
    assert!(module("arm64.arch", &unsaid).contains("tag_after_publish: true"));
    // The tag of slate is from generations, too.
    assert!(module("slate.arch", slate()).contains("tag_after_publish: true"));
    let text = slate().replace("from generations", "from life");
    let said = text.replace("16 bits;", "16 bits; read after publish;");
    assert!(module("slate.arch", &text).contains("tag_after_publish: false"));
    assert!(module("slate.arch", &said).contains("tag_after_publish: true"));
}

#[test]
fn instructions_that_only_their_own_cpu_completes() {
    let x86 = super::X86_64;
    let unsaid = with(x86, &[("        needs same cpu;\n", "")]);
    let model = |text: &str| good(text);
    let needs = |analysis: &Analysis| analysis.plans.needs(tlbc::model::Need::SameCpu);
    assert!(needs(&model(x86)) && needs(&model(&unsaid)));
}

/// Entries that change by an instruction which is done later.
fn writer(to: &str) -> String {
    let change = format!(
        "operand at 64 bits {{ [63:0] entry; }}
    invalidate clear \"clear.entry {{at}}, {{address}}, {{number}}\" {{
        per \"manual, 4.5\";
        writes entry at pte, pmd, pgd: {to};
        drops leaf, walk of subtree, any tag;
        where cpus;
        after complete;
    }}
    change {{ by writers; }}"
    );
    with(slate(), &[("change { plain store; }", &change)])
}

fn changed(text: &str, change: Change, entries: u64) -> Vec<String> {
    let analysis = good(text);
    let changing = Changing {
        entries,
        va: 0x1000,
        reach: Reach::Wide,
        kind: change,
        ..Changing::default()
    };
    let made = change_on(&analysis, Config::default(), TAG, changing);
    let step = |step: &Step| {
        step.instruction()
            .map_or("store".to_owned(), |it| it.asm.join("; "))
    };
    made.here.iter().map(step).collect()
}

#[test]
fn writers_that_are_done_later_are_completed_once() {
    let text = writer("invalid");
    let cleared = changed(&text, Change::Unmap, 3);
    let expected = [
        "clear.entry 0x0, 0x1000, 0x42",
        "clear.entry 0x8, 0x2000, 0x42",
        "clear.entry 0x10, 0x3000, 0x42",
        "wait",
        "store",
    ];
    assert_eq!(cleared, expected);
    // The new entries are stored when the old ones are gone.
    assert_eq!(changed(&text, Change::Remap, 3), expected);
    let at_change = text.replace("gather pages batched", "gather pages at change");
    assert_eq!(changed(&at_change, Change::Unmap, 3), cleared);
    assert!(module("slate.arch", &text).contains("cpu.issue(Op::Complete)"));
}

/// The statement of an instruction that executes it.
fn asm(name: &str, text: &str, line: &str) -> String {
    let module = module(name, text);
    let start = module
        .find(&format!("\"{line}\""))
        .unwrap_or_else(|| panic!("{line} in {module}"));
    let end = module[start..].find("options(").expect("options");
    let rest = &module[start + end..];
    let close = rest.find(')').expect("a parenthesis");
    module[start..start + end + close]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn what_is_not_said_to_be_kept_may_change() {
    let flags =
        |text: &str| !asm("x86_64.arch", text, "xor {scratch}, 0x80").contains("preserves_flags");
    assert!(flags(super::X86_64));
    let unsaid = super::X86_64.replacen(
        "        clobbers flags;\n        cost 4;",
        "        cost 4;",
        1,
    );
    assert_ne!(unsaid, super::X86_64);
    assert!(flags(&unsaid));
    let ipte = "2: ipte {table}, {page}, {more}, 0";
    let said = asm("s390.arch", super::S390, ipte);
    let unsaid = super::S390
        .replace("        overwrites operands;\n", "")
        .replace("        clobbers flags;\n", "");
    assert_ne!(unsaid, super::S390);
    assert_eq!(asm("s390.arch", &unsaid, ipte), said);
    assert!(
        said.contains("inout(reg_addr) page => _") && !said.contains("preserves_flags"),
        "{said}"
    );
    // A barrier, an invalidation and a load, each without a word and with it.
    let kept = slate()
        .replace("publishes on cpus;", "publishes on cpus; keeps flags;")
        .replace(
            "drops leaf of one page, this tag or global;",
            "drops leaf of one page, this tag or global; keeps flags, operands;",
        )
        .replace(
            "per \"manual, 3.1\";",
            "per \"manual, 3.1\"; keeps operands; ",
        );
    for (line, operands) in [
        ("order", ""),
        ("flush.page {address}, {number}", "address"),
        ("load.root {root}", "root"),
    ] {
        let (silent, said) = (
            asm("slate.arch", slate(), line),
            asm("slate.arch", &kept, line),
        );
        assert!(!silent.contains("preserves_flags"), "{silent}");
        assert_eq!(
            said.contains("preserves_flags"),
            line != "load.root {root}",
            "{said}"
        );
        if !operands.is_empty() {
            assert!(
                silent.contains(&format!("{operands} = inout(reg) {operands} => _")),
                "{silent}"
            );
            assert!(
                said.contains(&format!("{operands} = in(reg) {operands},")),
                "{said}"
            );
        }
    }
}

#[test]
fn several_instructions_are_not_interrupted_unless_that_is_said_to_be_harmless() {
    let off = |text: &str| good(text).plans.needs(tlbc::model::Need::InterruptsOff);
    let two = slate().replace("\"flush.all\"", "\"flush.all; flush.rest\"");
    assert!(!off(slate()));
    assert!(off(&two));
    let harmless = two.replace(
        "per \"manual, 4.3\";",
        "per \"manual, 4.3\"; may be interrupted;",
    );
    assert!(!off(&harmless));
    // A directive is not an instruction; the text for the assembler counts.
    let directive = slate().replace("\"flush.all\"", "\".option x; flush.all\"");
    assert!(!off(&directive));
    let encoded = slate().replace(
        "per \"manual, 4.3\";",
        "per \"manual, 4.3\"; encoded \".long 1; .long 2\";",
    );
    assert!(off(&encoded));
    let unsaid = super::X86_64.replace("        needs interrupts off;", "");
    assert!(off(&unsaid));
}

#[test]
fn what_is_kept_and_changes() {
    let kept = |facts: &str| {
        super::refused(
            slate(),
            &[(
                "per \"manual, 4.3\";",
                &format!("per \"manual, 4.3\"; {facts}"),
            )],
            "E0204",
        );
    };
    kept("keeps flags; clobbers flags;");
    kept("keeps operands; overwrites operands;");
    kept("keeps flags, operands; keeps flags;");
}

#[test]
fn kernel_flushes_and_switches_end_with_what_fetches_anew() {
    let lines_of = |text: &str, ask: &Ask| lines(ask.on(&good(text), "").issued());
    let kernel = Ask::kernel(0xffff_ffc0_0000_1000, 0x1000, &["pte"]);
    let switch = Ask::event(Event::Switch(Pending::None));
    let unsaid = slate().replace("resync refetch;", "");
    for ask in [&kernel, &switch] {
        let said = lines_of(slate(), ask);
        assert_eq!(said.last().map(String::as_str), Some("refetch"), "{said:?}");
        assert_eq!(lines_of(&unsaid, ask), said);
        let nothing = slate().replace("resync refetch;", "resync nothing;");
        let nothing = nothing.replace("    change {", "    erratum e \"x\" { weakens complete: not drained; workaround after complete issue refetch, complete; }\n    change {");
        assert!(!lines_of(&nothing, ask).contains(&"refetch".to_owned()));
    }
    // A return from the kernel follows a flush of user spaces; where it is not sufficient, the definition states a barrier.
    let user = Ask::user(0x1000, 0x1000, &["pte"]);
    assert!(!lines_of(slate(), &user).contains(&"isb".to_owned()));
    let arm64 = good(ARM64);
    assert_eq!(
        lines(user.on(&arm64, "").issued())
            .last()
            .map(String::as_str),
        Some("isb")
    );
    assert_eq!(
        lines(user.on(&arm64, "ets2").issued())
            .last()
            .map(String::as_str),
        Some("dsb nsh")
    );
}

#[test]
fn tags_are_as_wide_as_the_machine_has_them() {
    use tlbc_runtime::Backend;
    let of = |config| tlbc_backends::arm64::Tlb { config }.tags().global;
    let config = tlbc_backends::arm64::Config::NONE;
    let (narrow, _) = of(config).expect("tags");
    assert_eq!((narrow.first, narrow.last), (1, 255));
    let (wide, _) = of(config.with(tlbc_backends::arm64::Config::ASID16)).expect("tags");
    assert_eq!((wide.first, wide.last), (1, 65535));
}
