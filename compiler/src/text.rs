//! Lists, counts and lines of English texts.
//!
//! In: words and numbers. Out: text for messages, pages and comments. Holds: the same words make the same text
//! wherever they are shown.

use std::borrow::Borrow;
use std::fmt::Display;

/// Joins words as in `a, b and c`; `last` is the word before the last one.
pub(crate) fn list(words: &[impl Borrow<str>], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.borrow().to_owned(),
        [first @ .., end] => format!("{} {last} {}", first.join(", "), end.borrow()),
    }
}

/// Joins names as in `` `a`, `b` and `c` ``.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|it| format!("`{it}`")).collect();
    list(&quoted, "and")
}

/// Returns a number with its noun: `1 value`, `2 values`.
pub(crate) fn count<N: Copy + PartialEq + From<u8> + Display>(count: N, noun: &str) -> String {
    let form = plural(count, noun);
    format!("{count} {form}")
}

/// Returns the form of a noun after a number: `line` after 1, `lines` otherwise.
pub(crate) fn plural<N: Copy + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{noun}{ending}")
}

/// Wraps a text to lines of at most `most` characters. A longer word has a line of its own.
pub(crate) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Lists indices as numbers of which the first is 1.
#[must_use]
pub fn numbers(indices: &[usize]) -> String {
    let numbers = indices.iter().map(|index| (index + 1).to_string());
    numbers.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_word_before_its_end() {
        let of = |words: &[&str]| list(words, "or");
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["a"]), "a");
        assert_eq!(of(&["a", "b"]), "a or b");
        assert_eq!(of(&["a", "b", "c"]), "a, b or c");
        assert_eq!(names(["a", "b"]), "`a` and `b`");
    }

    #[test]
    fn a_noun_follows_its_number() {
        assert_eq!(count(0_usize, "bit"), "0 bits");
        assert_eq!(count(1_u64, "bit"), "1 bit");
        assert_eq!(count(2_u32, "bit"), "2 bits");
    }

    #[test]
    fn a_line_ends_before_the_word_that_does_not_fit() {
        assert_eq!(
            wrap("aa bb  cc\ndddddd e", 5),
            ["aa bb", "cc", "dddddd", "e"]
        );
        assert_eq!(wrap("\u{e4}\u{e4} bb", 5), ["\u{e4}\u{e4} bb"]);
    }
}
