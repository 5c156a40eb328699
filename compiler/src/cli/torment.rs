//! `tlbc torment`.

use std::path::{Path, PathBuf};

use super::machine::MachineOptions;
use super::{CommandResult, MessageFormat, Messages, Trouble};
use crate::analysis::{Analysis, analyse};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::fs;
use crate::parse;
use crate::source::Files;
use crate::torment::picture::Picture;
use crate::torment::{Options, torment_shown};
use progress::Progress;

mod progress;
#[cfg(feature = "torment")]
mod runtime;

/// The options of plans alone. What requires `--runtime`, which conflicts with them, is not reported beside them unless it
/// conflicts with them too.
const OF_PLANS: [&str; 4] = ["plans", "hardware", "machines", "requests"];

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

Not covered: changes of entries by instructions, switches and other events, and the answers of calls to firmware.

With --runtime the whole runtime runs, with the plans of the definition: each CPU runs a random program, and
another CPU may run at every instruction, at every call of the platform, and after every access of the runtime to
what CPUs share. Each of these is a scheduling point. A schedule fails if user code may use a page of another
space or of none, if it may use an old entry after the flush, if it may write a page whose reverse mapping is
removed or that is written to disk, if a walker may read a table that is freed, if an access faults again after
its fault was fixed, if code of the kernel may fault where it may not, if a store replaces a valid entry that
other CPUs have attached where an instruction has to, if a flush runs with interrupts on although the plans need
them off, if code runs on the top table of the other view or user code may use what its view leaves out, if a
space is released that a CPU has loaded, if a tag is refused although enough are left, if a mark that the machine
has set is lost, or if there is no progress. The runs are sequentially consistent: they are no evidence about a
memory barrier. Errata are not covered.

With --knobs each line has the name of a fault, the definition, the number of CPUs, and the seed that finds it with
the time that this took. The search for a fault ends after --schedules schedules or two minutes.

A failure of a schedule is made small: CPUs, operations and places at which another CPU runs on are left out while
it fails in the same way. The report has the life of the stale entry, what each instruction did about it, the
place that is responsible, and the steps of each CPU.

Examples:
  tlbc torment a.arch                              random machines
  tlbc torment a.arch --seed 7 --machines 1        the machine of one seed again
  tlbc torment a.arch --features all               one machine
  tlbc torment draft.arch --hardware a.arch        a draft on the hardware of another definition
  tlbc torment a.arch --runtime --schedules 100000 the whole runtime
  tlbc torment a.arch --runtime --seed 7 --schedules 1
                                                   one schedule again
  tlbc torment a.arch --runtime --svg failure.svg --save failure.json
                                                   the failure as a picture, and as a file
  tlbc torment a.arch --runtime --replay failure.json
                                                   the small failure again
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

    /// Run the plans alone [default]
    #[arg(long, conflicts_with = "runtime")]
    plans: bool,

    /// Run the whole runtime
    #[arg(long, conflicts_with_all = ["hardware", "machines", "requests"])]
    runtime: bool,

    /// How many schedules of the whole runtime
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "runtime", conflicts_with_all = OF_PLANS)]
    schedules: u64,

    /// How many CPUs run the whole runtime
    #[arg(long, value_name = "N", default_value_t = 2, requires = "runtime", conflicts_with_all = OF_PLANS, value_parser = clap::value_parser!(u64).range(1..=8))]
    cpus: u64,

    /// Put each known fault of the runtime, of plans, of operands and of the kernel back, and show by which seed it is found; or
    /// only those whose name contains this; the failure of a single one is shown
    #[cfg(feature = "torment")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", requires = "runtime", conflicts_with_all = OF_PLANS)]
    knobs: Option<String>,

    /// Draw a failure: a lane for each CPU, and time running down
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Write the small programs and schedule of a failure of the whole runtime
    #[arg(long, value_name = "FILE", requires = "runtime", conflicts_with_all = OF_PLANS)]
    save: Option<PathBuf>,

    /// Run the programs and the schedule of a file that --save wrote, on its machine; give the same knob
    #[arg(long, value_name = "FILE", requires = "runtime", conflicts_with_all = OF_PLANS, conflicts_with_all = ["seed", "schedules", "cpus", "save", "features", "errata", "geometry", "limit"])]
    replay: Option<PathBuf>,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    machine: MachineOptions,
}

impl Torment {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let mut files = Files::default();
        let planned = match self.analysis(&mut files, &self.file, color)? {
            Ok(analysis) => analysis,
            Err(findings) => return Ok(findings),
        };
        if self.runtime {
            return self.run_runtime(&planned, &files, color);
        }
        let other = match &self.hardware {
            None => None,
            Some(file) => match self.analysis(&mut files, file, color)? {
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
            ends_at_long: false,
        };
        let mut progress = self.progress();
        let report = torment_shown(&planned, hardware, &options, |report| {
            progress.show(|| format!("{} requests", report.requests));
        });
        drop(progress);
        let Some(failure) = report.failure else {
            let machines = options.machines - report.incomparable;
            if report.requests == 0 {
                let why = match machines {
                    0 => "no machine that was drawn is one of both definitions",
                    _ if options.machines == 0 || options.requests == 0 => "none was asked for",
                    _ => "the tag has too few values for three spaces",
                };
                return Err(Trouble(format!("no request was executed: {why}")));
            }
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
        self.draw(&failure.picture)?;
        let again = format!(
            "seed {}, after {} requests\n",
            failure.seed, report.requests
        );
        let mut places = failure.places.iter().copied();
        let (span, why) = places.next().unwrap_or((
            hardware.arch.span,
            "the hardware is that of this definition",
        ));
        let mut found = Diagnostic::new(Code::E0804, span, &failure.cause).label(why);
        for (span, why) in places {
            found = found.because(span, why);
        }
        let found = found.note(&failure.summary).note(again.trim_end());
        let different = CommandResult::Different(
            failure.text + &again,
            "a request failed: an agent may use an entry that had to go\n",
        );
        Ok(different.warned(self.messages.render(&files, &[found], color)))
    }

    /// Refuses to run the whole runtime, which was compiled without points.
    #[cfg(not(feature = "torment"))]
    fn run_runtime(&self, _: &Analysis, _: &Files, _: bool) -> Result<CommandResult, Trouble> {
        let _ = (self.schedules, self.cpus, &self.save, &self.replay);
        Err(Trouble(
            "this `tlbc` was built without the feature `torment`".to_owned(),
        ))
    }

    /// Returns what shows how far a run is, to people.
    fn progress(&self) -> Progress {
        Progress::new(matches!(self.messages.message_format, MessageFormat::Human))
    }

    /// Draws a failure, if that is asked for.
    fn draw(&self, picture: &Picture) -> Result<(), Trouble> {
        let Some(path) = &self.svg else {
            return Ok(());
        };
        written(path, &picture.svg())
    }

    /// Reads a definition. Returns findings if it has errors.
    fn analysis(
        &self,
        files: &mut Files,
        file: &Path,
        color: bool,
    ) -> Result<Result<Analysis, CommandResult>, Trouble> {
        let (name, bytes) = fs::read_one(file.to_owned())?.named();
        let (analysis, diagnostics) = match parse::decode(files, name, bytes) {
            Ok(file) => analyse(files, file),
            Err(diagnostic) => (None, vec![*diagnostic]),
        };
        Ok(analysis.ok_or_else(|| {
            CommandResult::Findings(self.messages.render(files, &diagnostics, color))
        }))
    }
}

/// Writes a file that may exist.
fn written(path: &Path, text: &str) -> Result<(), Trouble> {
    let refused = |error| Trouble(format!("cannot write {}: {error}", path.display()));
    std::fs::write(path, text).map_err(refused)
}
