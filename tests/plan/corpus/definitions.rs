//! Wrong facts.
//!
//! In: edits of a shipped definition, and edits that make the definition of the hardware. Out: whether the wrong definition is
//! refused as the row says, and what its plans leave on that hardware. Holds: the definition of the hardware is accepted, and
//! its plans leave nothing on the machine on which the others fail.

use tlbc::Analysis;
use tlbc::torment::{Options, Report, torment};
use tlbc_tests::archdefs::definition;
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{edited, read};
use tlbc_tests::scores::definitions::{different, failure};
use tlbc_tests::scores::translate;
use tlbc_tests::unchecked;

use super::read::Fields;

/// A definition with a wrong fact, or for another machine.
pub struct WrongDefinition {
    arch: String,
    /// What is replaced in the shipped definition.
    edits: Vec<[String; 2]>,
    /// What is replaced in the shipped definition to get that of the hardware.
    hardware: Vec<[String; 2]>,
    /// The code of the error; none if the definition is accepted.
    refused: Option<String>,
    /// A part of what hostile hardware finds, also if the definition is refused and planned all the same.
    left: Option<String>,
    /// A part of what the prover finds.
    disproved: Option<String>,
    /// Why nothing is found of the plans of a refused definition.
    unseen: Option<String>,
    /// The machine, as the test of errata writes it; otherwise random ones.
    machine: Option<String>,
    /// The number of machines.
    machines: u64,
}

impl WrongDefinition {
    pub fn of(fields: &mut Fields) -> Self {
        let this = Self {
            arch: fields.needed("arch"),
            edits: fields.edits("edits"),
            hardware: fields.edits("hardware"),
            refused: fields.text("refused"),
            left: fields.text("left"),
            disproved: fields.text("disproved"),
            unseen: fields.text("unseen"),
            machine: fields.text("machine"),
            machines: fields.number("machines").unwrap_or(40),
        };
        let found = this.left.is_some() || this.disproved.is_some();
        let only_refused = this.refused.is_some() && this.unseen.is_some();
        assert!(
            found != only_refused,
            "{}: what is found, or why not",
            this.arch
        );
        this
    }

    pub fn run(&self) -> Result<(), String> {
        let text = |edits: &[[String; 2]]| {
            let shipped = definition(&self.arch).to_owned();
            edits
                .iter()
                .fold(shipped, |text, [old, new]| edited(&text, old, new))
        };
        let (right, found) = read(&text(&self.hardware));
        let found: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
        let right =
            right.ok_or_else(|| format!("the hardware's definition is refused: {found:?}"))?;
        let Some(wrong) = self.planned(&text(&self.edits))? else {
            return Ok(());
        };
        if let Some(part) = &self.left {
            let report = self.torment(&wrong, &right, None);
            let Some(found) = report.failure else {
                let (requests, others) = (report.requests, report.incomparable);
                return Err(format!(
                    "the machine finds nothing: {requests} requests, {others} machines left out"
                ));
            };
            if !found.text.contains(part) {
                return Err(format!(
                    "the machine does not find `{part}`: {}",
                    found.text
                ));
            }
            let without = self.torment(&right, &right, Some(found.seed));
            if let Some(found) = without.failure {
                return Err(format!("found without the fault: {}", found.text));
            }
            if without.requests == 0 {
                return Err("nothing is run without the fault".to_owned());
            }
        }
        if let Some(part) = &self.disproved {
            let plans = translate::plans(&wrong, &right.model);
            let plans = plans.ok_or("the plans are those of another machine")?;
            let different = different(&plans, &right.plans);
            let found =
                failure(&right.model, &plans, &different).ok_or("the prover finds nothing")?;
            let found = found.diagnostic(&right.model).message;
            if !found.contains(part) {
                return Err(format!("the prover does not find `{part}`: {found}"));
            }
            if let Some(found) = failure(&right.model, &right.plans, &different) {
                let found = found.diagnostic(&right.model).message;
                return Err(format!("disproved without the fault: {found}"));
            }
        }
        Ok(())
    }

    /// Plans a definition, which is refused or not as the row says. Returns nothing if its plans would not be run.
    fn planned(&self, text: &str) -> Result<Option<Analysis>, String> {
        let (accepted, found) = read(text);
        let codes: Vec<&str> = found.iter().map(|it| it.code.name()).collect();
        match (&self.refused, accepted) {
            (None, Some(accepted)) => Ok(Some(accepted)),
            (None, None) => Err(format!("`check` refuses it: {codes:?}")),
            (Some(code), Some(_)) => Err(format!("`check` does not refuse it with {code}")),
            (Some(code), None) if !codes.contains(&code.as_str()) => {
                Err(format!("`check` refuses it with {codes:?}, not {code}"))
            }
            (Some(_), None) if self.unseen.is_some() => Ok(None),
            (Some(_), None) => {
                let (planned, _) =
                    unchecked::planned(text).map_err(|found| format!("{found:?}"))?;
                Ok(Some(planned))
            }
        }
    }

    /// Runs plans on hardware: on all machines, or on that of a seed.
    fn torment(&self, planned: &Analysis, hardware: &Analysis, seed: Option<u64>) -> Report {
        let machine = self.machine.as_ref().map(|words| {
            let machine = machine(&hardware.model, words);
            (machine.config, machine.limits)
        });
        let options = Options {
            seed: seed.unwrap_or(1),
            machines: if seed.is_some() { 1 } else { self.machines },
            requests: 25,
            machine,
            ends_at_long: false,
        };
        torment(planned, &hardware.model, &options)
    }
}
