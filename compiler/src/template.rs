//! The assembler text of instructions.
//!
//! In: a text of a definition, such as `"dsb ish"` or `"mov {scratch}, 1; tlbi {page}"`. Out: its instructions, which
//! are separated by `;`, or its first fault with its place. Braces contain the name of an operand, or `scratch`; `{{`
//! and `}}` are literal braces. Holds: a text that was parsed is a template for Rust's `asm!` after its names are
//! replaced by names of `asm!` operands.

use std::ops::Range;

/// The name of the register that an instruction may overwrite.
pub const SCRATCH: &str = "scratch";

/// A fault in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its place, in bytes of the text.
    pub range: Range<usize>,
    pub message: String,
    pub help: &'static str,
}

/// A part of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TemplatePart<'t> {
    Text(&'t str),
    Brace(char),
    Name(&'t str),
}

const BRACES: &str =
    "write `{{` or `}}` for a brace of the instruction, and an operand as `{name}`";

/// Splits a text into pieces with their places.
fn pieces(text: &str) -> Result<Vec<(Range<usize>, TemplatePart<'_>)>, Malformed> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let start = at + found;
        if found > 0 {
            out.push((at..start, TemplatePart::Text(&text[at..start])));
        }
        let brace = text.as_bytes()[start];
        if text.as_bytes().get(start + 1) == Some(&brace) {
            at = start + 2;
            out.push((start..at, TemplatePart::Brace(char::from(brace))));
            continue;
        }
        let malformed = |range, message: &str, help| Malformed {
            range,
            message: message.to_owned(),
            help,
        };
        let rest = &text[start + 1..];
        let end = match rest.find(['{', '}']) {
            _ if brace == b'}' => {
                return Err(malformed(
                    start..start + 1,
                    "a brace is closed that was not opened",
                    BRACES,
                ));
            }
            Some(end) if rest.as_bytes()[end] == b'}' => start + 1 + end,
            _ => return Err(malformed(start..start + 1, "a brace is not closed", BRACES)),
        };
        let (range, name) = (start..end + 1, &text[start + 1..end]);
        if name.is_empty() {
            let help = "write the name of an operand in the braces";
            return Err(malformed(range, "there is no name in the braces", help));
        }
        let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let others = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !first || !name.chars().all(others) {
            let message = format!("`{name}` is not the name of an operand");
            let help = "names consist of lower-case letters, digits and `_`; a register is written whole, without a modifier";
            return Err(malformed(range, &message, help));
        }
        out.push((range, TemplatePart::Name(name)));
        at = end + 1;
    }
    if at < text.len() {
        out.push((at..text.len(), TemplatePart::Text(&text[at..])));
    }
    Ok(out)
}

/// Splits a text into its instructions.
///
/// # Errors
///
/// Fails if a brace has no counterpart, if braces contain no name, if a label is not local, or if an instruction is
/// missing.
pub fn parse(text: &str) -> Result<Vec<String>, Malformed> {
    pieces(text)?;
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split(';') {
        let end = start + line.len();
        if line.trim().is_empty() {
            return Err(Malformed {
                range: start.saturating_sub(1)..end,
                message: "there is no instruction here".to_owned(),
                help: "write the instruction; `;` separates two and does not end the last",
            });
        }
        if let Some((label, _)) = line.split_once(':')
            && is_bad_label(label.trim())
        {
            return Err(Malformed {
                range: start..start + label.len() + 1,
                message: format!("`{}:` may be defined twice", label.trim()),
                help: "a label is a number with a digit other than 0 and 1, as in `2: ...; jne 2b`",
            });
        }
        lines.push(line.trim().to_owned());
        start = end + 1;
    }
    if !lines.iter().any(|line| is_instruction(line)) {
        return Err(Malformed {
            range: 0..text.len(),
            message: "there is no instruction here".to_owned(),
            help: "add an instruction: directives and labels do nothing, except a directive such as `.long` with the instruction's value",
        });
    }
    Ok(lines)
}

/// Returns whether a parsed line contains an instruction. A label alone does not, nor does a directive unless it
/// encodes an instruction by its value.
pub fn is_instruction(line: &str) -> bool {
    const ENCODES: [&str; 9] = [
        ".long", ".insn", ".inst", ".byte", ".word", ".short", ".2byte", ".4byte", ".8byte",
    ];
    let is_label = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let line = match line.split_once(':') {
        Some((label, rest)) if is_label(label.trim()) => rest.trim(),
        _ => line,
    };
    if !line.starts_with('.') {
        return !line.is_empty();
    }
    line.split_once(char::is_whitespace)
        .is_some_and(|(word, value)| {
            let word = word.trim_end_matches(".n").trim_end_matches(".w");
            ENCODES.contains(&word) && !value.trim().is_empty()
        })
}

/// Returns whether a word is a label that is not local: a name, or a number that LLVM reads as binary. Rust refuses
/// these, because inlined code may be emitted more than once.
fn is_bad_label(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let is_number = word.chars().all(|c| c.is_ascii_digit());
    let is_binary = word.chars().all(|c| matches!(c, '0' | '1'));
    !word.is_empty() && word.chars().all(is_part) && (!is_number || is_binary)
}

/// Iterates over the names in a parsed text with their places. A name that occurs twice is returned twice.
pub fn names(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let pieces = pieces(text).unwrap_or_default();
    pieces.into_iter().filter_map(|(range, piece)| match piece {
        TemplatePart::Name(name) => Some((range, name)),
        TemplatePart::Text(_) | TemplatePart::Brace(_) => None,
    })
}

/// Returns whether a parsed instruction contains a name.
pub fn mentions(line: &str, name: &str) -> bool {
    names(line).any(|(_, other)| other == name)
}

/// Returns an instruction as the processor's manual writes it, with each name replaced.
pub fn shown(line: &str, name: impl Fn(&str) -> String) -> String {
    written(line, name, |brace| brace.to_string())
}

/// Returns an instruction as a template for `asm!`, with each name replaced.
pub fn for_asm(line: &str, name: impl Fn(&str) -> String) -> String {
    let braced = |of: &str| format!("{{{}}}", name(of));
    written(line, braced, |brace| format!("{brace}{brace}"))
}

fn written(line: &str, name: impl Fn(&str) -> String, brace: impl Fn(char) -> String) -> String {
    let pieces = pieces(line).unwrap_or_default().into_iter();
    let pieces = pieces.map(|(_, piece)| match piece {
        TemplatePart::Text(text) => text.to_owned(),
        TemplatePart::Brace(of) => brace(of),
        TemplatePart::Name(of) => name(of),
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_separated_and_names_found() {
        assert_eq!(parse("2: jne 2b; mov fs:[rax], 1").unwrap().len(), 2);
        let text = "mov {scratch}, {page};  tlbi {{{page}}} ";
        let lines = parse(text).unwrap();
        assert_eq!(lines, ["mov {scratch}, {page}", "tlbi {{{page}}}"]);
        let named: Vec<&str> = names(text).map(|(_, name)| name).collect();
        assert_eq!(named, ["scratch", "page", "page"]);
        assert!(mentions(&lines[0], "scratch") && !mentions(&lines[1], "scratch"));
        let upper = |name: &str| name.to_uppercase();
        assert_eq!(shown(&lines[1], upper), "tlbi {PAGE}");
        assert_eq!(for_asm(&lines[1], upper), "tlbi {{{PAGE}}}");
    }

    #[test]
    fn directives_and_labels_are_not_instructions() {
        for line in [".long 17", "2: .word 5, 6", "2: jne 2b", ".inst.n 3", "isb"] {
            assert!(is_instruction(line), "{line}");
        }
        for line in [
            "2:",
            ".word",
            "2: .long",
            ".arch_extension tlb-rmi",
            ".balign 4",
        ] {
            assert!(!is_instruction(line), "{line}");
        }
    }

    #[test]
    fn faults_are_reported_at_their_place() {
        for (text, place, message) in [
            ("", 0..0, "there is no instruction here"),
            (".word", 0..5, "there is no instruction here"),
            (
                ".arch_extension x; 2:",
                0..21,
                "there is no instruction here",
            ),
            (" ; isb", 0..1, "there is no instruction here"),
            ("isb;", 3..4, "there is no instruction here"),
            ("isb; ;dsb", 3..5, "there is no instruction here"),
            ("tlbi {", 5..6, "a brace is not closed"),
            ("tlbi {page, {other}", 5..6, "a brace is not closed"),
            ("tlbi {page, {{", 5..6, "a brace is not closed"),
            ("tlbi }", 5..6, "a brace is closed that was not opened"),
            ("tlbi {{}", 7..8, "a brace is closed that was not opened"),
            ("tlbi {}", 5..7, "there is no name in the braces"),
            (
                "tlbi {page:w}",
                5..13,
                "`page:w` is not the name of an operand",
            ),
            ("tlbi {0}", 5..8, "`0` is not the name of an operand"),
            ("dsb; again: tlbi", 4..11, "`again:` may be defined twice"),
            ("10: tlbi", 0..3, "`10:` may be defined twice"),
            ("tlbi {a; b}", 5..11, "`a; b` is not the name of an operand"),
        ] {
            let malformed = parse(text).unwrap_err();
            assert_eq!(
                (malformed.range, malformed.message.as_str()),
                (place, message),
                "{text}"
            );
        }
    }
}
