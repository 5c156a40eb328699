//! An instruction that writes an entry is given the entry and its new value.

use super::{S390, X86_64, accepted, refused, slate, with};

#[test]
fn writers_that_are_not_given_the_entry() {
    for (field, instead) in [
        // Of which level the entry is.
        ("[3:0]   level as pmd 0, pud 4, p4d 8, pgd 12;", "[3:0] 0;"),
        (
            "[4:0]   level as pte 0, pmd 0x10, pud 0x14, p4d 0x18, pgd 0x1c;",
            "[4:0] 0;",
        ),
        // Where it is.
        ("[63:3]  entry[63:3];", "[63:3] 0;"),
        // What it becomes.
        ("[63:0]  new;", "[63:0] 0;"),
        ("[63:0]  new;", "[63:0] old;"),
    ] {
        refused(S390, &[(field, instead)], "E0306");
    }
    // An instruction that drops nothing is given the table, too.
    let rdp = S390
        .replace(
            "\"rdp {table}, {page}, %r0, 0\"",
            "\"rdp {asce}, {page}, %r0, 0\"",
        )
        .replace(
            "rrf,0xb98b0000,{table},{page},%r0,0",
            "rrf,0xb98b0000,{asce},{page},%r0,0",
        );
    refused(&rdp, &[], "E0306");
}

#[test]
fn operands_in_one_register() {
    let old = "operand new_in_r3 64 bits in r3";
    refused(S390, &[(old, "operand new_in_r3 64 bits in r2")], "E0410");
    refused(
        X86_64,
        &[("edx 32 bits in edx", "edx 32 bits in ecx")],
        "E0410",
    );
}

/// Names of one register, as Rust has them.
#[test]
fn operands_in_one_register_under_two_names() {
    let edx = "edx 32 bits in edx";
    for name in ["rcx", "cx", "cl", "rax", "ax", "al"] {
        let other = format!("edx 32 bits in {name}");
        refused(X86_64, &[(edx, &other)], "E0410");
    }
    accepted(X86_64, &[(edx, "edx 32 bits in rdx")]);
    let r3 = "operand new_in_r3 64 bits in r3";
    for (target, name, expected) in [
        ("aarch64", "w2", None),
        ("riscv64", "x2", None),
        ("bpf", "w2", Some("E0410")),
        ("sparc64", "g2", Some("E0410")),
        ("arm", "a3", Some("E0303 E0410")), // and operands wider than registers
    ] {
        let target = format!("target_arch \"{target}\"");
        let other = r3.replace("in r3", &format!("in {name}"));
        let edits = [("target_arch \"s390x\"", target.as_str()), (r3, &other)];
        match expected {
            Some(code) => refused(S390, &edits, code),
            None => accepted(S390, &edits),
        }
    }
}

/// Rust itself says which names are of one register, where the target is the one of this compiler.
#[test]
#[cfg(target_arch = "x86_64")]
fn names_of_one_register_are_rusts() {
    let table = include_str!("../../../compiler/registers.txt");
    let mut lines = table.lines().filter(|line| line.starts_with("x86_64 "));
    let families: Vec<Vec<&str>> = (lines.by_ref())
        .map(|line| line.split_whitespace().skip(1).collect())
        .collect();
    assert!(families.len() > 10);
    let names: Vec<&str> = families.iter().flatten().copied().collect();
    let mut source = "pub unsafe fn all() {\n".to_owned();
    for (index, a) in names.iter().enumerate() {
        for b in &names[..index] {
            source += &format!(
                "unsafe {{ core::arch::asm!(\"/* {a} {b} */\", out(\"{a}\") _, out(\"{b}\") _) }}\n"
            );
        }
    }
    source += "}\n";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("names.rs");
    std::fs::write(&path, &source).expect("a file");
    let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
        ])
        .args(["--error-format", "short", "--out-dir"])
        .arg(directory.path())
        .arg(&path)
        .output()
        .expect("rustc");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    // `path:LINE:COLUMN: error: register ... conflicts with register ...`
    let conflicts = said
        .lines()
        .filter(|line| line.contains("conflicts with register"));
    let mut found: Vec<usize> = conflicts
        .filter_map(|line| line.split(".rs:").nth(1)?.split(':').next()?.parse().ok())
        .collect();
    found.sort_unstable();
    let (mut line, mut expected) = (1, Vec::new());
    for (index, a) in names.iter().enumerate() {
        for b in &names[..index] {
            line += 1;
            let of_one = |family: &&Vec<&str>| family.contains(a) && family.contains(b);
            expected.extend(families.iter().find(of_one).map(|_| line));
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn what_compares_the_entry_is_given_the_old_one() {
    let all = "writes entry at pte, pmd, pud, p4d, pgd: replaced if old;";
    assert_eq!(S390.matches(all).count(), 2);
    let unsaid = S390.replace(all, &all.replace(" if old", ""));
    refused(&unsaid, &[], "E0313");
    refused(S390, &[("[63:0]  old;", "[63:0]  0;")], "E0306");
    // One that is given no old entry cannot compare.
    let rdp = S390.replacen(": more rights;", ": more rights if old;", 1);
    refused(&rdp, &[], "E0306");
    let ipte = S390.replacen(": invalid;", ": invalid if old;", 1);
    refused(&ipte, &[], "E0306");
}

/// An entry is written once: an instruction that compares a tag would drop the entries of one view.
#[test]
fn writers_that_compare_the_tag_of_one_of_two_views() {
    let views = (
        "resync nothing; }",
        "resync nothing; view kernel tag, loaded; view user tag | 1 << 15; }",
    );
    let return_to_user = (
        "    cpu_online",
        "    return_to_user { loads root in user; }\n    cpu_online",
    );
    let values = ("values 1..65535", "values 1..32767");
    // All that the kernel has is global.
    let kernel = ("walk under every tag;", "walk global;");
    let numbered = ("{at}, {address}\"", "{at}, {address}, {number}\"");
    let one = |drops: &str| with(&cleared(drops), &[kernel, numbered]);
    let two = |drops: &str| with(&one(drops), &[views, return_to_user, values]);
    let by_tag = "leaf, walk of subtree, this tag or global";
    accepted(&one(by_tag), &[]);
    refused(&two(by_tag), &[], "E0505");
    accepted(
        &two("leaf, walk of subtree, this or other tag or global"),
        &[],
    );
}

/// A machine on which entries change by one instruction, which drops this.
fn cleared(drops: &str) -> String {
    let change = format!(
        "operand at 64 bits {{ [63:0] entry; }}
    invalidate clear \"clear.entry {{at}}, {{address}}\" {{
        per \"manual, 4.5\";
        writes entry at pte, pmd, pgd: invalid;
        drops {drops};
        where cpus;
        at once;
    }}
    change {{ by writers; }}"
    );
    with(slate(), &[("change { plain store; }", &change)])
}

#[test]
fn what_is_below_an_entry_that_is_not_at_hand() {
    let flushes = (
        "drops leaf of one page, this tag or global;",
        "drops leaf, walk of subtree, this tag or global;",
    );
    refused(slate(), &[flushes], "E0409");
    let form = (
        "form tag        = 1 requires pcid { drops leaf, walk of everything, this tag; }",
        "form tag        = 1 requires pcid { drops leaf, walk of subtree, this tag; }",
    );
    refused(X86_64, &[form], "E0409");
    let load = (
        "load root \"load.root {root}\" { per \"manual, 3.1\"; }",
        "load root \"load.root {root}\" { per \"manual, 3.1\"; drops leaf of subtree, this tag; }",
    );
    refused(slate(), &[load], "E0409");
}

#[test]
fn what_is_below_a_changed_entry_is_invalidated_as_well() {
    accepted(&cleared("leaf, walk of subtree, any tag"), &[]);
    accepted(&cleared("leaf, walk of everything, any tag"), &[]);
    accepted(
        &cleared(
            "leaf of one page, any tag; drops walk of everything, any tag; drops leaf of subtree, any tag",
        ),
        &[],
    );
    for drops in [
        "leaf, walk of one page, any tag",
        "leaf of one page, any tag; drops walk of subtree, any tag",
        "leaf of subtree, any tag; drops walk of one page, any tag",
    ] {
        refused(&cleared(drops), &[], "E0505");
    }
    // Each level is served by others where one instruction of several does not drop what is below.
    for invalidate in ["idte", "idte_local", "crdte"] {
        let (before, rest) = S390
            .split_once(&format!("invalidate {invalidate} "))
            .expect("an instruction");
        let rest = rest.replacen("of subtree", "of one page", 1);
        let text = format!("{before}invalidate {invalidate} {rest}");
        let expected = if invalidate == "idte" {
            "E0505"
        } else {
            "W0201"
        };
        refused(&text, &[], expected);
    }
}

#[test]
fn entries_under_other_tags_than_those_dropped() {
    let numbered = |whose: &str| {
        let of_tag = ("{at}, {address}\"", "{at}, {address}, {number}\"");
        with(
            &cleared(&format!("leaf, walk of subtree, {whose}")),
            &[of_tag],
        )
    };
    // Leaf entries of the kernel are global, and its walk entries are under every tag.
    for whose in ["this tag", "this tag or global", "this or other tag"] {
        refused(&numbered(whose), &[], "E0505");
    }
    accepted(&numbered("any tag"), &[]);
}

#[test]
fn runs_of_other_entries_than_those_written() {
    let whole = "{more}, 0\" requires ipte_range {";
    let (before, rest) = S390.split_once(whole).expect("an instruction");
    for counted in ["entries at pmd", "pages"] {
        let rest = rest.replacen("entries at pte", counted, 1);
        let text = format!("{before}{whole}{rest}");
        let operand = ("names num + 1 entries;", "names num + 1 pages;");
        let local = "run of 1..256 entries at pte";
        let edits: &[(&str, &str)] = if counted == "pages" {
            &[operand, (local, "run of 1..256 pages")]
        } else {
            &[]
        };
        refused(&text, edits, "E0408");
    }
}

#[test]
fn writers_that_serve_no_change() {
    let part = |invalidate: &str, old: &str, new: &str| {
        let (before, rest) = S390
            .split_once(&format!("invalidate {invalidate} "))
            .expect("an instruction");
        format!(
            "{before}invalidate {invalidate} {}",
            rest.replacen(old, new, 1)
        )
    };
    for (invalidate, old, new) in [
        ("ipte_local", "drops leaf", "drops walk"),
        // Of some of its levels.
        ("crdte", "drops leaf, walk", "drops leaf at pte, walk"),
        (
            "crdte",
            "drops leaf, walk of subtree",
            "drops leaf, walk of one page",
        ),
    ] {
        refused(&part(invalidate, old, new), &[], "W0201");
    }
    let fewest = part("ipte_run", "run of 1..256", "run of 2..256");
    refused(&fewest, &[], "E0308");
}
