//! A scheduler of CPUs that are coroutines on one host thread.
//!
//! In: one closure for each CPU, a [`SchedulePolicy`], and a limit of steps without [`progress`]. Out: a [`ScheduleRun`]. Holds: the same policy runs the
//! same steps in the same order; another CPU runs only at a [`point`]. The turns of a run, given as a policy, run it again.
//!
//! The steps are sequentially consistent, so a run is no evidence about a barrier: the model checker's tests are.
//!
//! `shuttle` would do the same, but it schedules only at its own words and locks, starts a new runtime for each
//! schedule, and keeps the whole schedule; the model checker already brings the coroutines that are used here.

mod policy;

use std::cell::RefCell;

use generator::Gn;

pub use policy::SchedulePolicy;

/// The size of a coroutine's stack in words. The interpreter of plans is deep where nothing is optimized.
const STACK: usize = 0x10000;
/// The number of points in a row after which a CPU is assumed to wait for another one.
const WAITS: u32 = 300;

/// How many times the limit of steps without progress a run may take.
const LONGEST: u64 = 20;

/// A place in the program of a CPU at which another CPU runs on. Points are counted within a part of the program, so that
/// a place is the same when other parts are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// The CPU that stops.
    pub cpu: usize,
    /// The part of its program; [`Turn::END`] when its program has ended.
    pub part: u32,
    /// The number of points since the part began; 0 at the start of a run.
    pub point: u64,
    /// The CPU that runs on.
    pub to: usize,
}

impl Turn {
    /// The part after the last one.
    pub const END: u32 = u32::MAX;

    fn place(&self) -> PointPlace {
        (self.cpu, self.part, self.point)
    }
}

/// A CPU, a part of its program, and a point of it.
type PointPlace = (usize, u32, u64);

/// Where no CPU has passed a point.
const START: PointPlace = (0, 0, 0);

/// What a run did.
#[derive(Debug, Clone)]
pub struct ScheduleRun {
    /// How it ended.
    pub ended: Ended,
    /// The number of points that were passed.
    pub steps: u64,
    /// Where another CPU ran on, in order.
    pub turns: Vec<Turn>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every closure returned.
    All,
    /// Some code called [`stop`].
    Stopped,
    /// So many steps in a row without progress were taken as the limit permits, and every CPU that had not ended took some of them.
    Stuck,
    /// In spite of progress the run did not end within a multiple of that limit.
    TooLong,
}

struct ScheduleState {
    policy: SchedulePolicy,
    current: usize,
    in_a_row: u32,
    steps: u64,
    /// The steps since the last progress, and the most of them.
    idle: u64,
    most: u64,
    ended: Ended,
    /// The part of each CPU's program, and the points since it began.
    parts: Vec<(u32, u64)>,
    turns: Vec<Turn>,
}

impl ScheduleState {
    /// Returns whether the CPUs run in turns from now on, until there is progress: without it half the limit of steps has passed. So no
    /// policy keeps the CPU from running that the others wait for.
    fn is_stuck(&self) -> bool {
        self.idle > self.most / 2
    }
}

thread_local! {
    static RUN: RefCell<Option<ScheduleState>> = const { RefCell::new(None) };
}

/// What a CPU does.
pub type CpuMain = Box<dyn FnOnce()>;

thread_local! {
    /// The closures that have not started. A coroutine takes its own, since what it is given must be `Send`.
    static CPUS: RefCell<Vec<Option<CpuMain>>> = const { RefCell::new(Vec::new()) };
}

/// Runs closures as CPUs, with at most so many steps in a row without [`progress`]. Closures that have not returned when the run ends are never dropped.
///
/// # Panics
///
/// If called within a run.
pub fn run(policy: SchedulePolicy, most: u64, cpus: Vec<CpuMain>) -> ScheduleRun {
    let start = |number: usize| {
        Gn::<()>::new_opt(STACK, move || {
            let cpu = CPUS.with_borrow_mut(|cpus| cpus[number].take());
            cpu.expect("a closure")();
        })
    };
    let numbers = 0..cpus.len();
    RUN.with_borrow(|run| assert!(run.is_none(), "a run within a run"));
    CPUS.set(cpus.into_iter().map(Some).collect());
    let mut cpus: Vec<_> = numbers.map(|number| Some(start(number))).collect();
    RUN.with_borrow_mut(|run| {
        *run = Some(ScheduleState {
            policy,
            current: 0,
            in_a_row: 0,
            steps: 0,
            idle: 0,
            most,
            ended: Ended::All,
            parts: vec![(0, 0); cpus.len()],
            turns: Vec::new(),
        });
    });
    let mut place = START;
    loop {
        let running = cpus.iter().enumerate().filter(|(_, cpu)| cpu.is_some());
        let running: Vec<usize> = running.map(|(index, _)| index).collect();
        if running.is_empty() {
            break;
        }
        let next = with(|run| {
            let (cpu, part, point) = place;
            let to = if run.is_stuck() {
                let after = running.iter().find(|next| **next > cpu);
                *after.unwrap_or(&running[0])
            } else {
                run.policy.next(&running, place)
            };
            if to != cpu {
                run.turns.push(Turn {
                    cpu,
                    part,
                    point,
                    to,
                });
            }
            run.current = to;
            run.in_a_row = 0;
            to
        });
        let is_done = cpus[next].as_mut().is_none_or(|cpu| {
            cpu.resume();
            cpu.is_done()
        });
        if with(|run| run.ended) != Ended::All {
            cpus.into_iter().for_each(std::mem::forget);
            break;
        }
        place = with(|run| {
            let (part, point) = run.parts[next];
            (next, part, point)
        });
        if is_done {
            cpus[next] = None;
            place = (next, Turn::END, 0);
        }
    }
    let run = RUN.take().expect("a run");
    ScheduleRun {
        ended: run.ended,
        steps: run.steps,
        turns: run.turns,
    }
}

fn with<R>(act: impl FnOnce(&mut ScheduleState) -> R) -> R {
    RUN.with_borrow_mut(|run| act(run.as_mut().expect("a run")))
}

/// Marks a point at which another CPU may run. Does nothing outside a run.
pub fn point() {
    let leaves = RUN.with_borrow_mut(|run| {
        run.as_mut().is_some_and(|run| {
            run.steps += 1;
            run.in_a_row += 1;
            run.idle += 1;
            if run.ended == Ended::All {
                if run.idle > run.most {
                    run.ended = Ended::Stuck;
                } else if run.steps > run.most.saturating_mul(LONGEST) {
                    run.ended = Ended::TooLong;
                }
            }
            let waits = run.in_a_row > WAITS;
            let (part, point) = &mut run.parts[run.current];
            *point += 1;
            let place = (run.current, *part, *point);
            let leaves = if run.is_stuck() {
                waits
            } else {
                run.policy.leaves(place, run.steps, waits)
            };
            leaves || run.ended != Ended::All
        })
    });
    if leaves {
        #[expect(
            deprecated,
            reason = "the scope is not at hand in a function of the platform"
        )]
        generator::yield_with(());
    }
}

/// Begins a part of the program of the CPU that runs. No part of a program begins twice.
pub fn part(number: u32) {
    with(|run| run.parts[run.current] = (number, 0));
}

/// Notes that a CPU has not only waited. Does nothing outside a run.
pub fn progress() {
    RUN.with_borrow_mut(|run| {
        if let Some(run) = run {
            run.idle = 0;
        }
    });
}

/// Ends the run at the next point.
pub fn stop() {
    with(|run| run.ended = Ended::Stopped);
}

/// Returns the CPU that runs.
#[must_use]
pub fn current() -> usize {
    RUN.with_borrow(|run| run.as_ref().map_or(0, |run| run.current))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Returns the order in which two CPUs take the steps of these parts of their programs, and the turns.
    fn ran(policy: SchedulePolicy, parts: &[u32]) -> (Vec<usize>, Vec<Turn>) {
        let taken = Rc::new(RefCell::new(Vec::new()));
        let cpu = || -> CpuMain {
            let (taken, parts) = (taken.clone(), parts.to_owned());
            Box::new(move || {
                for number in parts {
                    part(number);
                    for _ in 0..5 {
                        taken.borrow_mut().push(current());
                        point();
                    }
                }
            })
        };
        let ran = run(policy, 1000, vec![cpu(), cpu()]);
        assert_eq!(
            (ran.ended, ran.steps),
            (Ended::All, 10 * parts.len() as u64)
        );
        (taken.take(), ran.turns)
    }

    /// Returns the order of the steps of all parts.
    fn order(policy: SchedulePolicy) -> Vec<usize> {
        ran(policy, &[0, 1, 2, 3]).0
    }

    #[test]
    fn the_turns_of_a_run_run_it_again() {
        for seed in 0..20 {
            let random = SchedulePolicy::random(seed, 3);
            let priorities = SchedulePolicy::priorities(seed, 2, 3, 40);
            let stalls = SchedulePolicy::stalls(seed, 2, 3, 5);
            for policy in [random, priorities, stalls] {
                let (order, turns) = ran(policy, &[0, 1, 2, 3]);
                let again = ran(SchedulePolicy::given(&turns), &[0, 1, 2, 3]);
                assert_eq!(again, (order, turns), "{seed}");
            }
        }
    }

    #[test]
    fn turns_keep_their_places_when_a_part_is_left_out() {
        let turn = |cpu, part, point, to| Turn {
            cpu,
            part,
            point,
            to,
        };
        let turns = [turn(0, 2, 3, 1), turn(1, 1, 2, 0)];
        let (order, _) = ran(SchedulePolicy::given(&turns), &[1, 2]);
        let split = |counts: &[(usize, usize)]| -> Vec<usize> {
            let each = counts.iter().map(|&(cpu, count)| vec![cpu; count]);
            each.flatten().collect()
        };
        assert_eq!(order, split(&[(0, 8), (1, 2), (0, 2), (1, 8)]));
        let (order, _) = ran(SchedulePolicy::given(&turns), &[2]);
        assert_eq!(order, split(&[(0, 3), (1, 5), (0, 2)]));
    }

    #[test]
    fn a_seed_determines_the_order() {
        let random = |seed| order(SchedulePolicy::random(seed, 3));
        assert_eq!(random(1), random(1));
        assert_ne!(random(1), random(2));
        let priorities = |seed| order(SchedulePolicy::priorities(seed, 2, 2, 40));
        assert_eq!(priorities(1), priorities(1));
        let stalls = |seed| order(SchedulePolicy::stalls(seed, 2, 3, 5));
        assert_eq!(stalls(1), stalls(1));
        assert_ne!(stalls(1), stalls(2));
        let changes = |order: Vec<usize>| order.windows(2).filter(|it| it[0] != it[1]).count();
        assert!((1..=3).contains(&changes(priorities(1))));
        assert!(changes(random(1)) > 5);
    }

    #[test]
    fn a_cpu_that_waits_for_another_one_lets_it_run() {
        for seed in 0..4 {
            let policies = [
                SchedulePolicy::priorities(seed, 2, 0, 10),
                SchedulePolicy::stalls(seed, 2, 1_000_000, 3),
                SchedulePolicy::stalls(seed, 2, 1, 12),
            ];
            for policy in policies {
                let done = Rc::new(Cell::new(false));
                let seen = done.clone();
                let waits = move || {
                    while !seen.get() {
                        point();
                    }
                };
                let sets = move || {
                    point();
                    done.set(true);
                };
                let ran = run(policy, 10_000, vec![Box::new(waits), Box::new(sets)]);
                assert_eq!(ran.ended, Ended::All);
            }
        }
    }

    #[test]
    fn no_policy_keeps_a_cpu_from_running_that_the_others_wait_for() {
        let done = Rc::new(Cell::new(false));
        let waits = || -> CpuMain {
            let seen = done.clone();
            Box::new(move || {
                while !seen.get() {
                    point();
                }
            })
        };
        // Whenever one of the two that wait stops, the other one runs on.
        let turn = |cpu: usize, point| Turn {
            cpu,
            part: 0,
            point,
            to: 1 - cpu,
        };
        let round = u64::from(WAITS) + 1;
        let turns: Vec<_> = (1..100)
            .flat_map(|nth| [turn(0, nth * round), turn(1, nth * round)])
            .collect();
        let cpus: Vec<CpuMain> = vec![waits(), waits(), Box::new(move || done.set(true))];
        let ran = run(SchedulePolicy::given(&turns), 10_000, cpus);
        assert_eq!(ran.ended, Ended::All);
        assert!(ran.steps > 5_000);
    }

    #[test]
    fn a_run_without_end_is_stopped() {
        let forever = || loop {
            point();
        };
        let policy = SchedulePolicy::random(1, 2);
        let ran = run(policy, 500, vec![Box::new(forever)]);
        assert_eq!((ran.ended, ran.steps), (Ended::Stuck, 501));
        // Nor does one go on for ever that makes progress.
        let works = || loop {
            progress();
            point();
        };
        let ran = run(SchedulePolicy::random(1, 2), 500, vec![Box::new(works)]);
        let longest = 500 * LONGEST + 1;
        assert_eq!((ran.ended, ran.steps), (Ended::TooLong, longest));
    }
}
