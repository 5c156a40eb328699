//! What is accepted becomes Rust that compiles without a warning.

use std::path::PathBuf;
use std::process::Command;

use super::{edited, slate, with};

/// Returns the runtime that this test is linked with, and others of that name: the newest first.
fn runtimes() -> Vec<PathBuf> {
    let deps = std::env::current_exe().expect("a path");
    let deps = deps.parent().expect("a directory");
    let entries = std::fs::read_dir(deps).expect("a directory");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_runtime = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        name.starts_with("libtlbc_runtime-") && path.extension().is_some_and(|it| it == "rlib")
    };
    let mut found: Vec<PathBuf> = paths.filter(is_runtime).collect();
    let age = |path: &PathBuf| path.metadata().and_then(|it| it.modified()).ok();
    found.sort_by_key(|path| std::cmp::Reverse(age(path)));
    found
}

/// Compiles the module of a definition, and returns the output of rustc.
fn compiled(text: &str) -> Result<(), String> {
    let compiled = tlbc::compile([("slate.arch", text)]);
    assert!(
        compiled.diagnostics.is_empty(),
        "{:#?}",
        compiled.diagnostics
    );
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("slate.rs");
    let module = format!("#![no_std]\n{}", compiled.outputs[0].text);
    std::fs::write(&source, module).expect("a file");
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let mut last = "no runtime is built".to_owned();
    for runtime in runtimes() {
        let mut command = Command::new(&rustc);
        command
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
            ])
            .args(["-D", "warnings", "-A", "unexpected_cfgs"])
            .arg("--extern")
            .arg(format!("tlbc_runtime={}", runtime.display()))
            .arg("-L")
            .arg(runtime.parent().expect("a directory"))
            .arg("--out-dir")
            .arg(directory.path())
            .arg(&source);
        let output = command.output().expect("rustc");
        if output.status.success() {
            return Ok(());
        }
        last = String::from_utf8_lossy(&output.stderr).into_owned();
        // A runtime of another build of the compiler, or with other settings, is skipped.
        if !["E0514", "E0460", "E0463"]
            .iter()
            .any(|code| last.contains(code))
        {
            break;
        }
    }
    Err(last)
}

#[track_caller]
fn compiles(edits: &[(&str, &str)]) {
    compiled(&with(slate(), edits)).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn operands_of_32_bits() {
    compiles(&[
        (
            "operand address 64 bits { [63:0] va; }",
            "operand address 32 bits { [31:12] va[31:12]; [11:0] 0; }",
        ),
        ("    tables", "    entries 4 bytes;\n    tables"),
        (
            "levels { pte 12 leaf; pmd 21 leaf; pgd 30; }",
            "levels { pte 12 leaf; pgd 21; }",
        ),
        ("low 38 bits", "low 30 bits"),
        ("high 38 bits", "from 0x8000_0000, 30 bits"),
    ]);
    compiles(&[
        (
            "operand address 64 bits { [63:0] va; }",
            "operand address 32 bits { [31:20] 0; [19:0] va >> page; }",
        ),
        ("    tables", "    entries 8 bytes;\n    tables"),
        (
            "levels { pte 12 leaf; pmd 21 leaf; pgd 30; }",
            "levels { pte 12 leaf; pgd 21; }",
        ),
        ("low 38 bits", "low 30 bits"),
        ("high 38 bits", "from 0x8000_0000, 30 bits"),
    ]);
}

#[test]
fn machines_without_tags() {
    let text = slate()
        .replace(
            "tag asid { 16 bits; of machine; values 1..65535; from generations; }",
            "",
        )
        .replace("under asid", "under every tag")
        .replace("{address}, {number}", "{address}")
        .replace("operand number  64 bits { [63:16] 0; [15:0] tag; }", "")
        .replace("this tag or global", "any tag")
        .replace("[63:48] tag;", "[63:48] 0;")
        .replace(
            "per \"manual, 3.1\";",
            "per \"manual, 3.1\"; drops leaf, walk of everything, any tag;",
        );
    let (before, rest) = text
        .split_once("    invalidate flush_tag")
        .expect("it is there");
    let (_, after) = rest.split_once("    }\n").expect("its end");
    compiled(&format!("{before}{after}")).unwrap_or_else(|errors| panic!("{errors}"));
}

/// A machine with several page sizes, and a register that takes their number.
fn sizes(names: &[&str], fields: &str) -> String {
    let geometry = "geometry base {";
    let more = names.iter().map(|name| {
        format!("geometry {name} {{ page 4 KiB; levels {{ pte 12 leaf; pmd 21; pgd 30; }} }}\n    ")
    });
    let more: String = more.collect();
    let text = edited(slate(), geometry, &format!("{more}{geometry}"));
    edited(&text, "[63:48] tag;", &format!("{fields} [55:48] tag;"))
        .replace(
            "16 bits; of machine; values 1..65535",
            "8 bits; of machine; values 1..255",
        )
        .replace("[63:16] 0; [15:0] tag", "[63:8] 0; [7:0] tag")
}

#[test]
fn conditions_on_the_first_page_size() {
    for fields in [
        "[63:56] 1 when other; [63:56] 2 when base;",
        "[63:56] 1 when not other; [63:56] 2 when not base;",
        "[63:56] 1 unless other; [63:56] 2 when other;",
    ] {
        compiled(&sizes(&["other"], fields)).unwrap_or_else(|errors| panic!("{fields} {errors}"));
    }
    let three = "[63:56] 1 when other; [63:56] 2 when base; [63:56] 3 when third;";
    compiled(&sizes(&["other", "third"], three)).unwrap_or_else(|errors| panic!("{errors}"));
    let not = "[63:60] 1 unless other; [59:56] 2 when other;";
    compiled(&sizes(&["other", "third"], not)).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn writers_that_only_invalidate() {
    for done in ["at once", "after complete"] {
        compiled(&writer(done)).unwrap_or_else(|errors| panic!("{done} {errors}"));
    }
}

/// Entries become invalid by an instruction.
fn writer(done: &str) -> String {
    let change = format!(
        "    operand at 64 bits {{ [63:0] entry; }}
    invalidate clear \"clear.entry {{at}}, {{address}}, {{number}}\" {{
        per \"manual, 4.5\";
        writes entry at pte, pmd, pgd: invalid;
        drops leaf, walk of subtree, any tag;
        where cpus;
        {done};
    }}
    change {{ by writers; }}"
    );
    edited(slate(), "    change { plain store; }", &change)
}
