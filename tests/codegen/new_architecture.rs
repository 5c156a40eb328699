//! An invented architecture, from its definition to the instructions that its backend issues, with the
//! command alone, in a directory of its own.
//!
//! The machine has properties that the shipped ones lack: cached entries that cover two pages, negative
//! entries, a broadcast that only one CPU may issue at a time and that compares no tag, and per-CPU tags.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tlbc_tests::command::{Run, run, tlbc};
use tlbc_tests::workspace::root;

const DEFINITION: &str = include_str!("new_architecture/quartz.arch");
const ASKS: &str = include_str!("new_architecture/asks.rs");

/// A request as arguments of `trace` and as Rust, and the expected result: the instructions of this CPU, those of
/// each interrupted CPU (`=`: the same), and the CPUs that defer flushes.
type Case = (&'static str, &'static str, [&'static str; 3]);

const NONE: [&str; 2] = ["", ""];
/// The CPUs that are not interrupted: they flush before they load the space again.
const LATER: &str = "lazy CPUs; inactive CPUs";

const CASES: &[Case] = &[
    // Two neighbouring pages share one entry, or are in two.
    (
        "--range 0x4000..0x8000",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PTE, 0x4000, 0x4000)))",
        ["order; drop_leaf entry=0x4005; settle", NONE[0], NONE[1]],
    ),
    (
        "--range 0x6000..0xa000",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PTE, 0x6000, 0x4000)))",
        [
            "order; drop_leaf entry=0x4005; drop_leaf entry=0x8005; settle",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--range 0x6000..0x8000",
        "flush(Space::User, Reach::Here, Scope::Page { va: 0x6000, level: PTE, table: false })",
        ["order; drop_leaf entry=0x6005; settle", NONE[0], NONE[1]],
    ),
    (
        "--range 0x400000..0xc00000 --level pmd",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PMD, 0x400000, 0x800000)))",
        [
            "order; drop_leaf entry=0x5; drop_leaf entry=0x800005; settle",
            NONE[0],
            NONE[1],
        ],
    ),
    // The policy has no stride for the next level, so its entries are named by those of the level below.
    (
        "--range 0x4000000..0x6000000 --level pud",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PUD, 0x400_0000, 0x200_0000)))",
        [
            "order; drop_leaf entry=0x4000005; drop_leaf entry=0x4800005; drop_leaf entry=0x5000005; \
             drop_leaf entry=0x5800005; settle",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--range 0x4000000..0x8000000 --level pud",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PUD, 0x400_0000, 0x400_0000)))",
        [
            "order; drop_leaf entry=0x4000005; drop_leaf entry=0x4800005; drop_leaf entry=0x5000005; \
             drop_leaf entry=0x5800005; drop_leaf entry=0x6000005; drop_leaf entry=0x6800005; \
             drop_leaf entry=0x7000005; drop_leaf entry=0x7800005; settle",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--range 0x4000000..0xa000000 --level pud",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PUD, 0x400_0000, 0x600_0000)))",
        ["order; drop_slot number=0x5; settle", NONE[0], NONE[1]],
    ),
    // The broadcast would invalidate under every tag: other CPUs are interrupted and flush under their own tags.
    (
        "--range 0x4000..0x8000 --cpus others",
        "flush(Space::User, Reach::Wide, Scope::Ranges(&cleared(PTE, 0x4000, 0x4000)))",
        ["order; drop_leaf entry=0x4005; settle", "=", LATER],
    ),
    // Eight entries are sixteen pages, and one page more is too many.
    (
        "--range 0x8000..0x28000",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PTE, 0x8000, 0x20000)))",
        [
            "order; drop_leaf entry=0x8005; drop_leaf entry=0xc005; drop_leaf entry=0x10005; \
             drop_leaf entry=0x14005; drop_leaf entry=0x18005; drop_leaf entry=0x1c005; \
             drop_leaf entry=0x20005; drop_leaf entry=0x24005; settle",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--range 0x8000..0x2a000",
        "flush(Space::User, Reach::Here, Scope::Ranges(&cleared(PTE, 0x8000, 0x22000)))",
        ["order; drop_slot number=0x5; settle", NONE[0], NONE[1]],
    ),
    // Only one of the two instructions drops negative entries.
    (
        "--event fault --range 0x4000..0x6000",
        "flush(Space::User, Reach::Here, Scope::Ranges(&negative(PTE, 0x4000, 0x2000)))",
        ["order; drop_entry entry=0x4005; settle", NONE[0], NONE[1]],
    ),
    // If a table is unlinked as well, that instruction is not enough: everything of the tag is flushed.
    (
        "--everything",
        "flush(Space::User, Reach::Here, Scope::Ranges(&both()))",
        ["order; drop_slot number=0x5; settle", NONE[0], NONE[1]],
    ),
    // Lazy CPUs walk the tables, so they are interrupted when a table is unlinked.
    (
        "--range 0x400000..0x404000 --tables-freed --cpus others",
        "flush(Space::User, Reach::Wide, Scope::Ranges(&freed(0x400000, 0x4000)))",
        [
            "order; drop_entry entry=0x400005; settle",
            "=",
            "inactive CPUs",
        ],
    ),
    (
        "--everything --cpus others",
        "flush(Space::User, Reach::Wide, Scope::Everything { tables: true })",
        ["order; drop_slot number=0x5; settle", "=", "inactive CPUs"],
    ),
    // Entries of the kernel are under every tag, and the broadcast compares none.
    (
        "--kernel --range 0xffffff0000004000..0xffffff0000008000 --cpus others",
        "flush(Space::Kernel, Reach::Wide, Scope::Ranges(&cleared(PTE, 0xffff_ff00_0000_4000, 0x4000)))",
        [
            "order; shout_page address=0xffffff0000004000; settled",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--kernel --range 0xffffff0000004000..0xffffff0000008000 --mapped --cpus others",
        "flush(Space::Kernel, Reach::Wide, Scope::Ranges(&negative(PTE, 0xffff_ff00_0000_4000, 0x4000)))",
        [
            "order; shout_page address=0xffffff0000004000; settled",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--kernel --everything --cpus others",
        "flush(Space::Kernel, Reach::Wide, Scope::Everything { tables: true })",
        ["order; shout_all; settled", NONE[0], NONE[1]],
    ),
    (
        "--event switch",
        "switch(Pending::None)",
        ["root root=0x40000005", NONE[0], NONE[1]],
    ),
    (
        "--event switch --pending tag",
        "switch(Pending::Tag)",
        [
            "order; drop_slot number=0x5; settle; root root=0x40000005",
            NONE[0],
            NONE[1],
        ],
    ),
    (
        "--event cpu-online",
        "cpu_online()",
        ["order; drop_all; settle", NONE[0], NONE[1]],
    ),
];

/// Creates a crate with the backend of the definition, the runtime, and a program with the requests.
fn project() -> TempDir {
    let project = TempDir::new().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    let runtime = root().join("runtime");
    let manifest = format!(
        "[package]\nname = \"fifth\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ntlbc-runtime = {{ path = '{}' }}\n",
        runtime.display()
    );
    let calls = CASES.iter().map(|(_, call, _)| format!("{call};\n"));
    write("Cargo.toml", &manifest);
    write("archdefs/quartz.arch", DEFINITION);
    write("src/lib.rs", "#![no_std]\npub mod quartz;\n");
    write("src/main.rs", ASKS);
    write(
        "src/cases.rs",
        &format!("{{\n{}}}\n", calls.collect::<String>()),
    );
    project
}

/// Runs `tlbc` in the project.
fn tlbc_in(project: &Path, tlbc: &Path, arguments: &str) -> String {
    let mut command = Command::new(tlbc);
    let Run {
        good,
        stdout,
        stderr,
    } = run(command.args(arguments.split(' ')).current_dir(project));
    assert!(good, "{arguments}: {stderr}");
    stdout
}

/// Builds and runs the project; returns its output.
fn cargo_run(project: &Path) -> String {
    // The compiler knows the names of the architectures that there are.
    let flags = "-Dwarnings --check-cfg=cfg(target_arch,values(\"quartz\"))";
    let mut command = Command::new(env!("CARGO"));
    let Run {
        good,
        stdout,
        stderr,
    } = run(command
        .args(["run", "--offline", "--quiet"])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", project.join("target"))
        .env("RUSTFLAGS", flags));
    assert!(good, "{stderr}");
    stdout
}

/// Returns a JSON trace in the format of the project's output.
fn shown(json: &str) -> String {
    let trace: Value = serde_json::from_str(json).expect("JSON");
    let list = |of: &Value, name: &str| of[name].as_array().expect("a list").clone();
    let text = |of: &Value, name: &str| of[name].as_str().expect("a text").to_owned();
    let instruction = |step: &Value| {
        let operands = list(step, "operands").into_iter();
        let operands = operands.map(|it| format!(" {}={}", text(&it, "name"), text(&it, "value")));
        format!("{}{}", text(step, "name"), operands.collect::<String>())
    };
    let instructions = |steps: Vec<Value>| {
        let steps = steps.iter().filter(|step| step["kind"] != "ipi");
        steps.map(instruction).collect::<Vec<_>>().join("; ")
    };
    let elsewhere = list(&trace, "ipis").into_iter();
    let elsewhere = elsewhere.flat_map(|ipi| list(&ipi, "steps")).collect();
    let deferred = list(&trace, "deferred").into_iter();
    let words = |cpus: String| cpus.replace("_cpu", " CPU");
    let deferred: Vec<String> = deferred.map(|it| words(text(&it, "cpus"))).collect();
    format!(
        "{}|{}|{}",
        instructions(list(&trace, "here")),
        instructions(elsewhere),
        deferred.join("; ")
    )
}

#[test]
fn one_more_architecture_takes_one_file() {
    let tlbc = tlbc();
    let project = project();
    let project = project.path();
    let checked = tlbc_in(project, &tlbc, "check");
    assert_eq!(checked, "1 definition, no errors\n");
    let written = tlbc_in(project, &tlbc, "gen archdefs/quartz.arch --out src");
    assert_eq!(written, "src/quartz.rs: written\n");
    let did = cargo_run(project);
    let did: Vec<&str> = did.lines().collect();
    assert_eq!(did.len(), CASES.len());
    for ((asked, _, expected), did) in CASES.iter().zip(did) {
        let arguments = format!("trace archdefs/quartz.arch {asked} --tag 5 --format json");
        let arguments = if asked.contains("cpu-online") || asked.contains("kernel") {
            arguments.replace(" --tag 5", "")
        } else {
            arguments
        };
        assert_eq!(did, shown(&tlbc_in(project, &tlbc, &arguments)), "{asked}");
        let [here, others, deferred] = *expected;
        let others = if others == "=" { here } else { others };
        assert_eq!(did, format!("{here}|{others}|{deferred}"), "{asked}");
    }
}

/// What is issued here for a request, on a machine that differs.
fn traced(edits: &[(&str, &str)], request: &str) -> Vec<String> {
    let text = edits
        .iter()
        .fold(DEFINITION.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        });
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("it.arch"), text).expect("a file");
    let trace = tlbc_in(
        directory.path(),
        &tlbc(),
        &format!("trace it.arch {request}"),
    );
    let here = trace
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with(' '));
    here.map(|line| {
        line.trim()
            .split("  ")
            .next()
            .unwrap_or_default()
            .to_owned()
    })
    .collect()
}

/// A run counts table entries, and a pass the translations that are cached of them: half of what is
/// asked for would stay.
#[test]
fn runs_of_entries_do_not_serve_where_a_translation_covers_several() {
    const RUN: &str = "operand region 64 bits {
        [63:13] va[63:13]; [12] level as pte 0, pmd 1; [11:6] num; [5:0] tag; names num + 1 entries;
    }
    invalidate drop_run \"drop.run {region}\" {
        per \"Quartz manual, 7.9\";
        drops leaf of run of 1..64 entries at pte, pmd, this tag;
        where self;
        after settle;
    }
    change";
    let pages = "--range 0x4000..0x14000";
    let alone = ("leaf at pte covers 2 entries;", "");
    let two_sizes = ("pud 25 leaf;", "");
    let apart = traced(
        &[
            alone,
            ("leaf at pmd covers 2 entries;", ""),
            ("change", RUN),
            two_sizes,
        ],
        pages,
    );
    assert_eq!(apart, ["order", "drop.run 0x41c1", "settle"]);
    let joined = traced(&[("change", RUN), two_sizes], pages);
    let dropped = joined.iter().filter(|line| line.starts_with("drop."));
    assert_eq!(dropped.count(), 4, "{joined:?}");
}

/// A level that is not named is covered alone: each of its entries is dropped.
#[test]
fn a_translation_covers_several_entries_of_the_levels_that_say_so() {
    let large = "--range 0x800000..0x1000000 --level pmd";
    let dropped = |edits: &[(&str, &str)], range: &str| {
        let lines = traced(edits, range);
        lines
            .iter()
            .filter(|line| line.starts_with("drop."))
            .count()
    };
    assert_eq!(dropped(&[], large), 1);
    let pages_alone = ("leaf at pmd covers 2 entries;", "");
    assert_eq!(dropped(&[pages_alone], large), 2);
    let pages = "--range 0x4000..0x14000";
    assert_eq!(dropped(&[pages_alone], pages), 4);
    assert_eq!(dropped(&[("leaf at pte covers 2 entries;", "")], pages), 8);
}

/// A deferred flush may be one of negative entries: a load that does not drop them does not complete it.
#[test]
fn a_load_that_leaves_negative_entries_completes_no_deferred_flush() {
    let load = "load root \"load.root {root}\" { per \"Quartz manual, 3.2\"; ";
    let switch = |drops: &str| {
        let edit = (
            load,
            &*format!("{load}drops {drops} of everything, this tag; "),
        );
        traced(&[edit], "--event switch --pending tag")
    };
    assert_eq!(switch("leaf, walk, negative"), ["load.root 0x40000001"]);
    let flushed = ["order", "drop.slot 0x1", "settle", "load.root 0x40000001"];
    assert_eq!(switch("leaf, walk"), flushed);
}

/// A broadcast that leaves negative entries is not enough on CPUs that cache them.
#[test]
fn entries_that_no_broadcast_drops_take_an_ipi() {
    let edits = [
        (
            "drops leaf, walk, negative of one page, any tag",
            "drops leaf, walk of one page, any tag",
        ),
        (
            "walk, negative of everything, any tag;\n        where cpus",
            "walk of everything, any tag;\n        where cpus",
        ),
        ("shootdown broadcast;", ""),
    ];
    let page = "--kernel --cpus others --range 0xffffff0000004000..0xffffff0000008000";
    let ipi = "(IPI to active CPUs, lazy CPUs)";
    assert_eq!(traced(&edits, page), ["order", "drop.all", ipi, "settle"]);
}
