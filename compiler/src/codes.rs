//! The rules, each with a code that is never used again for another.
//!
//! `tlbc explain CODE` prints the text of `compiler/explain/CODE.md`: what is wrong and why, with a
//! failing and a mended example. A test compiles both.

use core::fmt;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(usize);

struct Entry {
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

        static ENTRIES: &[Entry] = &[$(Entry {
            name: stringify!($name),
            title: $title,
            explanation: include_str!(concat!("../explain/", stringify!($name), ".md")),
        }),*];
    };
}

codes! {
    // Text.
    E0101 "the text does not follow the grammar";
    E0102 "something is opened and never closed";
    E0103 "a number does not fit";
    E0104 "the source is not text";
    E0105 "the source is too large or nested too deep";
    E0106 "a file holds exactly one definition";
}

impl Code {
    /// All rules, in order.
    pub fn all() -> impl Iterator<Item = Code> {
        (0..ENTRIES.len()).map(Code)
    }

    /// The rule of that name, in either case.
    #[must_use]
    pub fn named(name: &str) -> Option<Code> {
        Self::all().find(|code| code.name().eq_ignore_ascii_case(name))
    }

    /// `E0101`
    #[must_use]
    pub fn name(self) -> &'static str {
        ENTRIES[self.0].name
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        ENTRIES[self.0].title
    }

    /// The long form, in Markdown.
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
