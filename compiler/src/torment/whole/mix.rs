//! What the programs of one schedule do, and how often.
//!
//! In: a generator of random numbers. Out: a [`Mix`]. Holds: mixes that are shaped for rare events are as frequent as the general
//! one, since a general mix does not meet them in a million schedules.

use fastrand::Rng;

/// What an operation of a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Switches to another space.
    Switch,
    /// Runs in the kernel alone.
    Lazy,
    /// Runs user code.
    User,
    /// Walks tables without a lock.
    Walk,
    /// Changes entries of a user space.
    Gather,
    /// Changes entries of the kernel.
    KernelGather,
    /// Unmaps pages of many spaces.
    Reclaim,
    /// Ends a space and creates another one.
    Exit,
    /// Goes offline and comes online again.
    Hotplug,
    /// Attaches a device, lets it run, and detaches it.
    Device,
    /// Pins the tag of a space for a device, and unpins it.
    Pin,
    /// Flushes everything of a space.
    Flush,
}

/// The activities, with how often each is drawn in the general mix.
const GENERAL: [(Activity, u32); 12] = [
    (Activity::Switch, 6),
    (Activity::Lazy, 2),
    (Activity::User, 6),
    (Activity::Walk, 1),
    (Activity::Gather, 8),
    (Activity::KernelGather, 3),
    (Activity::Reclaim, 2),
    (Activity::Exit, 1),
    (Activity::Hotplug, 1),
    (Activity::Device, 1),
    (Activity::Pin, 1),
    (Activity::Flush, 1),
];

/// What the programs of one schedule do.
#[derive(Debug, Clone)]
pub struct Mix {
    weights: [(Activity, u32); GENERAL.len()],
    /// How many spaces there are at a time.
    pub spaces: usize,
    /// How many tables of the lowest level a space has.
    pub tables: usize,
    /// How many entries each of them has.
    pub entries: usize,
    /// How many tags there are beyond those that the CPUs may use at once.
    pub more_tags: u64,
    /// Whether gathers are nested and abandoned.
    pub is_careless: bool,
    /// At one section of a gather in so many it flushes at once.
    pub flushes: u8,
    /// Whether user code takes faults that its table does not justify, batched unmaps wait in parts, spaces end while devices
    /// share their tables, and interrupt handlers flush.
    pub has_more: bool,
    /// Whether CPUs reclaim pages of the space that they run.
    pub reclaims_own: bool,
    /// Whether a page that is mapped gets or loses the right to write at each change.
    pub protects: bool,
    /// Whether spaces have from the beginning the flags that devices need.
    pub has_flags: bool,
    /// Whether spaces are released with pins, or before their last reference is gone, which the runtime refuses, and end while a device
    /// uses their pinned tag.
    pub releases_early: bool,
    /// Whether tables are detached with tables below them.
    pub moves_upper: bool,
    /// Whether entries are mapped without marks, which the machine then sets, and marks are cleared.
    pub has_marks: bool,
    /// The CPUs that seldom leave the space that they run.
    stay: Vec<bool>,
}

impl Mix {
    /// Draws a mix for this many CPUs.
    pub fn new(cpus: usize, rng: &mut Rng) -> Self {
        // Drawn apart: without these, a seed means what it meant before there were any.
        let mut apart = Rng::with_seed(!rng.get_seed());
        let mut mix = Self {
            weights: GENERAL,
            spaces: rng.usize(1..=4),
            tables: rng.usize(1..=2),
            entries: rng.usize(1..=2),
            more_tags: rng.u64(1..=3),
            is_careless: false,
            flushes: 8,
            has_more: apart.u8(..4) == 0,
            reclaims_own: apart.u8(..8) == 0,
            protects: apart.u8(..16) == 0,
            has_flags: apart.u8(..4) == 0,
            releases_early: apart.u8(..4) == 0,
            moves_upper: apart.u8(..8) == 0,
            has_marks: apart.u8(..4) == 0,
            stay: (0..cpus).map(|_| rng.u8(..3) == 0).collect(),
        };
        match rng.u8(..10) {
            // A few pages that are used over and over, of spaces that are often flushed as a whole, as when processes fork.
            0 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::Lazy,
                    Activity::User,
                    Activity::Gather,
                    Activity::Reclaim,
                ]);
                mix.often(Activity::Reclaim, 4);
                mix.often(Activity::Flush, 4);
                (mix.spaces, mix.tables, mix.entries) = (rng.usize(1..=3), 1, 1);
            }
            // A rollover at almost every switch.
            1 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::User,
                    Activity::Gather,
                    Activity::Exit,
                ]);
                mix.often(Activity::Switch, 16);
                mix.often(Activity::Exit, 2);
                (mix.spaces, mix.tables, mix.entries) = (3 * cpus, 1, 1);
                mix.more_tags = 1;
            }
            // CPUs come and go while the kernel changes its tables.
            2 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::User,
                    Activity::Gather,
                    Activity::KernelGather,
                    Activity::Hotplug,
                ]);
                mix.often(Activity::Hotplug, 4);
            }
            3 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::Lazy,
                    Activity::User,
                    Activity::Gather,
                    Activity::Exit,
                ]);
                mix.often(Activity::Exit, 4);
            }
            4 => {
                mix.only(&[Activity::Switch, Activity::User, Activity::Gather]);
                mix.often(Activity::Device, 4);
                mix.often(Activity::Pin, 4);
                mix.spaces = if rng.bool() {
                    rng.usize(1..=3)
                } else {
                    mix.often(Activity::Switch, 12);
                    4 * cpus // more than there are tags
                };
                mix.more_tags = rng.u64(2..=3);
            }
            5 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::Lazy,
                    Activity::User,
                    Activity::KernelGather,
                ]);
                mix.often(Activity::KernelGather, 6);
            }
            // Pages are reclaimed, and tables walked by software, while few of them change.
            6 => {
                mix.only(&[
                    Activity::Switch,
                    Activity::Lazy,
                    Activity::User,
                    Activity::Gather,
                ]);
                mix.often(Activity::Reclaim, 6);
                mix.often(Activity::Walk, 6);
                (mix.spaces, mix.tables, mix.entries) = (rng.usize(1..=2), 1, rng.usize(1..=2));
            }
            // Threads of one process change its pages, and flush them apart.
            7 => {
                mix.only(&[Activity::User, Activity::Gather]);
                mix.often(Activity::Switch, 3);
                (mix.spaces, mix.tables, mix.entries) = (1, rng.usize(1..=2), 2);
                mix.flushes = 2;
            }
            // Each activity is left out of every other mix.
            8 => {
                for (activity, weight) in &mut mix.weights {
                    if *activity != Activity::Switch && rng.bool() {
                        *weight = 0;
                    }
                }
            }
            _ => {
                mix.is_careless = true;
                mix.entries = if rng.bool() { mix.entries } else { 6 };
                mix.spaces = rng.usize(1..=4) * cpus;
                if apart.bool() {
                    mix.spaces = 1; // gathers of it are nested, and abandoned while others are under way
                }
                mix.more_tags = rng.u64(1..4);
            }
        }
        // Pages are reclaimed by a CPU that runs their space, while others that may hold entries of it leave it, and come back.
        if mix.reclaims_own {
            mix.weights = GENERAL;
            mix.only(&[Activity::Switch, Activity::User, Activity::Gather]);
            mix.often(Activity::Reclaim, 8);
            mix.often(Activity::Flush, 6);
            (mix.spaces, mix.tables, mix.is_careless) = (2, 1, false);
        }
        // Devices come while the rights of a page change.
        if mix.protects {
            mix.weights = GENERAL;
            mix.only(&[Activity::Gather]);
            mix.often(Activity::Device, 6);
            mix.often(Activity::Switch, 1);
            (mix.spaces, mix.tables, mix.entries) = (1, 1, 1);
            mix.is_careless = false;
        }
        mix
    }

    /// Leaves out all other activities.
    fn only(&mut self, activities: &[Activity]) {
        for (activity, weight) in &mut self.weights {
            if !activities.contains(activity) {
                *weight = 0;
            }
        }
    }

    fn often(&mut self, of: Activity, weight: u32) {
        let own = self
            .weights
            .iter_mut()
            .find(|(activity, _)| *activity == of);
        if let Some((_, own)) = own {
            *own = weight;
        }
    }

    /// Draws what an operation of a CPU does.
    pub fn activity(&self, cpu: usize, rng: &mut Rng) -> Activity {
        let drawn = self.any_activity(rng);
        let leaves = matches!(drawn, Activity::Switch | Activity::Lazy | Activity::Hotplug);
        if leaves && self.stay[cpu] && rng.u8(..4) != 0 {
            Activity::User
        } else {
            drawn
        }
    }

    fn any_activity(&self, rng: &mut Rng) -> Activity {
        let all: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = rng.u32(..all.max(1));
        for (activity, weight) in self.weights {
            if drawn < weight {
                return activity;
            }
            drawn -= weight;
        }
        Activity::Switch
    }
}
