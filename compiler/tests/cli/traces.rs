//! `tlbc trace`: its output, and the options that it refuses.

use crate::support::{root, shipped, tlbc, tlbc_reading};
use crate::{session, snapshot};

const X86: &str = "archdefs/x86_64.arch";
const ARM: &str = "archdefs/arm64.arch";
const S390: &str = "archdefs/s390.arch";
const POWER: &str = "archdefs/powerpc64.arch";

/// Runs `tlbc trace` with several lists of options, written as in a shell. Returns the commands with their output.
fn traced(lines: &[(&str, &str)]) -> String {
    let lines: Vec<Vec<&str>> = lines
        .iter()
        .map(|(file, options)| {
            let options = options.split(' ');
            let options = options.map(|option| if option == "''" { "" } else { option });
            ["trace", file].into_iter().chain(options).collect()
        })
        .collect();
    let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    session(&lines)
}

#[test]
fn traces() {
    snapshot(
        "traces",
        &traced(&[
            (X86, "--range 0x1000..0x3000"),
            (
                ARM,
                "--range 0x40000000..0x40200000 --tables-freed --cpus others --features all --errata all",
            ),
            (
                X86,
                "--kernel --range 0xffff_ffff_ffff_f000..0x1_0000_0000_0000_0000 --format json",
            ),
            (X86, "--event switch --pending tag --features pge,pcid"),
            (ARM, "--event publish --kernel"),
            // Ranges of several levels, and empty lists.
            (
                ARM,
                "--range 0x1000..0x3000@pte --range 0x200000..0x400000@pmd --cpus others --features '' --errata ''",
            ),
            // The tag says how other CPUs are reached, where there are two kinds.
            (
                X86,
                "--range 0x1000..0x2000 --cpus others --features pge,pcid,invpcid,pti --tables-freed",
            ),
            (
                X86,
                "--range 0x1000..0x2000 --cpus others --features pge,pcid,invpcid,invlpgb --tag 3",
            ),
            (
                X86,
                "--range 0x1000..0x2000 --cpus others --features pge,pcid,invpcid,invlpgb --tag shared:0x17",
            ),
            (X86, "--range 0x1000..0x2000 --features pge,pcid --tag 0x17"),
            // Which instructions belong to workarounds, and which load is of the empty root.
            (
                ARM,
                "--range 0x1000..0x2000 --cpus others --errata repeat_tlbi",
            ),
            (
                ARM,
                "--range 0x1000..0x2000 --cpus others --errata repeat_tlbi --format json",
            ),
            (
                POWER,
                "--range 0x1000..0x2000 --features gtse,broadcast --errata all",
            ),
            // Those that this machine can have.
            (POWER, "--event publish --features isa31 --errata all"),
            (ARM, "--event switch"),
            (ARM, "--event switch --format json"),
        ]),
    );
}

/// On machines where the runtime never flushes only this CPU, `--cpus others` is the default.
#[test]
fn traces_of_the_usual_cpus() {
    let page = "--range 0x1000..0x2000";
    snapshot(
        "traces_of_the_usual_cpus",
        &traced(&[
            (ARM, page),
            (ARM, "--everything"),
            (ARM, "--teardown"),
            (ARM, "--range 0x1000..0x2000 --cpus self"),
            (POWER, page),
            (X86, page),
            (
                X86,
                "--range 0x1000..0x2000 --features pge,pcid,invpcid,invlpgb",
            ),
            (S390, page),
        ]),
    );
}

/// Every option changes the answer or is refused. None is ignored silently.
#[test]
fn no_option_is_dropped() {
    let what = [
        "--range 0x1000..0x2000@pte",
        "--everything",
        "--teardown",
        "--event switch",
        "--event return-to-user",
        "--event enter-from-user",
        "--event cpu-online",
        "--event publish",
        "--event fault --range 0x1000..0x2000@pte",
    ];
    let how = [
        "--level pmd",
        "--tables-freed",
        "--tables-freed --below-live",
        "--below-live",
        "--mapped",
        "--stored",
        "--change unmap",
        "--change unmap --defer",
        "--defer",
        "--pending tag",
        "--tag 0x7000",
        "--cpus self",
        "--cpus others",
    ];
    // Of these, one would be ignored.
    let apart = [
        "--pending tag --cpus others",
        "--tables-freed --below-live --mapped",
        "--below-live --mapped",
        "--defer --mapped",
        "--defer --tables-freed",
    ];
    // Default values change nothing.
    let usual = |what: &str, how: &str| how == "--cpus self" && !what.contains("event");
    for what in what {
        let run = |how: &str| {
            let options = what.split(' ').chain(how.split_whitespace());
            let arguments: Vec<&str> = ["trace", S390, "--format", "json"]
                .into_iter()
                .chain(options)
                .collect();
            tlbc(&root(), &arguments)
        };
        let plain = run("");
        assert_eq!(plain.code, Some(0), "{what}: {}", plain.stderr);
        for how in how.into_iter().filter(|how| !usual(what, how)) {
            let with = run(how);
            let refused = with.code == Some(2);
            assert!(refused || with.stdout != plain.stdout, "{what} {how}");
        }
        for how in apart {
            assert_eq!(run(how).code, Some(2), "{what} {how}");
        }
    }
}

#[test]
fn traces_of_changes() {
    let page = "--range 0x1000..0x2000 --cpus others";
    let large = "--range 0x200000..0x400000 --level pmd --cpus others";
    let kernel = "--kernel --range 0xffff800000000000..0xffff800000001000";
    let of = |options: &str, to: &str| format!("{options} --change {to}");
    snapshot(
        "traces_of_changes",
        &traced(&[
            (ARM, &of(page, "unmap")),
            (ARM, &of(page, "replace")),
            (ARM, &of(page, "fewer-rights")),
            (ARM, &of(page, "more-rights")),
            (ARM, "--event fault --range 0x1000..0x2000"),
            (ARM, &of(kernel, "map")),
            (X86, &of(page, "replace")),
            (X86, &of(page, "more-rights")),
            (X86, "--event fault --range 0x1000..0x2000"),
            (X86, &of(kernel, "more-rights")),
            (X86, &of(page, "accessed-cleared")),
            (X86, &of(page, "dirty-cleared")),
            (X86, &of(large, "split")),
            (X86, &of(large, "collapse --features pge,pcid,pti")),
            (POWER, &of(page, "more-rights --features gtse,coprocessors")),
            (S390, "--range 0x1000..0x3000 --cpus others"),
            (S390, "--range 0x1000..0x3000 --cpus self"),
            (S390, "--range 0x1000..0x3000 --cpus others --stored"),
            (S390, "--range 0x1000..0x2000 --change unmap --defer"),
            (S390, "--range 0x1000..0x2000 --change fewer-rights --defer"),
            // More rights leave no pending flush: a CPU that faults flushes.
            (S390, "--range 0x1000..0x2000 --change more-rights --defer"),
            // An instruction that drops entries leaves no stricter entry; one that gives more rights may.
            (S390, &of(page, "more-rights")),
            (S390, &of(page, "more-rights --features rdp,local_clear")),
            (
                S390,
                "--range 0x100000..0x200000@pmd --cpus others --change software-bits --features all",
            ),
            (
                S390,
                "--range 0x1000..0x2000 --cpus others --change software-bits",
            ),
        ]),
    );
}

#[test]
fn traces_of_moved_tables() {
    let table =
        "--range 0x40000000..0x80000000 --level pmd --tables-freed --below-live --cpus others";
    let of = |features: &str| format!("{table} --features {features}");
    snapshot(
        "traces_of_moved_tables",
        &traced(&[
            (X86, &of("pge,pcid,invpcid")),
            (ARM, &of("ttl,ranges")),
            (
                X86,
                "--range 0x40000000..0x40600000 --level pmd --tables-freed --below-live",
            ),
            (X86, "--range 0x1000..0x4000 --tables-freed --below-live"),
        ]),
    );
}

/// New mappings: nothing is flushed if negative entries are not cached. If they are, the CPU that takes a fault in user
/// code flushes, and new entries of the kernel are flushed on all CPUs.
#[test]
fn traces_of_new_entries() {
    let text = shipped("arm64.arch");
    let negative = text.replace("invalid never;", "invalid cached;");
    let negative = negative.replace("drops leaf, walk", "drops leaf, negative, walk");
    let negative = negative.replace("drops leaf at hint of", "drops leaf at hint, negative of");
    let kernel = [
        "--kernel",
        "--range",
        "0xffff800000000000..0xffff800000001000",
    ];
    let requests: [&[&str]; 3] = [
        &["--mapped", "--range", "0x1000..0x2000", "--cpus", "others"],
        &["--event", "fault", "--range", "0x1000..0x2000"],
        &[&kernel[..], &["--mapped"]].concat(),
    ];
    let mut shown = String::new();
    for (name, text) in [
        ("as shipped", &text),
        ("negative entries cached", &negative),
    ] {
        for request in requests {
            let arguments = [&["trace", "-"], request].concat();
            let run = tlbc_reading(&root(), &arguments, text.as_bytes());
            shown += &format!("{name}: {}", crate::shown(&arguments, &run));
        }
    }
    snapshot("traces_of_new_entries", &shown);
}

#[test]
fn trace_refuses() {
    let page = |more: &str| format!("--range 0x1000..0x2000 {more}");
    snapshot(
        "trace_refuses",
        &traced(&[
            (X86, "--range 0x3000"),
            (X86, "--range 0x3000..0x1000"),
            (X86, "--range 0x1000..0x1000"),
            (X86, "--range 0x1000..0x1_0000_0000_0000_0001"),
            (X86, "--range 0x1000..0x1010"),
            (X86, "--range 0x1000..0x3000@pmd"),
            (X86, "--range 0x1000..0x3000@pmd --change unmap"),
            (X86, "--range 0x1000..0x3000@pmd --mapped"),
            (X86, "--event fault --range 0x1000..0x3000@pmd"),
            (S390, "--range 0x40000000..0x50000000@pud --tables-freed"),
            (S390, &page("--change fewer-rights --defer --cpus others")),
            (X86, "--range 0x1000..0x2000@pte --level pmd"),
            (X86, "--everything --change attributes"),
            (X86, "--everything --pending tag"),
            (X86, "--teardown --mapped"),
            (X86, "--event switch --cpus self"),
            (X86, &page("--stored --pending tag")),
            (X86, "--range 0x1000..0x2000@"),
            (X86, "--range 0xffff800000000000..0xffff800000001000"),
            (X86, &page("--level ptt")),
            (X86, "--range 0x1000..0x2000@ptt"),
            (X86, &page("--level p4d")),
            (
                X86,
                &page("--range 0x200000..0x400000 --level pte --level pmd"),
            ),
            (X86, &page("--features pge,pcid,invpclb")),
            (X86, &page("--features invlpgb,pti")),
            (POWER, &page("--features isa31 --errata p9_erat")),
            (X86, &page("--errata missing")),
            (X86, &page("--geometry g16k")),
            (X86, &page("--limit invlpgb_pages=0")),
            (X86, &page("--limit invlpgb_pages")),
            (X86, &page("--features pge,pcid --tag 0x1000")),
            (X86, &page("--features pge,pcid,pti --tag 0x801")),
            (X86, &page("--tag 7")),
            (X86, &page("--tag 0x10000000000000000")),
            (X86, &page("--tag pcid:7 --features pge,pcid")),
            (
                X86,
                &page("--tag shared:3 --features pge,pcid,invpcid,invlpgb"),
            ),
            (
                X86,
                &page("--tag slot:7 --features pge,pcid,invpcid,invlpgb"),
            ),
            (
                X86,
                &page("--tag 0xfff --features pge,pcid,invpcid,invlpgb"),
            ),
            (S390, &page("--level pmd --change map")),
            (S390, &page("--change map --range 0x2000..0x3000")),
            (S390, &page("--change unmap --defer --kernel")),
            (S390, &page("--change split")),
            (S390, "--range 0x0..0x40000000 --cpus others"),
            (X86, &page("--change unmap --defer")),
            (
                X86,
                "--range 0x0..0x8000000000 --level p4d --change fewer-rights --features la57",
            ),
            (X86, "--event cpu-online --pending tag"),
            (X86, "--event publish --pending tag"),
            (X86, "--event fault --pending tag --range 0x1000..0x2000"),
            (X86, "--event fault"),
            (X86, &page("--event publish")),
            (X86, "--event switch --kernel"),
            (POWER, "--event switch --pending all"),
            (X86, "--everything --range 0x1000..0x2000"),
            (X86, "--format json"),
        ]),
    );
}

/// Every combination of options gives either an answer or a reason, and the same one as text and as JSON.
#[test]
fn options_in_combination() {
    let what = [
        "--range 0x1000..0x3000",
        "--range 0x40000000..0x80000000 --level pmd",
        "--range 0x0..0x200000@pte --range 0x200000..0x400000@pmd",
        "--everything",
        "--teardown",
        "--event switch --pending all",
        "--event return-to-user --pending tag",
        "--event fault --range 0x1000..0x2000",
        "--event publish",
    ];
    let how = [
        "",
        "--tables-freed",
        "--tables-freed --below-live",
        "--mapped",
        "--change attributes",
        "--kernel",
    ];
    for (nth, file) in [X86, ARM, S390, POWER].into_iter().enumerate() {
        // Only every other request on each machine, because running the command takes time.
        for (other, what) in what.iter().enumerate().skip(nth % 2).step_by(2) {
            let how = how[(nth + other) % how.len()];
            let options = what
                .split(' ')
                .chain(how.split(' ').filter(|it| !it.is_empty()));
            let arguments: Vec<&str> = ["trace", file, "--features", "all"]
                .into_iter()
                .chain(options)
                .collect();
            let text = tlbc(&root(), &arguments);
            let json = tlbc(&root(), &[&arguments[..], &["--format", "json"]].concat());
            assert_eq!(text.code, json.code, "{arguments:?}");
            match text.code {
                Some(0) => {
                    let value: serde_json::Value =
                        serde_json::from_str(&json.stdout).expect("JSON");
                    let title = value["request"]["title"].as_str().expect("a title");
                    assert!(text.stdout.starts_with(title), "{arguments:?}: {title}");
                }
                Some(2) => assert_eq!(
                    (text.stdout, json.stdout),
                    Default::default(),
                    "{arguments:?}"
                ),
                code => panic!("{arguments:?}: {code:?}"),
            }
        }
    }
}

#[test]
fn the_schema_is_shipped() {
    let run = tlbc(&root(), &["explain", "trace-schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(
        schema["properties"]["version"]["const"],
        tlbc::trace::VERSION
    );
}

#[test]
fn why_shows_costs_and_what_was_rejected() {
    snapshot(
        "why",
        &traced(&[
            (
                X86,
                "--range 0x1000..0x3000 --cpus others --tables-freed --why",
            ),
            (ARM, "--range 0x1000..0x402000 --cpus others --why"),
            (POWER, "--everything --features gtse,isa31 --why"),
            (S390, "--teardown --cpus others --why --format json"),
            (X86, "--event switch --why"),
        ]),
    );
}
