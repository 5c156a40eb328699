//! The checked-in backends: they are up to date and can be used in a kernel.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tlbc::render::{Format, render};
use tlbc_tests::{archdefs, rustc, snapshot, workspace};

/// Returns the generated files by name, with `\n` at the ends of lines.
fn checked_in() -> BTreeMap<String, String> {
    let directory = workspace::root().join("generated/src");
    let entries = std::fs::read_dir(directory).expect("generated/src");
    let files = entries.map(|entry| {
        let entry = entry.expect("an entry");
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        (name, text.replace("\r\n", "\n"))
    });
    files.collect()
}

#[test]
fn generated_files_are_up_to_date() {
    let sources = archdefs::shipped().into_iter().map(|d| (d.path, d.text));
    let compiled = tlbc::compile(sources);
    let errors = render(&compiled.files, &compiled.diagnostics, Format::Human, false);
    assert_eq!(errors, "");
    let outputs = compiled.outputs.into_iter();
    let mut expected: BTreeMap<String, String> = outputs.map(|o| (o.path, o.text)).collect();
    for (name, text) in checked_in() {
        let expected = expected.remove(&name);
        let expected = expected.unwrap_or_else(|| panic!("generated/src/{name} is left over"));
        let difference = expected.lines().zip(text.lines()).position(|(a, b)| a != b);
        let line = difference.unwrap_or_else(|| expected.lines().count().min(text.lines().count()));
        assert!(
            expected == text,
            "generated/src/{name} is out of date from line {}: run `cargo run -p tlbc -- gen`",
            line + 1
        );
    }
    assert!(expected.is_empty(), "missing: {:?}", expected.keys());
}

/// A small definition with its generated module.
#[test]
fn a_small_definition_becomes_this() {
    let source = tlbc::codes::TOY;
    let compiled = tlbc::compile([("toy.arch", source)]);
    assert!(compiled.diagnostics.is_empty());
    let generated = &compiled.outputs[0].text;
    let both = format!("----- SOURCE\n{source}\n----- GENERATED\n{generated}");
    snapshot!("toy", both);
}

/// Two instructions of one loop have the same address.
#[test]
fn instructions_of_a_loop_have_the_same_address() {
    let toy = tlbc::codes::TOY;
    let both = "drops walk of one page, this tag unless hinted;";
    let other = "    invalidate drop_walk \"drop.walk {page}\" {
        per \"Toy manual, 4.6\";
        drops walk of one page, this tag unless hinted;
        where cpus;
        after wait;
    }
    invalidate drop_space";
    let source = toy
        .replace(both, "")
        .replace("    invalidate drop_space", other);
    let compiled = tlbc::compile([("toy.arch", source)]);
    assert_eq!(compiled.diagnostics, []);
    let text = &compiled.outputs[0].text;
    let pass = text.split("fn user_wide_pass(").nth(1).unwrap();
    let (pass, _) = pass.split_once("\n    }\n").unwrap();
    let (_, body) = pass.split_once("for va in pass.addresses() {").unwrap();
    for instruction in ["drop_page", "drop_walk"] {
        let calls = body.split(instruction).skip(1);
        let calls: Vec<&str> = calls.filter_map(|rest| rest.split(')').next()).collect();
        assert!(
            !calls.is_empty() && calls.iter().all(|call| call.contains("va")),
            "{pass}"
        );
    }
}

/// Citations name items of a definition, not lines of its text.
#[test]
fn comments_in_a_definition_change_no_output() {
    for definition in archdefs::shipped() {
        let commented: Vec<String> = (definition.text.lines())
            .map(|line| {
                let ends = line.ends_with(';') || line.ends_with('{');
                let comment = if ends { "\n// One more line.\n" } else { "\n" };
                format!("{line}{comment}")
            })
            .collect();
        let outputs = |text: String| {
            let compiled = tlbc::compile([(definition.path.clone(), text)]);
            assert_eq!(compiled.diagnostics, []);
            compiled.outputs
        };
        let commented = outputs(format!("// At the top.\n{}", commented.concat()));
        assert!(outputs(definition.text) == commented, "{}", definition.path);
    }
}

/// What a reader of a backend sees first: what generated it, from what, for which runtime, and what it depends on.
#[test]
fn a_header_names_versions_and_the_flags_that_are_consulted() {
    let version = env!("CARGO_PKG_VERSION");
    let header = |source: String| {
        let compiled = tlbc::compile([("machine.arch", source)]);
        let text = compiled.outputs[0].text.lines();
        let header = text.take_while(|line| !line.is_empty());
        header.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut shipped = archdefs::shipped().into_iter();
    let source = shipped.find(|d| d.path.ends_with("x86_64.arch")).unwrap();
    let expected = [
        format!("// @generated by tlbc {version} from machine.arch. DO NOT EDIT."),
        "// Regenerate: cargo run -p tlbc -- gen".to_owned(),
        format!("// Needs tlbc-runtime {version}."),
        "// Features consulted: pge, pcid, invpcid, pti, invlpgb, tce, la57.".to_owned(),
        "// Errata consulted: alder_lake_invlpg.".to_owned(),
    ];
    assert_eq!(header(source.text.clone()), expected);
    let compiled = tlbc::compile([("machine.arch", source.text)]);
    let [major, minor, patch] = version.split('.').collect::<Vec<_>>()[..] else {
        panic!("{version}");
    };
    let required = format!("tlbc_runtime::version::supports({major}, {minor}, {patch}),");
    assert!(compiled.outputs[0].text.contains(&required), "{required}");
    // An instruction that is never chosen, and the feature that it requires.
    let toy = tlbc::codes::TOY;
    let dearer = "    feature dearer \"no flush depends on it\";
    invalidate drop_dearly requires dearer \"drop.dearly {space}\" {
        per \"Toy manual, 4.9\";
        drops leaf, walk of everything, this tag;
        where cpus;
        after wait;
        cost 99;
    }
    invalidate drop_space";
    let with = toy.replace("    invalidate drop_space", dearer);
    assert_ne!(with, toy);
    assert_eq!(header(with), header(toy.to_owned()));
}

/// Generated text is written as the formatter would write it.
#[test]
fn the_formatter_leaves_generated_text_alone() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in checked_in() {
        // It would have modules beside it.
        if name == "lib.rs" {
            continue;
        }
        let file = directory.path().join(&name);
        std::fs::write(&file, &text).unwrap();
        let rustfmt = Command::new("rustfmt")
            .args(["--edition", "2024"])
            .arg(&file)
            .output();
        let Ok(output) = rustfmt else {
            return rustc::skipped("there is no rustfmt");
        };
        if !output.status.success() {
            return rustc::skipped(&String::from_utf8_lossy(&output.stderr));
        }
        let formatted = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.lines().zip(formatted.lines());
        let other = lines.position(|(line, formatted)| line != formatted);
        assert!(
            text == formatted,
            "{name}: from line {:?}",
            other.map(|at| at + 1)
        );
    }
}

/// Kernel entries are global on some machines only, and what a CPU holds that comes online may be of any tag.
#[test]
fn routines_name_what_any_machine_must_invalidate() {
    let text = &checked_in()["x86_64.rs"];
    let required = |routine: &str| {
        let (before, _) = text.split_once(&format!("fn {routine}(")).unwrap();
        let (_, required) = before.rsplit_once("/// Must invalidate: ").unwrap();
        required.replace("\n    /// ", " ")
    };
    let any = |kinds| {
        format!("{kinds} entries under the space's tag, other tags or no tag (global), on this CPU")
    };
    let (page, online) = (required("kernel_here_page"), required("invalidate_all"));
    assert!(page.starts_with(&any("leaf")), "{page}");
    assert!(
        page.contains("; walk entries under the space's tag or other tags, on"),
        "{page}"
    );
    assert!(online.starts_with(&any("leaf and walk")), "{online}");
}

#[test]
fn branches_of_backends_are_not_empty() {
    for (name, text) in checked_in() {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let opens = line.ends_with('{') && (line.contains("if ") || line.contains("else"));
            let mut body = lines[number + 1..].iter();
            let first = body.find(|line| !line.starts_with("//"));
            let is_empty = opens && first.is_some_and(|line| line.starts_with('}'));
            assert!(!is_empty, "generated/src/{name}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn sources_are_compiled_alike_in_any_order() {
    let sources = || archdefs::shipped().into_iter().map(|d| (d.path, d.text));
    let forwards = tlbc::compile(sources());
    let backwards = tlbc::compile(sources().rev());
    assert_eq!(forwards.outputs, backwards.outputs);
}

/// Runs cargo on a package in its own target directory; returns its messages.
fn cargo(arguments: &[&str], package: &str) -> Result<(), String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--quiet", "--package", package])
        .current_dir(workspace::root())
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", "-Dwarnings")
        .output();
    let output = output.expect("cargo runs");
    let errors = || String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(errors)
}

#[test]
fn libraries_for_kernels_build_without_warnings() {
    for package in ["tlbc-runtime", "tlbc-backends"] {
        let built = cargo(&["build", "--release"], package);
        built.unwrap_or_else(|errors| panic!("{package}:\n{errors}"));
    }
}

#[test]
fn libraries_for_kernels_have_no_lints() {
    for package in ["tlbc-runtime", "tlbc-backends"] {
        let linted = cargo(&["clippy"], package);
        linted.unwrap_or_else(|errors| panic!("{package}:\n{errors}"));
    }
}

#[test]
fn only_the_crate_itself_has_inner_attributes() {
    for (name, text) in checked_in() {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let inner = |line: &&str| line.trim_start().starts_with("#![");
        let inner: Vec<&str> = text.lines().filter(inner).collect();
        if name == tlbc::compile::LIB {
            assert_eq!(inner, ["#![no_std]"]);
        } else {
            // An inner doc comment is an attribute, too: a module with one cannot be included.
            assert!(inner.is_empty() && file.attrs.is_empty(), "{name}");
        }
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut files = checked_in();
    for definition in archdefs::shipped() {
        let name = format!("{}.rs", definition.analysis().1.model.arch.name);
        let text = files.remove(&name).expect("a generated module");
        let mut blocks = 0;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let is_code = !line.starts_with("//");
            if !is_code
                || !line
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|w| w == "unsafe")
            {
                continue;
            }
            let above = lines[..at].iter().rev();
            if line.contains("unsafe fn") {
                let mut docs = above.take_while(|line| line.starts_with(['/', '#']));
                let asks = docs.any(|line| *line == "/// # Safety");
                assert!(asks, "{name}:{}: what does it ask of its caller?", at + 1);
                continue;
            }
            blocks += 1;
            let comment: Vec<_> = above.take_while(|line| line.starts_with("//")).collect();
            let reason = comment
                .last()
                .and_then(|first| first.strip_prefix("// SAFETY: "));
            assert!(reason.is_some_and(|it| !it.is_empty()), "{name}:{}", at + 1);
        }
        assert_eq!(blocks, 1, "{name}: what issues instructions, and no more");
    }
    let others: Vec<String> = files.into_keys().collect();
    assert_eq!(others, [tlbc::compile::LIB]);
}

/// The fact is true for the machine that the runtime runs on, so a backend on another machine must not rely on it.
#[test]
fn atomics_order_everything_on_the_machine_itself() {
    use tlbc_runtime::Backend;
    macro_rules! facts {
        ($($arch:ident { $($limit:ident)* })*) => {
            [$(<tlbc_backends::$arch::Tlb>::FACTS),*]
        };
    }
    for facts in tlbc_tests::for_each_architecture!([facts]) {
        let model = &archdefs::analysis(facts.name).model;
        let of_this_machine = model.target_arch.value == std::env::consts::ARCH;
        assert_eq!(
            facts.atomics_order_everything,
            of_this_machine && model.atomics_order.is_some(),
            "{}",
            facts.name
        );
    }
}
