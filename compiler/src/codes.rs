//! The codes of errors and warnings. A code is never reused for another rule.
//!
//! `tlbc explain CODE` prints `compiler/explain/CODE.md`: the rule and its reason, with a failing and a corrected
//! example. A test compiles both.

use core::fmt;

/// Whether a definition can be used in spite of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// The definition can be used, but it may not state what its author meant.
    Warning,
}

impl Severity {
    /// Returns `error` or `warning`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The code of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(usize);

struct CodeEntry {
    name: &'static str,
    title: &'static str,
    explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident $title:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name),* }

        impl Code {
            $(#[doc = $title] pub const $name: Code = Code(Index::$name as usize);)*
        }

        static ENTRIES: &[CodeEntry] = &[$(CodeEntry {
            name: stringify!($name),
            title: $title,
            explanation: include_str!(concat!("../explain/", stringify!($name), ".md")),
        }),*];
    };
}

codes! {
    // Text.
    E0101 "the text does not follow the grammar";
    E0102 "a brace, a parenthesis or a quotation mark is not closed";
    E0103 "a number is too large";
    E0104 "the file is not UTF-8";
    E0105 "the source is too large or nested too deeply";
    E0106 "a file contains exactly one definition";
    E0107 "a blank is left";
    E0108 "a character makes the text look different from what it is";

    // Names.
    E0201 "a name is defined twice";
    E0202 "an unknown name";
    E0203 "a missing statement";
    E0204 "a duplicate statement";
    E0205 "a row of a `for` has too few or too many values";
    E0206 "features or caches depend on each other in a cycle";
    E0207 "a statement or value that is not possible here";
    E0208 "an unused definition that plans would have to use";
    E0209 "`target_arch` is not a name that Rust knows";

    // Operands and tables.
    E0301 "fields of an operand overlap";
    E0302 "bits of an operand are undefined";
    E0303 "a field is too narrow or too wide for its value";
    E0304 "a run does not name a count that can be divided into units";
    E0305 "a run with a level hint does not state how its start is aligned";
    E0306 "an instruction has no field for a value that it needs";
    E0307 "levels do not fit each other";
    E0308 "a run does not fit its operand";
    E0309 "a page size has no encoding";
    E0310 "a cache without a number of sets";
    E0311 "a run without a limit";
    E0312 "two levels or page sizes have the same number";
    E0313 "an operand carries a value that the effect does not depend on";
    E0320 "the text of an instruction is malformed";
    E0321 "an operand is not where its instruction can take it";

    // Instructions.
    E0401 "an instruction does not state a required fact";
    E0402 "a barrier does not do what it is used for";
    E0403 "a barrier that completes does not make entries both gone and drained";
    E0404 "an instruction on the loaded tag reaches CPUs that may have another tag loaded";
    E0405 "a tag of one CPU is used on others";
    E0406 "an instruction may be used where something that it needs is missing";
    E0407 "a condition is tested before it is known";
    E0408 "a run steps by entries of a wrong level";
    E0409 "an instruction needs a value that is not known where it is issued";
    E0410 "one instruction with two effects";
    E0411 "a change is not published to all walkers that its flush reaches";
    E0412 "only a call that is finished when it returns can be given CPUs";
    E0413 "an instruction needs a lock that is not held where it is issued";

    // Flushes and switches.
    E0501 "no instruction drops the entries that a request has to drop";
    E0502 "an instruction that compares the tag leaves entries under no tag or under others";
    E0503 "a switch keeps entries that both spaces use";
    E0504 "leaf entries are dropped before walk entries from which they can be filled again";
    E0505 "plain stores are ruled out, and no instruction writes entries";
    E0506 "an erratum removes completion, and no workaround restores it";
    E0507 "a workaround that no weakened fact needs";
    E0508 "an instruction that writes entries cannot serve a request that changes none";
    E0509 "a switch loads no root";
    E0510 "tags of one machine have a value in common";
    E0511 "a tag that no switch loads";
    E0512 "entries of the kernel are under a value that is not assigned to it";
    E0513 "not exactly one view is loaded while the kernel runs";
    E0514 "addresses of the kernel and of user spaces overlap";
    E0515 "no value of the tag is left for the kernel";
    E0516 "a view is not loaded when it should be";
    E0517 "an instruction of a workaround lacks a value that it needs";
    E0518 "a switch flushes entries that no other space can use";
    E0519 "a space that is loaded cannot get a new value of this tag";

    // Policy.
    E0601 "the stated shootdown does not follow from the facts";
    E0602 "tables are freed after a flush that does not exclude lockless walkers";
    E0603 "pages are freed at the change, though no change flushes";
    E0604 "strides that do not fit the levels";

    // Registers.
    E0701 "a value does not fit the bits of a register";
    E0702 "fields of a register overlap";
    E0703 "two features are read from the same bits";
    E0704 "a register is required to have two values";

    // Proofs.
    E0801 "a plan does not invalidate what a request requires";
    E0802 "an address or a field does not reach the instruction whole";
    E0803 "a run of the runtime leaves a stale entry that can be used";
    E0804 "the plans of a request leave a stale entry on hostile hardware";

    // Warnings: possible, but usually a mistake.
    W0101 "a comment that allows nothing";
    W0201 "an unused definition";
    W0301 "tables of one machine have different sizes";
    W0302 "a ceiling of 0";
    W0401 "an instruction differs from similar ones";
}

/// The definition that the examples of the explanations are parts of.
pub const TOY: &str = include_str!("../explain/toy.arch");

impl Code {
    /// Iterates over all codes in order.
    pub fn all() -> impl Iterator<Item = Code> {
        (0..ENTRIES.len()).map(Code)
    }

    /// Returns the code with a name, in upper or lower case.
    #[must_use]
    pub fn named(name: &str) -> Option<Code> {
        Self::all().find(|code| code.name().eq_ignore_ascii_case(name))
    }

    /// Returns the name, for example `E0101`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ENTRIES[self.0].name
    }

    /// Returns a short description of the fault.
    #[must_use]
    pub fn title(self) -> &'static str {
        ENTRIES[self.0].title
    }

    /// Returns the severity: a code that begins with `W` is a warning.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.name().starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// Returns whether the rule concerns the text and not its meaning.
    #[must_use]
    pub fn is_of_text(self) -> bool {
        self.name().starts_with("E01")
    }

    /// Returns the page of `tlbc explain`, in Markdown.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        ENTRIES[self.0].explanation
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
