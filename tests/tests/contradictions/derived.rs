//! What is left out and follows from other facts is derived: the answer is the same as with it.

use tlbc::Analysis;
use tlbc::trace::Event;
use tlbc_runtime::backend::Debt;

use super::common::{Ask, good, lines};
use super::{ARM64, slate, with};

/// What a switch issues.
fn switch(analysis: &Analysis) -> Vec<String> {
    lines(&Ask::event(Event::Switch(Debt::None)).on(analysis, "").here)
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
    let unsaid = with(ARM64, &[("        read after publish;\n", "")]);
    assert!(module("arm64.arch", &unsaid).contains("tag_after_publish: true"));
    // The tag of slate is from generations, too.
    assert!(module("slate.arch", slate()).contains("tag_after_publish: true"));
    for source in ["life", "slots"] {
        let text = slate().replace("from generations", &format!("from {source}"));
        let said = text.replace("16 bits;", "16 bits; read after publish;");
        assert!(module("slate.arch", &text).contains("tag_after_publish: false"));
        assert!(module("slate.arch", &said).contains("tag_after_publish: true"));
    }
}

#[test]
fn instructions_that_only_their_own_cpu_completes() {
    let x86 = super::X86_64;
    let unsaid = with(x86, &[("        needs same cpu;\n", "")]);
    let model = |text: &str| good(text);
    let needs = |analysis: &Analysis| analysis.plans.needs(tlbc::model::Need::SameCpu);
    assert!(needs(&model(x86)) && needs(&model(&unsaid)));
}
