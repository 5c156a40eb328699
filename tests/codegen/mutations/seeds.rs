//! The definitions that are mutated.
//!
//! Out: names and texts, each accepted by `check`. Machines that were never built have the processor
//! architecture of this machine, so that rustc looks at the assembly of their backends.

use tlbc_tests::archdefs;

/// Machines that were never built, in this directory and elsewhere.
const MADE_UP: [(&str, &str); 16] = [
    ("quartz", include_str!("../new_architecture/quartz.arch")),
    ("narrow", include_str!("seeds/narrow.arch")),
    ("untagged", include_str!("seeds/untagged.arch")),
    ("sizes", include_str!("seeds/sizes.arch")),
    ("hashed", include_str!("seeds/hashed.arch")),
    ("layered", include_str!("seeds/layered.arch")),
    ("negative", include_str!("seeds/negative.arch")),
    (
        "relay",
        include_str!("../../plan/invented/definitions/relay.arch"),
    ),
    (
        "twofold",
        include_str!("../../plan/invented/definitions/twofold.arch"),
    ),
    (
        "fork",
        include_str!("../../plan/invented/definitions/fork.arch"),
    ),
    (
        "batch",
        include_str!("../../plan/invented/definitions/batch.arch"),
    ),
    (
        "negative",
        include_str!("../../plan/invented/definitions/negative.arch"),
    ),
    (
        "written",
        include_str!("../../plan/invented/definitions/written.arch"),
    ),
    (
        "refill",
        include_str!("../../plan/invented/definitions/refill.arch"),
    ),
    (
        "levels",
        include_str!("../../plan/invented/definitions/levels.arch"),
    ),
    ("toy", tlbc::codes::TOY),
];

/// Shipped definitions, cut down.
const CUT: [(&str, &str); 2] = [
    ("arm64_cut", include_str!("../../fuzz/corpus/arm64.arch")),
    ("x86_64_cut", include_str!("../../fuzz/corpus/x86_64.arch")),
];

/// What is filled in where `tlbc new` leaves blanks.
const ANSWERS: &str = "foo | foo64 | 4 | 12 | 21 | 30 | 56 | core | never | refetched | 8 | machine | 255 | \
    generations | 38 | 38 | global | order stores | wait | cpus | refetch | 8 | 7 | flush.page | 4.1 | leaf, walk | \
    this tag or global | cpus | no lock | flush.tag | 4.2 | leaf, walk | cpus | no lock | flush.all | 4.3 | leaf, walk | \
    cpus | no lock | 56 | 55 | \
    55 | load.root | 3.1 | broadcast | 64";

/// A definition that is mutated.
pub struct Seed {
    pub name: String,
    pub text: String,
}

/// The machine of the guide in `archdefs/README.md`.
fn slate() -> &'static str {
    const GUIDE: &str = include_str!("../../../archdefs/README.md");
    let (_, rest) = GUIDE.split_once("```arch slate.arch\n").expect("a block");
    rest.split_once("```").expect("its end").0
}

/// What `tlbc new` writes, with its blanks filled in.
fn filled() -> String {
    let new = include_str!("../../../compiler/explain/new.arch");
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    let text: String = new.lines().map(code).collect();
    let mut answers = ANSWERS.split(" | ");
    let mut parts = text.split("???");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += answers.next().expect("an answer");
        out += part;
    }
    assert_eq!(answers.next(), None, "answers are left");
    out
}

/// The text of a definition with this machine's processor architecture.
fn here(text: &str) -> String {
    let (before, rest) = text.split_once("target_arch \"").expect("its target");
    let (_, after) = rest.split_once('"').expect("its end");
    let arch = std::env::consts::ARCH;
    format!("{before}target_arch \"{arch}\"{after}")
}

/// Every seed.
pub fn all() -> Vec<Seed> {
    let made_up = MADE_UP.map(|(name, text)| (name, here(text)));
    let others = [("slate", here(slate())), ("filled", here(&filled()))];
    let cut = CUT.map(|(name, text)| (name, text.to_owned()));
    let all = made_up.into_iter().chain(others).chain(cut);
    let all = all.map(|(name, text)| (name.to_owned(), text));
    let shipped = archdefs::shipped().into_iter().map(|it| (it.path, it.text));
    all.chain(shipped)
        .map(|(name, text)| Seed { name, text })
        .collect()
}
