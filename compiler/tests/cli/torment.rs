//! `tlbc torment`: what a failure looks like.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::snapshot;
use crate::support::xml::elements;
use crate::support::{root, shipped, tlbc};

/// Returns the text with each line number of a source left out, which other changes move.
fn without_lines(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let ends = |rest: &str| {
        let places = [".rs:", ".arch:"].into_iter();
        places
            .filter_map(|it| Some(rest.find(it)? + it.len()))
            .min()
    };
    while let Some(end) = ends(rest) {
        out += &rest[..end];
        out.push('_');
        rest = rest[end..].trim_start_matches(|it: char| it.is_ascii_digit());
        if let Some(column) = rest
            .strip_prefix(':')
            .filter(|it| it.starts_with(char::is_numeric))
        {
            rest = column.trim_start_matches(|it: char| it.is_ascii_digit());
        }
    }
    out + rest
}

/// Returns what is said of a failure: the life of the stale entry, its cause, and the places that are responsible.
fn life(arch: &str, knob: &str) -> String {
    let file = format!("archdefs/{arch}.arch");
    let run = tlbc(&root(), &["torment", &file, "--runtime", "--knobs", knob]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let end = run.stdout.find("\nCPU ").expect("the steps of each CPU");
    let end = run.stdout[end + 1..]
        .find("\nCPU 0")
        .map_or(end, |it| end + 1 + it);
    format!("{arch}, {knob}\n\n{}\n", without_lines(&run.stdout[..end]))
}

#[test]
fn the_life_of_a_stale_entry() {
    let lives = [
        life("x86_64", "free_page"),
        life("x86_64", "plan_no_ipi"),
        life("arm64", "plan_publish"),
    ];
    snapshot("lives_of_stale_entries", &lives.concat());
}

#[test]
fn a_failure_is_drawn_saved_and_repeated() {
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (svg, case) = (path("failure.svg"), path("failure.json"));
    let fixed = ["torment", "archdefs/x86_64.arch", "--runtime"];
    let knob = ["--knobs", "plan_no_ipi"];
    let first = [&fixed[..], &knob, &["--svg", &svg, "--save", &case]].concat();
    let first = tlbc(&root(), &first);
    assert_eq!(first.code, Some(0), "{}", first.stderr);

    let picture = elements(&fs::read_to_string(&svg).expect("a picture"));
    let texts: Vec<&str> = picture.iter().map(|it| it.text.as_str()).collect();
    let saved: Value =
        serde_json::from_str(&fs::read_to_string(&case).expect("a case")).expect("an object");
    let programs = saved["programs"].as_array().expect("programs");
    for (cpu, program) in programs.iter().enumerate() {
        let lane = format!("CPU {cpu}");
        let has_lane = texts.contains(&lane.as_str());
        assert_eq!(has_lane, !program.is_null(), "{lane}: {texts:?}");
    }
    assert!(texts.contains(&"fills the entry"), "{texts:?}");

    let again = tlbc(&root(), &[&fixed[..], &knob, &["--replay", &case]].concat());
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    let complaint = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!(complaint(&again.stdout), complaint(&first.stdout));
    let fixed = tlbc(&root(), &[&fixed[..], &["--replay", &case]].concat());
    assert_eq!(
        (fixed.code, fixed.stdout.as_str()),
        (Some(0), "no complaint\n")
    );

    let object = [&["torment", "archdefs/x86_64.arch", "--runtime"], &knob[..]].concat();
    let object = [
        &object[..],
        &["--replay", &case, "--message-format", "json"],
    ]
    .concat();
    let finding = tlbc(&root(), &object).stderr;
    let finding: Value =
        serde_json::from_str(finding.lines().next().expect("a finding")).expect("an object");
    assert_eq!(finding["code"], "E0803");
    assert_eq!(finding["file"], "archdefs/x86_64.arch");
    let notes = finding["notes"].to_string();
    assert!(notes.contains("runtime/src/"), "{notes}");
}

/// A file has the machine that options described: the seed would draw another one.
#[test]
fn a_failure_is_repeated_on_the_machine_that_was_given() {
    let directory = TempDir::new().expect("a directory");
    let case = directory.path().join("case.json").display().to_string();
    let fixed = ["torment", "archdefs/x86_64.arch", "--runtime"];
    let knob = ["--knobs", "plan_no_ipi"];
    for features in ["", "pge,pcid"] {
        let saves = ["--features", features, "--save", &case];
        let first = tlbc(&root(), &[&fixed[..], &knob, &saves].concat());
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        let again = tlbc(&root(), &[&fixed[..], &knob, &["--replay", &case]].concat());
        assert_eq!(again.code, Some(1), "{}", again.stderr);
        let what = |text: &str| text.lines().take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(what(&again.stdout), what(&first.stdout));
    }
}

#[test]
fn a_file_that_is_no_case_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let case = directory.path().join("case.json");
    let name = case.display().to_string();
    for (text, why) in [
        ("{", "EOF while parsing"),
        (
            r#"{"definition":"arm64","seed":1,"programs":[null],"turns":[]}"#,
            "a failure of `arm64`, and this definition is of `x86_64`",
        ),
        (
            r#"{"seed":1,"programs":[null],"turns":[]}"#,
            "missing field `definition`",
        ),
        (
            r#"{"definition":"x86_64","seed":1,"programs":[],"turns":[]}"#,
            "1 to 8 CPUs, not 0",
        ),
        (
            r#"{"definition":"x86_64","seed":1,"programs":[null],"turns":[[0,1,1,3]]}"#,
            "no CPU 3",
        ),
    ] {
        fs::write(&case, text).expect("a file");
        let run = tlbc(
            &root(),
            &[
                "torment",
                "archdefs/x86_64.arch",
                "--runtime",
                "--replay",
                &name,
            ],
        );
        assert_eq!(run.code, Some(2), "{}", run.stdout);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn a_failure_of_plans_names_the_line_of_the_definition() {
    let directory = TempDir::new().expect("a directory");
    let right = shipped("powerpc64.arch");
    let wrong = right.replacen(
        "ptesync, tlbie_va with tag 0;",
        "ptesync, tlbie_va with tag 1;",
        1,
    );
    assert_ne!(wrong, right);
    fs::write(directory.path().join("wrong.arch"), wrong).expect("a file");
    fs::write(directory.path().join("right.arch"), &right).expect("a file");
    let arguments = [
        "torment",
        "wrong.arch",
        "--plans",
        "--hardware",
        "right.arch",
        "--svg",
        "failure.svg",
    ];
    let json = [&arguments[..], &["--message-format", "json"]].concat();
    let run = tlbc(directory.path(), &json);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let finding: Value =
        serde_json::from_str(run.stderr.lines().next().expect("a finding")).expect("an object");
    assert_eq!(
        (&finding["code"], &finding["file"]),
        (&"E0804".into(), &"right.arch".into())
    );
    let line = finding["line"].as_u64().expect("a line") as usize;
    let line = right.lines().nth(line - 1).unwrap_or_default();
    assert!(line.contains("tlbie_va"), "{line}");
    let picture = fs::read_to_string(directory.path().join("failure.svg")).expect("a picture");
    let picture = elements(&picture);
    let has = |text: &str| picture.iter().any(|it| it.text.contains(text));
    assert!(has("the CPU that flushes") && has("keeps") && has("by an erratum"));
}

/// What is about the whole runtime is refused where the plans run, whatever else is given.
#[test]
fn options_of_the_runtime_are_refused_for_plans() {
    let file = "archdefs/x86_64.arch";
    for of_plans in [
        "--machines 1",
        "--requests 1",
        "--hardware archdefs/arm64.arch",
        "--plans",
    ] {
        for of_runtime in [
            "--cpus 3",
            "--schedules 2",
            "--save x",
            "--replay x",
            "--knobs",
        ] {
            let options = of_plans.split(' ').chain(of_runtime.split(' '));
            let options: Vec<&str> = ["torment", file].into_iter().chain(options).collect();
            let run = tlbc(&root(), &options);
            assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{options:?}");
        }
    }
}

/// What cannot be tried is an error, and no success.
#[test]
fn nothing_tried_is_no_success() {
    let file = "archdefs/x86_64.arch";
    let knob = tlbc(
        &root(),
        &["torment", file, "--runtime", "--knobs", "plan_no_ip"],
    );
    assert_eq!(knob.code, Some(0), "a part of a name: {}", knob.stderr);
    let knob = tlbc(
        &root(),
        &["torment", file, "--runtime", "--knobs", "free_pages"],
    );
    assert_eq!((knob.code, knob.stdout.as_str()), (Some(2), ""));
    assert!(
        knob.stderr.contains("is `free_page` meant?"),
        "{}",
        knob.stderr
    );
    let hardware = [
        "torment",
        file,
        "--hardware",
        "archdefs/s390.arch",
        "--machines",
        "5",
    ];
    let other = tlbc(&root(), &hardware);
    assert_eq!((other.code, other.stdout.as_str()), (Some(2), ""));
    assert!(
        other.stderr.contains("no request was executed"),
        "{}",
        other.stderr
    );
}
