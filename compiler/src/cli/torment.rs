//! `tlbc torment`.

use std::path::{Path, PathBuf};

use super::machine::MachineOptions;
use super::{CommandResult, Messages, Trouble};
use crate::analysis::{Analysis, analyse};
use crate::fs;
use crate::parse;
use crate::source::Files;
#[cfg(feature = "torment")]
use crate::torment::whole::{self, knobs};
use crate::torment::{Options, torment};

/// Runs what is issued on hostile hardware
#[derive(clap::Args)]
#[command(after_help = "\
Random machines get random requests. For each, everything that the machine could have cached is cached, what the
plans issue is executed, and whatever could be filled again in between is filled again. A request fails if an
agent may then still use an entry that had to go, unless the flush is deferred. What an instruction does is
determined from its text and its operand bits, by the definition of the hardware: an operand that is encoded
wrongly names something else.

With --hardware the plans run on the hardware of another definition, so that a mistake in a definition is found
by a definition that is right.

Not covered: changes of entries by instructions, switches and other events, negative entries, and the answers
of calls to firmware.

With --runtime the whole runtime runs, with the plans of the definition: each CPU runs a random program, and
another CPU may run at every instruction, at every call of the platform, and after every access of the runtime to
what CPUs share. A schedule fails if user code may use a page of another space or of none, if it may use an old
entry after the flush, if it may write a page whose reverse mapping is removed, if a walker may read a table that
is freed, or if there is no progress. The runs are sequentially consistent: they are no evidence about a memory
barrier. Errata, devices, kernel mappings and hotplug are not covered.

Examples:
  tlbc torment a.arch                              random machines
  tlbc torment a.arch --seed 7 --machines 1        the machine of one seed again
  tlbc torment a.arch --features all               one machine
  tlbc torment draft.arch --hardware a.arch        a draft on the hardware of another definition
  tlbc torment a.arch --runtime --schedules 100000 the whole runtime
  tlbc torment a.arch --runtime --seed 7 --schedules 1
                                                   one schedule again
  tlbc torment a.arch --runtime --knobs            faults that are put back

Exit code 1 if a request fails.")]
pub(super) struct Torment {
    /// The definition, or - for standard input
    file: PathBuf,

    /// The definition of the hardware [default: the same]
    #[arg(long, value_name = "FILE")]
    hardware: Option<PathBuf>,

    /// The seed of the first machine; the next machine has the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// How many machines; 1 if the machine is given
    #[arg(long, value_name = "N", default_value_t = 200)]
    machines: u64,

    /// How many requests on each machine
    #[arg(long, value_name = "N", default_value_t = 100)]
    requests: u64,

    /// Run the whole runtime
    #[arg(long, conflicts_with_all = ["hardware", "machines", "requests"])]
    runtime: bool,

    /// How many schedules of the whole runtime
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "runtime")]
    schedules: u64,

    /// How many CPUs run the whole runtime
    #[arg(long, value_name = "N", default_value_t = 2, requires = "runtime", value_parser = clap::value_parser!(u64).range(1..=8))]
    cpus: u64,

    /// Put each known fault of the runtime, of plans, of operands and of the kernel back, and show by which seed it is found; or
    /// only those whose name contains this
    #[cfg(feature = "torment")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", requires = "runtime")]
    knobs: Option<String>,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    machine: MachineOptions,
}

impl Torment {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let planned = match self.analysis(&self.file, color)? {
            Ok(analysis) => analysis,
            Err(findings) => return Ok(findings),
        };
        if self.runtime {
            return self.run_runtime(&planned);
        }
        let other = match &self.hardware {
            None => None,
            Some(file) => match self.analysis(file, color)? {
                Ok(analysis) => Some(analysis),
                Err(findings) => return Ok(findings),
            },
        };
        let hardware = &other.as_ref().unwrap_or(&planned).model;
        let machine = if self.machine.is_given() {
            Some((
                self.machine.config(hardware)?,
                self.machine.limits(hardware)?,
            ))
        } else {
            None
        };
        let options = Options {
            seed: self.seed,
            machines: if machine.is_some() { 1 } else { self.machines },
            requests: self.requests,
            machine,
        };
        let report = torment(&planned, hardware, &options);
        let Some(failure) = report.failure else {
            let machines = options.machines - report.incomparable;
            let mut text = format!(
                "{} requests on {machines} machines: nothing is left\n",
                report.requests
            );
            if report.incomparable != 0 {
                text += &format!(
                    "{} more machines are not machines of both definitions\n",
                    report.incomparable
                );
            }
            return Ok(CommandResult::Good(text));
        };
        let again = format!(
            "seed {}, after {} requests\n",
            failure.seed, report.requests
        );
        Ok(CommandResult::Different(
            failure.text + &again,
            "a request failed: an agent may use an entry that had to go",
        ))
    }

    /// Runs the whole runtime.
    #[cfg(feature = "torment")]
    fn run_runtime(&self, planned: &Analysis) -> Result<CommandResult, Trouble> {
        let model = &planned.model;
        let machine = if self.machine.is_given() {
            let config = self.machine.config(model)?;
            if config.errata != 0 {
                return Err(Trouble("--runtime does not cover errata".to_owned()));
            }
            Some((config, self.machine.limits(model)?))
        } else {
            None
        };
        let options = whole::Options {
            seed: self.seed,
            schedules: self.schedules,
            cpus: self.cpus as usize,
            machine,
            ..whole::Options::default()
        };
        if let Some(name) = &self.knobs {
            return turn_knobs(planned, name, &options);
        }
        let report = whole::torment(planned, &options).map_err(Trouble)?;
        let Some((seed, text)) = report.failure else {
            let (schedules, steps) = (report.schedules, report.steps);
            let mut text = format!("{schedules} schedules, {steps} steps: no complaint\n");
            if report.unusable != 0 {
                text += &format!("{} more machines have too few tags\n", report.unusable);
            }
            return Ok(CommandResult::Good(text));
        };
        let again = format!("seed {seed}, after {} schedules\n", report.schedules);
        Ok(CommandResult::Different(text + &again, "a schedule failed"))
    }

    /// Refuses to run the whole runtime, which was compiled without points.
    #[cfg(not(feature = "torment"))]
    fn run_runtime(&self, _: &Analysis) -> Result<CommandResult, Trouble> {
        let _ = (self.schedules, self.cpus);
        Err(Trouble(
            "this `tlbc` was built without the feature `torment`".to_owned(),
        ))
    }

    /// Reads a definition. Returns findings if it has errors.
    fn analysis(
        &self,
        file: &Path,
        color: bool,
    ) -> Result<Result<Analysis, CommandResult>, Trouble> {
        let (name, bytes) = fs::read_one(file.to_owned())?.named();
        let mut files = Files::default();
        let (analysis, diagnostics) = match parse::decode(&mut files, name, bytes) {
            Ok(file) => analyse(&files, file),
            Err(diagnostic) => (None, vec![*diagnostic]),
        };
        Ok(analysis.ok_or_else(|| {
            CommandResult::Findings(self.messages.render(&files, &diagnostics, color))
        }))
    }
}

/// Turns the knobs whose names contain a text, one after the other, and returns a line for each.
#[cfg(feature = "torment")]
fn turn_knobs(
    planned: &Analysis,
    name: &str,
    options: &whole::Options,
) -> Result<CommandResult, Trouble> {
    let mut text = String::new();
    for knob in { knobs::KNOBS.iter() }.filter(|knob| knob.name.contains(name)) {
        let found = match knobs::turn(planned, knob, options).map_err(Trouble)? {
            knobs::Turned::Found { seed, took, .. } => {
                format!("seed {seed}, {:.1} s", took.as_secs_f64())
            }
            knobs::Turned::Nothing { schedules } => format!("not in {schedules} schedules"),
            knobs::Turned::Elsewhere => "no such step here".to_owned(),
        };
        text += &format!("{:18} {found:24} {}\n", knob.name, knob.what);
    }
    Ok(CommandResult::Good(text))
}
