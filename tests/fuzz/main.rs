//! The compiler with arbitrary bytes and with slips in good definitions: it never panics, it terminates, and its
//! messages depend on the sources only.
//!
//! `cargo test -p tlbc-tests --test fuzz` runs the corpus and then random input for some seconds; `cargo bolero test -p
//! tlbc-tests fuzz` searches until it is stopped.

use std::time::{Duration, Instant};
use tlbc::render::{Format, render};

/// Good definitions, each cut down from a shipped one so that it compiles fast.
const SEEDS: [&[u8]; 2] = [
    include_bytes!("corpus/arm64.arch"),
    include_bytes!("corpus/x86_64.arch"),
];

/// The words that a slip inserts.
const WORDS: [&str; 24] = [
    "",
    " ",
    "\n",
    "{",
    "}",
    "(",
    ")",
    ";",
    ",",
    "\"",
    "//",
    "\u{e9}",
    "0",
    "64",
    "1 << 63",
    "18446744073709551615",
    "not",
    "when",
    "leaf",
    "walk",
    "everything",
    "any",
    "tag",
    "pte",
];

/// For an unoptimized build on a busy machine. It guards against work that never ends.
const MOST_TIME: Duration = Duration::from_secs(30);

fn main() {
    bolero::check!()
        .with_test_time(Duration::from_secs(5))
        .with_max_len(512)
        .for_each(|bytes: &[u8]| {
            endure(bytes);
            endure(&slipped(bytes));
        });
}

/// Compiles a text, twice.
fn endure(text: &[u8]) {
    let start = Instant::now();
    let said = || {
        let compiled = tlbc::compile([("fuzzed.arch", text)]);
        // A warning is no error.
        assert_eq!(compiled.outputs.is_empty(), compiled.has_errors());
        let formats = [Format::Human, Format::Short, Format::Json];
        let rendered =
            formats.map(|format| render(&compiled.files, &compiled.diagnostics, format, true));
        (compiled.outputs, rendered)
    };
    assert_eq!(said(), said());
    assert!(start.elapsed() < MOST_TIME, "it takes too long");
}

/// Returns a good definition with up to eight slips: the bytes choose which, where and of what kind.
fn slipped(bytes: &[u8]) -> Vec<u8> {
    let Some((seed, slips)) = bytes.split_first() else {
        return Vec::new();
    };
    let mut text = SEEDS[usize::from(*seed) % SEEDS.len()].to_vec();
    for slip in slips.chunks_exact(4).take(8) {
        let [low, high, dropped, word] = [slip[0], slip[1], slip[2], slip[3]];
        let start = usize::from(u16::from_le_bytes([low, high])) % (text.len() + 1);
        let end = text.len().min(start + usize::from(dropped % 8));
        let word = WORDS[usize::from(word) % WORDS.len()];
        text.splice(start..end, word.bytes());
    }
    text
}
