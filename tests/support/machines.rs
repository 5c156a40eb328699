//! The machines on which scenarios run: each architecture in the configurations that differ in how a flush reaches
//! other CPUs, in their tags, and in which flushes may be deferred.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};

use crate::hosted::Handle;
use crate::scheduler::Scheduler;
use crate::show::Machine;
use tlbc_runtime::LazyMm;
use tlbc_runtime::NewSpace;

/// How a flush of a user space reaches the CPUs of a machine, and which tags its spaces have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By IPIs; loading a root invalidates everything.
    NoTags,
    /// By IPIs; per-CPU tags.
    CpuTags,
    /// By IPIs; a tag for the lifetime of each space.
    LifeTags,
    /// By instructions.
    Broadcast,
}

/// A machine with its name.
#[derive(Clone)]
pub struct Case<B> {
    /// The name of the configuration.
    pub name: &'static str,
    /// The backend.
    pub backend: B,
    /// The kind of machine.
    pub kind: Kind,
    /// Whether spaces use per-CPU tags where the machine has global tags as well.
    pub tag_of_cpu: bool,
}

impl<B: Machine> Case<B> {
    /// Creates a machine with this many CPUs, all of which are online.
    pub fn scheduler(&self, cpus: usize) -> Scheduler<B>
    where
        B: Clone,
    {
        Scheduler::new(self.backend.clone(), cpus)
    }

    /// Creates a process.
    pub fn process(&self, cpus: &Scheduler<B>) -> Handle<B> {
        cpus.process_with(NewSpace {
            tag_of_cpu: self.tag_of_cpu,
            ..NewSpace::default()
        })
    }

    /// Returns whether CPUs are interrupted for a flush of a user space.
    pub fn interrupts(&self) -> bool {
        self.kind != Kind::Broadcast
    }

    /// Returns whether a lazy CPU holds a reference.
    pub fn refcounted(&self) -> bool {
        B::FACTS.lazy_mm == LazyMm::Refcounted
    }
}

/// Creates the backend of an x86-64 machine.
pub fn x86(config: x86_64::Config) -> x86_64::Tlb {
    assert!(config.is_possible());
    x86_64::Tlb {
        config,
        invlpgb_pages: 8,
    }
}

/// Creates the backend of an arm64 machine.
pub fn arm64(config: arm64::Config) -> arm64::Tlb {
    arm64::Tlb { config }
}

/// Creates the backend of a powerpc64 machine.
pub fn powerpc64(config: powerpc64::Config) -> powerpc64::Tlb {
    powerpc64::Tlb { config }
}

/// Creates the backend of an s390 machine.
pub fn s390(config: s390::Config) -> s390::Tlb {
    s390::Tlb { config }
}

/// Runs a generic scenario, `fn(&Case<B>)`, on every machine.
#[macro_export]
macro_rules! on_every_machine {
    ($scenario:path) => {{
        use tlbc_backends::{arm64::Config as Arm, powerpc64::Config as Power};
        use tlbc_backends::{s390::Config as Z, x86_64::Config as X86};
        use $crate::machines::{Case, Kind, arm64, powerpc64, s390, x86};
        let play = |name, config, kind, tag_of_cpu| {
            $scenario(&Case {
                name,
                backend: x86(config),
                kind,
                tag_of_cpu,
            });
        };
        play("x86", X86::NONE, Kind::NoTags, false);
        play("x86 pti", X86::PTI, Kind::NoTags, false);
        let pcid = X86::PGE.with(X86::PCID);
        play("x86 pcid", pcid, Kind::CpuTags, false);
        play("x86 pcid pti", pcid.with(X86::PTI), Kind::CpuTags, false);
        let invpcid = pcid.with(X86::INVPCID);
        play("x86 pcid invpcid", invpcid, Kind::CpuTags, false);
        let pti = invpcid.with(X86::PTI);
        play("x86 pcid invpcid pti", pti, Kind::CpuTags, false);
        let invlpgb = invpcid.with(X86::INVLPGB);
        play("x86 pcid invlpgb", invlpgb, Kind::Broadcast, false);
        play(
            "x86 pcid invlpgb, per-CPU tags",
            invlpgb,
            Kind::CpuTags,
            true,
        );
        let play = |name, config| {
            $scenario(&Case {
                name,
                backend: arm64(config),
                kind: Kind::Broadcast,
                tag_of_cpu: false,
            });
        };
        play("arm64", Arm::NONE);
        play("arm64 kpti", Arm::KPTI);
        let play = |name, config, kind| {
            $scenario(&Case {
                name,
                backend: powerpc64(config),
                kind,
                tag_of_cpu: false,
            });
        };
        play("powerpc64", Power::NONE, Kind::Broadcast);
        play("powerpc64 gtse", Power::GTSE, Kind::LifeTags);
        let broadcast = Power::GTSE.with(Power::BROADCAST);
        play("powerpc64 gtse broadcast", broadcast, Kind::Broadcast);
        for (name, config) in [("s390", Z::NONE), ("s390 local_clear", Z::LOCAL_CLEAR)] {
            $scenario(&Case {
                name,
                backend: s390(config),
                kind: Kind::Broadcast,
                tag_of_cpu: false,
            });
        }
    }};
}
