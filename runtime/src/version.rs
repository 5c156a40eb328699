//! The version of the runtime, which a generated backend requires when it is compiled.

/// Returns whether a backend that was generated for a version of the runtime can be used with this one: it is the same, or a later
/// one that is compatible in the sense of Cargo.
///
/// # Examples
///
/// A generated module contains such an assertion.
///
/// ```
/// const _: () = assert!(tlbc_runtime::version::supports(0, 1, 0));
/// ```
///
/// One for another version does not compile:
///
/// ```compile_fail
/// const _: () = assert!(tlbc_runtime::version::supports(1000, 0, 0));
/// ```
#[must_use]
pub const fn supports(major: u32, minor: u32, patch: u32) -> bool {
    is_compatible([major, minor, patch], THIS)
}

const THIS: [u32; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

/// Returns the number that digits denote.
const fn number(digits: &str) -> u32 {
    let mut digits = digits.as_bytes();
    let mut number = 0;
    while let [digit, rest @ ..] = digits {
        number = number * 10 + (*digit - b'0') as u32;
        digits = rest;
    }
    number
}

/// Returns whether a version has everything of another one. Before 1.0 another minor version is incompatible, and before 0.1
/// another patch.
const fn is_compatible(required: [u32; 3], version: [u32; 3]) -> bool {
    match (required, version) {
        ([0, 0, required], [0, 0, patch]) => required == patch,
        ([0, required, least], [0, minor, patch]) => required == minor && least <= patch,
        ([required, least, at_least], [major, minor, patch]) => {
            required == major && (least < minor || least == minor && at_least <= patch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_compatible_version_will_do() {
        let compatible = [
            ([0, 1, 0], [0, 1, 0]),
            ([0, 1, 0], [0, 1, 3]),
            ([1, 2, 3], [1, 2, 3]),
            ([1, 2, 3], [1, 3, 0]),
            ([0, 0, 2], [0, 0, 2]),
        ];
        for (required, version) in compatible {
            assert!(is_compatible(required, version), "{required:?} {version:?}");
        }
        let others = [
            ([0, 1, 1], [0, 1, 0]),
            ([0, 1, 0], [0, 2, 0]),
            ([0, 2, 0], [0, 1, 9]),
            ([0, 1, 0], [1, 1, 0]),
            ([1, 2, 3], [1, 2, 2]),
            ([1, 2, 3], [2, 2, 3]),
            ([0, 0, 2], [0, 0, 3]),
            ([0, 0, 2], [0, 1, 2]),
        ];
        for (required, version) in others {
            assert!(
                !is_compatible(required, version),
                "{required:?} {version:?}"
            );
        }
    }

    #[test]
    fn digits_are_read() {
        assert_eq!([number("0"), number("7"), number("120")], [0, 7, 120]);
    }
}
