//! Faults that random programs find, and programs that do not compile.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use tlbc::torment::whole::knobs::{KNOBS, Turned, turn};
use tlbc::torment::whole::{Options, torment};
use tlbc_tests::archdefs::analysis;
use tlbc_tests::misuse::Misuse;

use super::read::Fields;
use crate::knobs::{Line, lines};

/// A fault that is put back, which the seed of `knobs.txt` finds.
pub struct TurnedKnob {
    name: String,
}

/// What came of each knob: several rows are of one kind.
static TURNED: Mutex<Option<HashMap<String, Result<(), String>>>> = Mutex::new(None);

impl TurnedKnob {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            name: fields.needed("name"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        let mut turned = TURNED.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = turned.get_or_insert_default();
        if let Some(result) = turned.get(&self.name) {
            return result.clone();
        }
        let result = self.turn();
        turned.insert(self.name.clone(), result.clone());
        result
    }

    fn turn(&self) -> Result<(), String> {
        let knob = KNOBS.iter().find(|knob| knob.name == self.name);
        let knob = knob.ok_or_else(|| format!("there is no knob `{}`", self.name))?;
        let Some(Line { arch, cpus, seed }) = lines().remove(knob.name) else {
            return Err(format!("no program finds `{}`", self.name));
        };
        let options = Options {
            seed,
            cpus,
            schedules: 1,
            ..Options::default()
        };
        let turned = turn(analysis(arch), knob, &options)?;
        if !matches!(turned, Turned::Found { .. }) {
            return Err(format!("`{}` is not found: {turned:?}", self.name));
        }
        match torment(analysis(arch), &options)?.failure {
            Some(failed) => Err(format!(
                "found without `{}`: {}",
                self.name, failed.complaint
            )),
            None => Ok(()),
        }
    }
}

/// A program that the compiler rejects, and its correct twin.
pub struct MisusedApi {
    /// The file of the gather's misuse.
    program: String,
}

/// The runtime that the programs are compiled with.
static MISUSE: LazyLock<Misuse> = LazyLock::new(Misuse::new);

impl MisusedApi {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            program: fields.needed("program"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        MISUSE.check(&self.program)
    }
}
