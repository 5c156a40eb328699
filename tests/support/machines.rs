//! The machines on which scenarios run: those of `archdefs/NAME/machines.txt`, which differ in how a flush reaches other
//! CPUs, in their tags, in which flushes may be deferred, and in the instructions that are issued.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};

use crate::archdefs;
use crate::configurations::machine;
use crate::differential::space_flags;
use crate::hosted::Handle;
use crate::scheduler::Scheduler;
use crate::show::Machine;
use tlbc_runtime::{LazyMm, NewSpace};

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

/// The words for kinds.
const KINDS: [(&str, Kind); 4] = [
    ("no tags", Kind::NoTags),
    ("cpu tags", Kind::CpuTags),
    ("life tags", Kind::LifeTags),
    ("broadcast", Kind::Broadcast),
];

/// The word for spaces with per-CPU tags, on a machine that has global tags as well.
const PER_CPU_TAG: &str = "per_cpu_tag";

/// A backend that the words of a machine determine.
pub trait Named: Machine + Clone {
    /// The name of its architecture.
    const ARCH: &'static str;

    /// Creates the backend with these features, errata and page size. A limit is given as `NAME=VALUE`, and is otherwise 1.
    fn named(words: &str) -> Self;
}

macro_rules! named {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        impl Named for tlbc_backends::$arch::Tlb {
            const ARCH: &'static str = stringify!($arch);

            fn named(words: &str) -> Self {
                use tlbc_backends::$arch::{Config, Tlb};
                let limits = [$(stringify!($limit)),*];
                let mut config = Config::NONE;
                for word in words.split_whitespace() {
                    let (name, is_limit) = word.split_once('=').map_or((word, false), |(name, _)| (name, true));
                    let flag = Config::NAMES.iter().find(|(flag, _)| *flag == name && !is_limit);
                    let known = flag.is_some() || is_limit && limits.contains(&name);
                    assert!(known, "`{word}` is no flag of {}, and no limit", Self::ARCH);
                    config = flag.map_or(config, |(_, flag)| config.with(*flag));
                }
                assert!(config.is_possible(), "no machine of {} is `{words}`", Self::ARCH);
                Tlb { config, $($limit: limit(words, stringify!($limit))),* }
            }
        }
    )* };
}

for_each_architecture!([named]);

/// Returns the value of a limit.
fn limit(words: &str, name: &str) -> u32 {
    let given = words
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    let mut given = given.filter(|(limit, _)| *limit == name);
    given.next().map_or(1, |(_, value)| {
        value.parse().unwrap_or_else(|_| panic!("`{name}={value}`"))
    })
}

/// A machine with its name.
#[derive(Clone)]
pub struct Case<B> {
    /// The name of the machine.
    pub name: &'static str,
    /// The backend.
    pub backend: B,
    /// The kind of machine.
    pub kind: Kind,
    /// What new spaces on it are made of.
    pub space: NewSpace,
}

impl<B: Named> Case<B> {
    /// Creates a machine from a line of `machines.txt`: flags and limits, the kind, and what is special about its spaces.
    pub fn of(name: &'static str, line: &str) -> Self {
        let mut parts = line.split('|').map(str::trim);
        let words = parts.next().unwrap_or_default();
        let kind = parts.next().unwrap_or_default();
        let found = KINDS.iter().find(|(word, _)| *word == kind);
        let (_, kind) = found.unwrap_or_else(|| panic!("{name}: `{kind}` is no kind of machine"));
        let mut space = NewSpace::default();
        let flags = parts.next().unwrap_or_default();
        for word in flags.split_whitespace() {
            if word == PER_CPU_TAG {
                space.per_cpu_tag = true;
            } else {
                let model = &archdefs::analysis(B::ARCH).model;
                let with = machine(model, &format!("{words} {word}"));
                let flags = space_flags(model, with.config);
                assert!(
                    flags != space.flags,
                    "{name}: `{word}` is no flag of spaces"
                );
                space.flags = flags;
            }
        }
        assert_eq!(parts.next(), None, "{name}: more than four columns");
        Self {
            name,
            backend: B::named(words),
            kind: *kind,
            space,
        }
    }
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
        cpus.process_with(self.space)
    }

    /// Returns whether CPUs are interrupted for a flush of a user space.
    pub fn interrupts(&self) -> bool {
        self.kind != Kind::Broadcast
    }

    /// Returns whether CPUs are interrupted for a flush of tables of a user space, lazy ones too: walk entries are cached.
    pub fn interrupts_for_tables(&self) -> bool {
        let facts = self.backend.change_facts(self.space.flags);
        self.interrupts() && facts.walk_cached
    }

    /// Returns whether a lazy CPU holds a reference.
    pub fn refcounted(&self) -> bool {
        B::FACTS.lazy_mm == LazyMm::Refcounted
    }
}

/// Creates the common machine of an architecture: the first of its list.
pub fn usual<B: Named>() -> B {
    let list = archdefs::data(B::ARCH, "machines.txt");
    let first = archdefs::lines(&list).next();
    let first = first.and_then(|line| line.split('|').nth(1));
    B::named(first.unwrap_or_else(|| panic!("archdefs/{}/machines.txt is empty", B::ARCH)))
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
    ($scenario:path) => {
        $crate::for_each_machine!([$crate::on_every_machine] each $scenario;)
    };
    (each $scenario:path; $($name:ident: $arch:ident $line:literal;)*) => { $(
        $scenario(&$crate::machines::Case::<$crate::tlbc_backends::$arch::Tlb>::of(stringify!($name), $line));
    )* };
}

/// Defines a test on each machine. The function is called with the backend, and with what new spaces on it are made of.
#[macro_export]
macro_rules! tests_on_every_machine {
    ($run:path) => {
        $crate::for_each_machine!([$crate::tests_on_every_machine] each $run;);
    };
    (each $run:path; $($name:ident: $arch:ident $line:literal;)*) => { $(
        #[test]
        fn $name() {
            type Case = $crate::machines::Case<$crate::tlbc_backends::$arch::Tlb>;
            let Case { backend, space, .. } = Case::of(stringify!($name), $line);
            $run(backend, $crate::tlbc_runtime::NewSpace { table: 0x1_0000, user_table: 0x1_1000, ..space });
        }
    )* };
}

/// Defines a test on the common machine of each architecture, where it makes no difference which machine it is.
#[macro_export]
macro_rules! tests_on_every_architecture {
    ($run:path) => {
        $crate::for_each_architecture!([$crate::tests_on_every_architecture] each $run;);
    };
    (each $run:path; $($arch:ident { $($limit:ident)* })*) => { $(
        #[test]
        fn $arch() {
            let space = $crate::tlbc_runtime::NewSpace {
                table: 0x1_0000,
                user_table: 0x1_1000,
                ..Default::default()
            };
            $run($crate::machines::usual::<$crate::tlbc_backends::$arch::Tlb>(), space);
        }
    )* };
}
