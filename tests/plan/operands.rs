//! Operands, compared with values that were made by hand from the layouts in the manuals: `archdefs/NAME/operands.txt`.
//!
//! The encoder of the compiler is not used for them.

use std::collections::BTreeSet;

use tlbc_tests::archdefs::{analysis, data, definition};
use tlbc_tests::operands::read;

/// Compares the operands of an architecture.
fn compare(arch: &str) {
    let text = data(arch, "operands.txt");
    let groups = read(&text);
    let mut differences = Vec::new();
    for group in &groups {
        differences.extend(group.differences(definition(arch), analysis(arch)));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let rows = groups.iter().flat_map(|group| &group.requests);
    let rows = rows.flat_map(|request| &request.rows);
    let known: BTreeSet<&str> = rows.map(|row| row.operand).collect();
    let operands = analysis(arch).model.operands.iter();
    let names = operands.map(|operand| operand.named.name.as_str());
    let missing: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "no row for {missing:?} of {arch}");
}

macro_rules! tests {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        #[test]
        fn $arch() {
            compare(stringify!($arch));
        }
    )* };
}

tlbc_tests::for_each_architecture!([tests]);

#[test]
fn differences_are_reported() {
    let arch = tlbc_tests::archdefs::names()
        .next()
        .expect("an architecture");
    let text = data(arch, "operands.txt");
    let row = text
        .lines()
        .find(|line| line.contains(" = 0x") && line.contains("] "));
    let row = row.expect("a row with fields");
    let (place, fields) = row.split_once(" = 0x").expect("a row");
    let differences = |row_then: &str| {
        let text = text.replace(row, row_then);
        let groups = read(&text);
        let differences = groups
            .iter()
            .flat_map(|group| group.differences(definition(arch), analysis(arch)));
        differences.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(differences(row), "");
    // Another word, another field, and an instruction that is not issued.
    let word = differences(&format!("{place} = 0xf{fields}"));
    assert!(word.contains("not 0xf"), "{word}");
    let (word, field) = row.rsplit_once("] ").expect("a field");
    let field = differences(&format!("{word}] 0xf{}", field.trim_start_matches("0x")));
    assert!(field.contains("not 0xf"), "{field}");
    let missing = differences(&row.replacen('.', "#99.", 1));
    assert!(missing.contains("it is not issued"), "{missing}");
}
