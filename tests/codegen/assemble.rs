//! Every instruction that a backend can issue is assembled for its processor.
//!
//! The compiler has the assemblers of all its targets, whether a target is installed or not: a
//! crate without `core` needs none. The `asm!` of each instruction is taken out of the generated
//! files unchanged.

use std::collections::BTreeMap;
use tlbc_tests::archdefs;
use tlbc_tests::elf;
use tlbc_tests::encodings::{Covers, Encodings};
use tlbc_tests::instructions::{self, Instruction};
use tlbc_tests::rustc;

/// The parts of `core` that `asm!` with operands needs.
const CORE: &str = r#"#![feature(no_core, lang_items, rustc_attrs, auto_traits)]
#![allow(internal_features, improper_ctypes_definitions)]
#![no_core]
#![crate_type = "lib"]
#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
#[lang = "freeze"]
pub unsafe auto trait Freeze {}
impl Copy for u16 {}
impl Copy for u32 {}
impl Copy for u64 {}
impl<T: PointeeSized> Copy for *const T {}
#[rustc_builtin_macro]
macro_rules! asm {
    () => {};
}
"#;

/// A function that issues one instruction, its operands being its parameters: first those in a
/// register of their own, which is that of the parameter where calls use the same ones.
fn function(
    Instruction {
        name,
        operands,
        asm,
    }: &Instruction,
) -> String {
    let mut operands: Vec<_> = operands.iter().collect();
    operands.sort_by_key(|(name, _)| !asm.contains(&format!("\") {name}")));
    let parameters = operands.iter().map(|(name, ty)| format!("{name}: {ty}"));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    format!(
        "#[unsafe(no_mangle)]\npub extern \"C\" fn {name}({parameters}) {{\n    unsafe {{ {asm} }}\n}}\n"
    )
}

/// Returns the machine code of each function, by name.
fn assemble(target: &str, functions: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("ops.rs");
    let source = rustc::write(&source, &format!("{CORE}{functions}"));
    let object = directory.path().join("ops.o");
    let mut command = rustc::with_unstable(rustc::rustc());
    command.args(["--edition", "2024", "--emit", "obj", "-Copt-level=3"]);
    // Instructions with the same encoding are distinguished by their operands alone.
    command.args(["-Zmerge-functions=disabled"]);
    command.args(["-Ccodegen-units=1", "--target", target, "-o"]);
    rustc::run(command.arg(&object).arg(source))?;
    Ok(elf::functions(&std::fs::read(object).expect("an object")))
}

/// Returns whether this compiler can assemble for other targets; prints why not.
fn is_assembler(target: &str) -> bool {
    let tried = assemble(
        target,
        "#[unsafe(no_mangle)]\npub extern \"C\" fn nop() {}\n",
    );
    match tried {
        Ok(functions) => {
            assert!(functions.contains_key("nop"), "{functions:?}");
            true
        }
        Err(error) => {
            rustc::skipped(&format!(
                "the compiler cannot compile for {target} without `core`:\n{error}"
            ));
            false
        }
    }
}

/// The instructions of an architecture, with their machine code.
struct Assembled {
    arch: &'static str,
    encodings: Encodings,
    code: BTreeMap<String, Vec<u8>>,
}

/// Returns the architectures that can be assembled.
fn assembled() -> impl Iterator<Item = Assembled> {
    archdefs::names().filter_map(|arch| {
        let encodings = Encodings::of(arch);
        if !is_assembler(&encodings.target) {
            return None;
        }
        let instructions = instructions::module(arch).instructions();
        let functions: String = instructions.iter().map(function).collect();
        let code = assemble(&encodings.target, &functions);
        let code = code.unwrap_or_else(|error| panic!("{error}"));
        for Instruction { name, asm, .. } in &instructions {
            let code = code
                .get(name)
                .unwrap_or_else(|| panic!("no code for {asm}"));
            assert!(code.len() > 1, "{asm} is no instruction: {code:x?}");
        }
        assert_eq!(code.len(), instructions.len());
        Some(Assembled {
            arch,
            encodings,
            code,
        })
    })
}

#[test]
fn every_instruction_assembles() {
    for it in assembled() {
        assert!(!it.code.is_empty(), "{} issues nothing", it.arch);
    }
}

#[test]
fn what_is_no_instruction_does_not_assemble() {
    for arch in archdefs::names() {
        let target = Encodings::of(arch).target;
        if !is_assembler(&target) {
            continue;
        }
        let mut instruction = instructions::module(arch).instructions().swap_remove(0);
        let asm = instruction.asm.clone();
        instruction.asm = asm.replacen("asm ! (\"", "asm ! (\"frobnicate ", 1);
        assert_ne!(instruction.asm, asm, "the template is elsewhere");
        let error = assemble(&target, &function(&instruction)).expect_err(&instruction.asm);
        assert!(error.contains("frobnicate"), "{error}");
    }
}

/// Returns whether digits contain a pattern at a byte boundary; a dot matches any digit.
fn has(digits: &str, pattern: &str) -> bool {
    let same = |window: &[u8]| {
        let mut pairs = window.iter().zip(pattern.bytes());
        pairs.all(|(digit, wanted)| wanted == b'.' || *digit == wanted)
    };
    let mut windows = digits.as_bytes().windows(pattern.len()).step_by(2);
    windows.any(same)
}

#[test]
fn patterns_are_found_at_whole_bytes() {
    assert!(has("00b98f1024", "b98f.024"));
    assert!(!has("0b98f10240", "b98f.024"));
    assert!(!has("b98f1023", "b98f.024"));
}

#[test]
fn machine_code_is_that_of_the_manuals() {
    for it in assembled() {
        let Assembled {
            arch,
            encodings,
            code,
        } = it;
        let file = format!("archdefs/{arch}/encodings.txt");
        let missing = code
            .keys()
            .filter(|name| !encodings.code.contains_key(*name));
        let missing: Vec<&String> = missing.collect();
        assert!(missing.is_empty(), "{file} has no code of {missing:?}");
        for (name, expected) in encodings.code {
            let code = code.get(&name);
            let code = code.unwrap_or_else(|| panic!("{file}: `{name}` is never issued"));
            let digits = code.iter().map(|b| format!("{b:02x}"));
            let digits = digits.collect::<Vec<_>>().concat();
            assert!(
                has(&digits, &expected),
                "{file}: {name}: {digits} has no {expected}"
            );
            // Where the compiler chooses registers there are moves around it.
            if let Covers::Functions(epilogue) = &encodings.covers
                && !expected.contains('.')
            {
                let whole = expected + epilogue;
                // What follows a function of powerpc64, for debuggers, is zeros.
                let rest = digits.strip_prefix(&whole);
                let nothing = rest.is_some_and(|rest| rest.bytes().all(|b| b == b'0'));
                assert!(nothing, "{file}: {name}: {digits}, not {whole}");
            }
        }
    }
}
