//! Workarounds are given what they need, and drop what the erratum left.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused};

const WORKAROUND: &str = "workaround after dsb_ish issue vale1is, dsb_ish;";
const WEAKENS: &str = "weakens dsb_ish: not drained;";
const INVLPG: &str = "weakens invlpg: not global when pcid;";

#[test]
fn settings_without_a_place() {
    for issued in [
        "vale1is with tag 0x10000, dsb_ish",
        "vale1is with root 0, dsb_ish",
        "vale1is with num 3, dsb_ish",
        "vale1is with hint 9, dsb_ish",
        "aside1is with va 0, dsb_ish",
        "aside1is with level pmd, dsb_ish",
        "vale1is, dsb_ish with tag 0",
    ] {
        let workaround = format!("workaround after dsb_ish issue {issued};");
        refused(ARM64, &[(WORKAROUND, &workaround)], "E0517");
    }
    for issued in [
        "vale1is with tag 0xffff, dsb_ish",
        "vale1is with va 0x1000 and level pmd, dsb_ish",
    ] {
        let workaround = format!("workaround after dsb_ish issue {issued};");
        accepted(ARM64, &[(WORKAROUND, &workaround)]);
    }
    let level = "workaround after tlbie_va issue ptesync, tlbie_va with level pgd;";
    refused(
        POWERPC64,
        &[("workaround after tlbie_va issue ptesync, tlbie_va;", level)],
        "E0517",
    );
}

#[test]
fn forms_that_are_not_there() {
    let with = |lost: &str, form: &str| {
        format!(
            "weakens tlbsync: not {lost}; workaround after tlbsync issue invlpgb{form}, tlbsync;"
        )
    };
    accepted(X86_64, &[(INVLPG, &with("gone", " with form 12"))]);
    accepted(X86_64, &[(INVLPG, &with("drained", " with form 6"))]);
    refused(X86_64, &[(INVLPG, &with("drained", ""))], "E0517");
    refused(
        X86_64,
        &[(INVLPG, &with("drained", " with form 1"))],
        "E0517",
    );
    // One tag alone is not everything.
    refused(X86_64, &[(INVLPG, &with("gone", " with form 6"))], "E0506");
}

#[test]
fn workarounds_that_leave_what_was_left() {
    let left = |lost: &str, workaround: &str| {
        let weakens = format!("weakens vae1is: not {lost};");
        refused(
            ARM64,
            &[(WEAKENS, &weakens), (WORKAROUND, workaround)],
            "E0506",
        );
    };
    left("leaf", "workaround after vae1is issue dsb_ish;");
    left("leaf", "workaround after vae1is issue aside1is;");
    left("global", "workaround after vae1is issue aside1is;");
    left(
        "walk",
        "workaround before vae1is issue vale1is with va 0 and level pte;",
    );
    let restores = |lost: &str, workaround: &str| {
        let weakens = format!("weakens vae1is: not {lost};");
        accepted(ARM64, &[(WEAKENS, &weakens), (WORKAROUND, workaround)]);
    };
    restores("leaf", "workaround after vae1is issue vmalle1is;");
    restores("walk", "workaround before vae1is issue aside1is;");
    restores("leaf", "workaround before vae1is issue dsb_ish;");
    refused(
        X86_64,
        &[(
            INVLPG,
            &format!("{INVLPG} workaround after invlpg issue mov_cr3;"),
        )],
        "E0506",
    );
}

#[test]
fn facts_that_are_not_there_to_be_taken() {
    for weakens in [
        "vale1is: not walk",
        "vale1is: not root",
        "vale1is: not devices",
        "aside1is: not global",
        "isb: not gone",
        "dsb_ishst: not drained",
    ] {
        let weakens = format!("weakens {weakens}; {WEAKENS}");
        let codes = super::codes(&super::with(ARM64, &[(WEAKENS, &weakens)]));
        assert!(codes.contains(&"E0207".to_owned()), "{weakens} {codes:?}");
    }
    refused(
        POWERPC64,
        &[("not leaf in erat", "not leaf in pwc")],
        "E0207",
    );
}

#[test]
fn workarounds_of_errata_that_do_not_occur_elsewhere() {
    let unused = "0, 1, 1\" requires gtse {\n        per \"Linux radix_tlb.c, fixup_tlbie_pid\"";
    // The erratum does not occur with ISA 3.1, so its workaround need not exist.
    let before = unused.replace("requires gtse", "requires gtse, not isa31");
    accepted(POWERPC64, &[(unused, &before)]);
    let after = unused.replace("requires gtse", "requires gtse, isa31");
    refused(POWERPC64, &[(unused, &after)], "E0406");
}

#[test]
fn conditions_that_never_hold() {
    refused(
        ARM64,
        &[(
            WEAKENS,
            "weakens dsb_ish: not drained when ttl and not ttl;",
        )],
        "E0208",
    );
    let needs = "while PCIDs are on\" {";
    refused(
        X86_64,
        &[(needs, "while PCIDs are on\" needs pcid and not pcid {")],
        "E0208",
    );
    // INVLPGB needs PCIDs.
    let form = "form nonglobal  = 0b000100 {";
    let without = "form nonglobal  = 0b000100 requires not pcid {";
    assert_eq!(
        super::codes(&super::with(X86_64, &[(form, without)])),
        ["E0208"]
    );
    refused(
        S390,
        &[("when edat2;", "when edat2 and not edat2;")],
        "E0208",
    );
}
