//! How the CPU that runs next is chosen.
//!
//! In: the points that CPUs pass. Out: at which another CPU runs, and which. Holds: what is drawn comes from a seed.

use std::collections::HashMap;

use fastrand::Rng;

use super::{PointPlace, START, Turn};

/// How the next CPU is chosen.
#[derive(Debug, Clone)]
pub struct SchedulePolicy {
    rng: Rng,
    kind: PolicyKind,
}

#[derive(Debug, Clone)]
enum PolicyKind {
    /// These turns are taken, and others only by a CPU that waits or has ended.
    Given(HashMap<PointPlace, usize>),
    /// At one point in so many another CPU runs.
    Random(u32),
    /// The CPU with the highest priority runs. At some steps the one that runs gets the lowest priority.
    Priorities {
        of: Vec<u64>,
        changes: Vec<u64>,
        lowest: u64,
    },
    /// At one point in so many another CPU runs, and some of the CPUs that stop do not run again before a later step.
    Stalls {
        one_in: u32,
        most: u32,
        until: Vec<u64>,
        now: u64,
    },
}

impl SchedulePolicy {
    /// Returns a random policy: at one point in `one_in` another CPU runs.
    #[must_use]
    pub fn random(seed: u64, one_in: u32) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            kind: PolicyKind::Random(one_in),
        }
    }

    /// Returns a policy with random priorities that change `changes` times within so many steps (probabilistic concurrency
    /// testing, Burckhardt and others, ASPLOS 2010). It finds orders of few steps with a known probability.
    #[must_use]
    pub fn priorities(seed: u64, cpus: usize, changes: usize, steps: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut of: Vec<u64> = (0..cpus as u64).map(|cpu| u64::MAX - cpu).collect();
        rng.shuffle(&mut of);
        let changes = (0..changes).map(|_| rng.u64(..steps.max(1))).collect();
        let lowest = u64::MAX / 2;
        Self {
            rng,
            kind: PolicyKind::Priorities {
                of,
                changes,
                lowest,
            },
        }
    }

    /// Returns a random policy: at one point in `one_in` another CPU runs, and every second CPU that stops stands still while the
    /// others take less than `1 << most` steps. A random policy hardly ever holds a CPU for as long as another one takes for a whole operation, and priorities
    /// change too rarely to hold it at a point that is passed once in an operation.
    #[must_use]
    pub fn stalls(seed: u64, cpus: usize, one_in: u32, most: u32) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            kind: PolicyKind::Stalls {
                one_in,
                most,
                until: vec![0; cpus],
                now: 0,
            },
        }
    }

    /// Returns the policy that takes these turns.
    #[must_use]
    pub fn given(turns: &[Turn]) -> Self {
        let turns = turns.iter().map(|turn| (turn.place(), turn.to));
        Self {
            rng: Rng::with_seed(0),
            kind: PolicyKind::Given(turns.collect()),
        }
    }

    /// Returns whether the CPU that runs stops running at a step, for now.
    pub(super) fn leaves(&mut self, place: PointPlace, step: u64, waits: bool) -> bool {
        match &mut self.kind {
            PolicyKind::Given(turns) => waits || turns.contains_key(&place),
            PolicyKind::Random(one_in) => waits || self.rng.u32(..*one_in) == 0,
            PolicyKind::Priorities {
                of,
                changes,
                lowest,
            } => {
                let leaves = waits || changes.contains(&step);
                if leaves {
                    *lowest -= 1;
                    of[place.0] = *lowest;
                }
                leaves
            }
            PolicyKind::Stalls {
                one_in,
                most,
                until,
                now,
            } => {
                *now = step;
                if waits {
                    until.fill(0); // perhaps for a CPU that stands still
                    return true;
                }
                let leaves = self.rng.u32(..*one_in) == 0;
                if leaves && self.rng.bool() {
                    let end = 1 << self.rng.u32(..=*most);
                    until[place.0] = step + self.rng.u64(..end);
                }
                leaves
            }
        }
    }

    /// Returns which of some CPUs runs next, after one that stopped at a place.
    pub(super) fn next(&mut self, cpus: &[usize], place: PointPlace) -> usize {
        match &self.kind {
            PolicyKind::Given(turns) => {
                let given = turns.get(&place).filter(|to| cpus.contains(to));
                let is_after = |cpu: &&usize| place == START || **cpu > place.0;
                let next = given.or_else(|| cpus.iter().find(is_after));
                next.copied().unwrap_or(cpus[0])
            }
            PolicyKind::Random(_) => cpus[self.rng.usize(..cpus.len())],
            PolicyKind::Stalls { until, now, .. } => {
                let runs = cpus.iter().filter(|cpu| until[**cpu] <= *now);
                let count = runs.clone().count();
                let drawn = self.rng.usize(..count.max(1));
                let first = cpus.iter().min_by_key(|cpu| until[**cpu]);
                *runs.clone().nth(drawn).or(first).expect("some CPU runs")
            }
            PolicyKind::Priorities { of, .. } => {
                let highest = cpus.iter().max_by_key(|cpu| of[**cpu]);
                *highest.expect("some CPU runs")
            }
        }
    }
}
