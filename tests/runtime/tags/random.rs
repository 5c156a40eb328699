//! Loads, pins, rollovers, flushes, hotplug and releases of spaces in any order, on machines with few tags, against a
//! small model.
//!
//! At each load the host checks that no entry of another space is left under the tag ([`Rule::TagsAreNotShared`]): a
//! value is reused only after the flush that this requires. The model knows what each CPU runs and what is pinned.
//!
//! [`Rule::TagsAreNotShared`]: tlbc_tests::rules::Rule

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tlbc_backends::{arm64, loongarch64, powerpc64, x86_64};
use tlbc_runtime::{
    Backend, CpuId, LazyMm, Loaded, NewSpace, NoTag, NotPinned, Platform, TagSource, TagValues,
};
use tlbc_tests::churn::Churn;
use tlbc_tests::hosted::Handle;
use tlbc_tests::machines;
use tlbc_tests::moments::Moment;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;

/// CPUs of the model. There is one more, on which tags roll over.
const CPUS: u32 = 2;
const SPACES: usize = 7;
/// The number of tags that a machine may assign: two for each CPU, one more, and three that may be pinned.
const TAGS: u64 = 2 * (CPUS as u64 + 1) + 1 + 3;

/// An action of a kernel.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Switches a CPU to a space, with or without the return to user code.
    Run(u32, usize, bool),
    /// The same, with a rollover at the nth moment of the switch.
    RunAcross(u32, usize, usize),
    /// Switches a CPU to a kernel thread.
    Lazy(u32),
    Pin(usize),
    Unpin(usize),
    /// Makes tags roll over, and runs this many more processes.
    RollOver(u64),
    /// Releases a space; another one takes its place.
    End(usize),
    /// Flushes a whole space, or the kernel, on a CPU.
    Flush(u32, Option<usize>),
    Offline(u32),
    Online(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let (cpu, space) = (|| 0..CPUS, || 0..SPACES);
    prop_oneof![
        6 => (cpu(), space(), any::<bool>()).prop_map(|(cpu, space, user)| Op::Run(cpu, space, user)),
        2 => (cpu(), space(), 0usize..6).prop_map(|(cpu, space, nth)| Op::RunAcross(cpu, space, nth)),
        2 => cpu().prop_map(Op::Lazy),
        3 => space().prop_map(Op::Pin),
        3 => space().prop_map(Op::Unpin),
        2 => (0..TAGS).prop_map(Op::RollOver),
        2 => space().prop_map(Op::End),
        1 => (cpu(), proptest::option::of(space())).prop_map(|(cpu, space)| Op::Flush(cpu, space)),
        1 => cpu().prop_map(Op::Offline),
        1 => cpu().prop_map(Op::Online),
    ]
}

/// The model's state of a space.
struct Space<B: Machine> {
    handle: Handle<B>,
    pins: u64,
    /// Its tag while it is pinned.
    pinned: Option<u64>,
}

/// What a CPU runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Runs {
    Offline,
    Kernel,
    User(usize),
    Lazy(usize),
}

struct World<B: Machine> {
    cpus: Scheduler<B>,
    churn: Arc<Churn<B>>,
    moment: Arc<Moment<B>>,
    /// Spaces that replace released ones.
    idle: [Handle<B>; CPUS as usize + 1],
    spaces: Vec<Space<B>>,
    runs: [Runs; CPUS as usize],
    /// The number of tags that may be pinned.
    room: usize,
    /// Whether every second space has per-CPU tags.
    mixed: bool,
}

/// Returns how many values a tag has.
fn count(values: &TagValues) -> usize {
    (0..)
        .take_while(|nth| values.nth(*nth).is_some())
        .take(1000)
        .count()
}

impl<B: Machine> World<B> {
    fn new(backend: B, mixed: bool) -> Self {
        let tags = backend.tags().global;
        let views = tags.map_or(0, |(values, _)| values.views.count_ones());
        let mut cpus = Scheduler::with_tags(backend, CPUS as usize + 1, TAGS << views);
        let churn = Arc::new(Churn::new(cpus.set_apart(CPUS)));
        let there = churn.clone();
        let moment = Moment::new(&cpus.mmu, Box::new(move |mmu| there.roll_over(mmu, TAGS)));
        let tags = Platform::backend(cpus.mmu.platform()).tags();
        let room = match &tags.global {
            // Every CPU needs two that are not pinned, and one must be free.
            Some((values, TagSource::Generations)) => count(values) - 1 - 2 * (CPUS as usize + 1),
            _ => 0,
        };
        let idle = [(); CPUS as usize + 1].map(|()| cpus.process());
        let mut world = Self {
            cpus,
            churn,
            moment,
            idle,
            spaces: Vec::new(),
            runs: [Runs::Kernel; CPUS as usize],
            room,
            mixed,
        };
        for nth in 0..SPACES {
            let space = world.space(nth);
            world.spaces.push(space);
        }
        world
    }

    fn space(&self, nth: usize) -> Space<B> {
        let handle = self.cpus.process_with(NewSpace {
            per_cpu_tag: self.has_own_tags(nth),
            ..NewSpace::default()
        });
        Space {
            handle,
            pins: 0,
            pinned: None,
        }
    }

    /// Returns whether a space has per-CPU tags on a machine that also has global ones.
    fn has_own_tags(&self, nth: usize) -> bool {
        self.mixed && nth % 2 == 1
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Run(cpu, nth, to_user) => self.run_space(cpu, nth, to_user),
            Op::RunAcross(cpu, nth, moment) => {
                self.moment.arm(cpu, moment);
                self.run_space(cpu, nth, false);
                self.moment.happened();
                self.end_others();
            }
            Op::Lazy(cpu) => {
                if let Runs::User(nth) = self.runs[cpu as usize] {
                    self.cpus.kernel_thread(cpu);
                    self.runs[cpu as usize] = Runs::Lazy(nth);
                }
            }
            Op::Pin(nth) => self.pin(nth),
            Op::Unpin(nth) => self.unpin(nth),
            Op::RollOver(more) => {
                self.churn.roll_over(&self.cpus.mmu, more);
                self.end_others();
            }
            Op::End(nth) => {
                self.leave(nth);
                let space = &self.spaces[nth];
                self.cpus.teardown(CPUS, &space.handle);
                let released = self.cpus.on(CPUS, |mmu| mmu.release(&space.handle));
                released.expect("no CPU has it loaded");
                self.spaces[nth] = self.space(nth);
            }
            Op::Flush(cpu, nth) => {
                let space = nth.map(|nth| self.spaces[nth].handle.clone());
                if self.runs[cpu as usize] != Runs::Offline {
                    self.cpus.on(cpu, |mmu| {
                        let space = space.as_deref().unwrap_or(mmu.kernel());
                        mmu.flush_everything(space);
                    });
                }
            }
            Op::Offline(cpu) => {
                if self.runs[cpu as usize] != Runs::Offline {
                    self.cpus.cpu_offline(cpu);
                    self.runs[cpu as usize] = Runs::Offline;
                }
            }
            Op::Online(cpu) => {
                if self.runs[cpu as usize] == Runs::Offline {
                    self.cpus.cpu_online(cpu);
                    self.runs[cpu as usize] = Runs::Kernel;
                }
            }
        }
    }

    fn run_space(&mut self, cpu: u32, nth: usize, to_user: bool) {
        if self.runs[cpu as usize] == Runs::Offline {
            return;
        }
        self.cpus.run(cpu, &self.spaces[nth].handle);
        self.runs[cpu as usize] = Runs::User(nth);
        if to_user {
            self.cpus.return_to_user(cpu);
        }
    }

    /// Releases the processes that ran on the last CPU.
    fn end_others(&self) {
        for process in self.churn.leave(&self.idle[CPUS as usize]) {
            self.cpus.teardown(CPUS, &process);
            let released = self.cpus.on(CPUS, |mmu| mmu.release(&process));
            released.expect("no CPU has it loaded");
        }
    }

    /// Switches all CPUs that run a space to something else; if lazy CPUs hold no reference, only the active ones.
    fn leave(&mut self, nth: usize) {
        for cpu in 0..CPUS {
            let runs = self.runs[cpu as usize];
            let lazily = runs == Runs::Lazy(nth) && (B::FACTS.lazy_mm == LazyMm::Refcounted);
            if runs == Runs::User(nth) || lazily {
                self.cpus.run(cpu, &self.idle[cpu as usize]);
                self.cpus.kernel_thread(cpu);
                self.runs[cpu as usize] = Runs::Kernel;
            }
        }
    }

    fn pin(&mut self, nth: usize) {
        let pinned = self.spaces.iter().filter(|space| space.pins > 0).count();
        let possible = self.room > 0 && !self.has_own_tags(nth);
        let space = &mut self.spaces[nth];
        let pin = self.cpus.on(CPUS, |mmu| mmu.pin_tag(&space.handle));
        if possible && (space.pins > 0 || pinned < self.room) {
            let pin = pin.expect("there is room");
            assert!(pin.global);
            assert!(space.pinned.is_none_or(|before| before == pin.value));
            space.pinned = Some(pin.value);
            space.pins += 1;
        } else {
            assert_eq!(pin, Err(NoTag), "{pinned} are pinned");
        }
    }

    fn unpin(&mut self, nth: usize) {
        let space = &mut self.spaces[nth];
        let unpinned = self.cpus.on(CPUS, |mmu| mmu.unpin_tag(&space.handle));
        if space.pins == 0 {
            assert_eq!(unpinned, Err(NotPinned));
            return;
        }
        assert_eq!(unpinned, Ok(()));
        space.pins -= 1;
        if space.pins == 0 {
            space.pinned = None;
        }
    }

    /// Checks that what CPUs have loaded is what they run, under the right tags.
    fn check(&self) {
        for cpu in 0..CPUS {
            let loaded = self.cpus.mmu.loaded(CpuId(cpu));
            let (Runs::User(nth) | Runs::Lazy(nth)) = self.runs[cpu as usize] else {
                let offline = self.runs[cpu as usize] == Runs::Offline;
                assert_eq!(loaded == Loaded::Nothing, offline);
                continue;
            };
            let space = &self.spaces[nth];
            let id = space.handle.id();
            let is_loaded = loaded == Loaded::Space(id);
            let left = loaded == Loaded::Kernel && self.runs[cpu as usize] == Runs::Lazy(nth);
            assert!(is_loaded || left, "{loaded:?}");
            let tag = self.cpus.mmu.platform().loaded_tag(cpu);
            let Some(tag) = tag.filter(|tag| is_loaded && tag.global) else {
                continue;
            };
            for (other, space) in self.spaces.iter().enumerate() {
                if let Some(pinned) = space.pinned {
                    assert_eq!(pinned == tag.value, other == nth, "a pin of {other}");
                }
            }
            for another in 0..CPUS {
                let too = self.cpus.mmu.loaded(CpuId(another)) == Loaded::Space(id);
                let there = self.cpus.mmu.platform().loaded_tag(another);
                assert!(!too || there == Some(tag), "one space has one tag");
            }
        }
    }
}

fn holds<B: Machine + Clone>(backend: &B, mixed: bool) {
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let programs = proptest::collection::vec(op(), 1..40);
    let result = TestRunner::new(config).run(&programs, |program| {
        let mut world = World::new(backend.clone(), mixed);
        for op in program {
            world.run(op);
            world.check();
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn arm64() {
    holds(&machines::arm64(arm64::Config::NONE), false);
}

#[test]
fn arm64_kpti() {
    holds(&machines::arm64(arm64::Config::KPTI), false);
}

#[test]
fn x86_64_invlpgb() {
    let config = PCID
        .with(x86_64::Config::INVPCID)
        .with(x86_64::Config::INVLPGB);
    holds(&machines::x86(config), false);
}

/// PCIDs are only used with global pages.
const PCID: x86_64::Config = x86_64::Config::PGE.with(x86_64::Config::PCID);

#[test]
fn x86_64_invlpgb_and_per_cpu_tags() {
    let config = PCID
        .with(x86_64::Config::INVPCID)
        .with(x86_64::Config::INVLPGB);
    holds(&machines::x86(config), true);
}

#[test]
fn x86_64_pcid() {
    holds(&machines::x86(PCID), false);
}

#[test]
fn x86_64_pcid_pti() {
    let config = PCID.with(x86_64::Config::PTI);
    holds(&machines::x86(config), false);
}

#[test]
fn powerpc64_gtse() {
    holds(&machines::powerpc64(powerpc64::Config::GTSE), false);
}

#[test]
fn powerpc64() {
    holds(&machines::powerpc64(powerpc64::Config::NONE), false);
}

/// Each CPU has three tags, so it flushes everything at almost every other load.
#[test]
fn loongarch64() {
    for config in [loongarch64::Config::NONE, loongarch64::Config::PTW] {
        let few_tags = loongarch64::Tlb {
            config,
            asid_bits: 2,
            few: 8,
        };
        holds(&few_tags, false);
    }
}
