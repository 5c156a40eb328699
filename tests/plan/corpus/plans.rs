//! Plans with a fault.
//!
//! In: a definition, the shape of a plan, and a way to break it. Out: whether the prover rejects the broken plan, and what it
//! leaves on hostile hardware. Holds: the plan that is not broken is proved, and leaves nothing there.

use std::collections::BTreeSet;

use tlbc::Analysis;
use tlbc_tests::archdefs::analysis;
use tlbc_tests::mutate::breaks::BREAKS;
use tlbc_tests::mutate::plans::{is_of_flush, mutants};
use tlbc_tests::scores::definitions::{failure, on_hardware};

use super::read::Fields;

/// A plan with a fault.
pub struct BrokenPlan {
    arch: String,
    /// Its shape, as the compiler shows it.
    shape: String,
    /// The way in which it is broken.
    way: String,
    /// The number of places that could be broken before.
    nth: u64,
    /// A part of what the prover finds.
    disproved: String,
    /// A part of what hostile hardware finds; none for plans that it does not run.
    left: Option<String>,
    /// Why hostile hardware finds nothing although it runs the plan.
    unseen: Option<String>,
}

impl BrokenPlan {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            arch: fields.needed("arch"),
            shape: fields.needed("shape"),
            way: fields.needed("way"),
            nth: fields.number("nth").unwrap_or(0),
            disproved: fields.needed("disproved"),
            left: fields.text("left"),
            unseen: fields.text("unseen"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        let right = analysis(&self.arch);
        let way = BREAKS.iter().find(|(name, _)| *name == self.way);
        let (_, how) = way.ok_or_else(|| format!("`{}` is no way to break a plan", self.way))?;
        let of_shape = |shape| format!("{shape:?}") == self.shape;
        let mut broken = mutants(right, *how).filter(|(shape, _)| of_shape(*shape));
        let broken = broken.nth(self.nth as usize);
        let (shape, plans) = broken.ok_or_else(|| {
            let shapes = mutants(right, *how).map(|(shape, _)| format!("{shape:?}"));
            let shapes: BTreeSet<String> = shapes.collect();
            format!("no `{}` in {}, but in {shapes:?}", self.way, self.shape)
        })?;
        let is_run = is_of_flush(shape) && self.unseen.is_none();
        if is_run != self.left.is_some() {
            return Err("the hardware runs plans of flushes, and no others".to_owned());
        }
        let disproved =
            failure(&right.model, &plans, &[shape]).ok_or("the prover finds nothing")?;
        let message = disproved.diagnostic(&right.model).message;
        if !message.contains(&self.disproved) {
            return Err(format!(
                "the prover does not find `{}`: {message}",
                self.disproved
            ));
        }
        if failure(&right.model, &right.plans, &[shape]).is_some() {
            return Err("disproved without the fault".to_owned());
        }
        let Some(part) = &self.left else {
            return Ok(());
        };
        let broken = Analysis {
            model: right.model.clone(),
            plans,
        };
        let on = Some(disproved.machine);
        let found = on_hardware(&broken, &right.model, 1, on, (60, 20));
        let found = found.ok_or("the machine finds nothing")?;
        if !found.text.contains(part) {
            return Err(format!(
                "the machine does not find `{part}`: {}",
                found.text
            ));
        }
        match on_hardware(right, &right.model, found.seed, on, (1, 20)) {
            Some(found) => Err(format!("found without the fault: {}", found.text)),
            None => Ok(()),
        }
    }
}
