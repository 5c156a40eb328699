//! Less work than one could do, which is accepted.
//!
//! In: a change of an entry after which the hardware needs no flush; or a request, and the few instructions that serve it. Out:
//! whether that is what is done. Holds: where the definition does not have the fact on which a change relies, the change is
//! flushed; what a request leaves out leaves nothing on hostile hardware.

use tlbc::model::Model;
use tlbc::torment::{Options, torment};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Below, Change, Entry, Marks};
use tlbc_tests::archdefs::{analysis, definition, kernel_address};
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{Ask, edited, lines};
use tlbc_tests::unchecked;

use super::read::Fields;

/// A change of an entry that requires no flush.
pub struct UnflushedChange {
    arch: String,
    machine: String,
    from: Entry,
    to: Entry,
    clears: Marks,
    /// The edits of the definition after which the change requires a flush.
    unless: Vec<[String; 2]>,
}

/// Returns an entry by its name.
fn entry(name: &str) -> Entry {
    let leaf = |rights| Entry::Leaf {
        page: 1 << 12,
        rights,
        attributes: 0,
    };
    match name {
        "invalid" => Entry::Invalid,
        "read-only" => leaf(1),
        "writable" => leaf(3),
        _ => panic!("`{name}` is no entry"),
    }
}

impl UnflushedChange {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            arch: fields.needed("arch"),
            machine: fields.text("machine").unwrap_or_default(),
            from: entry(&fields.needed("from")),
            to: entry(&fields.needed("to")),
            clears: if fields.flag("clears_accessed") {
                Marks::ACCESSED
            } else {
                Marks::NONE
            },
            unless: fields.edits("unless"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        if self.is_flushed(&analysis(&self.arch).model) {
            return Err("the change requires a flush".to_owned());
        }
        let shipped = definition(&self.arch).to_owned();
        let edits = self.unless.iter();
        let other = edits.fold(shipped, |text, [old, new]| edited(&text, old, new));
        let (other, _) = unchecked::planned(&other).map_err(|found| format!("{found:?}"))?;
        if !self.is_flushed(&other.model) {
            return Err("the change never requires a flush".to_owned());
        }
        Ok(())
    }

    fn is_flushed(&self, model: &Model) -> bool {
        let change = Change {
            level: Level(0),
            old: self.from,
            new: self.to,
            new_bits: 0,
            clears: self.clears,
            below: Below::Cleared,
        };
        let facts = model.change_facts(machine(model, &self.machine).config);
        !change.required_flush(&facts).is_nothing()
    }
}

/// A request that few instructions serve.
pub struct ServedRequest {
    arch: String,
    machine: String,
    /// The number of pages that are unmapped.
    pages: u64,
    /// Whether they are the kernel's.
    kernel: bool,
    /// Whether other CPUs may have cached them.
    others: bool,
    /// Whether their tables are unlinked.
    tables: bool,
    /// What this CPU issues.
    issues: Vec<String>,
}

impl ServedRequest {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            arch: fields.needed("arch"),
            machine: fields.text("machine").unwrap_or_default(),
            pages: fields.number("pages").unwrap_or(1),
            kernel: fields.flag("kernel"),
            others: fields.flag("others"),
            tables: fields.flag("tables"),
            issues: fields.texts("issues"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        let known = analysis(&self.arch);
        let machine = machine(&known.model, &self.machine);
        let shift = known.model.level_table(machine.config)[0].shift;
        let bytes = self.pages << shift;
        let mut ask = if self.kernel {
            Ask::kernel(kernel_address(&self.arch), bytes, &["pte"])
        } else {
            Ask::user(1 << 30, bytes, &["pte"])
        };
        ask.others = self.others;
        if self.tables {
            ask = ask.tables();
        }
        let issued = lines(ask.on(known, &self.machine).issued());
        if issued != self.issues {
            return Err(format!("this CPU issues {issued:?}"));
        }
        let options = Options {
            seed: 1,
            machines: 4,
            requests: 25,
            machine: Some((machine.config, machine.limits)),
            ends_at_long: false,
        };
        match torment(known, &known.model, &options).failure {
            Some(found) => Err(format!("the machine finds: {}", found.text)),
            None => Ok(()),
        }
    }
}
