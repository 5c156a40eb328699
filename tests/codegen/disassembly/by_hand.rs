//! Generated code beside hand-written code, and what a configuration in a type leaves of it.

use std::collections::BTreeMap;

use tlbc_tests::archdefs;
use tlbc_tests::bare_metal::Emit;
use tlbc_tests::listing::{Function, reachable};
use tlbc_tests::workspace::root;

use super::compile::{Backend, Functions, kernel};
use super::{ENTRIES, OPT_LEVELS, kernels, on_any};

/// Returns a line of an assembly listing without registers.
pub fn mnemonics(instructions: &[String]) -> Vec<&str> {
    let first = |line: &String| line.find(' ').unwrap_or(line.len());
    instructions
        .iter()
        .map(|line| &line[..first(line)])
        .collect()
}

/// Returns the loops in the code of a routine, by a part of the names of its functions.
fn loops<'a>(all: &'a Functions, part: &str) -> Vec<&'a [String]> {
    let named = all.iter().filter(|(name, _)| name.contains(part));
    let found: Vec<_> = named.flat_map(|(_, function)| function.loops()).collect();
    assert!(!found.is_empty(), "no loop in {part}");
    found
}

/// A flush of one page and a loop over pages, written by hand: `archdefs/NAME/by_hand.rs`.
struct ByHand {
    /// Its text.
    text: String,
    /// A part of the name of the generated routine with the loop over pages.
    routine: String,
    /// The instruction that it issues for each page.
    instruction: String,
    /// The configuration in which the routine issues nothing else, as bits.
    configuration: String,
    /// The most instructions of a loop over pages that has decisions, by level of optimization.
    longest: BTreeMap<String, usize>,
}

impl ByHand {
    /// Reads the file of an architecture, if there is one.
    fn of(arch: &str) -> Option<Self> {
        let path = root().join(format!("archdefs/{arch}/by_hand.rs"));
        let text = std::fs::read_to_string(path).ok()?;
        let head = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("// "));
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            let value = value.unwrap_or_else(|| panic!("archdefs/{arch}/by_hand.rs: no `{key}`"));
            value.to_owned()
        };
        let longest = head("longest");
        let longest = longest.split(' ').map(|of_level| {
            let (level, count) = of_level.split_once('=').expect("LEVEL=COUNT");
            (level.to_owned(), count.parse().expect("a count"))
        });
        Some(Self {
            longest: longest.collect(),
            routine: head("routine"),
            instruction: head("instruction"),
            configuration: head("configuration"),
            text,
        })
    }
}

/// Returns a kernel with a configuration in the type of its backend.
fn constant(kernel: &str, bits: &str) -> String {
    let of_type = format!("&Tlb<tlbc_runtime::Constant<{bits}>>,");
    let constant = kernel.replace("&Tlb,", &of_type);
    assert_ne!(constant, kernel);
    constant.replace("{Hardware, Tlb}", "{Config, Hardware, Tlb}")
}

/// Compares a flush of one page in a constant configuration, and the loop over pages, with hand-written code.
fn is_as_short_as_by_hand(arch: &str, by_hand: &ByHand) {
    on_any(arch, |backend| {
        for opt_level in OPT_LEVELS {
            let text = constant(&kernels::flushes(arch), &by_hand.configuration) + &by_hand.text;
            let all = &kernel(backend, opt_level, &text, Emit::Listing).functions;
            let hand = mnemonics(&all["hand_page"].instructions);
            // Identical functions may have become one.
            let one = all.get("generated_page").map(|f| f.instructions.as_slice());
            let mut generated = mnemonics(one.unwrap_or(&all["hand_page"].instructions));
            // The order of what is independent is the compiler's.
            let mut sorted = hand.clone();
            sorted.sort_unstable();
            generated.sort_unstable();
            assert_eq!(
                generated.len(),
                sorted.len(),
                "one page, {} at opt-level {opt_level}: {generated:?}, by hand {hand:?}",
                backend.target.name
            );
            let [hand] = all["hand_loop"].loops()[..] else {
                panic!("one loop by hand");
            };
            let loops = loops(all, &by_hand.routine);
            let is_page = |body: &&&[String]| {
                // A longer mnemonic may begin alike.
                let is = |line: &&String| {
                    let rest = line.strip_prefix(&by_hand.instruction);
                    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
                };
                body.iter().filter(is).count() == 1
            };
            let pages: Vec<_> = loops.iter().filter(is_page).collect();
            assert!(
                !pages.is_empty(),
                "no loop of {} in {loops:#?}",
                by_hand.instruction
            );
            let lengths: Vec<usize> = pages.iter().map(|body| body.len()).collect();
            let longest = lengths.iter().max();
            assert!(
                longest <= by_hand.longest.get(opt_level),
                "a page of many, {} at opt-level {opt_level}: {pages:#?}",
                backend.target.name
            );
            // Without optimizations of loops, the iterator over addresses takes more instructions. With them, the loop
            // over a single pass, which has no decisions, is that by hand.
            if opt_level != "1" {
                assert_eq!(
                    lengths.iter().min(),
                    Some(&hand.len()),
                    "a page of many, {} at opt-level {opt_level}: {pages:#?}",
                    backend.target.name
                );
            }
        }
    });
}

#[test]
fn generated_code_is_as_short_as_by_hand() {
    let all = archdefs::names().filter_map(|arch| Some((arch, ByHand::of(arch)?)));
    let mut compared = 0;
    for (arch, by_hand) in all {
        is_as_short_as_by_hand(arch, &by_hand);
        compared += 1;
    }
    assert!(compared >= 2, "{compared} architectures");
}

/// Returns the functions that a kernel reaches and that issue an instruction.
fn issuing(backend: &Backend, text: &str, instruction: &str) -> Vec<String> {
    let all = &kernel(backend, "2", text, Emit::Listing).functions;
    let issues = |function: &Function| {
        function
            .instructions
            .iter()
            .any(|line| line.contains(instruction))
    };
    let found = reachable(all, ENTRIES)
        .into_iter()
        .filter(|(_, function)| issues(function));
    found.map(|(name, _)| name.to_owned()).collect()
}

/// A configuration in a type leaves nothing of the features that it lacks, also in functions that are not inlined.
#[test]
fn a_constant_configuration_leaves_no_code_of_other_features() {
    let lacking = [
        ("arm64", "0", "tlbi rvale1is"),
        (
            "x86_64",
            "{ Config::PGE.with(Config::PCID).with(Config::INVPCID).bits() }",
            "invlpgb",
        ),
    ];
    for (arch, bits, instruction) in lacking {
        on_any(arch, |backend| {
            let any = kernels::flushes(arch);
            let constant = constant(&any, bits);
            assert_eq!(issuing(backend, &constant, instruction), [""; 0], "{arch}");
            assert!(!issuing(backend, &any, instruction).is_empty(), "{arch}");
        });
    }
}
