//! The machine code of the instructions of an architecture, as its manual has it: `archdefs/NAME/encodings.txt`.
//!
//! In: the text of the file. Out: how it is compiled and read, and the expected code of each instruction in hexadecimal
//! digits in the order of memory. A dot stands for any digit.

use std::collections::BTreeMap;

use crate::archdefs::{analysis, data, lines, names};

/// What the machine code of an instruction is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covers {
    /// A part of a function that issues it: there are moves around it.
    Parts,
    /// The whole function, with this return.
    Functions(String),
}

/// The contents of the file.
#[derive(Debug)]
pub struct Encodings {
    /// The target for which the instructions are compiled.
    pub target: String,
    /// What is compared.
    pub covers: Covers,
    /// What the names of vector and floating-point registers begin with, before a number. `None` if the assembler has no
    /// names for registers.
    pub vectors: Option<Vec<String>>,
    /// The machine code of each instruction, by name.
    pub code: BTreeMap<String, String>,
}

/// Returns the digits of machine code in the order of memory.
fn in_memory(digits: &str, order: &str) -> String {
    match order {
        "bytes" => digits.replace(' ', ""),
        "little-endian words" => digits
            .split_whitespace()
            .map(|word| {
                assert_eq!(word.len(), 8, "`{word}` is no word of 32 bits");
                let bytes = (0..4).rev().map(|byte| &word[2 * byte..2 * byte + 2]);
                bytes.collect::<String>()
            })
            .collect(),
        other => panic!("digits are `bytes` or `little-endian words`, not `{other}`"),
    }
}

impl Encodings {
    /// Reads the file of an architecture.
    pub fn of(arch: &str) -> Self {
        Self::read(&data(arch, "encodings.txt"), arch)
    }

    fn read(text: &str, arch: &str) -> Self {
        let mut entries = lines(text).map(|line| {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            (name, rest.trim())
        });
        let mut head = |name: &str| {
            let (found, value) = entries.next().unwrap_or_default();
            assert_eq!(found, name, "archdefs/{arch}/encodings.txt");
            value
        };
        let target = head("target").to_owned();
        let order = head("digits");
        let covers = match head("covers") {
            "parts" => Covers::Parts,
            "functions" => Covers::Functions(in_memory(head("return"), order)),
            other => panic!("code covers `parts` or `functions`, not `{other}`"),
        };
        let vectors = head("vectors");
        let vectors =
            (vectors != "unnamed").then(|| vectors.split_whitespace().map(str::to_owned).collect());
        let code = entries.map(|(name, digits)| (name.to_owned(), in_memory(digits, order)));
        Self {
            target,
            covers,
            vectors,
            code: code.collect(),
        }
    }
}

/// Returns the target for which code of a processor architecture is compiled, if a shipped definition is of it.
pub fn target(target_arch: &str) -> Option<String> {
    let is = |arch: &&str| analysis(arch).model.target_arch.value == target_arch;
    let arch = names().find(is)?;
    Some(Encodings::of(arch).target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_little_endian() {
        let text = "# A comment.\ntarget t\ndigits little-endian words\ncovers functions\nreturn d65f03c0\n\
                    vectors v q\n\nisb  d5033fdf\nboth d538202 d5182028";
        let whole = text.replace("d538202 ", "d5382028 ");
        let read = Encodings::read(&whole, "x");
        assert_eq!(read.covers, Covers::Functions("c0035fd6".to_owned()));
        assert_eq!(read.code["isb"], "df3f03d5");
        assert_eq!(read.code["both"], "282038d5282018d5");
        assert!(std::panic::catch_unwind(|| Encodings::read(text, "x")).is_err());
    }

    #[test]
    fn digits_may_be_left_open() {
        let text = "target t\ndigits bytes\ncovers parts\nvectors unnamed\ncrdte b98f .024\n";
        let read = Encodings::read(text, "x");
        assert_eq!((&read.covers, &read.vectors), (&Covers::Parts, &None));
        assert_eq!(read.code["crdte"], "b98f.024");
    }
}
