//! A naive model of a gather: what has to be dropped before what comes out.
//!
//! It keeps a list where the runtime keeps ranges, and looks at every flush that there ever was. Whoever drives the
//! machine says what it did ([`Model::owes`] and what follows it), and shows the events that came of it
//! ([`Model::see`]): each page and each table comes out once, when some flush that was started after its entry had changed,
//! and finished before it came out, names every entry that may be cached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tlbc_runtime::pte::Entry;
use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_runtime::{Backend, Deferred, Level, NewSpace, Platform, TableFree, Tag};

use crate::hosted::{Event, Host, Hosted};
use crate::tables::Entries;
use crate::watched::{Flush, Made, Seen, Stale, Watched};

/// The machine that is watched.
pub type Machine<B> = Arc<Host<Watched<B>>>;

/// Something that comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Out {
    /// A page.
    Page(u64),
    /// A table.
    Table(u64),
}

/// What has to be dropped, of changes made when so many flushes had been started.
#[derive(Debug, Clone)]
struct Owes {
    subject: u64,
    since: u64,
    stale: Vec<Stale>,
}

/// What the model knows.
pub struct Model<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    flushes: Vec<Flush>,
    finished: u64,
    /// What was finished when every other CPU was interrupted, if that was since [`begin`](Self::begin).
    walkers_gone: Option<u64>,
    waiting: HashMap<Out, Owes>,
    /// Pages that keep their reverse mapping.
    rmaps: HashSet<u64>,
    open: Vec<Owes>,
    /// What each CPU has loaded.
    loaded: HashMap<u32, u64>,
    /// The top tables of spaces whose flushes interrupt the CPUs that have them loaded, and nobody else.
    roots: HashMap<u64, u64>,
}

impl<B: Backend + Send + Sync + 'static> Model<B> {
    /// Of a machine on which nothing has happened.
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
        }
    }

    fn backend(&self) -> &Watched<B> {
        self.mmu.platform().backend()
    }

    /// There is a space, of which nothing was changed yet.
    pub fn has_space(&mut self, subject: u64, new: &NewSpace) {
        let tags = self.backend().tags();
        let per_cpu = tags.per_cpu.is_some() && (new.tag_of_cpu || tags.global.is_none());
        let targets = self.backend().ipi_targets(&Request {
            space: Space::User,
            tag: Tag {
                value: 0,
                global: !per_cpu && tags.global.is_some(),
            },
            reach: Reach::Wide,
            flags: new.flags,
            scope: Scope::Everything { tables: true },
        });
        if !targets.agents.is_empty() {
            self.roots.insert(subject, new.table);
        }
    }

    /// Something is about to be done, to this space.
    pub fn begin(&mut self, subject: u64) {
        self.backend()
            .subject
            .store(subject, std::sync::atomic::Ordering::SeqCst);
        self.walkers_gone = None;
    }

    /// What the backend was told to change since this was last asked: as many entries as these, in this order.
    pub fn made(&self, entries: &[(Level, u64)]) -> Vec<Made> {
        let made = self.backend().made();
        let changed: Vec<_> = made
            .iter()
            .map(|made| (made.change.level, made.va))
            .collect();
        assert_eq!(changed, entries, "each entry changes once");
        made
    }

    /// What a change leaves to be dropped where `plainly` is what a plain store would.
    fn stale(made: &Made, plainly: Vec<Stale>) -> Vec<Stale> {
        if B::FACTS.pte_update.is_store() {
            return plainly;
        }
        // The instruction that changes the entry drops it, or puts off all of it.
        if matches!(made.change.new, Entry::Invalid) {
            assert!(made.required.is_nothing(), "{made:?}");
        }
        if made.deferred.contains(Deferred::SPACE_UNTIL_ATTACH) {
            vec![Stale::Everything]
        } else {
            Vec::new()
        }
    }

    /// An entry has changed, which leaves this where a store changed it; and behind that something comes out.
    pub fn owes(&mut self, subject: u64, made: &Made, plainly: Vec<Stale>, out: Option<Out>) {
        let owes = Owes {
            subject,
            since: made.started,
            stale: Self::stale(made, plainly),
        };
        if let Some(out) = out {
            let before = self.waiting.insert(out, owes.clone());
            assert!(before.is_none(), "{out:?} is given away twice");
        }
        self.open.push(owes);
    }

    /// A page keeps its reverse mapping.
    pub fn keeps_rmap(&mut self, page: u64) {
        self.rmaps.insert(page);
    }

    /// Whether no page keeps its reverse mapping.
    pub fn has_no_rmaps(&self) -> bool {
        self.rmaps.is_empty()
    }

    /// Whether a flush among these has dropped all of it: started after the change, and one of the first so many.
    fn is_met(&self, owes: &Owes, finished: u64) -> bool {
        // Whoever loads the space drops what is behind.
        let root = self.roots.get(&owes.subject);
        if root.is_some_and(|root| self.loaded.values().all(|loaded| loaded != root)) {
            return true;
        }
        let levels = self.backend().levels();
        let in_time = || {
            let flushes = self.flushes[..finished as usize].iter();
            flushes
                .skip(owes.since as usize)
                .filter(|flush| flush.subject == owes.subject)
        };
        let mut stale = owes.stale.iter();
        stale.all(|stale| in_time().any(|flush| flush.asked.covers(levels, stale)))
    }

    /// Looks at what has happened meanwhile, and says what it was.
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
            Event::Interrupted(ref whom) => {
                if whom.len() + 1 == self.cpus() {
                    self.walkers_gone = Some(self.finished);
                }
            }
            Event::RmapRemoved(page) => {
                assert!(self.rmaps.remove(&page), "page {page} keeps no rmap");
                let owes = self
                    .waiting
                    .get(&Out::Page(page))
                    .expect("it is still held");
                assert!(
                    self.is_met(owes, self.finished),
                    "rmap of {page} goes before {owes:?}"
                );
            }
            Event::Released(page) => {
                assert!(!self.rmaps.contains(&page), "page {page} has its rmap");
                self.comes_out(Out::Page(page), self.finished);
            }
            Event::Deferred(ref tables) => {
                for table in tables {
                    self.comes_out(Out::Table(*table), self.finished);
                }
            }
            Event::Freed(table) => {
                let finished = if B::FACTS.table_free == TableFree::AfterFlush || self.cpus() == 1 {
                    self.finished
                } else {
                    self.walkers_gone
                        .expect("every other CPU has left its walk")
                };
                self.comes_out(Out::Table(table), finished);
            }
            Event::Issued(_, Seen::Delivered(_)) | Event::Devices(_) | Event::Note(_) => {}
        }
    }

    fn cpus(&self) -> usize {
        self.mmu.platform().cpus()
    }

    fn comes_out(&mut self, out: Out, finished: u64) {
        let owes = self.waiting.remove(&out);
        let owes = owes.unwrap_or_else(|| panic!("{out:?} comes out, and nobody gave it up"));
        assert!(
            self.is_met(&owes, finished),
            "{out:?} comes out before {owes:?}"
        );
    }

    /// Whether what a change left is dropped; before a second change of the entry, if there is one.
    pub fn is_dropped(&self, subject: u64, made: &[Made], plainly: Vec<Stale>) -> bool {
        let owes = Owes {
            subject,
            since: made[0].started,
            stale: Self::stale(&made[0], plainly),
        };
        let finished = made.get(1).map_or(self.finished, |again| again.finished);
        self.is_met(&owes, finished)
    }

    /// Nothing of a space may be cached that was changed: who gathered last is done.
    pub fn all_is_met(&mut self, subject: u64) {
        let open = std::mem::take(&mut self.open);
        let (of_it, others): (Vec<_>, _) =
            open.into_iter().partition(|owes| owes.subject == subject);
        self.open = others;
        for owes in of_it {
            assert!(self.is_met(&owes, self.finished), "{owes:?} is left");
        }
    }

    /// Everything has come out.
    pub fn nothing_waits(&self) {
        assert!(self.waiting.is_empty(), "{:?} never came out", self.waiting);
    }

    /// Spaces with tags of their own were flushed under them.
    pub fn tags_stay_apart(&self) {
        for (one, other) in self.flushes.iter().zip(self.flushes.iter().skip(1)) {
            let tagged = one.tag.value != 0 && other.tag.value != 0;
            if tagged && one.tag.global && other.tag.global {
                assert_eq!(one.tag == other.tag, one.subject == other.subject);
            }
        }
    }
}

/// All that may be cached of an entry that points at a table, and of what is below it: of levels that there are.
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
        // Corners say as much as all: what is named is one stretch.
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

/// A machine of so many CPUs.
pub fn machine<B: Backend + Send + Sync + 'static>(backend: B, cpus: usize) -> Machine<B> {
    Hosted::machine(Watched::new(backend), cpus)
}
