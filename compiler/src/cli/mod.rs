//! The command line.
//!
//! In: arguments. Out: results on stdout, findings on stderr, and an exit code: 0 success, 1 findings
//! or differences, 2 trouble. Commands print nothing themselves; they return a `CommandResult` or a
//! `Trouble`, and [`main`] prints it.

mod check;
mod diff;
mod doc;
mod explain;
mod generate;
mod machine;
mod matrix;
mod message;
mod new;
mod number;
mod prove;
mod torment;
pub mod trace;

use crate::analysis::Analysis;
use crate::compile::{self, Compiled, compile};
use crate::diagnostic::Diagnostic;
use crate::fs::{self, DefinitionText, FileError};
use crate::hidden::spelt;
use crate::render::{self, render};
use crate::source::Files;
use crate::spelling::nearest;
use clap::{Args, Parser, Subcommand, ValueEnum};
use message::LineFormat;
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The default directory of definitions.
const DEFAULT: &str = "archdefs";

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the definitions have errors, or warnings that are denied, or generated files are not up to date
  2  trouble: wrong usage, a file that cannot be read or written, a bug in tlbc

Results go to stdout, findings and trouble to stderr. With --message-format json each line on stderr is one JSON
object; trouble, which has no place in a definition, has the code null.";

/// Compiles descriptions of how an architecture invalidates its TLBs to Rust flush backends.
#[derive(Parser)]
#[command(name = "tlbc", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    /// Colour in messages and patches; `auto`: on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true, value_name = "WHEN")]
    color: Color,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::New),
    Check(check::Check),
    Gen(generate::Generate),
    Diff(diff::Diff),
    Prove(prove::Prove),
    Trace(trace::TraceCommand),
    Torment(torment::Torment),
    Matrix(matrix::MatrixCommand),
    Doc(doc::Doc),
    Explain(explain::Explain),
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    fn wanted(self, on: &impl IsTerminal) -> bool {
        let allowed = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        match self {
            Self::Auto => on.is_terminal() && allowed(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The format of findings.
#[derive(Args)]
struct Messages {
    /// Findings for people, as `file:line:column: ...` lines for editors, or as JSON lines
    #[arg(long, value_enum, default_value_t = MessageFormat::Human, value_name = "FORMAT")]
    message_format: MessageFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum MessageFormat {
    Human,
    Short,
    Json,
}

impl Messages {
    fn render(&self, files: &Files, diagnostics: &[Diagnostic], color: bool) -> String {
        let format = match self.message_format {
            MessageFormat::Human => render::Format::Human,
            MessageFormat::Short => render::Format::Short,
            MessageFormat::Json => render::Format::Json,
        };
        render(files, diagnostics, format, color)
    }
}

/// Definitions to compile, and the format of findings.
#[derive(Args)]
struct Definitions {
    /// Definitions: files, directories (all *.arch files in them), or - for standard input
    #[arg(value_name = "PATH", default_value = DEFAULT)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    messages: Messages,
}

impl Definitions {
    fn read(&self) -> Result<impl Iterator<Item = (String, Vec<u8>)>, FileError> {
        let (sources, error) = self.readable();
        error.map_or(Ok(sources), Err)
    }

    /// Returns the definitions that can be read, and why others cannot.
    fn readable(&self) -> (impl Iterator<Item = (String, Vec<u8>)>, Option<FileError>) {
        let is_default = self.paths == [Path::new(DEFAULT)];
        let (sources, error) = if is_default && !self.paths[0].exists() {
            (Vec::new(), Some(FileError::NoDefault(DEFAULT)))
        } else {
            fs::readable(&self.paths)
        };
        (sources.into_iter().map(DefinitionText::named), error)
    }

    fn compile(&self) -> Result<Compiled, FileError> {
        Ok(compile(self.read()?))
    }

    /// Checks the definitions that can be read, and returns why others cannot.
    fn check(&self) -> (Compiled, Option<FileError>) {
        let (sources, error) = self.readable();
        (compile::check(sources), error)
    }

    fn planned(&self) -> Result<(Compiled, Vec<Analysis>), FileError> {
        Ok(compile::planned(self.read()?))
    }

    /// Returns whether all paths are directories, so that generated files without a definition are stale.
    fn are_whole(&self) -> bool {
        self.paths.iter().all(|path| path.is_dir())
    }

    /// Returns the findings because of which definitions are refused.
    fn findings(&self, compiled: &Compiled, color: bool) -> CommandResult {
        let mut shown = self.shown(compiled, color);
        let for_people = matches!(self.messages.message_format, MessageFormat::Human);
        if for_people && !compiled.has_errors() {
            shown += "warnings are denied: --deny warnings makes errors of them\n";
        }
        CommandResult::Findings(shown)
    }

    fn shown(&self, compiled: &Compiled, color: bool) -> String {
        let messages = &self.messages;
        messages.render(&compiled.files, &compiled.diagnostics, color)
    }
}

/// Which findings besides errors make a command fail.
#[derive(Args)]
struct Denied {
    /// Exit with 1 if there are warnings, and write nothing
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Deny {
    Warnings,
}

impl Denied {
    /// Returns whether these definitions are refused.
    fn refuses(&self, compiled: &Compiled) -> bool {
        let denied = self.deny.is_some() && !compiled.diagnostics.is_empty();
        denied || compiled.has_errors()
    }
}

impl CommandResult {
    /// Adds warnings, if there are any.
    fn warned(self, warnings: String) -> Self {
        if warnings.is_empty() {
            return self;
        }
        Self::Warned(warnings, Box::new(self))
    }
}

/// The result of a command that could be carried out.
enum CommandResult {
    /// Results.
    Good(String),
    /// Differences, and a hint what to do about them.
    Different(String, &'static str),
    /// Results that are no success, without control characters except for colours.
    Painted(String),
    /// Why a part of the command could not be carried out, and the findings of the rest.
    Incomplete(Trouble, String),
    /// Warnings, and the rest.
    Warned(String, Box<CommandResult>),
    /// Findings because of which the definitions are refused.
    Findings(String),
}

/// Why a command could not be carried out: a sentence, and lines of details.
struct Trouble(String);

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Self(error.to_string())
    }
}

/// Returns the error for a name that is not among the `known` ones.
fn unknown(what: &str, name: &str, known: &[&str]) -> Trouble {
    let meant = nearest(name, known.iter().copied())
        .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let list = if known.is_empty() {
        format!("the definition has no {what}")
    } else {
        format!("there are: {}", known.join(", "))
    };
    Trouble(format!("there is no {what} `{name}`{meant}\n  {list}"))
}

/// Runs `tlbc` with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let format = LineFormat::of(std::env::args_os());
    caught(|| {
        let cli = match Cli::try_parse() {
            Ok(cli) => cli,
            // `--help` or `--version`.
            Err(answer) if !answer.use_stderr() => {
                let printed = answer.print().and_then(|()| io::stdout().flush());
                return written(printed, 0, format);
            }
            Err(error) => {
                format.usage(&error);
                return ExitCode::from(2);
            }
        };
        let color = cli.color.wanted(&io::stderr());
        let result = match cli.command {
            Command::New(command) => command.run(),
            Command::Check(command) => Ok(command.run(color)),
            Command::Gen(command) => command.run(color),
            Command::Diff(command) => command.run(color, cli.color.wanted(&io::stdout())),
            Command::Prove(command) => command.run(color),
            Command::Trace(command) => command.run(color),
            Command::Torment(command) => command.run(color),
            Command::Matrix(command) => command.run(color),
            Command::Doc(command) => command.run(color),
            Command::Explain(command) => command.run(),
        };
        show(result, format)
    })
}

/// Prints the result of a command and returns the exit code.
fn show(mut result: Result<CommandResult, Trouble>, format: LineFormat) -> ExitCode {
    if let Ok(CommandResult::Warned(warnings, rest)) = result {
        message::complain(warnings);
        result = Ok(*rest);
    }
    // Names of files and names in arguments may contain control characters.
    let (results, code) = match result {
        Ok(CommandResult::Good(results)) => (spelt(&results), 0),
        Ok(CommandResult::Different(results, hint)) => {
            format.hint(hint);
            (spelt(&results), 1)
        }
        Ok(CommandResult::Painted(results)) => (results, 1),
        Ok(CommandResult::Findings(findings) | CommandResult::Warned(findings, _)) => {
            message::complain(findings);
            return ExitCode::from(1);
        }
        Ok(CommandResult::Incomplete(Trouble(message), findings)) => {
            format.trouble(&message);
            message::complain(findings);
            return ExitCode::from(2);
        }
        Err(Trouble(message)) => {
            format.trouble(&message);
            return ExitCode::from(2);
        }
    };
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(results.as_bytes());
    written(printed.and_then(|()| stdout.flush()), code, format)
}

/// Returns the exit code after results were printed.
fn written(printed: io::Result<()>, code: u8, format: LineFormat) -> ExitCode {
    match printed {
        // A reader such as `head` may close the pipe early.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            format.trouble(&format!("cannot write to stdout: {error}"));
            ExitCode::from(2)
        }
        _ => ExitCode::from(code),
    }
}

/// Turns a panic, whose own message has been printed already, into an exit code and a request for a report.
fn caught(run: impl FnOnce() -> ExitCode) -> ExitCode {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let version = env!("CARGO_PKG_VERSION");
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        message::complain(format_args!(
            "\nerror: this is a bug in tlbc, not in its input\n  \
             please report it, with the lines above, the definitions, and this:\n  \
             tlbc {version}, arguments {arguments:?}\n"
        ));
        ExitCode::from(2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_panic_is_trouble() {
        let code = caught(|| panic!("this test panics"));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    }
}
