//! Texts that parse, and what they are read as.

use tlbc::ast::{BinaryOp, Expr, InvalidateFact, Item};
use tlbc::render::{Format, render};

use crate::syntax::{parsed, shipped, within};

#[test]
fn shipped_definitions_parse() {
    for name in ["arm64.arch", "x86_64.arch"] {
        let (files, arch, diagnostics) = parsed(&shipped(name));
        assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
        let arch = arch.expect("a definition");
        assert_eq!(format!("{}.arch", arch.name.node), name);
        assert!(arch.doc[0].len() > 10);
    }
}

#[test]
fn every_construct_parses() {
    let items = r#"
        caches { refetch holds leaf, walk, root; invalid cached; cleared accessed may stay; large leaf may split; stricter refetched; }
        geometry g { levels { p4d 39 when a and not b; pgd 39, 48 unless c hint 1; } page 2 MiB; granule 0x_1F; }
        feature a "a" of cpu needs b and not c;
        feature b "b" of space;
        domain d is self, core, devices;
        change { by writers; output, size of a valid entry through invalid when a; rights of a valid entry in place; }
    "#;
    let (files, arch, diagnostics) = parsed(&within(items));
    assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
    assert_eq!(arch.expect("a definition").items.len(), 6);

    let items = r#"
        /// What it does.
        invalidate i requires a, b "i" with x, y requires c {
            form f = 0xFF { drops root at pmd of run of 1..limit(l) entries at pte, global, this tag or other tag unless keep; }
            writes entry at pte: invalid;
        }
        erratum e "e" {
            workaround before i issue j, k;
            weakens i for user: not walk on set when a;
            weakens i: not leaf;
        }
    "#;
    let (files, arch, diagnostics) = parsed(&within(items));
    assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
    let arch = arch.expect("a definition");
    let [Item::Invalidate(invalidate), Item::Erratum(_)] = arch.items.as_slice() else {
        panic!("{arch:#?}");
    };
    assert_eq!(invalidate.doc, ["What it does."]);
    assert_eq!(
        invalidate
            .requires
            .as_ref()
            .map_or(0, |cond| cond.terms.len()),
        3
    );
    assert_eq!(invalidate.with.len(), 2);
    assert!(
        matches!(&invalidate.facts[0].node, InvalidateFact::Form(form) if form.value.node == 255)
    );
}

#[test]
fn operators_bind_by_strength() {
    let source = within("operand o 64 bits { names num + 2 * scale << 1 + 1 pages; }");
    let (_, arch, _) = parsed(&source);
    let Some(Item::Operand(operand)) = arch.expect("a definition").items.pop() else {
        panic!("an operand");
    };
    let Some(Expr::Binary(BinaryOp::Shl, left, right)) =
        operand.names.and_then(|n| n.count).map(|count| count.node)
    else {
        panic!("a shift");
    };
    assert!(matches!(*left, Expr::Binary(BinaryOp::Add, _, ref product)
        if matches!(**product, Expr::Binary(BinaryOp::Mul, ..))));
    assert!(matches!(*right, Expr::Binary(BinaryOp::Add, ..)));
}
