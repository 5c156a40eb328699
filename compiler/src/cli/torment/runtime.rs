//! `tlbc torment --runtime`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Torment, written};
use crate::analysis::Analysis;
use crate::cli::machine::MachineOptions;
use crate::cli::{CommandResult, MessageFormat, Trouble};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::json;
use crate::model::{Config, Model};
use crate::source::{Files, Span};
use crate::spelling::nearest;
use crate::torment::whole::knobs::{self, KNOBS, Knob, Turned};
use crate::torment::whole::{
    BlamedPlace, Options, Report, ScheduledCase, Small, replay, torment_shown,
};

/// What `--save` writes: a failure, with the machine that it needs. The knob that it needs is given again, or left out to see that
/// the failure is gone without it.
#[derive(Serialize, Deserialize)]
struct SavedCase {
    /// The name of the definition.
    definition: String,
    /// The machine, if it was given; the seed draws it otherwise.
    machine: Option<MachineOptions>,
    #[serde(flatten)]
    case: ScheduledCase,
}

impl Torment {
    /// Runs the whole runtime.
    pub(super) fn run_runtime(
        &self,
        planned: &Analysis,
        files: &Files,
        color: bool,
    ) -> Result<CommandResult, Trouble> {
        let model = &planned.model;
        let given = self.machine.is_given().then_some(&self.machine);
        let mut options = Options {
            seed: self.seed,
            schedules: self.schedules,
            cpus: self.cpus as usize,
            machine: given.map(|it| machine(it, model)).transpose()?,
            ..Options::default()
        };
        let shown = Shown {
            command: self,
            planned,
            files,
            color,
        };
        let knobs: Option<Vec<&Knob>> = self.knobs.as_ref().map(|name| {
            // A name is meant even if others contain it.
            let same = KNOBS.iter().find(|knob| knob.name == name);
            let found = || {
                KNOBS
                    .iter()
                    .filter(|knob| knob.name.contains(name))
                    .collect()
            };
            same.map_or_else(found, |knob| vec![knob])
        });
        if let (Some([]), Some(name)) = (knobs.as_deref(), &self.knobs) {
            let names = KNOBS.iter().map(|knob| knob.name);
            let help = match nearest(name, names) {
                Some(near) => format!("is `{near}` meant?"),
                None => "`--knobs` without a name turns all and shows their names".to_owned(),
            };
            return Err(Trouble(format!(
                "no knob has `{name}` in its name\n  {help}"
            )));
        }
        if let Some(path) = &self.replay {
            return shown.replayed(path, knobs.as_deref(), options);
        }
        if let Some(knobs) = knobs {
            options.shrinks = knobs.len() == 1;
            return shown.turned(&knobs, &options);
        }
        let begun = Instant::now();
        let mut progress = self.progress();
        let report = torment_shown(planned, &options, |report| {
            progress.show(|| {
                let (schedules, points) = (report.schedules, report.points / 1_000_000);
                format!("{schedules} schedules, {points} million points")
            });
        });
        drop(progress);
        let took = begun.elapsed();
        let report = report.map_err(Trouble)?;
        let schedules = report.schedules;
        let Some(failure) = report.failure else {
            if schedules == 0 {
                let why = match report.unusable {
                    0 => "none was asked for".to_owned(),
                    unusable => format!("{unusable} machines have too few tags for the CPUs"),
                };
                return Err(Trouble(format!("no schedule was run: {why}")));
            }
            let summary = summary(&report, took);
            let mut text = format!("{summary}: no complaint\n");
            if report.unusable != 0 {
                text += &format!("{} more machines have too few tags\n", report.unusable);
            }
            return Ok(CommandResult::Good(text));
        };
        let again = format!("seed {}, after {schedules} schedules\n", failure.seed);
        match &failure.small {
            Some(small) => shown.failure(small, &again),
            None => Ok(CommandResult::Different(
                failure.complaint,
                "a schedule failed\n",
            )),
        }
    }
}

/// Returns the machine that options describe.
fn machine(options: &MachineOptions, model: &Model) -> Result<(Config, Vec<u64>), Trouble> {
    let config = options.config(model)?;
    if config.errata != 0 {
        return Err(Trouble("--runtime does not cover errata".to_owned()));
    }
    Ok((config, options.limits(model)?))
}

/// Returns what was run, and how fast.
fn summary(report: &Report, took: Duration) -> String {
    let (schedules, points) = (report.schedules, report.points);
    let thousands = u128::from(points) / took.as_millis().max(1);
    format!("{schedules} schedules, {points} scheduling points, {thousands} thousand a second")
}

/// What a failure is shown with.
struct Shown<'a> {
    command: &'a Torment,
    planned: &'a Analysis,
    files: &'a Files,
    color: bool,
}

impl Shown<'_> {
    /// Turns knobs, one after the other, and returns a line for each. Of a single one the failure is shown.
    fn turned(&self, knobs: &[&Knob], options: &Options) -> Result<CommandResult, Trouble> {
        let (arch, cpus) = (&self.planned.model.arch.name, options.cpus);
        let mut text = String::new();
        let mut failed = None;
        for knob in knobs {
            let found = match knobs::turn(self.planned, knob, options).map_err(Trouble)? {
                Turned::Found {
                    seed,
                    took,
                    failure,
                    ..
                } => {
                    failed = failure.small;
                    format!("{seed:<6} {:.1} s", took.as_secs_f64())
                }
                Turned::Nothing { schedules } => format!("not found in {schedules} schedules"),
                Turned::Elsewhere => "no such step here".to_owned(),
            };
            let Knob { name, what, .. } = knob;
            text += &format!("{name:16} {arch} {cpus} {found:24} {what}\n");
        }
        match failed {
            // That a fault which was put back is found is a success.
            Some(small) => {
                self.kept(&small)?;
                Ok(CommandResult::Good(small.text(self.files) + "\n" + &text))
            }
            None => Ok(CommandResult::Good(text)),
        }
    }

    /// Runs the case of a file.
    fn replayed(
        &self,
        path: &Path,
        knobs: Option<&[&Knob]>,
        mut options: Options,
    ) -> Result<CommandResult, Trouble> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Trouble(format!("cannot read {name}: {error}")))?;
        let wrong = |why: String| Trouble(format!("{name}: {why}"));
        let SavedCase {
            definition,
            machine: given,
            case,
        } = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        case.check().map_err(wrong)?;
        let model = &self.planned.model;
        if definition != model.arch.name {
            let this = &model.arch.name;
            return Err(wrong(format!(
                "a failure of `{definition}`, and this definition is of `{this}`"
            )));
        }
        options.machine = given.map(|it| machine(&it, model)).transpose()?;
        let options = &options;
        let ran = match knobs {
            None => replay(self.planned, options, &case),
            Some([knob]) => {
                let run = |analysis: &Analysis, options: &Options| replay(analysis, options, &case);
                let ran = knobs::with_fault(self.planned, knob, options, run);
                ran.map_or(Ok(None), |(ran, _)| ran)
            }
            Some(_) => {
                let text = "--replay needs the name of one knob";
                return Err(Trouble(text.to_owned()));
            }
        };
        match ran.map_err(Trouble)? {
            Some(small) => self.failure(&small, ""),
            None => Ok(CommandResult::Good("no complaint\n".to_owned())),
        }
    }

    /// Writes the files of a failure that are asked for.
    fn kept(&self, small: &Small) -> Result<(), Trouble> {
        self.command.draw(&small.picture(self.files))?;
        match &self.command.save {
            Some(path) => {
                let saved = SavedCase {
                    definition: self.planned.model.arch.name.clone(),
                    machine: (self.command.machine.is_given())
                        .then(|| self.command.machine.clone()),
                    case: small.case.clone(),
                };
                written(path, &(json::text(&saved) + "\n"))
            }
            None => Ok(()),
        }
    }

    fn failure(&self, small: &Small, again: &str) -> Result<CommandResult, Trouble> {
        self.kept(small)?;
        let messages = &self.command.messages;
        let found = self.diagnostic(small, again);
        let result = small.text(self.files) + "\n" + again;
        let result = CommandResult::Different(result, "a schedule failed\n");
        Ok(match messages.message_format {
            // The text has all of it.
            MessageFormat::Human => result,
            _ => result.warned(messages.render(self.files, &[found], self.color)),
        })
    }

    /// Returns the failure as a finding, at the place of the definition that is responsible; at its name if the runtime is.
    fn diagnostic(&self, small: &Small, again: &str) -> Diagnostic {
        let mut spans: Vec<(Span, &str)> = Vec::new();
        let mut notes = vec![small.complaint.clone()];
        for (place, why) in small.places() {
            match place {
                BlamedPlace::Definition(span) => spans.push((*span, why)),
                BlamedPlace::Runtime(_) => {
                    notes.push(format!("{}: {why}", place.shown(self.files)));
                }
            }
        }
        let name = (self.planned.model.arch.span, "the plans of this definition");
        let (span, why) = spans.first().copied().unwrap_or(name);
        let mut found = Diagnostic::new(Code::E0803, span, small.cause()).label(why);
        for (span, why) in spans.into_iter().skip(1) {
            found = found.because(span, why);
        }
        notes.extend(again.lines().map(str::to_owned));
        notes.into_iter().fold(found, Diagnostic::note)
    }
}
