//! Pins of tags: they belong to a space, are counted, and end with the space.

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::{NoTag, NotPinned};
use tlbc_tests::hosted::Handle;
use tlbc_tests::machines;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;

/// The number of tag values of a machine; some are for user views.
const TAGS: u64 = 16;

/// Makes a test of a scenario on each machine whose tags have generations.
macro_rules! on_each_machine {
    ($($scenario:ident)*) => { $(
        mod $scenario {
            use super::*;

            #[test]
            fn arm64() {
                super::$scenario(World::new(machines::arm64(arm64::Config::NONE)));
            }

            #[test]
            fn arm64_kpti() {
                super::$scenario(World::new(machines::arm64(arm64::Config::KPTI)));
            }

            #[test]
            fn x86_64_invlpgb() {
                let config = x86_64::Config::PGE.with(x86_64::Config::PCID).with(x86_64::Config::INVPCID).with(x86_64::Config::INVLPGB);
                super::$scenario(World::new(machines::x86(config)));
            }
        }
    )* };
}

/// A machine with one CPU.
struct World<B: Machine> {
    cpus: Scheduler<B>,
}

impl<B: Machine> World<B> {
    fn new(backend: B) -> Self {
        let cpus = Scheduler::with_tags(backend, 1, TAGS);
        Self { cpus }
    }

    fn process(&self) -> Handle<B> {
        self.cpus.process()
    }

    /// Runs a process, and returns its tag.
    fn run(&mut self, process: &Handle<B>) -> u64 {
        self.cpus.run(0, process);
        let tag = self.cpus.mmu.platform().loaded_tag(0);
        tag.expect("it is loaded").value
    }

    fn pin(&self, process: &Handle<B>) -> Result<u64, NoTag> {
        let tag = self.cpus.on(0, |mmu| mmu.pin_tag(process))?;
        assert!(tag.global);
        Ok(tag.value)
    }

    fn unpin(&self, process: &Handle<B>) -> Result<(), NotPinned> {
        self.cpus.on(0, |mmu| mmu.unpin_tag(process))
    }

    /// Releases a process that runs nowhere.
    fn end(&self, process: &Handle<B>) {
        self.cpus.teardown(0, process);
        let released = self.cpus.on(0, |mmu| mmu.release(process));
        released.expect("it runs nowhere");
    }

    /// Returns whether a new process gets a tag, within a whole generation.
    fn is_reused(&mut self, tag: u64) -> bool {
        let before = self.cpus.mmu.stats().rollovers;
        let mut given = false;
        while self.cpus.mmu.stats().rollovers < before + 2 {
            let process = self.process();
            given |= self.run(&process) == tag;
        }
        given
    }

    /// Runs new processes until a generation begins, and then until one has this tag. Returns that process.
    fn next_owner(&mut self, tag: u64) -> Handle<B> {
        let before = self.cpus.mmu.stats().rollovers;
        loop {
            let process = self.process();
            let own = self.run(&process);
            let rollovers = self.cpus.mmu.stats().rollovers;
            if own == tag && rollovers > before {
                return process;
            }
            assert!(rollovers < before + 2, "{tag} is given to no process");
        }
    }
}

/// A pin of one space does not give its tag to another space that had it in an older generation.
fn a_pin_belongs_to_one_space<B: Machine>(mut world: World<B>) {
    let sleeps = world.process();
    let tag = world.run(&sleeps);
    let owner = world.next_owner(tag);
    assert_eq!(world.pin(&owner), Ok(tag));
    assert_ne!(world.run(&sleeps), tag);
    assert_eq!(world.run(&owner), tag);
}

/// The same when the other space is pinned as well, and is not loaded.
fn two_spaces_have_two_pins<B: Machine>(mut world: World<B>) {
    let sleeps = world.process();
    let tag = world.run(&sleeps);
    let owner = world.next_owner(tag);
    assert_eq!(world.pin(&owner), Ok(tag));
    let pin = world.pin(&sleeps).expect("a tag of its own");
    assert_ne!(pin, tag);
    assert_eq!((world.run(&owner), world.run(&sleeps)), (tag, pin));
}

/// Two devices pin a space: it keeps its tag until both pins are undone.
fn pins_are_counted<B: Machine>(mut world: World<B>) {
    let process = world.process();
    let tag = world.pin(&process).expect("a tag");
    assert_eq!(world.pin(&process), Ok(tag));
    for pins in [2, 1] {
        assert!(!world.is_reused(tag), "{pins} pins");
        assert_eq!(world.unpin(&process), Ok(()));
    }
    assert!(world.is_reused(tag), "no device needs it any more");
    assert_eq!(world.unpin(&process), Err(NotPinned));
}

/// An unpin of a space that is not pinned is an error, and removes no pin of the space that has its old tag.
fn an_unpin_takes_no_other_pin<B: Machine>(mut world: World<B>) {
    let sleeps = world.process();
    assert_eq!(world.unpin(&sleeps), Err(NotPinned));
    let tag = world.run(&sleeps);
    assert_eq!(world.unpin(&sleeps), Err(NotPinned));
    let owner = world.next_owner(tag);
    assert_eq!(world.pin(&owner), Ok(tag));
    assert_eq!(world.unpin(&sleeps), Err(NotPinned));
    assert!(!world.is_reused(tag), "it is pinned");
    assert_eq!(world.run(&owner), tag);
}

/// The pins of a space end with it.
fn pins_end_with_the_space<B: Machine>(mut world: World<B>) {
    let idle = world.process();
    let room = |world: &World<B>| {
        let spaces: Vec<_> = std::iter::repeat_with(|| world.process())
            .take_while(|process| world.pin(process).is_ok())
            .collect();
        for process in &spaces {
            world.end(process);
        }
        spaces.len()
    };
    let before = room(&world);
    let process = world.process();
    let tag = world.run(&process);
    assert_eq!(world.pin(&process), Ok(tag));
    assert_eq!(world.pin(&process), Ok(tag));
    assert_eq!(room(&world), before - 1);
    assert!(!world.is_reused(tag));
    world.run(&idle);
    world.end(&process);
    assert_eq!(room(&world), before, "as many can be pinned as before");
    assert!(world.is_reused(tag), "it has a new owner");
    assert_eq!(world.unpin(&process), Err(NotPinned));
}

on_each_machine!(
    a_pin_belongs_to_one_space
    two_spaces_have_two_pins
    pins_are_counted
    an_unpin_takes_no_other_pin
    pins_end_with_the_space
);
