//! The comparison of an operand with the fields of a row.

use tlbc_tests::requests::{Steps, bits, lines};

/// A field as `(high, low, value)`.
pub type Field = (u32, u32, u64);

/// The fields of a row.
pub type Fields<'a> = &'a [Field];

/// Returns the operands of a name in the instructions of a name, in the order of issue.
pub fn operands(trace: &impl Steps, instruction: &str, operand: &str) -> Vec<u128> {
    let named = trace.instructions().filter(|i| i.name == instruction);
    let all = named.flat_map(|i| &i.operands);
    all.filter(|it| it.name == operand)
        .map(|it| it.value.0)
        .collect()
}

/// Checks that the `nth` such operand has these fields and no other bits.
#[track_caller]
pub fn is(trace: &impl Steps, at: (&str, usize, &str), fields: Fields<'_>, word: u128) {
    let (instruction, nth, operand) = at;
    let issued = operands(trace, instruction, operand);
    let Some(&got) = issued.get(nth) else {
        panic!(
            "no {instruction} number {nth}: {:?}",
            lines(trace.instructions())
        );
    };
    for &(high, low, value) in fields {
        let found = bits(got, high, low);
        assert_eq!(
            found, value,
            "{instruction} {operand} [{high}:{low}]: {found:#x}, not {value:#x}"
        );
    }
    let sum = fields
        .iter()
        .fold(0, |sum, &(_, low, value)| sum | u128::from(value) << low);
    assert_eq!(sum, word, "the row itself: {sum:#x}, not {word:#x}");
    assert_eq!(
        got, word,
        "{instruction} {operand}: {got:#x}, not {word:#x}"
    );
}
