//! Evaluates claims for values: every small one, and random wide ones.
//!
//! In: a claim. Out: [`Verdict::Checked`] or [`Verdict::Refuted`]; never [`Verdict::Proved`]. Holds: the same claim is
//! checked for the same values by every run.

use fastrand::Rng;

use super::claim::{Claim, Verdict};
use super::term::Variable;

/// The variables of at most this many bits together have all their values checked.
const EXHAUSTIVE: u32 = 10;

/// Each value of a variable up to this many bits is checked, with others chosen at random.
const SMALL: u32 = 5;

/// The number of random values of everything.
const RANDOM: u64 = 600;

/// Checks a claim.
pub fn check(claim: &Claim) -> Verdict {
    let variables = claim.variables();
    let bits = |variable: &Variable| variable.bits.unwrap_or(1);
    let mut checked = 0;
    let mut refuted = None;
    let mut one = |values: &[(Variable, u64)]| {
        if claim.given.iter().all(|given| given.holds(values)) {
            checked += 1;
            if refuted.is_none() && !claim.holds.holds(values) {
                refuted = Some(values.to_vec());
            }
        }
    };
    let mut values: Vec<(Variable, u64)> = variables.iter().map(|it| (it.clone(), 0)).collect();
    let all: u32 = variables.iter().map(bits).sum();
    if all <= EXHAUSTIVE {
        for mut number in 0..1u64 << all {
            for (variable, value) in &mut values {
                *value = number & ((1 << bits(variable)) - 1);
                number >>= bits(variable);
            }
            one(&values);
        }
    } else {
        let seed = claim.about.bytes().chain(claim.words.bytes());
        let mut rng = Rng::with_seed(seed.fold(0, |seed, byte| {
            u64::from(byte) ^ u64::rotate_left(seed, 5).wrapping_mul(0x0100_0193)
        }));
        let mut choose = |values: &mut [(Variable, u64)]| {
            for (variable, value) in values {
                *value = random(&mut rng, bits(variable));
            }
        };
        for at in 0..values.len() {
            for small in 0..1u64 << bits(&variables[at]).min(SMALL) {
                choose(&mut values);
                values[at].1 = small;
                one(&values);
            }
        }
        for _ in 0..RANDOM {
            choose(&mut values);
            one(&values);
        }
    }
    match refuted {
        Some(values) => Verdict::Refuted(values),
        None if checked == 0 => Verdict::Unknown("no value that is given was found".to_owned()),
        None => Verdict::Checked(checked),
    }
}

/// Returns a value of some bits: any, a small one, or one beside a power of two or the end.
fn random(rng: &mut Rng, bits: u32) -> u64 {
    let most = u64::MAX >> (64 - bits.clamp(1, 64));
    let power = 1u64 << rng.u32(0..bits.clamp(1, 64));
    let value = match rng.u32(0..6) {
        0 => power,
        1 => power.wrapping_sub(1),
        2 => most.wrapping_sub(rng.u64(0..8)),
        3 => rng.u64(0..=most) & power.wrapping_sub(1),
        _ => rng.u64(0..=most),
    };
    if bits == 0 { 0 } else { value & most }
}
