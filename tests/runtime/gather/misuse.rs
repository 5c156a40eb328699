//! Misuse that does not compile.

use tlbc_tests::misuse::Misuse;

#[test]
fn misuse_is_rejected_and_its_correct_twin_is_not() {
    let misuse = Misuse::new();
    let programs = Misuse::programs();
    assert!(!programs.is_empty());
    let results = programs.iter().map(|program| misuse.check(program));
    let wrong: Vec<String> = results.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
