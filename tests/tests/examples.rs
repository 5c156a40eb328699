//! What each example prints, on each architecture. To be read as a reviewer of a kernel would: is everything flushed
//! before it comes out, is nobody told in vain, is nothing flushed twice?

use tlbc_tests::show::{Example, report};

#[path = "../../examples/cursor.rs"]
mod cursor;
#[path = "../../examples/device.rs"]
mod device;
#[path = "../../examples/exec.rs"]
mod exec;
#[path = "../../examples/exit.rs"]
mod exit;
#[path = "../../examples/munmap.rs"]
mod munmap;
#[path = "../../examples/reclaim.rs"]
mod reclaim;
#[path = "../../examples/single_space.rs"]
mod single_space;

/// The output on all architectures.
fn all<E: Example>() -> String {
    report::<E>(std::iter::empty()).expect("no arguments are the right ones")
}

#[test]
fn munmap() {
    insta::assert_snapshot!(all::<munmap::Munmap>());
}

#[test]
fn exit() {
    insta::assert_snapshot!(all::<exit::Exit>());
}

#[test]
fn exec() {
    insta::assert_snapshot!(all::<exec::Exec>());
}

#[test]
fn reclaim() {
    insta::assert_snapshot!(all::<reclaim::Reclaim>());
}

#[test]
fn device() {
    insta::assert_snapshot!(all::<device::Device>());
}

#[test]
fn cursor() {
    insta::assert_snapshot!(all::<cursor::Fork>());
}

#[test]
fn single_space() {
    insta::assert_snapshot!(all::<single_space::SingleSpace>());
}

/// The kernel runs from the table that it loads: at no moment may another one be loaded.
#[test]
fn a_kernel_with_one_space_stays_mapped() {
    let output = all::<single_space::SingleSpace>();
    let loads = [" cr3=", " ttbr0=", " control="];
    let loaded: Vec<&str> = loads
        .iter()
        .flat_map(|load| output.split(load).skip(1))
        .filter_map(|rest| rest.lines().next())
        .collect();
    // Each of two CPUs loads it once on x86-64, twice on arm64 and on s390, and by another name on powerpc64.
    assert_eq!(loaded.len(), 2 * (1 + 2 + 2), "{output}");
    assert!(
        loaded.iter().all(|table| table.ends_with("f000")),
        "{output}"
    );
}

#[test]
fn one_architecture_can_be_named_and_no_other() {
    let report = |arguments: &[&str]| {
        report::<munmap::Munmap>(arguments.iter().map(|argument| (*argument).to_owned()))
    };
    let one = report(&["arm64"]).unwrap();
    assert!(one.starts_with("arm64\n") && all::<munmap::Munmap>().contains(&one));
    let message = report(&["vax"]).unwrap_err();
    assert!(message.contains("'vax'") && message.contains("x86_64|arm64|powerpc64|s390"));
    assert!(report(&["arm64", "s390"]).unwrap_err().contains("'s390'"));
}
