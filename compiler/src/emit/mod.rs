//! From the plan IR to Rust.
//!
//! In: an [`Analysis`]. Out: the text of one module. Holds: the text is formatted, parses, has no inner attribute
//! (so that it can be included), and issues what the interpreted plan does.
//!
//! Every function here is a fold over the plan, which has decided what is issued and when. The folds build a `tree` of
//! Rust, which tells what it uses, and [`print`] writes it.

mod backend;
mod barriers;
mod conditions;
mod config;
mod constants;
mod context;
mod decisions;
mod dispatch;
mod docs;
mod events;
mod facts;
mod hardware;
mod introductions;
mod ipis;
mod issuers;
mod levels;
mod loops;
pub(crate) mod names;
mod nodes;
mod op;
mod operands;
mod parameters;
pub(crate) mod print;
mod registers;
mod routines;
mod set_loops;
mod shared;
pub(crate) mod tree;
mod values;

use crate::analysis::Analysis;
use crate::source::{Files, Span};
use crate::text::{count, wrap};
use context::Emit;
use names::ModuleNames;
use tree::{Runtime, Uses};

/// Returns the text of an architecture's module. The header states how many failures its proof has, if it has some.
#[must_use]
pub fn emit(analysis: &Analysis, files: &Files, failures: usize) -> String {
    let emit = Emit::new(analysis, files, names(analysis));
    let mut items = emit.tlb();
    items.push(emit.routines());
    items.push(emit.backend());
    items.splice(0..0, emit.barriers(&Uses::of_items(&items)));
    items.splice(0..0, emit.workarounds());
    items.splice(0..0, emit.set_loops(&Uses::of_items(&items)));
    // What follows is written if the rest uses it.
    items.splice(0..0, emit.issuers(&Uses::of_items(&items)));
    items.splice(0..0, emit.operands(&Uses::of_items(&items)));
    items.splice(0..0, emit.hardware());
    items.splice(0..0, emit.op());
    items.splice(0..0, emit.levels(&Uses::of_items(&items)));
    let header = emit.header(&Uses::of_items(&items), failures);
    items.splice(0..0, emit.config());
    let imports = imports(&emit.model.target_arch.value, &Uses::of_items(&items));
    let version = required_version();
    format!("{header}\n{imports}\n{version}\n{}\n", print::items(&items))
}

/// Returns the names of a module's items.
fn names(analysis: &Analysis) -> ModuleNames {
    let (barriers, sets) = (barriers::repeated(analysis), set_loops::repeated(analysis));
    ModuleNames::new(&analysis.model, barriers, sets)
}

/// The arithmetic of a module, as it is printed.
#[cfg(feature = "cli")]
pub(crate) struct Arithmetic {
    /// How an instruction gets the value of each operand from its sources.
    pub operands: Vec<tree::Expr>,
    /// The bodies of the encoders.
    pub encoders: Vec<Vec<tree::Stmt>>,
    /// The value of the function that returns the number of the page size.
    pub granule: tree::Expr,
    /// The value of the function that returns log2 of the page size.
    pub page_shift: tree::Expr,
    /// The names of the flags, by their bits.
    pub flags: Vec<String>,
    /// The names of the levels.
    pub levels: Vec<String>,
}

/// Returns the arithmetic of an architecture's module.
#[cfg(feature = "cli")]
pub(crate) fn arithmetic(analysis: &Analysis, files: &Files) -> Arithmetic {
    let emit = Emit::new(analysis, files, names(analysis));
    let operands = 0..emit.model.operands.len();
    let operands = operands.map(|operand| emit.encoded(operand, &|var| var.expr()));
    let geometries = emit.model.geometries.len().saturating_sub(1);
    let flags = emit.model.features.len() + emit.model.errata.len() + geometries;
    let levels = 0..emit.model.levels.len();
    Arithmetic {
        operands: operands.collect(),
        granule: emit.granule(),
        page_shift: emit.page_shift(),
        flags: (0..flags)
            .map(|bit| emit.flag(bit).text.into_owned())
            .collect(),
        levels: levels.map(|level| emit.names.level(level)).collect(),
        encoders: emit.encoders.into_iter().map(|it| it.body).collect(),
    }
}

/// Returns the assertion that the runtime has the version for which a module is generated.
fn required_version() -> String {
    let (major, minor, patch) = (
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    );
    format!(
        "const _: () = assert!(\n    \
         tlbc_runtime::version::supports({major}, {minor}, {patch}),\n    \
         \"this file was generated for tlbc-runtime {major}.{minor}.{patch}\"\n);\n"
    )
}

/// Returns the imports for what a module uses.
fn imports(target: &str, uses: &Uses) -> String {
    let mut out = format!("#[cfg(target_arch = {target:?})]\nuse core::arch::asm;\n");
    for (module, names) in Runtime::MODULES {
        let used = names.iter().filter(|name| uses.runtime(**name));
        let names: Vec<&str> = used.map(|name| name.name()).collect();
        let path = format!("tlbc_runtime::{module}");
        match names.as_slice() {
            [] => {}
            [one] => out.push_str(&format!("use {path}::{one};\n")),
            names => out.push_str(&print::import(&path, names)),
        }
    }
    out
}

/// Returns the text of the crate with the modules of these architectures.
#[must_use]
pub fn lib(names: &[&str]) -> String {
    let mut text = String::from(
        "// @generated by tlbc. DO NOT EDIT.\n\
         // Regenerate: cargo run -p tlbc -- gen\n\
         //! Flush backends, one module an architecture, written by tlbc from the definitions.\n\
         #![no_std]\n",
    );
    for name in names {
        text.push_str(&format!(
            "\n/// The backend that `{name}` is defined for.\n#[rustfmt::skip]\npub mod {name};\n"
        ));
    }
    text
}

impl Emit<'_> {
    /// Returns the comment at the top of a module, given what its code uses and the failures of its proof.
    fn header(&self, uses: &Uses, failures: usize) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let source = self.source(self.model.arch.span);
        let features = self.model.features.iter().map(|it| &it.named.name);
        let errata = self.model.errata.iter().map(|it| &it.named.name);
        let flags: Vec<&String> = features.chain(errata).collect();
        let (features, errata) = flags.split_at(self.model.features.len());
        let consulted = |heading: &str, flags: &[&String], first: usize| {
            let flags = flags.iter().enumerate();
            let flags = flags.filter(|(index, _)| uses.flag(first + index));
            let flags: Vec<&str> = flags.map(|(_, name)| name.as_str()).collect();
            (!flags.is_empty()).then(|| format!("{heading} consulted: {}.", flags.join(", ")))
        };
        let lines = [
            Some(format!(
                "@generated by tlbc {version} from {source}. DO NOT EDIT."
            )),
            (failures > 0).then(|| {
                let failures = count(failures, "failure");
                format!(
                    "NOT PROVED, {failures}: stale entries may be used. `tlbc prove` says which."
                )
            }),
            Some("Regenerate: cargo run -p tlbc -- gen".to_owned()),
            Some(format!("Needs tlbc-runtime {version}.")),
            consulted("Features", features, 0),
            consulted("Errata", errata, features.len()),
        ];
        let lines = lines.iter().flatten().flat_map(|line| wrap(line, 97));
        lines
            .flat_map(|line| ["// ".to_owned(), line, "\n".to_owned()])
            .collect()
    }

    /// Returns the name of a source without its directories, so that it does not depend on where it is compiled.
    fn source(&self, span: Span) -> String {
        let name = &self.files.get(span.file).name;
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        name.chars().filter(|c| !c.is_control()).collect()
    }
}
