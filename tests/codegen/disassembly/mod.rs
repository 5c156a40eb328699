//! The machine code of backends: as short as hand-written code, and without anything that a kernel cannot use.
//!
//! The libraries and a small kernel are compiled for the real targets, and the assembly is read.

mod by_hand;
mod compile;
mod kernels;

use std::path::{Path, PathBuf};

use by_hand::mnemonics;
use compile::{Backend, Functions, all_functions, kernel};
use tlbc_tests::archdefs;
use tlbc_tests::bare_metal::{self, Emit, Target};
use tlbc_tests::encodings::Encodings;
use tlbc_tests::linker;
use tlbc_tests::listing::{self, StackUse, reachable};
use tlbc_tests::rustc;

/// The compiler options of kernels.
const OPT_LEVELS: [&str; 3] = ["1", "s", "3"];

/// The functions of a backend that a kernel calls.
const ENTRIES: [&str; 3] = ["any_flush", "any_handle", "any_event"];

/// Returns the calls that end in a panic, of all functions that some functions reach.
fn panics<'a>(all: &'a Functions, from: impl IntoIterator<Item = &'a str>) -> String {
    let mut calls = String::new();
    for (name, function) in reachable(all, from) {
        for line in &function.instructions {
            if ["panic", "_fail", "unwrap_failed"]
                .iter()
                .any(|word| line.contains(word))
            {
                calls += &format!("{name}: {line}\n");
            }
        }
    }
    calls
}

/// Calls a function with the compiler for the bare target of an architecture, or prints why it cannot.
fn on_bare_metal(arch: &str, test: impl FnOnce(&Backend)) {
    match bare_metal::find(&Encodings::of(arch).target) {
        Ok(target) => test(&backend(arch, target)),
        Err(reason) => rustc::skipped(&reason),
    }
}

/// Does the same, but also accepts the hosted target of this machine.
fn on_any(arch: &str, test: impl FnOnce(&Backend)) {
    let bare = bare_metal::find(&Encodings::of(arch).target);
    let target_arch = &archdefs::analysis(arch).model.target_arch.value;
    match bare.or_else(|bare| bare_metal::find_hosted(target_arch).map_err(|_| bare)) {
        Ok(target) => test(&backend(arch, target)),
        Err(reason) => rustc::skipped(&reason),
    }
}

/// Returns the backend of an architecture with a compiler.
fn backend(arch: &str, target: Target) -> Backend {
    Backend {
        arch: arch.to_owned(),
        target,
    }
}

/// Defines the tests of each architecture.
macro_rules! of_each_architecture {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        mod $arch {
            const ARCH: &str = stringify!($arch);

            #[test]
            fn nothing_panics() {
                super::nothing_panics(ARCH);
            }

            #[test]
            fn a_kernel_without_panics_links() {
                super::a_kernel_without_panics_links(ARCH);
            }

            #[test]
            fn stacks_are_small() {
                super::stacks_are_small(ARCH);
            }

            #[test]
            fn no_floating_point_and_no_vectors() {
                super::no_floating_point_and_no_vectors(ARCH);
            }
        }
    )* };
}

tlbc_tests::for_each_architecture!([of_each_architecture]);

fn nothing_panics(arch: &str) {
    let text = kernels::flushes(arch);
    on_any(arch, |backend| {
        for opt_level in OPT_LEVELS {
            let all = all_functions(backend, opt_level, &text, Emit::Listing);
            assert_eq!(panics(&all, ENTRIES), "", "{arch} at opt-level {opt_level}");
        }
        let panicking = text.replace(
            "tlb.handle(&mut cpu(), request)",
            "[tlb.handle(&mut cpu(), request)][request.tag.value as usize]",
        );
        let panicking = kernel(backend, "3", &panicking, Emit::Listing);
        let found = panics(&panicking.functions, ENTRIES);
        assert!(found.contains("panic_bounds_check"), "{found}");
    });
}

/// Returns the functions of a whole kernel that call the runtime.
fn entries(kernel: &str) -> Vec<&str> {
    let named = kernel.split("pub fn ").skip(1);
    let entries = named.filter_map(|rest| Some(rest.split_once('(')?.0));
    let entries: Vec<&str> = entries.filter(|name| name.starts_with("kernel_")).collect();
    assert!(!entries.is_empty(), "nothing is called");
    entries
}

/// Links a whole kernel, or reports undefined symbols and the calls that end in a panic.
fn link_whole(
    linker: &Path,
    backend: &Backend,
    (opt_level, text, emit): (&str, &str, Emit),
) -> Result<(), String> {
    let kernel = kernel(backend, opt_level, text, emit);
    let directory = tempfile::tempdir().expect("a directory");
    let object = directory.path().join("kernel.o");
    std::fs::write(&object, &kernel.object).expect("an object");
    let objects = compile::objects(backend, opt_level);
    let objects: Vec<PathBuf> = objects.into_iter().chain([object]).collect();
    let entries = entries(text);
    let image = directory.path().join("image");
    linker::link(linker, &objects, &entries, &image).map_err(|error| {
        let all = all_functions(backend, opt_level, text, Emit::Listing);
        error + &panics(&all, entries)
    })
}

/// A kernel that calls the runtime and a backend links without a panic handler.
fn a_kernel_without_panics_links(arch: &str) {
    let linker = match linker::find() {
        Ok(linker) => linker,
        Err(reason) => return rustc::skipped(&reason),
    };
    on_bare_metal(arch, |backend| {
        let kernel = kernels::whole(arch);
        // The stack is measured of the first.
        for (opt_level, emit) in [("2", Emit::ListingAndObject), ("s", Emit::Object)] {
            if let Err(error) = link_whole(&linker, backend, (opt_level, &kernel, emit)) {
                panic!("{arch} at opt-level {opt_level}: {error}");
            }
        }
        // One that may panic does not link, at the end of a gather, which is the end of a flush.
        let panicking = kernel.replace(
            "pages.for_each(|page| SENT.store(page.number, Relaxed));",
            "pages.for_each(|page| SENT.store([1; 2][page.number as usize], Relaxed));",
        );
        assert_ne!(panicking, kernel);
        let panicking = ("s", panicking.as_str(), Emit::Object);
        let error = link_whole(&linker, backend, panicking).unwrap_err();
        // Where `core` was compiled here its functions are in the kernel, otherwise they are missing as well.
        let missing = ["rust_begin_unwind", "core::panicking::panic_bounds_check"];
        assert!(missing.iter().any(|it| error.contains(it)), "{error}");
    });
}

/// The largest stack use of any function of the runtime, with the frame of its caller and the requests of other CPUs that it
/// handles while it waits; and the largest stack use of an interrupt handler.
fn stacks_are_small(arch: &str) {
    on_bare_metal(arch, |backend| {
        let kernel = kernels::whole(arch);
        let all = all_functions(backend, "2", &kernel, Emit::ListingAndObject);
        let stack = StackUse::new(&all);
        let of = |entry| stack.deepest(entry);
        let handler = of("kernel_interrupted");
        let most = entries(&kernel).into_iter().map(of).max();
        let most = most.expect("a kernel calls something");
        println!("{arch}: {} bytes of stack, a handler {}", most.0, handler.0);
        assert!((1024..4608).contains(&most.0), "{arch}: {most:?}");
        assert!((512..2560).contains(&handler.0), "{arch}: {handler:?}");
    });
}

/// Returns whether an instruction names a floating-point or vector register: one of these prefixes, and a number.
fn uses_vectors(prefixes: &[String], instruction: &str) -> bool {
    let Some((_, operands)) = instruction.split_once(' ') else {
        return false;
    };
    let words = operands.split(|c: char| !c.is_ascii_alphanumeric());
    let numbered = |word: &str| {
        let number = prefixes
            .iter()
            .find_map(|prefix| word.strip_prefix(prefix.as_str()));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    words.into_iter().any(numbered)
}

#[test]
fn vector_registers_are_recognised() {
    let uses = |arch, instruction| {
        let vectors = Encodings::of(arch).vectors.expect("their names");
        uses_vectors(&vectors, instruction)
    };
    assert!(uses("arm64", "stp q0, q1, [x0]"));
    assert!(uses("arm64", "movi v0.2d, #0000000000000000"));
    assert!(!uses("arm64", "ldr x0, [sp, #16]"));
    assert!(!uses("arm64", "dsb ish"));
    assert!(uses("s390", "vst %v0, 160(%r15)"));
    assert!(uses("s390", "std %f8, 160(%r15)"));
    assert!(!uses("s390", "lctlg %c1, %c1, 160(%r15)"));
    assert!(uses("x86_64", "movups %xmm0, (%rdi)"));
    assert!(!uses("x86_64", "movq %rax, (%rdi)"));
}

/// Kernels compile the runtime for a target with soft floats. Generated code uses no vector registers on any target.
fn no_floating_point_and_no_vectors(arch: &str) {
    let Some(vectors) = Encodings::of(arch).vectors else {
        return; // the assembler names registers of every kind alike
    };
    let mut found = String::new();
    on_bare_metal(arch, |backend| {
        for opt_level in OPT_LEVELS {
            let text = kernels::flushes(arch);
            let kernel = kernel(backend, opt_level, &text, Emit::Listing);
            for (name, function) in reachable(&kernel.functions, ENTRIES) {
                for line in &function.instructions {
                    if uses_vectors(&vectors, line) {
                        found += &format!("opt-level {opt_level}, {name}: {line}\n");
                    }
                }
            }
        }
    });
    assert_eq!(found, "");
}

#[test]
fn listings_are_read() {
    let listing = "\
first:
\t.cfi_startproc
\tmov\tw8, #1                           // =0x1
.LBB0_1:
\t//APP
\ttlbi\tvale1is, x0
\t//NO_APP
\tsubs\tx1, x1, #1
\tb.ne\t.LBB0_1
\tb\tsecond
.Lfunc_end0:
_second:
\tpushq\t%rax
\t#APP
\tinvlpg\t(%rdi)
\t#NO_APP
\tcallq\t*first@GOTPCREL(%rip)
\t.section\t.stack_sizes,\"o\",@progbits,.text._second
\t.quad\t.Lfunc_begin1
\t.ascii\t\"\\330\\003\"
\t.section\t.text.second,\"ax\",@progbits
second:
\tret
third:
\tret
fourth = third
";
    let all = listing::functions(listing);
    let first = &all["first"];
    assert_eq!(first.instructions.len(), 5);
    let body: &[String] = &first.instructions[1..4];
    assert_eq!(first.loops(), [body]);
    assert_eq!(mnemonics(body), ["tlbi", "subs", "b.ne"]);
    assert_eq!(all["fourth"].instructions, ["b third"]);
    let of_second = ["pushq %rax", "invlpg (%rdi)", "callq *first@GOTPCREL(%rip)"];
    assert_eq!(all["_second"].instructions, of_second);
    let deepest = StackUse::new(&all).deepest("_second");
    assert_eq!(deepest, (0x1d8 + 3 * 8, vec!["_second", "first", "second"]));
    let found = reachable(&all, ["_second"]);
    assert_eq!(
        found.into_keys().collect::<Vec<_>>(),
        ["_second", "first", "second"]
    );
}
