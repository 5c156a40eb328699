//! Known mistakes (traps) that a planner can make: tests that it makes none, with the shipped definitions and with copies in
//! which one fact is changed.
//!
//! Not covered here: nXS forms (23), which the definitions do not describe; the state of sender and handler (20) and nested
//! gathers (25), which are tested with the runtime.

mod arm64;
mod powerpc64;
mod s390;
mod shared;
mod x86_64;

use tlbc::Analysis;
use tlbc::plan::ir::Shape;
use tlbc::trace::Trace;
use tlbc::trace::interpret::{Effects, Env, interpret};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::Ranges;
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{env, names};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4 * KIB;

/// Addresses of user space and of the kernel, on arm64 as on x86-64.
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// Returns how often this CPU issues an instruction.
fn count(trace: &Trace, name: &str) -> usize {
    names(trace).iter().filter(|n| **n == name).count()
}

/// Returns the values of an operand in the instructions that this CPU issues.
fn operands(trace: &Trace, operand: &str) -> Vec<u128> {
    let all = trace.issued().flat_map(|i| &i.operands);
    all.filter(|it| it.name == operand)
        .map(|it| it.value.0)
        .collect()
}

/// Returns a definition without the block with this beginning.
fn without(text: &str, head: &str) -> String {
    let head = text.find(head).unwrap_or_else(|| panic!("no `{head}`"));
    let start = text[..head].rfind('\n').expect("a line before") + 1;
    let close = format!("\n{}}}\n", &text[start..head]);
    let end = head + text[head..].find(&close).expect("an end") + close.len();
    // Statements that name it without an effect would be about nothing.
    let rest = format!("{}{}", &text[..start], &text[end..]);
    let lines = rest.split_inclusive('\n');
    let lines = lines.filter(|line| !line.trim_start().starts_with("unconfirmed "));
    lines.collect()
}

/// Interprets a plan for a page of user space with a per-CPU or a global tag.
fn page_effects(arch: &Analysis, words: &str, shape: Shape, global: bool) -> Effects {
    let env = Env {
        page: (USER, Level(0)),
        ..env(machine(&arch.model, words), global, Ranges::new())
    };
    interpret(&arch.model, &arch.plans, shape, &env)
}
