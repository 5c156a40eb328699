//! The entries of one address on one agent under one tag.

use tlbc_runtime::level::Level;

/// A kind of cached entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A translation.
    Leaf,
    /// A pointer to a table.
    Walk,
    /// A binding of a tag to its top table.
    Root,
    /// That a page-table entry is not valid.
    Negative,
}

/// An entry that may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedEntry {
    /// Its kind.
    pub kind: EntryKind,
    /// The level of the page-table entry that it was made from.
    pub level: Level,
    /// The cache that holds it, by index.
    pub cache: u8,
    /// The cache from whose entry it is made; without one it is made from the tables.
    pub from: Option<u8>,
}

/// How the agent walks the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentWalks {
    /// Whether it walks by speculation: it has the root loaded, and hardware fills entries.
    pub speculates: bool,
    /// Whether the entries below an unlinked table are still valid, so that a stale walk entry leads to them.
    pub live: bool,
}

/// A group of invalidations that are completed together: those of one issuer that wait for the same barrier.
pub type Key = u32;

/// An event of a [`TranslationPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEvent {
    /// The stores become visible.
    Publish,
    /// Entries are removed at once.
    Now(u64),
    /// An invalidation of entries starts.
    Start(u64, Key),
    /// The invalidations of a key are complete.
    Complete(Key),
}

/// Why an entry still does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It may be cached.
    Cached,
    /// It is gone, but accesses translated by it may not be performed yet.
    InFlight,
}

/// The invalidations in progress that would remove an entry, one bit each.
type Doomed = u128;

/// An entry with what may have happened to it.
#[derive(Debug, Clone)]
struct PathEntry {
    entry: CachedEntry,
    /// The ways in which the entry can be cached now: for each, the invalidations in progress that will remove it. No
    /// way is a superset of another one, which would do more harm. Empty if the entry is gone.
    ways: Vec<Doomed>,
    in_flight: bool,
    /// The invalidations in progress that invalidate the entry.
    hit_by: Doomed,
}

impl PathEntry {
    /// Adds a way in which the entry can be cached. Returns whether it is a new one.
    fn add(&mut self, way: Doomed) -> bool {
        if self.ways.iter().any(|known| known & !way == 0) {
            return false;
        }
        self.ways.retain(|known| way & !known != 0);
        self.ways.push(way);
        true
    }
}

/// The entries of one address on one agent under one tag. All are stale and cached at first, and the stores that made
/// them stale are not visible to the walker.
#[derive(Debug, Clone)]
pub struct TranslationPath {
    slots: Vec<PathEntry>,
    walks: AgentWalks,
    visible: bool,
    /// The invalidations in progress: what each hits, and its key.
    pending: [Option<(u64, Key)>; Doomed::BITS as usize],
    events: Option<Vec<PathEvent>>,
}

impl TranslationPath {
    /// Creates a path with these entries, at most 64.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = CachedEntry>, walks: AgentWalks) -> Self {
        let slot = |entry| PathEntry {
            entry,
            ways: vec![0],
            in_flight: false,
            hit_by: 0,
        };
        Self {
            slots: entries.into_iter().map(slot).collect(),
            walks,
            visible: false,
            pending: [None; Doomed::BITS as usize],
            events: None,
        }
    }

    /// Records events from here on.
    pub fn record(&mut self) {
        self.events = Some(Vec::new());
    }

    /// Returns the recorded events.
    pub fn recorded(&self) -> &[PathEvent] {
        self.events.as_deref().unwrap_or_default()
    }

    /// Returns how the agent walks the tables.
    pub fn walks(&self) -> AgentWalks {
        self.walks
    }

    fn note(&mut self, event: PathEvent) {
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }

    /// Returns the entries, by their index.
    pub fn entries(&self) -> impl Iterator<Item = &CachedEntry> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// The stores that made the entries stale become visible to the walker.
    pub fn publish(&mut self) {
        self.note(PathEvent::Publish);
        self.visible = true;
    }

    /// Removes entries at once: those with a bit in `hits`.
    pub fn invalidate_now(&mut self, hits: u64) {
        self.note(PathEvent::Now(hits));
        for slot in self.hit(hits) {
            slot.ways.clear();
        }
        self.fill();
    }

    /// Starts an invalidation of the entries with a bit in `hits`. It takes the place of those of its key that hit no other
    /// entries: they may act right before it, where they change nothing. If more than 128 are in progress all the same, it
    /// has no effect.
    pub fn start(&mut self, hits: u64, key: Key) {
        self.note(PathEvent::Start(hits, key));
        self.forget(|(other, of)| of == key && other & !hits == 0);
        let Some(number) = self.pending.iter().position(Option::is_none) else {
            return;
        };
        self.pending[number] = Some((hits, key));
        for slot in self.hit(hits) {
            slot.hit_by |= 1 << number;
            slot.ways.iter_mut().for_each(|way| *way |= 1 << number);
        }
        self.fill();
    }

    /// Completes the invalidations of a key. Unless `drained`, accesses that the removed entries have translated may not
    /// be performed yet.
    pub fn complete(&mut self, key: Key, drained: bool) {
        self.note(PathEvent::Complete(key));
        let done = self.take(|(_, of)| of == key);
        for slot in &mut self.slots {
            let before = slot.ways.len();
            slot.ways.retain(|way| way & done == 0);
            slot.hit_by &= !done;
            slot.in_flight |= before != 0 && slot.ways.is_empty();
        }
        if drained {
            self.drain();
        }
        self.fill();
    }

    /// Takes those of the invalidations in progress that satisfy a condition, one bit each.
    fn take(&mut self, is: impl Fn((u64, Key)) -> bool) -> Doomed {
        let mut taken = 0;
        for (number, pending) in self.pending.iter_mut().enumerate() {
            if pending.take_if(|it| is(*it)).is_some() {
                taken |= 1 << number;
            }
        }
        taken
    }

    /// Forgets those of the invalidations in progress that satisfy a condition, as if they had not been started.
    fn forget(&mut self, is: impl Fn((u64, Key)) -> bool) {
        let forgotten = self.take(is);
        if forgotten == 0 {
            return;
        }
        for slot in &mut self.slots {
            slot.hit_by &= !forgotten;
            for way in std::mem::take(&mut slot.ways) {
                slot.add(way & !forgotten);
            }
        }
    }

    /// Performs all accesses that removed entries have translated.
    pub fn drain(&mut self) {
        let gone = self.slots.iter_mut().filter(|slot| slot.ways.is_empty());
        gone.for_each(|slot| slot.in_flight = false);
    }

    /// Returns the entries that still do harm, by their index.
    pub fn left(&self) -> impl Iterator<Item = (usize, Left)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(
            |(index, slot)| match (slot.ways.is_empty(), slot.in_flight) {
                (false, _) => Some((index, Left::Cached)),
                (true, true) => Some((index, Left::InFlight)),
                (true, false) => None,
            },
        )
    }

    /// Returns the entries from which an entry can be filled, by their index, and whether each may be cached now.
    pub fn sources(&self, to: usize) -> impl Iterator<Item = (usize, bool)> {
        let sources = self.slots.iter().enumerate();
        let sources = sources.filter(move |(_, it)| self.leads(&it.entry, &self.slots[to].entry));
        sources.map(|(index, it)| (index, !it.ways.is_empty()))
    }

    fn hit(&mut self, hits: u64) -> impl Iterator<Item = &mut PathEntry> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(move |(index, slot)| (hits & (1 << index) != 0).then_some(slot))
    }

    /// Fills every entry from everything that it can be filled from.
    fn fill(&mut self) {
        loop {
            let mut changed = false;
            for to in 0..self.slots.len() {
                for way in self.refills(to) {
                    changed |= self.slots[to].add(way);
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Returns the ways in which an entry can be filled.
    fn refills(&self, to: usize) -> Vec<Doomed> {
        let entry = self.slots[to].entry;
        let mut ways = Vec::new();
        if !self.visible && self.walks.speculates && entry.from.is_none() {
            ways.push(0);
        }
        let hits = self.slots[to].hit_by;
        for source in self
            .slots
            .iter()
            .filter(|source| self.leads(&source.entry, &entry))
        {
            // What has not acted on the source yet acts on both together.
            ways.extend(source.ways.iter().map(|way| way & hits));
        }
        ways
    }

    /// Returns whether an entry can be filled from another one.
    fn leads(&self, source: &CachedEntry, to: &CachedEntry) -> bool {
        if let Some(cache) = to.from {
            return (source.cache, source.kind, source.level) == (cache, to.kind, to.level);
        }
        // No entry is valid below a table and not valid below the one that took its place, so a walk finds no negative one.
        let is_below =
            source.kind == EntryKind::Walk && matches!(to.kind, EntryKind::Leaf | EntryKind::Walk);
        self.walks.live && self.walks.speculates && is_below && source.level > to.level
    }
}
