//! The syntax of other languages: words, operators, units, marks.
//!
//! In: a text, or a place in it where something else was expected. Out: the syntax of this language for what
//! was probably meant, if that is known.

use super::expected::Expected;
use super::lex::{self, TokenKind};
use super::order::in_order;
use crate::undescribed::in_statement;
use std::ops::Range;
use tlbc_grammar::Rule;

/// Words and operators with their counterparts, which apply only where the counterpart is possible.
const COUNTERPARTS: &[(&[&str], &str)] = &[
    (&["&&", "&", "with"], "and"),
    (&["!", "~", "no"], "not"),
    (&["if", "?", "where", "while"], "when"),
    (&["==", ":=", ":", "is"], "="),
    (&["==", "=", ":", "are", "as"], "is"),
    (&["-", "–", "—", "...", "..=", "to", ":"], ".."),
    (&["=", "->", "-", "–", "..", ","], ":"),
    (&["=>", ">"], ">="),
    (&["<"], "<<"),
    (&[">"], ">>"),
    (&["kb", "k", "ki", "kbyte", "kbytes"], "KiB"),
    (&["mb", "m", "mi", "mbyte", "mbytes"], "MiB"),
    (&["gb", "g", "gi", "gbyte", "gbytes"], "GiB"),
    (&["ops", "op", "instructions", "flushes"], "operations"),
    (&["interrupts", "ipis", "interrupt"], "ipi"),
    (&["none", "0"], "nothing"),
    (&["all", "each"], "every"),
    (&["all", "any"], "everything"),
    (&["all", "every"], "any"),
    (&["asid", "pcid", "pid"], "tag"),
    (&["at", "for", "in", "by"], "on"),
    (&["of", "=", ":", "from", "over"], "in"),
    (&["for", "under", "and", "&", "then"], ","),
    (&["leaves", "translation", "translations", "tlb"], "leaf"),
    (&["walks", "tables", "table", "pwc"], "walk"),
    (&["absent", "invalid", "missing"], "negative"),
    (
        &["flushes", "flush", "invalidates", "clears", "purges"],
        "drops",
    ),
    (&["on", "reach", "scope", "in"], "where"),
    (&["on", "at", "through"], "by"),
    (&["when", "if", "during"], "while"),
    (&["without", "except"], "unless"),
    (&["bottom", "lower"], "low"),
    (&["top", "upper"], "high"),
    (&["per"], "of"),
    (&["by", "allocated"], "from"),
    (&["system", "all", "cpus"], "machine"),
    (&[":", "=", "caches", "stores", "contains"], "holds"),
    (&["not", "uncached"], "never"),
    (&["tagged", "with", "by", ":", "in"], "under"),
    (&["a", "an", "1", "single"], "one"),
    (&["its", "the", "same"], "this"),
    (&["context_switch"], "switch"),
    (&["online", "hotplug"], "cpu_online"),
    (&["threshold", "max", "limit", "most"], "ceiling"),
    (&["do", "run", "execute", "emit"], "issue"),
    (&["breaks", "loses"], "weakens"),
    (&["then", "until"], "after"),
    (&["cite", "source", "ref", "see", "doc"], "per"),
    (&["synchronizes", "synchronises", "syncs"], "resyncs"),
    (&["orders", "visible"], "publishes"),
    (&["fence", "sync"], "barrier"),
    (&["flush", "instruction", "insn", "inst"], "invalidate"),
    (&["foreach", "loop", "repeat"], "for"),
    (&["bug", "quirk"], "erratum"),
    (&["mitigation", "fix"], "workaround"),
    (&["policies", "strategy"], "policy"),
    (&["target", "target-arch"], "target_arch"),
    (&["architecture", "machine", "cpu"], "arch"),
    (&["pagesize", "page_size", "size"], "page"),
    (&["(", "[", ":", "begin", "then", "do", "->"], "{"),
    (&["[", "{", "<"], "("),
    (&["(", "{", "<"], "["),
];

/// Marks that end a statement elsewhere.
const ENDS: &[&str] = &[",", ":", "."];

/// What was probably meant.
pub(super) struct Meant {
    pub(super) help: String,
    /// A mark to take in place of the one byte that was found.
    pub(super) mark: Option<char>,
}

/// Returns what was meant by the token in `found`, where something else was `expected`.
pub(super) fn meant(expected: &Expected, text: &str, found: &Range<usize>) -> Option<Meant> {
    let word = &text[found.clone()];
    let help = |help: String| Some(Meant { help, mark: None });
    if word == "-" && follows_name(text, found) {
        let whole = hyphenated(text, found.start);
        let name = whole.replace('-', "_");
        return help(format!("names have no `-`; did you mean `{name}`?"));
    }
    if let Some(what) = in_statement(text, found) {
        return help(what);
    }
    if ["||", "|", "or"].contains(&word) && expected.has("and") {
        return help(
            "a condition has no `or`: write one statement, or one case, for each".to_owned(),
        );
    }
    if let Some(mark) = word.chars().next().and_then(plain) {
        return help(match mark {
            ' ' => "this is not a plain space: write one, or a tab".to_owned(),
            mark => format!("did you mean `{mark}`, as on plain keyboards?"),
        });
    }
    if word == ";" && expected.has(",") && text[found.end..].trim_start().starts_with('(') {
        return Some(Meant {
            help: "did you mean `,`?".to_owned(),
            mark: Some(','),
        });
    }
    let own = || own_form(expected, text, found);
    if let Some(own) = in_order(expected, text, found).or_else(own) {
        return help(own);
    }
    // The first mark was taken for the whole.
    let taken = [("==", "="), ("...", ".."), ("..=", "..")];
    if let Some((_, ours)) = taken.iter().find(|(foreign, _)| *foreign == word)
        && !expected.has("is")
    {
        return help(format!("did you mean `{ours}`?"));
    }
    if word.starts_with(['\'', '`', '“', '”', '„', '«', '‘', '’']) && expected.text() {
        return help("a text is written between double quotes: `\"...\"`".to_owned());
    }
    if ["b", "byte", "bytes"].contains(&word.to_ascii_lowercase().as_str()) && expected.has("KiB") {
        return help("a number without a unit counts bytes".to_owned());
    }
    if let Some(unit) = joined_unit(word).filter(|_| expected.number()) {
        return help(format!("write the unit as a word of its own: `{unit}`"));
    }
    if is_superfluous(expected, text, found) {
        return help(format!("remove the `{word}`"));
    }
    if [",", "and", "&"].contains(&word)
        && expected.semicolon()
        && !expected.has(",")
        && !expected.has("and")
        && !ends_line(&text[found.end..])
    {
        return help(
            "the statement ends here: write `;`, and what follows as another statement".to_owned(),
        );
    }
    if ENDS.contains(&word) && expected.semicolon() && ends_line(&text[found.end..]) {
        return Some(Meant {
            help: "a statement ends with `;`".to_owned(),
            mark: Some(';'),
        });
    }
    let lower = word.to_ascii_lowercase();
    // Of parentheses and brackets the other would have to be replaced as well.
    let replaces = |ours: &str| word.len() == 1 && [":", "=", "{"].contains(&ours);
    let after = |(_, ours): &(&[&str], &'static str)| Meant {
        help: format!("did you mean `{ours}`?"),
        mark: ours.chars().next().filter(|_| replaces(ours)),
    };
    let counterpart = COUNTERPARTS.iter().find(|(foreign, ours)| {
        expected.has(ours) && (foreign.contains(&word) || foreign.contains(&lower.as_str()))
    });
    counterpart.map(after).or_else(|| {
        let missing = missing(expected, text, found)?;
        help(format!("write `{missing}` before `{word}`"))
    })
}

/// Returns the way of this language to express a construct of another one.
fn own_form(expected: &Expected, text: &str, found: &Range<usize>) -> Option<String> {
    let (word, rest) = (&text[found.clone()], &text[found.end..]);
    let is = |words: &[&str]| words.contains(&word.to_ascii_lowercase().as_str());
    let at_item = expected.has("barrier") && expected.has("operand");
    let after_number = expected.has("KiB") && text[..found.start].trim_end().ends_with(is_digit);
    let own = if at_item && is(&["include", "import", "use", "require"]) {
        "a definition is one file and includes no other".to_owned()
    } else if at_item && is(&["let", "const", "var", "define", "set", "enum", "struct"]) {
        "the language has no constants and no types: write each value where it is used".to_owned()
    } else if at_item && is(&["if", "when", "ifdef"]) {
        "write `requires` and what it depends on in the head of an item, or `when` at the end of a statement".to_owned()
    } else if is(&["==", "=", "!="]) && expected.has("and") {
        format!("a condition is a name, or `not` and a name: remove the `{word}` and what follows")
    } else if word == "$" && rest.starts_with('{') {
        "remove the `$`".to_owned()
    } else if ["%", "<", "$", "@"].contains(&word) && text[..found.start].ends_with(is_part_of_name)
    {
        "a variable of a `for` is written in braces: `{x}`".to_owned()
    } else if expected.is_alone("(") && is_name(word) {
        "write the names in parentheses: `for (x, y) in`".to_owned()
    } else if word == "everything" && expected.has("leaf") {
        "write the kinds of entries first: `leaf, walk of everything`".to_owned()
    } else if expected.number() && is_foreign_number(word, rest) {
        "a number is decimal, `0x...` or `0b...`, with `_` between digits".to_owned()
    } else if expected.number() && is_type(word) {
        format!("write the width as `{} bits`", &word[1..])
    } else if after_number && "'^*<.,".contains(word) && !ends_line(rest) {
        "write the value out, as in `4096`, `0x1000` or `4 KiB`".to_owned()
    } else if expected.has("[") && expected.has("start") {
        "a field begins with its bits in brackets: `[11:0]`".to_owned()
    } else if expected.is_alone("page") && word.starts_with(is_digit) {
        "write the bits, as in `va[63:12]`, or `va >> page`".to_owned()
    } else if expected.text()
        && !expected.name()
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        "a text is written between double quotes: `\"...\"`".to_owned()
    } else if expected.name() && word.starts_with('"') && is_name(word.trim_matches('"')) {
        format!("a name has no quotes: `{}`", word.trim_matches('"'))
    } else {
        return None;
    };
    Some(own)
}

fn is_part_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || is_digit(c) || c == '_'
}

/// Returns the ASCII form of a mark or a blank.
fn plain(c: char) -> Option<char> {
    let wide = u32::from(c)
        .checked_sub(0xfee0)
        .filter(|plain| (0x21..0x7f).contains(plain));
    match c {
        c if !c.is_ascii() && c.is_whitespace() => Some(' '),
        _ => char::from_u32(wide?),
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && word.chars().all(is_part_of_name)
}

/// Returns whether a word is a number of another language: `1000h`, `0X1000`, `0o777`, `$1000`.
fn is_foreign_number(word: &str, rest: &str) -> bool {
    let is_prefix =
        ["$", "#", "&"].contains(&word) && rest.starts_with(|c: char| c.is_ascii_hexdigit());
    let is_suffixed = word.starts_with(is_digit) && joined_unit(word).is_none();
    is_prefix || is_suffixed
}

/// Returns whether a word is a type of Rust or C, such as `u64`.
fn is_type(word: &str) -> bool {
    let digits = word.strip_prefix(['u', 'i']).unwrap_or_default();
    !digits.is_empty() && digits.chars().all(is_digit)
}

/// Returns whether the text after a mark or word that can be removed was possible in its place.
fn is_superfluous(expected: &Expected, text: &str, found: &Range<usize>) -> bool {
    let (before, rest) = (text[..found.start].trim_end(), &text[found.end..]);
    match &text[found.clone()] {
        ";" => before.ends_with([';', '{', '}']) || may_follow(expected, rest),
        ":" | "=" | "(" | "[" | "{" | "is" | "the" | "are" => may_follow(expected, rest),
        word if word.starts_with(char::is_alphabetic) => {
            let next = lex::tokens(rest, 0).next();
            let is_value = next.is_some_and(|(kind, range)| {
                kind == TokenKind::Text || rest[range].starts_with(is_digit)
            });
            let fits = is_value || expected.has("barrier") && expected.has("operand");
            fits && !expected.name() && may_follow(expected, rest)
        }
        _ => false,
    }
}

/// Returns the mark or word that is missing before another one.
fn missing(expected: &Expected, text: &str, found: &Range<usize>) -> Option<&'static str> {
    let word = &text[found.clone()];
    let names_what = ["one", "everything", "subtree", "run"].contains(&word);
    if names_what && expected.has("of") {
        return Some("of");
    }
    if word == "page" && expected.has("one") {
        return Some("one");
    }
    let alone = ["bits", "on", "the"].into_iter();
    if let Some(wanted) = alone.clone().find(|wanted| expected.is_alone(wanted))
        && (word == ";" || is_keyword(word))
    {
        return Some(wanted);
    }
    let is_part = [
        "leaf", "walk", "root", "negative", "this", "any", "other", "loaded",
    ];
    let before = text[..found.start].trim_end();
    let before = &before[before.trim_end_matches(is_part_of_name).len()..];
    let continues = expected.semicolon() && is_name(word) && !is_keyword(word);
    let is_next = is_part.contains(&word) || continues && is_name(before) && !is_keyword(before);
    (is_next && expected.has(",")).then_some(",")
}

/// Returns the operator that the mark at `range` is part of: `&&`, `==`, `..=`.
pub(super) fn operator(text: &str, range: Range<usize>) -> Range<usize> {
    let is_operator = |c: char| "&|=!<>-:.~?".contains(c);
    if !text[range.clone()].starts_with(is_operator) {
        return range;
    }
    let before = text[..range.start].trim_end_matches(is_operator).len();
    let after = text[range.end..].trim_start_matches(is_operator);
    let whole = before..text.len() - after.len();
    if is_known(&text[whole.clone()]) {
        return whole;
    }
    range
}

fn is_known(operator: &str) -> bool {
    ["||", "|"].contains(&operator)
        || COUNTERPARTS
            .iter()
            .any(|(foreign, _)| foreign.contains(&operator))
}

/// Returns whether a `-` joins a name with what follows.
fn follows_name(text: &str, found: &Range<usize>) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let before = &text[..found.start];
    let word = &before[before.trim_end_matches(is_part).len()..];
    let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name && !is_keyword(word) && text[found.end..].starts_with(is_part)
}

/// Returns the words around a `-` that it joins.
pub(super) fn hyphenated(text: &str, at: usize) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let start = text[..at].trim_end_matches(is_part).len();
    let end = text.len() - text[at..].trim_start_matches(is_part).len();
    &text[start..end]
}

/// Returns `4 KiB` for `4K`.
fn joined_unit(word: &str) -> Option<String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let unit = match word[digits.len()..].to_ascii_lowercase().as_str() {
        "bit" | "bits" => "bits",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => return None,
    };
    is_number.then(|| format!("{digits} {unit}"))
}

/// Returns whether the next token could have stood in place of the one before it.
fn may_follow(expected: &Expected, rest: &str) -> bool {
    let Some((kind, range)) = lex::tokens(rest, 0).next() else {
        return false;
    };
    let word = &rest[range];
    match kind {
        TokenKind::Text => expected.text(),
        TokenKind::Word if word.starts_with(|c: char| c.is_ascii_digit()) => expected.number(),
        TokenKind::Word if is_keyword(word) => expected.has(word),
        TokenKind::Word => expected.name(),
        TokenKind::Mark(_) => expected.has(word),
        TokenKind::Unclosed => false,
    }
}

fn ends_line(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default().trim();
    line.is_empty() || line.starts_with("//") || line.starts_with('}')
}

/// Returns whether a word is one of the language.
pub(super) fn is_keyword(word: &str) -> bool {
    let mut rules = Rule::all_rules().iter();
    rules.any(|rule| format!("{rule:?}").strip_prefix("k_") == Some(word))
}
