//! Words of this language in another order, and units that are missing.
//!
//! In: a token that does not fit, and what was expected. Out: a sentence about how the statement is written.

use std::ops::Range;

use super::expected::Expected;
use crate::ast::AGENTS;

/// Returns how a statement is written whose words are in another order, or whose unit is missing.
pub(super) fn in_order(expected: &Expected, text: &str, found: &Range<usize>) -> Option<String> {
    let word = &text[found.clone()];
    let before = text[..found.start].trim_end();
    let mut words = before.split_whitespace().rev();
    let (last, one_but_last) = (words.next()?, words.next().unwrap_or_default());
    let next = text[found.end..].trim_start();
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let is_number = |text: &str| !text.is_empty() && digits(text) == text;
    if ["and", "or", ","].contains(&word) && one_but_last == "unless" {
        return Some(format!(
            "`unless` takes one name: `when not {last} and not ...` holds if none does"
        ));
    }
    if let Some(shift) = unit(word).filter(|_| expected.has("hint")) {
        let count: u64 = last.parse().ok()?;
        let bytes = count
            .checked_shl(shift)
            .filter(|bytes| bytes.is_power_of_two())?;
        return Some(format!(
            "a level has the log2 of the bytes that one entry reaches: {} for {count} {word}",
            bytes.trailing_zeros()
        ));
    }
    if word == ";" && expected.has("operations") && expected.has("pages") {
        return Some(format!(
            "write what is counted: `{last} operations` or `{last} pages`"
        ));
    }
    if ["operations", "pages", "bits"].contains(&word)
        && expected.number()
        && !digits(next).is_empty()
    {
        return Some(format!("write the number first: `{} {word}`", digits(next)));
    }
    if expected.has("low") && expected.has("high") && is_number(word) {
        return Some(format!("write the end first: `low {word} bits`"));
    }
    if word == "{" && expected.is_alone("bits") {
        return Some(format!("write the unit: `{last} bits`"));
    }
    if word == "of" && expected.is_alone(",") {
        return Some("write a comma before the tags: `of everything, this tag`".to_owned());
    }
    if last == "all" && AGENTS.contains(&word) && expected.semicolon() {
        return Some(format!("remove the `all`: `{word}` alone names the agents"));
    }
    let kinds = ["barrier", "domain", "operand", "load"];
    if kinds.contains(&last) && expected.semicolon() {
        return Some(format!("remove the `{last}`: the name is enough"));
    }
    None
}

/// Returns the log2 of the bytes of a unit.
fn unit(word: &str) -> Option<u32> {
    match word {
        "KiB" | "K" | "KB" => Some(10),
        "MiB" | "M" | "MB" => Some(20),
        "GiB" | "G" | "GB" => Some(30),
        _ => None,
    }
}
