//! The platform refuses memory for pages and tables at every point: the same pages and tables are released, each once
//! and after its flush, and reverse mappings are removed before the lock is released.

use std::sync::atomic::Ordering::SeqCst;
use tlbc_tests::tests_on_every_architecture;

use tlbc_runtime::pages::{BATCHES, BUNDLE};
use tlbc_runtime::platform::BATCH;
use tlbc_runtime::{Backend, Current, Level, NewSpace};
use tlbc_tests::hosted::{Event, Handle, Hosted};
use tlbc_tests::model::{Machine, Model, Out, machine};
use tlbc_tests::tables::{DIRTY, Entries, FILE, WRITE};
use tlbc_tests::watched::{Stale, Watched};

/// What a program clears: this many sections, each with this many pages and tables.
#[derive(Debug, Clone, Copy)]
struct Shape {
    sections: usize,
    pages: usize,
    tables: usize,
    /// The distance between dirty pages of a file; 0 if there are none.
    dirty: usize,
    /// The number of batches of pages and of tables that it takes, and the number of flushes.
    takes: (usize, usize, usize),
}

const SHAPES: [Shape; 8] = [
    Shape::new(1, 1, 0, 0, (0, 0, 1)),
    Shape::new(1, 9, 0, 0, (1, 0, 1)),
    Shape::new(1, 600, 0, 0, (2, 0, 1)),
    // More than a gather holds: it then restarts with the page that did not fit, and keeps one batch.
    Shape::new(12, 1000, 0, 0, (BATCHES + 4, 0, 2)),
    Shape::new(1, 0, 1, 0, (0, 1, 1)),
    Shape::new(2, 0, 300, 0, (0, 2, 2)),
    // While reverse mappings are delayed there is one batch of pages, and each section ends with a flush. The last
    // shape also flushes for a full batch of tables, after which its section has nothing left to flush.
    Shape::new(2, 1200, 0, 1, (1, 0, 6)),
    Shape::new(10, 60, 60, 7, (1, 2, 11)),
];

/// When the platform refuses memory.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Never,
    /// One request.
    Nth(usize),
    /// That request and all later ones.
    From(usize),
}

impl Shape {
    const fn new(
        sections: usize,
        pages: usize,
        tables: usize,
        dirty: usize,
        takes: (usize, usize, usize),
    ) -> Self {
        Self {
            sections,
            pages,
            tables,
            dirty,
            takes,
        }
    }

    fn is_dirty(&self, index: usize) -> bool {
        self.dirty != 0 && index.is_multiple_of(self.dirty)
    }
}

/// A lock whose release is recorded as an event.
struct Guard<B: Backend + Send + Sync + 'static>(Machine<B>);

impl<B: Backend + Send + Sync + 'static> Drop for Guard<B> {
    fn drop(&mut self) {
        self.0.platform().note("unlocked");
    }
}

/// Returns the lowest level and the one above it.
fn levels<B: Backend>(backend: &B) -> [Level; 2] {
    let levels = backend.levels();
    let mut there = Level::all().filter(|level| levels[level.index()].shift != 0);
    [(); 2].map(|()| there.next().expect("two levels"))
}

/// Creates a machine whose second CPU has the space loaded as well.
fn prepared<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) -> (Machine<B>, Handle<Watched<B>>) {
    let mmu = machine(backend, 2);
    let space = Hosted::space(&mmu, new).expect("a tag");
    for cpu in 0..2 {
        let _ = Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        });
    }
    mmu.platform().events();
    (mmu, space)
}

/// Runs it. Returns the number of requests for memory, the number of flushes, and the maximum number of dirty file
/// pages between two flushes.
fn run<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
    shape: Shape,
    refusal: Refusal,
) -> (usize, usize, usize) {
    let (mmu, space) = prepared(backend, new);
    let platform = mmu.platform();
    match refusal {
        Refusal::Never => {}
        Refusal::Nth(nth) => platform.refused.store(nth, SeqCst),
        Refusal::From(first) => platform.batches.store(first, SeqCst),
    }
    let [low, high] = levels(platform.backend());
    let count = shape.sections * shape.pages;
    let pages = Entries::new(platform.backend(), &space, low, 0, count);
    for index in 0..count {
        let dirty = if shape.is_dirty(index) {
            DIRTY | FILE
        } else {
            0
        };
        pages.map(index, index as u64 + 1, WRITE | dirty);
    }
    let count = shape.sections * shape.tables;
    let tables = Entries::new(platform.backend(), &space, high, 1 << 46, count);
    (0..count).for_each(|index| tables.link(index, index as u64 + 1));

    let mut model = Model::new(&mmu);
    model.begin(0);
    let mut most_dirty = 0;
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            for section in 0..shape.sections {
                let leaves = section * shape.pages..(section + 1) * shape.pages;
                let links = section * shape.tables..(section + 1) * shape.tables;
                gather.locked(Guard(mmu.clone()), |section, _| {
                    let given = leaves.clone().filter_map(|index| pages.leaf(index));
                    section.unmap_all(given).expect("entries of this space");
                    let places: Vec<_> = leaves
                        .clone()
                        .map(|index| (low, pages.slot(index).va))
                        .collect();
                    let made = model.made(&places);
                    for (index, made) in leaves.clone().zip(&made) {
                        let page = index as u64 + 1;
                        let stale = vec![Stale::Leaf(low, made.va)];
                        model.requires(0, made, stale, Some(Out::Page(page)));
                        if shape.is_dirty(index) {
                            model.keeps_rmap(page);
                        }
                    }
                    let dirty = leaves.clone().zip(&made);
                    let dirty: Vec<_> = dirty.filter(|(index, _)| shape.is_dirty(*index)).collect();
                    let flushes = dirty.chunk_by(|(_, one), (_, next)| one.started == next.started);
                    most_dirty = flushes.map(<[_]>::len).fold(most_dirty, usize::max);
                    model.see();
                    for index in links {
                        model.begin(0); // each table waits for walkers separately
                        let link = tables.pointer(index).expect("it points at a table");
                        section.unlink(link).expect("a table of this space");
                        let va = tables.slot(index).va;
                        let made = model.made(&[(high, va)]);
                        let out = Some(Out::Table(index as u64 + 1));
                        model.requires(0, &made[0], vec![Stale::Walk(high, va)], out);
                        model.see();
                    }
                });
                let events = model.see();
                assert!(model.has_no_rmaps());
                let unlocked = events
                    .iter()
                    .rposition(|event| *event == Event::Note("unlocked"));
                let rmap = |event: &Event<_>| matches!(event, Event::RmapRemoved(_));
                let after = &events[unlocked.expect("it was locked")..];
                assert!(
                    !after.iter().any(rmap),
                    "no rmap is removed after the lock is released"
                );
            }
        });
    });
    model.see();
    model.all_is_met(0);
    model.nothing_waits();
    let flushes = platform.backend().flushes().0 as usize;
    assert_eq!(platform.memory_out.load(SeqCst), 0, "all memory comes back");
    (platform.asked.load(SeqCst), flushes, most_dirty)
}

fn every_refusal_is_handled<B: Backend + Copy + Send + Sync + 'static>(backend: B, new: NewSpace) {
    for shape in SHAPES {
        let (asked, flushed, most_dirty) = run(backend, new, shape, Refusal::Never);
        let (pages, tables, flushes) = shape.takes;
        let is_cached = shape.pages != 0 || backend.change_facts(new.flags).walk_cached;
        let flushes = if is_cached { flushes } else { 0 };
        // If the change itself flushes, no page has to wait.
        if B::FACTS.pte_update.batches_pages() {
            assert_eq!((asked, flushed), (pages + tables, flushes), "{shape:?}");
            assert!(most_dirty <= BUNDLE + BATCH + 1);
        } else {
            assert_eq!((asked, flushed), (tables, 0), "{shape:?}");
        }
        for request in 0..asked {
            run(backend, new, shape, Refusal::Nth(request));
            run(backend, new, shape, Refusal::From(request));
        }
    }
}

tests_on_every_architecture!(every_refusal_is_handled);

/// Between sections a caller that wants to can flush without holding a lock.
#[test]
fn a_full_gather_is_reported() {
    use tlbc_backends::x86_64::{Config, Tlb};
    let backend = Tlb {
        config: Config::NONE,
        invlpgb_pages: 1,
    };
    let (mmu, space) = prepared(backend, NewSpace::default());
    let platform = mmu.platform();
    let most = BUNDLE + BATCHES * BATCH;
    let pages = Entries::new(platform.backend(), &space, Level(0), 0, most + 10);
    (0..most + 10).for_each(|index| pages.map(index, index as u64, 0));
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            for (index, leaf) in pages.leaves().enumerate() {
                assert_eq!(gather.is_full(), index == most);
                if gather.is_full() {
                    assert_eq!(platform.backend().flushes().0, 0);
                    gather.flush();
                }
                gather.locked((), |section, ()| {
                    section.unmap(leaf).expect("of this space");
                });
            }
        });
    });
    assert_eq!(platform.backend().flushes(), (2, 2));
}
