//! `tlbc trace`: what it shows, and what it refuses.

use crate::support::root;
use crate::{session, snapshot};

#[test]
fn traces() {
    let x86 = "archdefs/x86_64.arch";
    let arm = "archdefs/arm64.arch";
    snapshot(
        "traces",
        &session(&[
            &["trace", x86, "--range", "0x1000..0x3000"],
            &[
                "trace",
                arm,
                "--range",
                "0x40000000..0x40200000",
                "--tables-freed",
                "--cpus",
                "others",
                "--features",
                "all",
                "--errata",
                "all",
            ],
            &[
                "trace",
                x86,
                "--kernel",
                "--range",
                "0xffff_ffff_ffff_f000..0x1_0000_0000_0000_0000",
                "--format",
                "json",
            ],
            &[
                "trace",
                x86,
                "--event",
                "switch",
                "--owed",
                "tag",
                "--features",
                "pge,pcid",
            ],
            &[
                "trace",
                "archdefs/arm64.arch",
                "--event",
                "publish",
                "--kernel",
            ],
        ]),
    );
}

#[test]
fn trace_refuses() {
    let x86 = "archdefs/x86_64.arch";
    let s390 = "archdefs/s390.arch";
    let page = "0x1000..0x2000";
    snapshot(
        "trace_refuses",
        &session(&[
            &["trace", x86, "--range", "0x3000"],
            &["trace", x86, "--range", "0x3000..0x1000"],
            &["trace", x86, "--range", "0x1000..0x1000"],
            &["trace", x86, "--range", "0x1000..0x1_0000_0000_0000_0001"],
            &["trace", x86, "--range", "0x1000..0x1010"],
            &[
                "trace",
                x86,
                "--range",
                "0xffff800000000000..0xffff800000001000",
            ],
            &["trace", x86, "--range", page, "--level", "ptt"],
            &["trace", x86, "--range", page, "--level", "p4d"],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--features",
                "pge,pcid,invpclb",
            ],
            &["trace", x86, "--range", page, "--features", "invlpgb,pti"],
            &["trace", x86, "--range", page, "--errata", "missing"],
            &["trace", x86, "--range", page, "--geometry", "g16k"],
            &["trace", x86, "--range", page, "--limit", "invlpgb_pages=0"],
            &["trace", x86, "--range", page, "--limit", "invlpgb_pages"],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--features",
                "pge,pcid",
                "--tag",
                "0x1000",
            ],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--features",
                "pge,pcid,pti",
                "--tag",
                "0x801",
            ],
            &["trace", x86, "--range", page, "--tag", "7"],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--tag",
                "0x10000000000000000",
            ],
            &[
                "trace", s390, "--range", page, "--level", "pmd", "--change", "new",
            ],
            &[
                "trace",
                s390,
                "--range",
                "0xff000..0x101000",
                "--change",
                "new",
            ],
            &["trace", x86, "--event", "arrive", "--owed", "tag"],
            &["trace", x86, "--event", "publish", "--owed", "tag"],
            &["trace", x86, "--event", "switch", "--kernel"],
            &["trace", x86],
        ]),
    );
}

/// What the README shows is what its command prints.
#[test]
fn the_readme_tells_the_truth() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let command = readme
        .lines()
        .find(|line| line.contains("-- trace"))
        .unwrap();
    let (_, arguments) = command.split_once("-- trace").unwrap();
    let arguments: Vec<&str> = std::iter::once("trace")
        .chain(arguments.split_whitespace())
        .collect();
    let (_, shown) = readme.split_once("```console\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tlbc"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), shown);
}
