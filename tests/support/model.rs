//! A simple model of a gather: which invalidations are required before a page or a table is released.
//!
//! The model keeps a list where the runtime keeps ranges, and checks every flush of the machine. A test calls
//! [`Model::requires`] with each change of an entry, and [`Model::see`] with the events that follow. The model checks
//! that each page and each table is released once, after a flush that was started after its entry had changed, that
//! names every entry which may be cached, and that was finished before the release.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::pte::Entry;
use tlbc_runtime::request::{Reach, Request, Scope, Space, SpaceFlags};
use tlbc_runtime::{
    AddressSpace, Backend, CpuMask, Deferred, Level, NewSpace, Platform, TableFree, Tag,
};

use crate::hosted::{Event, Host, Hosted};
use crate::tables::Entries;
use crate::watched::{Flush, Made, Seen, Stale, Watched};

/// The machine that is watched.
pub type Machine<B> = Arc<Host<Watched<B>>>;

/// Something that is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Out {
    /// A page.
    Page(u64),
    /// A table.
    Table(u64),
}

/// The invalidations that a change requires, and the number of flushes that were started before it.
#[derive(Debug, Clone)]
struct Required {
    subject: u64,
    since: u64,
    stale: Vec<Stale>,
}

/// The state of the model.
pub struct Model<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    flushes: Vec<Flush>,
    finished: u64,
    /// The number of flushes that were finished when every other CPU was interrupted, if that was since
    /// [`begin`](Self::begin).
    walkers_gone: Option<u64>,
    waiting: HashMap<Out, Required>,
    /// Pages that keep their reverse mapping.
    rmaps: HashSet<u64>,
    open: Vec<Required>,
    /// The space that each CPU has loaded.
    loaded: HashMap<u32, u64>,
    /// The top tables of spaces whose flushes interrupt only the CPUs that have them loaded.
    roots: HashMap<u64, u64>,
    /// Spaces of which no CPU can use an entry any more: they are torn down, and lazy CPUs need no flush.
    unreachable: HashSet<u64>,
}

impl<B: Backend + Send + Sync + 'static> Model<B> {
    /// Creates a model of a machine without events.
    pub fn new(mmu: &Machine<B>) -> Self {
        Self {
            mmu: mmu.clone(),
            flushes: Vec::new(),
            finished: 0,
            walkers_gone: None,
            waiting: HashMap::new(),
            rmaps: HashSet::new(),
            open: Vec::new(),
            loaded: HashMap::new(),
            roots: HashMap::new(),
            unreachable: HashSet::new(),
        }
    }

    fn backend(&self) -> &Watched<B> {
        self.mmu.platform().backend()
    }

    /// Adds a space of which no entry has changed yet.
    pub fn has_space(&mut self, subject: u64, new: &NewSpace) {
        let tags = self.backend().tags();
        let per_cpu = tags.per_cpu.is_some() && (new.per_cpu_tag || tags.global.is_none());
        let targets = self.backend().ipi_targets(&Request {
            space: Space::User,
            tag: Tag {
                value: 0,
                global: !per_cpu && tags.global.is_some(),
            },
            reach: Reach::Wide,
            published: false,
            flags: new.flags,
            scope: Scope::Everything { tables: true },
        });
        if !targets.agents.is_empty() {
            self.roots.insert(subject, new.table);
        }
    }

    /// Begins an operation on this space.
    pub fn begin(&mut self, subject: u64) {
        self.backend()
            .subject
            .store(subject, std::sync::atomic::Ordering::SeqCst);
        self.walkers_gone = None;
    }

    /// Returns the changes that the backend was called for since the last call, and checks that they are of these
    /// entries, in this order.
    pub fn made(&self, entries: &[(Level, u64)]) -> Vec<Made> {
        let made = self.backend().made();
        let changed: Vec<_> = made
            .iter()
            .map(|made| (made.change.level, made.va))
            .collect();
        assert_eq!(changed, entries, "each entry changes once");
        made
    }

    /// Returns the required invalidations after a change, where `plainly` are those after a plain store on a machine that
    /// caches walk entries.
    fn stale(&self, made: &Made, mut plainly: Vec<Stale>) -> Vec<Stale> {
        if B::FACTS.pte_update.is_store() {
            if !self.backend().change_facts(SpaceFlags::NONE).walk_cached {
                plainly.retain(|stale| !matches!(stale, Stale::Walk(..)));
            }
            return plainly;
        }
        // The instruction that changes the entry invalidates it, or defers all of that.
        if matches!(made.change.new, Entry::Invalid) {
            assert!(made.required.is_nothing(), "{made:?}");
        }
        if made.deferred.contains(Deferred::SPACE_UNTIL_ATTACH) {
            vec![Stale::Everything]
        } else {
            Vec::new()
        }
    }

    /// Adds a change of an entry which requires `plainly` if a store made it, and what is released after that.
    pub fn requires(&mut self, subject: u64, made: &Made, plainly: Vec<Stale>, out: Option<Out>) {
        let required = Required {
            subject,
            since: made.started,
            stale: self.stale(made, plainly),
        };
        if let Some(out) = out {
            let before = self.waiting.insert(out, required.clone());
            assert!(before.is_none(), "{out:?} is removed twice");
        }
        self.open.push(required);
    }

    /// Adds a page that keeps its reverse mapping.
    pub fn keeps_rmap(&mut self, page: u64) {
        self.rmaps.insert(page);
    }

    /// Returns whether no page keeps its reverse mapping.
    pub fn has_no_rmaps(&self) -> bool {
        self.rmaps.is_empty()
    }

    /// Returns whether one flush covers all of it: started after the change, and one of the first `finished`.
    fn is_met(&self, required: &Required, finished: u64) -> bool {
        // A CPU that loads the space completes deferred flushes.
        let root = self.roots.get(&required.subject);
        if root.is_some_and(|root| self.loaded.values().all(|loaded| loaded != root)) {
            return true;
        }
        if self.unreachable.contains(&required.subject) {
            return true;
        }
        let levels = self.backend().levels();
        let in_time = || {
            let flushes = self.flushes[..finished as usize].iter();
            flushes
                .skip(required.since as usize)
                .filter(|flush| flush.subject == required.subject)
        };
        let mut stale = required.stale.iter();
        stale.all(|stale| in_time().any(|flush| flush.asked.covers(levels, stale)))
    }

    /// Notes that a space is torn down, in which CPUs are lazy at most.
    pub fn tear_down(&mut self, subject: u64, space: &AddressSpace<impl CpuMask>) {
        let request = Request {
            space: Space::User,
            tag: Tag::default(),
            reach: Reach::Wide,
            published: false,
            flags: space.flags(),
            scope: Scope::Teardown,
        };
        let agents = self.backend().ipi_targets(&request).agents;
        if !agents.is_empty() && !agents.covers(Agents::LAZY) {
            self.unreachable.insert(subject);
        }
    }

    /// Checks the events since the last call, and returns them.
    pub fn see(&mut self) -> Vec<Event<Seen>> {
        let events = self.mmu.platform().events();
        for event in &events {
            self.look_at(event);
        }
        events
    }

    fn look_at(&mut self, event: &Event<Seen>) {
        match *event {
            Event::Issued(_, Seen::Started(flush)) => {
                assert_eq!(flush.number, self.flushes.len() as u64);
                self.flushes.push(flush);
            }
            Event::Issued(cpu, Seen::Loaded(table)) => {
                self.loaded.insert(cpu, table);
            }
            Event::Issued(_, Seen::Finished(finished)) => self.finished = finished,
            Event::Interrupted(ref targets) => {
                if targets.len() + 1 == self.cpus() {
                    self.walkers_gone = Some(self.finished);
                }
            }
            Event::RmapRemoved(page) => {
                assert!(self.rmaps.remove(&page), "page {page} keeps no rmap");
                let required = self
                    .waiting
                    .get(&Out::Page(page))
                    .expect("it is still held");
                assert!(
                    self.is_met(required, self.finished),
                    "rmap of {page} is removed before {required:?}"
                );
            }
            Event::Released(page) => {
                assert!(!self.rmaps.contains(&page), "page {page} has its rmap");
                self.released(Out::Page(page), self.finished);
            }
            Event::Deferred(ref tables) => {
                for table in tables {
                    self.released(Out::Table(*table), self.finished);
                }
            }
            Event::Freed(table) => {
                let finished = if B::FACTS.table_free == TableFree::AfterFlush || self.cpus() == 1 {
                    self.finished
                } else {
                    self.walkers_gone
                        .expect("every other CPU has left its walk")
                };
                self.released(Out::Table(table), finished);
            }
            Event::Issued(_, Seen::Handled(_))
            | Event::Called(..)
            | Event::Devices(_)
            | Event::Note(_) => {}
        }
    }

    fn cpus(&self) -> usize {
        self.mmu.platform().cpus()
    }

    fn released(&mut self, out: Out, finished: u64) {
        let required = self.waiting.remove(&out);
        let required =
            required.unwrap_or_else(|| panic!("{out:?} is released, but was never removed"));
        assert!(
            self.is_met(&required, finished),
            "{out:?} is released before {required:?}"
        );
    }

    /// Returns whether what a change requires is done, before a second change of the entry if there is one.
    pub fn is_invalidated(&self, subject: u64, made: &[Made], plainly: Vec<Stale>) -> bool {
        let required = Required {
            subject,
            since: made[0].started,
            stale: self.stale(&made[0], plainly),
        };
        let finished = made.get(1).map_or(self.finished, |again| again.finished);
        self.is_met(&required, finished)
    }

    /// Checks that no changed entry of a space may still be cached: the last gather of the space is done.
    pub fn all_is_met(&mut self, subject: u64) {
        let open = std::mem::take(&mut self.open);
        let (of_it, others): (Vec<_>, _) = open
            .into_iter()
            .partition(|required| required.subject == subject);
        self.open = others;
        for required in of_it {
            assert!(
                self.is_met(&required, self.finished),
                "{required:?} is left"
            );
        }
    }

    /// Checks that everything was released.
    pub fn nothing_waits(&self) {
        assert!(
            self.waiting.is_empty(),
            "{:?} was never released",
            self.waiting
        );
    }

    /// Checks that spaces with separate tags were flushed under them.
    pub fn tags_stay_apart(&self) {
        for (one, other) in self.flushes.iter().zip(self.flushes.iter().skip(1)) {
            let tagged = one.tag.value != 0 && other.tag.value != 0;
            if tagged && one.tag.global && other.tag.global {
                assert_eq!(one.tag == other.tag, one.subject == other.subject);
            }
        }
    }
}

/// Returns all that may be cached of an entry that points at a table, and of the entries below it, for the levels that
/// the machine has.
pub fn subtree<B: Backend + Send + Sync + 'static>(
    mmu: &Machine<B>,
    table: &Entries,
    index: usize,
) -> Vec<Stale> {
    let levels = mmu.platform().backend().levels();
    let slot = table.slot(index);
    let (first, end) = (slot.va, slot.va + (1 << levels[table.level.index()].shift));
    let mut stale = vec![Stale::Live, Stale::Walk(table.level, first)];
    let below = Level::all().filter(|level| *level < table.level);
    for level in below.filter(|level| levels[level.index()].shift != 0) {
        let facts = levels[level.index()];
        // The corners are as good as every entry: a flush names one range.
        let last = end - (1 << facts.shift);
        for va in [first, last] {
            if facts.leaf {
                stale.push(Stale::Leaf(level, va));
            }
            if level != Level(0) {
                stale.push(Stale::Walk(level, va));
            }
        }
    }
    stale
}

/// Creates a machine with this many CPUs.
pub fn machine<B: Backend + Send + Sync + 'static>(backend: B, cpus: usize) -> Machine<B> {
    Hosted::machine(Watched::new(backend), cpus)
}
