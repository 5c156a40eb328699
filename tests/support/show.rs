//! Events as lines, and examples on a machine of each architecture.

use std::process::ExitCode;

use crate::hosted::{Event, HostBackend};
use crate::machines::usual;

/// An instruction that has a name and operands: every generated one.
pub trait Shown {
    /// Returns its name and its operands.
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        impl Shown for tlbc_backends::$arch::Op {
            fn shown(&self) -> String {
                let mut text = self.name().to_owned();
                self.operands(|name, value| text += &format!(" {name}={value:#x}"));
                text
            }
        }
    )* };
}

for_each_architecture!([shown]);

/// A backend whose instructions can be shown.
pub trait Machine: HostBackend<Op: Shown> {}

impl<B: HostBackend<Op: Shown>> Machine for B {}

/// Formats an event as a line.
pub fn line<Op: Shown>(event: &Event<Op>) -> String {
    match event {
        Event::Issued(cpu, op) => format!("cpu {cpu}: {}", op.shown()),
        Event::Called(cpu, cpus, op) => {
            format!("cpu {cpu}, for cpu {}: {}", list(cpus), op.shown())
        }
        Event::Interrupted(cpus) => format!("interrupted: cpu {}", list(cpus)),
        Event::Released(page) => format!("page {page} is free"),
        Event::Deferred(tables) => {
            format!("table {} is free after a grace period", list(tables))
        }
        Event::Freed(table) => format!("table {table} is free"),
        Event::RmapRemoved(page) => format!("page {page}: reverse mapping removed"),
        Event::Devices(scope) => {
            let ranges = scope.starts_with("Ranges");
            format!(
                "devices invalidated: {}",
                if ranges { "ranges" } else { scope }
            )
        }
        Event::Note(what) => format!("-- {what}"),
    }
}

fn list<T: ToString>(things: &[T]) -> String {
    let texts: Vec<String> = things.iter().map(T::to_string).collect();
    texts.join(", ")
}

/// An example: an operation of a kernel, on any machine.
pub trait Example {
    /// Runs it, and returns the events.
    fn run<B: Machine>(backend: B) -> Vec<String>;
}

macro_rules! run {
    ($($arch:ident { $($limit:ident)* })*) => {
        /// The architectures.
        pub const NAMES: &[&str] = &[$(stringify!($arch)),*];

        /// Runs an example on the common machine of an architecture.
        fn run<E: Example>(name: &str) -> Option<Vec<String>> {
            Some(match name {
                $(stringify!($arch) => E::run(usual::<tlbc_backends::$arch::Tlb>()),)*
                _ => return None,
            })
        }
    };
}

for_each_architecture!([run]);

/// Runs an example on the architecture that is named, or on all.
///
/// # Errors
/// If there is no such architecture, or more than one is named.
pub fn report<E: Example>(mut arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let usage = format!("usage: EXAMPLE [{}]", NAMES.join("|"));
    let name = arguments.next();
    if let Some(more) = arguments.next() {
        return Err(format!(
            "one architecture, please, and not '{more}'\n{usage}"
        ));
    }
    let names = name.as_deref().map_or(NAMES.to_vec(), |name| vec![name]);
    let report = |name: &str| {
        let lines = run::<E>(name);
        let lines = lines.ok_or_else(|| format!("no architecture is called '{name}'\n{usage}"))?;
        Ok(format!("{name}\n    {}\n", lines.join("\n    ")))
    };
    names.into_iter().map(report).collect()
}

/// Runs the example as a program: it prints the events, or how it is called.
pub fn main<E: Example>() -> ExitCode {
    match report::<E>(std::env::args().skip(1)) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
