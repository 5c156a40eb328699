//! Machines with addresses of 32 bits: sizes of entries, of registers and of operands, and addresses of spaces.

use super::{S390, accepted, codes, edited, refused, slate, with};
use tlbc::trace::interpret::Changing;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Reach, Space};
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{Steps as _, change_on, findings, good, level, lines};

/// The machine of the guide, with addresses of 32 bits and a division into three and one GiB.
fn narrow() -> String {
    let edits = [
        (
            "    tables within 48",
            "    entries 4 bytes;\n    tables within 48",
        ),
        ("pmd 21 leaf; pgd 30;", "pgd 22 leaf;"),
        ("low 38 bits", "below 0xc000_0000"),
        ("high 38 bits", "from 0xc000_0000, 30 bits"),
        (
            "address 64 bits { [63:0] va; }",
            "address 32 bits { [31:0] va; }",
        ),
    ];
    with(slate(), &edits)
}

#[test]
fn whole_addresses_have_32_bits() {
    assert_eq!(findings(&narrow()), [""; 0]);
    let wide = (
        "address 32 bits { [31:0] va; }",
        "address 64 bits { [63:0] va; }",
    );
    assert_eq!(findings(&with(&narrow(), &[wide])), [""; 0]);
    let wider = (wide.0, "address 64 bits { [63:40] 0; [39:0] va; }");
    assert_eq!(
        findings(&with(&narrow(), &[wider])),
        ["E0303 a whole virtual address has 32 bits, and its field in `address` 40 bits"]
    );
    // The kernel's addresses are beyond 32 bits.
    refused(
        &narrow(),
        &[("from 0xc000_0000, 30 bits", "from 0x1_0000_0000, 30 bits")],
        "E0303",
    );
}

#[test]
fn the_size_of_an_entry() {
    refused(&narrow(), &[("entries 4 bytes;", "")], "E0203");
    for size in ["0", "2", "16"] {
        let size = format!("entries {size} bytes;");
        refused(&narrow(), &[("entries 4 bytes;", &size)], "E0207");
    }
    let twice = "entries 4 bytes; entries 4 bytes;";
    refused(&narrow(), &[("entries 4 bytes;", twice)], "E0204");
    // A table of 2^14 entries has sixteen pages with four bytes an entry, and of 2^13 with eight.
    let deep = ("pgd 22 leaf;", "pgd 26 leaf;");
    assert_eq!(codes(&with(&narrow(), &[deep])), [""; 0]);
    let less = ("pgd 22 leaf;", "pgd 25 leaf;");
    let wide = ("entries 4 bytes;", "entries 8 bytes;");
    assert_eq!(codes(&with(&narrow(), &[less, wide])), [""; 0]);
    refused(&narrow(), &[deep, wide], "E0307");
}

#[test]
fn addresses_below_a_number() {
    let below = "below 0xc000_0000";
    for end in ["0", "1"] {
        refused(&narrow(), &[(below, &format!("below {end}"))], "E0207");
    }
    refused(&narrow(), &[(below, "below 0xc000_0001")], "E0514");
    refused(&narrow(), &[(below, "low 32 bits")], "E0514");
    // The operand carries each bit of the last address.
    let carried = "address 32 bits { [31:0] va; }";
    let less = "address 32 bits { [31] 0; [30:12] va[30:12]; [11:0] 0; }";
    refused(&narrow(), &[(carried, less)], "E0303");
}

/// A field carries the bits of a top table from its alignment to the end of its addresses.
#[test]
fn top_tables() {
    let page = "page 4 KiB;";
    let root = "[63:48] tag; [47:0] root[47:0];";
    let aligned = "[63:48] tag; [47:14] root[47:14]; [13:0] 0;";
    refused(&narrow(), &[(root, aligned)], "E0303");
    let large = "page 4 KiB; root aligned to 16 KiB;";
    assert_eq!(
        codes(&with(&narrow(), &[(page, large), (root, aligned)])),
        [""; 0]
    );
    // A table that is smaller than a page.
    let small = "page 4 KiB; root aligned to 32;";
    let pages = "[63:48] tag; [47:12] root[47:12]; [11:0] 0;";
    refused(&narrow(), &[(page, small), (root, pages)], "E0303");
    // Below other tables.
    let low = "page 4 KiB; root within 32 bits;";
    let bits = "[63:48] tag; [47:32] 0; [31:0] root[31:0];";
    refused(&narrow(), &[(root, bits)], "E0303");
    assert_eq!(
        codes(&with(&narrow(), &[(page, low), (root, bits)])),
        [""; 0]
    );
    refused(&narrow(), &[(page, low)], "E0303");
    for (statement, expected) in [
        ("root aligned to 24 KiB;", "E0207"),
        ("root aligned to 0;", "E0207"),
        ("root within 0 bits;", "E0207"),
        ("root within 65 bits;", "E0207"),
        ("root aligned to 4 KiB; root aligned to 4 KiB;", "E0204"),
        ("root within 48 bits; root within 48 bits;", "E0204"),
    ] {
        let both = format!("{page} {statement}");
        refused(&narrow(), &[(page, &both)], expected);
    }
}

/// A whole address of a top table has the bits that are stated, or is a whole operand.
#[test]
fn whole_top_tables() {
    let root = "operand root 64 bits { [63:48] tag; [47:0] root[47:0]; }";
    let whole = "operand root 64 bits { [63:48] tag; [47:0] root; }";
    assert_eq!(codes(&with(&narrow(), &[(root, whole)])), [""; 0]);
    for (bits, expected) in [
        (
            "40",
            "E0303 a whole physical address has 40 bits, and its field in `root` 48 bits",
        ),
        (
            "52",
            "E0303 a whole physical address needs 52 bits and gets 48",
        ),
    ] {
        let within = format!("tables within {bits} bits");
        let edits = [(root, whole), ("tables within 48 bits", &within)];
        assert_eq!(findings(&with(&narrow(), &edits)), [expected]);
    }
    let apart = "operand number_alone 32 bits { [31:16] 0; [15:0] tag; } operand root 32 bits { [31:0] root; }";
    let load = "load root \"load.root {root}\"";
    let both = "load root \"load.root {root}, {number_alone}\"";
    for bits in ["32", "30"] {
        let within = format!("tables within {bits} bits");
        let edits = [
            (root, apart),
            (load, both),
            ("tables within 48 bits", &within),
        ];
        assert_eq!(codes(&with(&narrow(), &edits)), [""; 0]);
    }
    let edits = [(root, apart), (load, both)];
    assert_eq!(
        findings(&with(&narrow(), &edits)),
        ["E0303 a whole physical address needs 48 bits and gets 32"]
    );
}

/// Where top tables may be is a requirement on the kernel.
#[test]
fn top_tables_are_required_where_the_facts_say() {
    let facts = (
        "page 4 KiB;",
        "page 4 KiB; root aligned to 16 KiB; root within 48 bits;",
    );
    let arch = good(&with(&narrow(), &[facts]));
    let texts: Vec<&str> = arch.model.setup.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "tables are below 2^48",
            "top tables are below 2^48",
            "top tables are aligned to 16 KiB"
        ]
    );
}

/// An operand in a register is not wider than the register. Findings of one kind and size are reported together.
#[test]
fn operands_wider_than_registers() {
    let sixteen = ("target_arch \"slate\"", "target_arch \"msp430\"");
    assert_eq!(
        findings(&with(&narrow(), &[sixteen])),
        [
            "E0303 `address` has 32 bits, and a register of `msp430` has 16",
            "E0303 `number` has 64 bits, and a register of `msp430` has 16",
        ]
    );
}

/// Where an entry is, in bytes, depends on the size of the entries.
#[test]
fn the_address_of_an_entry() {
    let writer = "    invalidate clear \"clear.entry {at}, {address}\" {
        per \"manual, 4.5\";
        writes entry at pte, pgd: invalid;
        drops leaf, walk of subtree, any tag;
        where cpus;
        at once;
    }
    operand at 64 bits { [63:48] 0; [47:0] entry[47:0]; }
    change { by writers; }";
    for (size, expected) in [("4", "0x20000004"), ("8", "0x20000008")] {
        let text = with(
            &narrow(),
            &[
                ("    change { plain store; }", writer),
                ("entries 4 bytes;", &format!("entries {size} bytes;")),
            ],
        );
        let arch = good(&text);
        let second = Changing {
            kind: Kind::Unmap,
            level: level(&arch.model, "pte"),
            va: 0x1000,
            entries: 1,
            table: 0x2000_0000,
            index: 1,
            space: Space::User,
            reach: Reach::Wide,
            ..Changing::default()
        };
        let config = machine(&arch.model, "").config;
        let made = change_on(&arch, config, 5, second);
        let lines = lines(made.instructions());
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{lines:#?}"
        );
    }
}

/// A function of the platform takes operands of any width.
#[test]
fn functions_take_any_width() {
    let template = "invalidate flush_tag \"flush.tag {number}\"";
    let call = "invalidate flush_tag call flush_tag with number";
    let thirty_two = ("target_arch \"slate\"", "target_arch \"m68k\"");
    let number = "operand number  64 bits { [63:16] 0; [15:0] tag; }";
    let short = "operand number  64 bits { [63:16] 0; [15:0] tag; } operand short 32 bits { [31:16] 0; [15:0] tag; }";
    let edits = [
        thirty_two,
        (template, call),
        (number, short),
        ("{address}, {number}", "{address}, {short}"),
        (
            "operand root 64 bits { [63:48] tag; [47:0] root[47:0]; }",
            "operand root 32 bits { [31:0] root[31:0]; } operand own 32 bits { [31:16] 0; [15:0] tag; }",
        ),
        (
            "load root \"load.root {root}\"",
            "load root \"load.root {root}, {own}\"",
        ),
        ("within 48 bits", "within 32 bits"),
    ];
    assert_eq!(findings(&with(&narrow(), &edits)), [""; 0]);
    let back = edits[1];
    assert_eq!(
        findings(&with(&with(&narrow(), &edits), &[(back.1, back.0)])),
        ["E0303 `number` has 64 bits, and a register of `m68k` has 32"]
    );
}

/// A tag that is the address of a top table differs from its alignment upwards.
#[test]
fn a_tag_that_is_the_root() {
    let tag = "[63:0]  tag;";
    let from = |bit: u32| {
        let field = format!("[63:{bit}] tag[63:{bit}]; [{}:0] 0;", bit - 1);
        S390.replace(tag, &field)
    };
    assert_eq!(S390.matches(tag).count(), 2);
    accepted(&from(12), &[]);
    refused(&from(13), &[], "E0303");
    // A view sets a bit below those in which top tables differ.
    let view = (
        "space user {",
        "space user { view both tag | 0x800, loaded;",
    );
    accepted(S390, &[view]);
    accepted(&from(11), &[view]);
    refused(&from(12), &[view], "E0303");
}

/// Entries of the lowest level point at no table, so an instruction for pointers need not distinguish pages.
#[test]
fn an_address_of_pointers_has_the_bits_from_the_first_table() {
    let with_bits = |low: u32| {
        let upper = format!(
            "    operand upper 64 bits {{ [63:{low}] va[63:{low}]; [{}:0] 1; }}
    invalidate flush_walk \"flush.walk {{upper}}, {{number}}\" {{
        per \"manual, 4.9\";
        drops walk of one page, this tag;
        where cpus;
        needs no lock;
        after complete;
    }}
    invalidate flush_page",
            low - 1
        );
        edited(slate(), "    invalidate flush_page", &upper)
    };
    accepted(&with_bits(12), &[]);
    accepted(&with_bits(21), &[]);
    refused(&with_bits(22), &[], "E0303");
}
