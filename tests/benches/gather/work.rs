//! A round of a case on the side of the runtime: entries are filled, and then unmapped in gathers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use tlbc_runtime::CpuId;

use crate::case::{Case, Flush, Shape};
use crate::counts::counted_work;
use crate::entries::{Arena, FOLIO};
use crate::machine::{Arm64, Machine, X86};
use crate::nothing::Nothing;
use crate::task::{Bench, Task};

/// Smaller gathers are repeated in a round until this many pages are unmapped.
const SMALL: usize = 8192;

/// What a round does before its time is taken, and what it does then.
pub struct Work {
    prepare: Box<dyn FnMut()>,
    run: Box<dyn FnMut()>,
    /// The number of gathers, flushes or switches in a round.
    pub gathers: u32,
    /// The number of pages or tables in one of them.
    pub pages: u32,
}

impl Work {
    /// Returns the work of a case for one CPU.
    pub fn new(case: Case) -> Self {
        match case.flush {
            Flush::Nothing => on_machine::<Nothing>(case.shape),
            Flush::Arm64 => on_machine::<Arm64>(case.shape),
            Flush::X86 => on_machine::<X86>(case.shape),
        }
    }

    /// Runs a round, and returns its time.
    pub fn time(&mut self) -> Duration {
        (self.prepare)();
        let start = Instant::now();
        (self.run)();
        start.elapsed()
    }

    /// Runs a round, whose instructions a profiler counts.
    pub fn count(&mut self) {
        (self.prepare)();
        counted_work(&mut *self.run);
    }
}

fn on_machine<M: Machine>(shape: Shape) -> Work {
    match shape {
        Shape::Capacity {
            words,
            online,
            active,
            pages,
        } => match words {
            1 => with_capacity::<M, 1>(online, active, pages),
            4 => with_capacity::<M, 4>(online, active, pages),
            16 => with_capacity::<M, 16>(online, active, pages),
            _ => with_capacity::<M, 64>(online, active, pages),
        },
        _ => on_one_cpu(&Rc::new(Bench::<M>::new(2, 1)), shape),
    }
}

fn with_capacity<M: Machine, const W: usize>(online: u32, active: u32, pages: usize) -> Work {
    let bench = Bench::<M, W>::new(8, online);
    (1..active).for_each(|cpu| bench.run_also_on(CpuId(cpu)));
    unmap::<M, W, 1>(bench.task(), pages)
}

/// Returns the work of gathers of some pages, or of folios of `N` pages.
fn unmap<M: Machine, const W: usize, const N: usize>(task: Task<M, W>, pages: usize) -> Work {
    let gathers = (SMALL / pages).max(1);
    let arena = Rc::new(Arena::new(gathers * pages));
    let filled = arena.clone();
    Work {
        prepare: Box::new(move || filled.fill()),
        run: Box::new(move || {
            for (entries, at) in arena.words().chunks(pages).zip((0..).step_by(pages)) {
                task.unmap::<N>(entries, at);
            }
        }),
        gathers: gathers as u32,
        pages: pages as u32,
    }
}

/// Returns the work of something that is repeated.
fn repeat(mut run: impl FnMut() + 'static) -> Work {
    let gathers = 1000;
    Work {
        prepare: Box::new(|| ()),
        run: Box::new(move || (0..gathers).for_each(|_| run())),
        gathers,
        pages: 1,
    }
}

fn on_one_cpu<M: Machine>(bench: &Rc<Bench<M>>, shape: Shape) -> Work {
    let (task, bench) = (bench.task(), bench.clone());
    match shape {
        Shape::Folios(pages) => unmap::<M, 1, FOLIO>(task, pages),
        Shape::Pages(pages) => unmap::<M, 1, 1>(task, pages),
        Shape::Teardown(pages) => {
            let arena = Rc::new(Arena::new(pages));
            let filled = arena.clone();
            let task = Rc::new(Cell::new(task));
            let exited = task.clone();
            Work {
                prepare: Box::new(move || {
                    exited.set(bench.exited());
                    filled.fill();
                }),
                run: Box::new(move || task.get().teardown(&arena)),
                gathers: 1,
                pages: pages as u32,
            }
        }
        Shape::Tables(tables) => {
            let links = Rc::new(Arena::new(tables));
            let filled = links.clone();
            Work {
                prepare: Box::new(move || filled.fill()),
                run: Box::new(move || task.free_tables(&links)),
                gathers: 1,
                pages: tables as u32,
            }
        }
        Shape::Flush => repeat(move || task.flush_page()),
        Shape::Switch => repeat(move || bench.switch_twice()),
        Shape::Lazy => repeat(move || bench.lazy_and_back()),
        Shape::Shared | Shape::Capacity { .. } => unmap::<M, 1, 1>(task, 1),
    }
}

/// Returns the times of some rounds, each while another CPU does the same in the same space.
pub fn shared(case: Case, rounds: usize) -> Vec<Duration> {
    match case.flush {
        Flush::Nothing => shared_on::<Nothing>(rounds),
        Flush::Arm64 => shared_on::<Arm64>(rounds),
        Flush::X86 => shared_on::<X86>(rounds),
    }
}

fn shared_on<M: Machine>(rounds: usize) -> Vec<Duration> {
    const OTHER: CpuId = CpuId(1);
    const TURN: usize = 64;
    let bench = Bench::<M>::new(2, 2);
    bench.run_also_on(OTHER);
    let task = bench.task();
    let mut work = unmap::<M, 1, 1>(task, 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other: ScopedJoinHandle<()> = scope.spawn(|| {
            Task::<M, 1>::run_on(OTHER);
            let arena = Arena::new(TURN);
            while !stop.load(Relaxed) {
                arena.fill();
                for (page, at) in arena.words().chunks(1).zip(0..) {
                    task.unmap::<1>(page, at);
                }
            }
        });
        let times = (0..rounds).map(|_| work.time()).collect();
        stop.store(true, Relaxed);
        other.join().expect("the other CPU");
        times
    })
}
