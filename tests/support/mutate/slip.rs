//! Typing mistakes in a single token.

use super::source::{Kind, Source};
use super::{Mutant, Rng, edited, one};

/// Characters that are typed by mistake.
const STRAY: [&str; 12] = [
    "{", "}", "(", ")", ";", ",", "\"", "0", "when", "not", "leaf", "any",
];

/// Makes a mistake in one token: leaves it out, doubles it, misspells it, swaps it with the next one, or puts another one in
/// its place or beside it. Returns `None` if the text has no token, or if the mistake changes nothing.
pub fn slip(text: &str, rng: &mut Rng) -> Option<Mutant> {
    let source = Source::new(text);
    if source.tokens.is_empty() {
        return None;
    }
    let index = rng.usize(..source.tokens.len());
    let (token, word) = (&source.tokens[index], source.token(index));
    let range = token.range.clone();
    let alike: Vec<&str> = (0..source.tokens.len())
        .filter(|other| source.tokens[*other].kind == token.kind)
        .map(|other| source.token(other))
        .filter(|other| *other != word)
        .collect();
    let (edits, what) = match rng.u8(..8) {
        0 => (vec![(range, String::new())], format!("without `{word}`")),
        1 => (
            vec![(range, format!("{word} {word}"))],
            format!("`{word}` twice"),
        ),
        2 => {
            let next = source.tokens.get(index + 1)?;
            let other = source.token(index + 1);
            (
                vec![
                    (range, other.to_owned()),
                    (next.range.clone(), word.to_owned()),
                ],
                format!("`{word}` and `{other}` swapped"),
            )
        }
        3 => {
            let stray = one(rng, &STRAY)?;
            (
                vec![(range.start..range.start, format!("{stray} "))],
                format!("`{stray}` before `{word}`"),
            )
        }
        4 | 5 => {
            let other = *one(rng, &alike)?;
            (
                vec![(range, other.to_owned())],
                format!("`{other}` for `{word}`"),
            )
        }
        _ => {
            let other = match token.kind {
                Kind::Number => number(word, rng),
                Kind::Mark => (*one(rng, &[";", ",", ":", "{", "}", "[", "]"])?).to_owned(),
                Kind::Word | Kind::Register | Kind::Text => misspelt(word, rng)?,
            };
            (
                vec![(range, other.clone())],
                format!("`{other}` for `{word}`"),
            )
        }
    };
    let mutant = edited(&source, edits, what);
    (mutant.text != text).then_some(mutant)
}

/// Returns a word with a letter left out, doubled, changed, or swapped with the next.
fn misspelt(word: &str, rng: &mut Rng) -> Option<String> {
    let mut letters: Vec<char> = word.chars().collect();
    let at = rng.usize(..letters.len());
    match rng.u8(..4) {
        0 => {
            letters.remove(at);
        }
        1 => letters.insert(at, letters[at]),
        2 => letters[at] = rng.lowercase(),
        _ if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => return None,
    }
    Some(letters.into_iter().collect())
}

/// Returns another number, often close to the first.
pub fn number(word: &str, rng: &mut Rng) -> String {
    let digits = word.replace('_', "");
    let value = match digits.split_at_checked(2) {
        Some(("0x", digits)) => u64::from_str_radix(digits, 16),
        Some(("0b", digits)) => u64::from_str_radix(digits, 2),
        _ => digits.parse(),
    };
    let value = value.unwrap_or(0);
    let others = [
        value.wrapping_add(1),
        value.wrapping_sub(1),
        value.wrapping_mul(2),
        value / 2,
        0,
        1,
        31,
        32,
        63,
        64,
        u64::MAX,
        rng.u64(..) >> rng.u32(..64),
    ];
    others[rng.usize(..others.len())].to_string()
}
