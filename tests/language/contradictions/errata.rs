//! A workaround reaches every CPU that needs it, and drops what the erratum left.

use super::{ARM64, POWERPC64, accepted, edited, findings, refused};

#[test]
fn workarounds_that_reach_too_few() {
    let workaround = "workaround after dsb_ish issue vale1is, dsb_ish;";
    for local in ["vale1", "vmalle1", "aside1"] {
        let changed = workaround.replace("vale1is", local);
        refused(ARM64, &[(workaround, &changed)], "E0506");
    }
    accepted(
        ARM64,
        &[(workaround, &workaround.replace("vale1is", "vmalle1is"))],
    );
    refused(
        POWERPC64,
        &[(
            "tlbie_pid2 issue ptesync, tlbie_pid0 with tag 0",
            "tlbie_pid2 issue ptesync, tlbiel_pid1 with tag 0",
        )],
        "E0506",
    );
    // Where broadcasts are not used for CPUs, they still are for devices.
    refused(
        POWERPC64,
        &[(
            "where nest, all_agents when broadcast;\n        after tlbsync;\n        needs no lock;\n    }\n\n    // To this core",
            "where nest;\n        after tlbsync;\n        needs no lock;\n    }\n\n    // To this core",
        )],
        "E0506",
    );
}

#[test]
fn workarounds_that_drop_something_else() {
    let weakens = "weakens dsb_ish: not drained;";
    refused(ARM64, &[(weakens, "weakens dsb_ish: not gone;")], "E0506");
    // Everything, or the same once more, or the barrier alone.
    let workaround = "workaround after dsb_ish issue vale1is, dsb_ish;";
    let gone = (weakens, "weakens dsb_ish: not gone;");
    accepted(
        ARM64,
        &[
            gone,
            (
                workaround,
                "workaround after dsb_ish issue vmalle1is, dsb_ish;",
            ),
        ],
    );
    accepted(
        ARM64,
        &[
            gone,
            (workaround, "workaround after dsb_ish issue dsb_ish;"),
        ],
    );
    refused(
        ARM64,
        &[
            gone,
            (
                workaround,
                "workaround after dsb_ish issue aside1is, dsb_ish;",
            ),
        ],
        "E0506",
    );
}

/// Where an erratum weakens an instruction on some CPUs, they get an IPI: what is issued besides is an erratum of its own.
#[test]
fn workarounds_for_some_cpus() {
    let on_some = "not drained on sme;";
    let both = format!("{on_some} workaround after dsb_ish issue vale1is, dsb_ish;");
    let found = findings(&edited(ARM64, on_some, &both));
    let of_a_set =
        "E0507 `c1pro_sme` has a workaround for an instruction that it weakens only on some CPUs";
    assert_eq!(found, [of_a_set]);
}
