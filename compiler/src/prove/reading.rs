//! The definition as a proof reads it.
//!
//! In: a [`Model`]. Out: its parts, and which of those that `unconfirmed` can name were read. Holds: the rules have no other way
//! to a part that can be named, so what they did not read has no influence on the result. A part that was read need not
//! have one.

use std::cell::Cell;
use std::collections::BTreeSet;

use tlbc_runtime::backend::TableFree;
use tlbc_runtime::request::{LevelTable, Space};

use super::machine::Partial;
use crate::model::{
    self, Barrier, Caches, Change, Erratum, Event, Geometry, Instr, Invalidate, Limit, Load, Model,
    Operand, Subject, Tag,
};

/// The parts without a name.
const CACHES: &str = "caches";
const CHANGE: &str = "change";
const SWITCH: &str = "switch";
const RETURN: &str = "return_to_user";
const ONLINE: &str = "cpu_online";
const PARTS: [&str; 5] = [CACHES, CHANGE, SWITCH, RETURN, ONLINE];

/// What completes a request after its path: a request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// The handler of an IPI.
    Handler,
    /// The next load of the space.
    Load,
    /// The return to user code.
    Return,
    /// The load of a new tag.
    Renewal,
}

/// A definition, with marks at what was read.
#[derive(Debug)]
pub struct Reading<'m> {
    model: &'m Model,
    invalidates: Vec<Cell<bool>>,
    barriers: Vec<Cell<bool>>,
    loads: Vec<Cell<bool>>,
    errata: Vec<Cell<bool>>,
    parts: [Cell<bool>; PARTS.len()],
    later: [Cell<bool>; 4],
}

impl<'m> Reading<'m> {
    /// Returns a definition of which nothing was read.
    pub fn new(model: &'m Model) -> Self {
        let none = |count| vec![Cell::new(false); count];
        Self {
            model,
            invalidates: none(model.invalidates.len()),
            barriers: none(model.barriers.len()),
            loads: none(model.loads.len()),
            errata: none(model.errata.len()),
            parts: Default::default(),
            later: Default::default(),
        }
    }

    /// Returns what was read.
    pub fn read(&self) -> BTreeSet<Subject> {
        let of = |marks: &[Cell<bool>], subject: &dyn Fn(usize) -> Subject| -> Vec<Subject> {
            let read = marks.iter().enumerate().filter(|(_, read)| read.get());
            read.map(|(index, _)| subject(index)).collect()
        };
        let invalidates = of(&self.invalidates, &|it| {
            Subject::Instr(Instr::Invalidate(it))
        });
        let barriers = of(&self.barriers, &|it| Subject::Instr(Instr::Barrier(it)));
        let loads = of(&self.loads, &Subject::Load);
        let errata = of(&self.errata, &Subject::Erratum);
        let parts = of(&self.parts, &|it| Subject::Part(PARTS[it]));
        let all = invalidates.into_iter().chain(barriers).chain(loads);
        all.chain(errata).chain(parts).collect()
    }

    /// Notes that a proof relies on another one.
    pub fn rely(&self, on: Later) {
        self.later[on as usize].set(true);
    }

    /// Returns whether some proof relies on another one.
    pub fn relies(&self, on: Later) -> bool {
        self.later[on as usize].get()
    }

    fn part(&self, part: &str) {
        let index = PARTS.iter().position(|it| *it == part);
        if let Some(index) = index {
            self.parts[index].set(true);
        }
    }

    pub fn invalidate(&self, index: usize) -> &'m Invalidate {
        self.invalidates[index].set(true);
        &self.model.invalidates[index]
    }

    /// Returns every invalidation, for what is said of a failure.
    pub fn invalidates(&self) -> &'m [Invalidate] {
        &self.model.invalidates
    }

    pub fn barrier(&self, index: usize) -> &'m Barrier {
        self.barriers[index].set(true);
        &self.model.barriers[index]
    }

    pub fn load(&self, index: usize) -> &'m Load {
        self.loads[index].set(true);
        &self.model.loads[index]
    }

    pub fn erratum(&self, index: usize) -> &'m Erratum {
        self.errata[index].set(true);
        &self.model.errata[index]
    }

    /// Returns every erratum. That one weakens nothing is read as well, unless the machine cannot have it.
    pub fn errata(&self, machine: &Partial<'_>) -> impl Iterator<Item = (usize, &'m Erratum)> {
        for (index, read) in self.errata.iter().enumerate() {
            if !read.get() && machine.may_suffer(index) {
                read.set(true);
            }
        }
        self.model.errata.iter().enumerate()
    }

    pub fn caches(&self) -> &'m Caches {
        self.part(CACHES);
        &self.model.caches
    }

    pub fn change(&self) -> &'m Change {
        self.part(CHANGE);
        &self.model.change
    }

    pub fn switch(&self) -> &'m Event {
        self.part(SWITCH);
        &self.model.switch
    }

    pub fn return_to_user(&self) -> &'m Event {
        self.part(RETURN);
        &self.model.return_to_user
    }

    pub fn cpu_online(&self) -> &'m Event {
        self.part(ONLINE);
        &self.model.cpu_online
    }

    /// Returns whether a CPU that comes online has no entries.
    pub fn online_clean(&self, machine: &Partial<'_>) -> bool {
        self.part(ONLINE);
        self.model.online_clean(machine)
    }

    /// Returns whether a switch may need a flush of everything under every tag.
    pub fn switch_flushes_every_tag(&self, machine: &Partial<'_>) -> bool {
        self.part(ONLINE);
        self.model.switch_flushes_every_tag(machine)
    }

    /// Returns whether a walker may see the root of one space with the tag of another while an event loads both.
    pub fn is_half_loaded(&self, event: &Event, machine: &Partial<'_>) -> bool {
        self.part(CACHES);
        for &load in event.loads.iter().flat_map(|it| &it.loads) {
            self.load(load);
        }
        self.model.is_half_loaded(event, machine)
    }

    /// Returns the levels of a machine.
    pub fn level_table(&self, machine: &Partial<'_>) -> LevelTable {
        if self.model.caches.joined.iter().any(Option::is_some) {
            self.part(CACHES);
        }
        self.model.level_table(machine)
    }

    pub fn space(&self, space: Space) -> &'m model::Space {
        self.model.space(space)
    }

    pub fn tags(&self) -> &'m [Tag] {
        &self.model.tags
    }

    pub fn geometry(&self, index: usize) -> &'m Geometry {
        &self.model.geometries[index]
    }

    pub fn operand(&self, index: usize) -> &'m Operand {
        &self.model.operands[index]
    }

    pub fn limits(&self) -> &'m [Limit] {
        &self.model.limits
    }

    /// Returns when the memory of an unlinked table is free.
    pub fn table_free(&self) -> TableFree {
        self.model.table_free()
    }

    /// Returns whether changes are published where no barrier does so.
    pub fn is_publication_assumed(&self) -> bool {
        self.model.assumed.is_some()
    }
}
