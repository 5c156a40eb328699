//! Features that registers report and settings that they need, in generated modules and in documents.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tlbc_tests::archdefs;
use tlbc_tests::read_registers;
use tlbc_tests::requests;
use tlbc_tests::snapshot;

use tlbc::codes::TOY;
use tlbc::doc::page;
use tlbc::matrix::{Matrix, html, markdown, marked, text};
use tlbc::source::Files;

/// Returns the flags, the limits and the registers of a line of `archdefs/NAME/registers.txt`.
type Line<'a> = (
    BTreeSet<&'a str>,
    Vec<(&'a str, u32)>,
    BTreeMap<&'a str, u64>,
);

/// Reads `REGISTER=0xVALUE ... | FLAG LIMIT=VALUE ...`.
fn read(line: &str) -> Option<Line<'_>> {
    let (registers, found) = line.split_once('|')?;
    let register = |word| {
        let (name, value): (&str, &str) = str::split_once(word, '=')?;
        let digits = value.strip_prefix("0x")?;
        Some((name, u64::from_str_radix(digits, 16).ok()?))
    };
    let registers = registers.split_whitespace().map(register);
    let words = found.split_whitespace().filter(|word| *word != "-");
    let (limits, flags): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
    let limit = |word: &str| word.split_once('=')?.1.parse().ok();
    let name = |word: &'_ str| word.find('=');
    let limits = limits
        .into_iter()
        .map(|word| Some((&word[..name(word)?], limit(word)?)));
    Some((
        flags.into_iter().collect(),
        limits.collect::<Option<_>>()?,
        registers.collect::<Option<_>>()?,
    ))
}

/// What a backend reads from registers is what the manual says: `archdefs/NAME/registers.txt`.
#[test]
fn features_and_limits_are_read_from_registers() {
    let mut compared = 0;
    for arch in archdefs::names() {
        let model = &archdefs::analysis(arch).model;
        let features = model.features.iter().filter(|it| it.from.is_some());
        let features = features.map(|it| it.named.name.as_str());
        let limits = model.limits.iter().filter(|it| it.from.is_some());
        let limits = limits.map(|it| it.named.name.as_str());
        let mut unseen: BTreeSet<&str> = features.chain(limits).collect();
        if unseen.is_empty() {
            assert!(read_registers(arch, |_| 0).is_none(), "{arch}");
            continue;
        }
        let text = archdefs::data(arch, "registers.txt");
        for line in archdefs::lines(&text) {
            let line_read = read(line);
            let (flags, limits, registers) =
                line_read.unwrap_or_else(|| panic!("archdefs/{arch}/registers.txt: {line}"));
            let used = RefCell::new(BTreeSet::new());
            let value = |name: &str| {
                used.borrow_mut().insert(name.to_owned());
                registers.get(name).copied().unwrap_or(0)
            };
            let (on, of_limits) = read_registers(arch, value).expect("registers");
            let on: BTreeSet<&str> = on.into_iter().collect();
            assert_eq!(on, flags, "{arch}: {line}");
            for limit in &limits {
                assert!(of_limits.contains(limit), "{arch}: {line}: {of_limits:?}");
            }
            let unknown = registers
                .keys()
                .find(|name| !used.borrow().contains(**name));
            assert_eq!(unknown, None, "{arch}: {line}");
            unseen.retain(|name| !on.contains(name) && limits.iter().all(|(it, _)| it != name));
            compared += 1;
        }
        assert!(unseen.is_empty(), "{arch}: no line has {unseen:?}");
    }
    assert!(compared > 0, "no backend reads registers");
}

macro_rules! configurations {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        mod $arch {
            use tlbc_backends::$arch::Config;
            use tlbc_runtime::Flags as _;
            use tlbc_tests::archdefs;
            use tlbc_tests::configurations::{all, words};

            const ARCH: &str = stringify!($arch);

            /// Returns the flags of the features.
            fn features() -> Vec<Config> {
                let is = |name: &str| {
                    let mut features = archdefs::analysis(ARCH).model.features.iter();
                    features.any(|feature| feature.named.name == name)
                };
                let named = Config::NAMES.iter().filter(|(name, _)| is(name));
                named.map(|(_, flag)| *flag).collect()
            }

            /// `settled` returns a possible configuration for every input: as little is taken away as possible.
            #[test]
            fn settled_configurations_are_possible() {
                let flags = features();
                for bits in 0..1u32 << flags.len() {
                    let on = flags.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0);
                    let config = on.fold(Config::NONE, |c, (_, flag)| c.with(*flag));
                    let settled = config.settled();
                    assert!(settled.is_possible(), "{config:?}");
                    assert_eq!(config.is_possible(), settled == config, "{config:?}");
                    for flag in flags.iter().filter(|flag| !settled.has(**flag)) {
                        let more = settled.with(*flag);
                        assert!(
                            !config.has(*flag) || !more.is_possible(),
                            "{config:?} can keep more than {settled:?}"
                        );
                    }
                    assert_eq!(settled.least(config), settled, "{config:?}");
                }
            }

            /// Several CPUs have the features of all and the errata of any; with different page sizes they make no machine.
            #[test]
            fn several_cpus_have_what_all_have() {
                let model = &archdefs::analysis(ARCH).model;
                let machines: Vec<_> = all(model).collect();
                let of = |config| {
                    let words = words(model, config);
                    let flags = Config::NAMES.iter();
                    let on = flags.filter(|(name, _)| words.split(' ').any(|word| word == *name));
                    on.fold(Config::NONE, |config, (_, flag)| config.with(*flag))
                };
                let step = machines.len() / 16 + 1;
                for (one, other) in (machines.iter().step_by(step))
                    .flat_map(|one| machines.iter().step_by(step).map(move |other| (*one, *other)))
                {
                    let least = of(one).least(of(other));
                    if one.geometry != other.geometry {
                        // The first page size has no flag.
                        let both_known = one.geometry != 0 && other.geometry != 0;
                        assert!(!both_known || !least.is_possible(), "{one:?} and {other:?}");
                        continue;
                    }
                    let both = tlbc::model::Config {
                        features: one.features & other.features,
                        errata: one.errata | other.errata,
                        geometry: one.geometry,
                    };
                    assert_eq!(least, of(both), "{one:?} and {other:?}");
                }
            }
        }
    )* };
}

tlbc_tests::for_each_architecture!([configurations]);

/// Returns the example machine with a feature and a setting.
fn toy() -> String {
    requests::edited(
        TOY,
        "    change { plain store; }",
        "    feature fast \"flushes are fast\" from ID1.0[3:0] >= 2;
    feature chosen \"the kernel wants it\" needs fast;
    feature slow \"never together with chosen\" from ID1.0[7] = 1 needs not chosen;
    needs CTRL.FAST[9:8] = 0, 1 when fast \"why [it] has to\";
    needs CTRL.CACHED >= 2 \"walks read the cache\";
    needs \"leaf entries of the kernel are marked\" unless slow;
    change { plain store; }",
    )
    .replace(
        "ceiling 64 operations;",
        "ceiling 64 operations, 32 operations when fast, 16 operations when chosen, 8 operations when slow;",
    )
}

#[test]
fn generated_module() {
    let compiled = tlbc::compile([("toy.arch", toy())]);
    let findings: Vec<&str> = compiled
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(findings, [""; 0]);
    let text = &compiled.outputs[0].text;
    let part = |from: &str, to: &str| {
        let start = text.find(from).unwrap_or_else(|| panic!("{from}"));
        let end = start + text[start..].find(to).unwrap_or_else(|| panic!("{to}"));
        text[start..end].to_owned()
    };
    let config = part(
        "/// The values of the registers",
        "    /// Every flag by its name in the definition",
    );
    let functions = part(
        "    /// Returns the configuration with a flag cleared.",
        "    /// Returns whether a flag is set.",
    );
    let hardware = part(
        "    /// Returns a sink that executes instructions.",
        "        Self(())",
    );
    snapshot!("registers", [config, functions, hardware].join("...\n"));
}

#[test]
fn what_people_read() {
    let mut files = Files::default();
    let file = files.add("toy.arch", toy());
    let (analysis, _) = tlbc::analyse(&files, file);
    let analysis = analysis.expect("a definition");
    let proof = tlbc::prove::prove(&analysis.model, &analysis.plans);
    let page = page(&analysis, &files, &proof);
    let matrix = Matrix::new(std::slice::from_ref(&analysis), false);
    let terminal = text(&matrix, 400);
    for statement in [
        "`ID1.0[3:0] >= 2`",
        "`CTRL.FAST[9:8] = 0`, `= 1` when `fast`",
        "`CTRL.CACHED >= 2`",
        "leaf entries of the kernel are marked when not `slow`",
    ] {
        let marked = marked(statement);
        assert!(page.contains(&marked), "{statement} in\n{page}");
        assert!(markdown(&matrix, true).contains(&marked), "{statement}");
        assert!(terminal.contains(statement), "{statement} in\n{terminal}");
    }
    assert!(page.contains(&marked("why [it] has to")), "{page}");
    assert!(html(&matrix).contains("CTRL.FAST[9:8] = 0"));
}
