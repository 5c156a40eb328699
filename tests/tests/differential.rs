//! The interpreted plan and the generated Rust do the same, request by request.
//!
//! Both get the same machine and the same request. They must issue the same instructions with the
//! same operands, put off the same, and interrupt the same CPUs.

#[path = "support/archdefs.rs"]
mod archdefs;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use std::sync::atomic::{AtomicU64, Ordering};
use tlbc::Analysis;
use tlbc::model::{Config, Instr, Known, Model, Named};
use tlbc::plan::ir::{Issue, Node, Shape};
use tlbc::plan::{self, Plans};
use tlbc::trace::interpret::{Changing, Effects, Env, Which, ceiling, interpret};
use tlbc_runtime::backend::Finished;
use tlbc_runtime::change::{Below, Change, Entry, Kind, Owner, Slot};
use tlbc_runtime::clause::{LEVELS, Level};
use tlbc_runtime::request::{
    Conditions, Extent, LevelTable, Ranges, Reach, Request, Scope, Space, Tag,
};
use tlbc_runtime::{Audience, Backend, Debt, Owed, Record, Root};

/// A generated backend, as far as the trait does not say it.
trait Machine: Backend + Sized {
    /// Every flag of its configuration.
    fn flags() -> Vec<&'static str>;
    /// A machine with those flags and limits; none where it cannot be.
    fn new(has: &dyn Fn(&str) -> bool, limit: &dyn Fn(&str) -> u64) -> Option<Self>;
    /// The name of an instruction, and its operands by name.
    fn describe(op: Self::Op) -> Issued;
}

/// An instruction: its name, and its operands by name.
type Issued = (String, Vec<(String, u128)>);

/// The tests of every backend. Behind each name stand the limits of its machine.
macro_rules! backends {
    ($($arch:ident { $($limit:ident),* })*) => {
        const BACKENDS: &[&str] = &[$(stringify!($arch)),*];

        $(mod $arch {
            use super::*;
            use tlbc_backends::$arch::{Config, Op, Tlb};

            impl Machine for Tlb {
                fn flags() -> Vec<&'static str> {
                    Config::NAMES.iter().map(|(name, _)| *name).collect()
                }

                fn new(has: &dyn Fn(&str) -> bool, limit: &dyn Fn(&str) -> u64) -> Option<Self> {
                    let _ = limit;
                    let flags = Config::NAMES.iter().filter(|(name, _)| has(name));
                    let config = flags.fold(Config::NONE, |config, (_, flag)| config.with(*flag));
                    let tlb = Tlb {
                        config,
                        $($limit: limit(stringify!($limit)).try_into().expect("a limit")),*
                    };
                    config.is_possible().then_some(tlb)
                }

                fn describe(op: Op) -> Issued {
                    let mut operands = Vec::new();
                    op.operands(|name, bits| operands.push((name.to_owned(), bits)));
                    (op.name().to_owned(), operands)
                }
            }

            #[test]
            fn a_machine_is_what_the_definition_says() {
                super::a_machine_is_what_the_definition_says::<Tlb>(&analysis(BACKEND));
            }

            #[test]
            fn plans_and_backend_agree_in_every_configuration() {
                super::plans_and_backend_agree_in_every_configuration::<Tlb>(&analysis(BACKEND));
            }

            #[test]
            fn plans_and_backend_agree_on_ranges() {
                super::plans_and_backend_agree_on_ranges::<Tlb>(&analysis(BACKEND));
            }

            const BACKEND: &str = stringify!($arch);
        })*
    };
}

backends! {
    arm64 {}
    powerpc64 {}
    s390 {}
    x86_64 { invlpgb_pages }
}

/// Cases of random ranges, for each backend.
const CASES: u32 = 4000;

fn analysis(arch: &str) -> Analysis {
    let path = format!("archdefs/{arch}.arch");
    let definition = archdefs::shipped()
        .into_iter()
        .find(|definition| definition.path == path);
    definition.expect("a shipped definition").analysis().1
}

#[test]
fn no_definition_is_forgotten() {
    let shipped = archdefs::shipped();
    let names = shipped.iter().map(|definition| {
        let (_, analysis) = definition.analysis();
        analysis.model.arch.name
    });
    assert_eq!(names.collect::<Vec<_>>(), BACKENDS);
}

/// The names of the flags of a configuration, and the model's view of it.
fn configs(model: &Model) -> impl Iterator<Item = Config> {
    let features = 0..1u32 << model.features.len();
    let errata = 1u32 << model.errata.len();
    let geometries = model.geometries.len();
    features.flat_map(move |features| {
        (0..errata).flat_map(move |errata| {
            (0..geometries).map(move |geometry| Config {
                features,
                errata,
                geometry,
            })
        })
    })
}

/// Whether a configuration has a flag of that name.
fn has(model: &Model, config: Config, name: &str) -> bool {
    let feature = model.features.iter().position(|f| f.named.name == name);
    let erratum = model.errata.iter().position(|e| e.named.name == name);
    let geometry = model.geometries.iter().position(|g| g.named.name == name);
    match (feature, erratum, geometry) {
        (Some(feature), None, None) => config.has(feature),
        (None, Some(erratum), None) => config.suffers(erratum),
        (None, None, Some(geometry)) => geometry == config.geometry,
        _ => panic!("`{name}` is no flag of the definition, or several"),
    }
}

/// What of a configuration holds of a space and not of the machine.
fn conditions(model: &Model, config: Config) -> Conditions {
    let features = model.features.iter().enumerate();
    let of_space = features.filter(|(_, feature)| feature.known == Known::Space);
    Conditions(of_space.fold(0, |bits, (index, _)| bits | config.features & 1 << index))
}

/// The generated machine of a configuration, whatever holds of a space.
fn machine_of<M: Machine>(model: &Model, config: Config, limits: &[u64]) -> Option<M> {
    let of_space = conditions(model, config).0;
    let config = Config {
        features: config.features & !of_space,
        ..config
    };
    machine(model, config, limits)
}

/// The generated machine of a configuration.
fn machine<M: Machine>(model: &Model, config: Config, limits: &[u64]) -> Option<M> {
    M::new(&|name| has(model, config, name), &|name| {
        let index = model.limits.iter().position(|l| l.named.name == name);
        limits[index.expect("a limit of the definition")]
    })
}

/// The most that every limit may be.
fn most(model: &Model) -> Vec<u64> {
    model.limits.iter().map(|limit| limit.most).collect()
}

fn a_machine_is_what_the_definition_says<M: Machine>(Analysis { model, .. }: &Analysis) {
    let flags = M::flags().len();
    let expected = model.features.len() + model.errata.len() + model.geometries.len() - 1;
    assert_eq!(flags, expected, "the first geometry has no flag");
    assert_eq!(M::FACTS.name, model.arch.name);
    let names = model.levels.iter().map(|level| level.name.as_str());
    let mut levels = [""; LEVELS];
    names.zip(&mut levels).for_each(|(name, slot)| *slot = name);
    assert_eq!(M::FACTS.level_names, levels);
    for config in configs(model) {
        let tlb = machine::<M>(model, config, &most(model));
        assert_eq!(tlb.is_some(), model.possible(config), "{config:?}");
        let Some(tlb) = tlb else { continue };
        assert_eq!(*tlb.levels(), model.level_table(config), "{config:?}");
        for (space, reach) in SPACES.iter().flat_map(|s| REACHES.map(|r| (*s, r))) {
            let one_by_one = tlb.ceiling(space, reach);
            let (operations, pages) = (one_by_one.operations, one_by_one.pages);
            let stated = ceiling(model, config, space, reach);
            assert_eq!((operations, pages), stated, "{config:?}");
        }
    }
    assert!(
        M::new(&|name| geometry_flag(model, name), &|_| 1).is_none() || model.geometries.len() < 3,
        "two geometries at once are no machine"
    );
}

fn geometry_flag(model: &Model, name: &str) -> bool {
    model.geometries.iter().any(|g| g.named.name == name)
}

/// The names of the instructions that a plan may issue.
fn planned(Analysis { model, plans }: &Analysis) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut add = |named: &Named| used.insert(named.name.clone());
    for plan in plans.iter() {
        plan.body.walk(&mut |node| {
            match node {
                Node::Issue(Issue { invalidate, .. }) => add(&model.invalidates[*invalidate].named),
                Node::Remedy {
                    erratum, number, ..
                } => match plan::issued(model, *erratum, *number).instr {
                    Instr::Invalidate(invalidate) => add(&model.invalidates[invalidate].named),
                    Instr::Barrier(barrier) => add(&model.barriers[barrier].named),
                },
                Node::Publish {
                    barrier: Some(barrier),
                }
                | Node::Complete { barrier }
                | Node::Resync { barrier } => add(&model.barriers[*barrier].named),
                Node::Load { load, .. } => add(&model.loads[*load].named),
                _ => false,
            };
        });
    }
    used
}

/// A machine, as both sides have it, and what they are asked for.
struct Asked<'a, M> {
    model: &'a Model,
    plans: &'a Plans,
    tlb: &'a M,
    env: Env,
    /// The names of the instructions that were issued so far, in this case or another.
    seen: &'a RefCell<BTreeSet<String>>,
}

/// What one side did.
#[derive(Debug, PartialEq)]
struct Did {
    issued: Vec<Issued>,
    owed: Owed,
    deliver: Audience,
    interrupt: Audience,
}

impl Did {
    fn nothing() -> Self {
        Self {
            issued: Vec::new(),
            owed: Owed::NOTHING,
            deliver: Audience::NOBODY,
            interrupt: Audience::NOBODY,
        }
    }
}

impl<M: Machine> Asked<'_, M> {
    /// What the plan of a shape does.
    fn plan(&self, shape: Shape) -> Did {
        let effects = interpret(self.model, self.plans, shape, &self.env);
        let Effects {
            ops,
            owed,
            deliver,
            interrupt,
        } = effects;
        let operand = |&(operand, bits): &(usize, u128)| {
            let named = &self.model.operands[operand].named;
            (named.name.clone(), bits)
        };
        let op = |op: tlbc::trace::interpret::Op| {
            let named = match op.which {
                Which::Barrier(index) => &self.model.barriers[index].named,
                Which::Invalidate(index) => &self.model.invalidates[index].named,
                Which::Load(index) => &self.model.loads[index].named,
                // Not by the sink.
                Which::Store => return None,
            };
            let operands = op.operands.iter().map(operand).collect();
            Some((named.name.clone(), operands))
        };
        Did {
            issued: ops.into_iter().filter_map(op).collect(),
            owed,
            deliver,
            interrupt,
        }
    }

    /// What the generated code does, as told to a recording sink.
    fn backend<T>(&self, run: impl FnOnce(&M, &mut dyn FnMut(M::Op)) -> T) -> (Vec<Issued>, T) {
        let mut issued = Vec::new();
        let result = run(self.tlb, &mut |op| issued.push(M::describe(op)));
        let names = issued.iter().map(|(name, _)| name.clone());
        self.seen.borrow_mut().extend(names);
        (issued, result)
    }

    /// Flushes both ways: start, finish, and what an interrupted CPU does.
    /// A flush that gives up issues what one of everything issues, and no other one does, unless it is that anyway.
    fn gives_up(&mut self, request: &Request<'_>) {
        let everything = Request {
            scope: Scope::Everything {
                tables: request.tables(),
            },
            ..*request
        };
        let issued = |request: &Request<'_>| {
            let (issued, started) = self.backend(|tlb, sink| tlb.start(&mut Record(sink), request));
            let (after, _) = self.backend(|tlb, sink| tlb.finish(&mut Record(sink), started));
            (issued, after)
        };
        if self.tlb.gives_up(request) {
            assert_eq!(issued(request), issued(&everything), "{request:?}");
        }
    }

    fn flush(&mut self, space: Space, reach: Reach, scope: Scope<'_>) {
        let request = Request {
            space,
            tag: self.env.tag,
            reach,
            conditions: conditions(self.model, self.env.config),
            scope,
        };
        self.env.walk = request.tables();
        self.env.ends = matches!(scope, Scope::Teardown);
        let shape = |reach| match scope {
            Scope::Page { .. } => Shape::Page(space, reach),
            Scope::Ranges(_) => Shape::Ranges(space, reach),
            Scope::Teardown if self.model.caches.root.is_some() => Shape::Teardown(space, reach),
            Scope::Everything { .. } | Scope::Teardown => Shape::Everything(space, reach),
        };

        let mut start = self.plan(shape(reach));
        if reach == Reach::Wide {
            let told = self.plan(Shape::Told(space));
            start.deliver = told.deliver;
            assert_eq!(told.issued, [], "nothing is issued to learn whom to tell");
        }
        let mut finish = self.plan(Shape::Finish(space, reach));
        finish.owed |= start.owed;

        self.gives_up(&request);
        let (issued, started) = self.backend(|tlb, sink| tlb.start(&mut Record(sink), &request));
        let here = Did {
            issued,
            owed: started.owed,
            deliver: started.deliver,
            ..Did::nothing()
        };
        assert_eq!(here, start, "start of {request:?}");
        let (issued, Finished { interrupt, owed }) =
            self.backend(|tlb, sink| tlb.finish(&mut Record(sink), started));
        let here = Did {
            issued,
            owed,
            interrupt,
            ..Did::nothing()
        };
        assert_eq!(here, finish, "finish of {request:?}");

        // One that is told flushes for itself alone, by whichever tag it has.
        self.env.tag.of_machine = false;
        let config = self.env.config;
        self.env.config.features &= !M::SENDER_ONLY.0;
        let mut told = self.plan(shape(Reach::Here));
        let finish = self.plan(Shape::Finish(space, Reach::Here));
        told.issued.extend(finish.issued);
        told.owed |= finish.owed;
        self.env.tag = request.tag;
        self.env.config = config;
        let (issued, owed) = self.backend(|tlb, sink| tlb.deliver(&mut Record(sink), &request));
        let there = Did {
            issued,
            owed,
            ..Did::nothing()
        };
        assert_eq!(there, told, "deliver of {request:?}");
    }

    /// Changes entries, both ways, on a machine where instructions write them.
    fn changes(&mut self, table: &LevelTable) {
        const OLD: u64 = 0x1234_5001;
        const NEW: u64 = 0x6789_a003;
        if self.model.change.plain_store.value {
            return;
        }
        let page = |page, rights| Entry::Leaf { page, rights };
        let kinds = [
            (Kind::Appears, Entry::Invalid, page(1, 1)),
            (Kind::Vanishes, page(1, 1), Entry::Invalid),
            (Kind::Relaxes, page(1, 1), page(1, 3)),
            (Kind::Replaces, page(1, 3), page(2, 3)),
        ];
        let levels = Level::all().filter(|level| table[level.index()].shift != 0);
        let owners = SPACES
            .iter()
            .flat_map(|space| REACHES.map(|reach| (*space, reach)));
        let cases = levels.flat_map(|level| {
            let kinds = kinds.into_iter();
            kinds.flat_map(move |kind| [1, 7].map(|entries| (level, kind, entries)))
        });
        let cases: Vec<_> = cases.collect();
        for (space, reach) in owners {
            for &(level, (kind, old, new), entries) in &cases {
                for may_defer in [false, true] {
                    self.env.change = Changing {
                        kind,
                        level,
                        va: 0x7_6543_2000,
                        entries,
                        table: 0x4_5678_9000,
                        index: 5,
                        old: OLD,
                        new: NEW,
                        space,
                        reach,
                        may_defer,
                    };
                    let plan = self.plan(Shape::Change);
                    let stores = interpret(self.model, self.plans, Shape::Change, &self.env)
                        .ops
                        .iter()
                        .any(|op| op.which == Which::Store);
                    let memory: Vec<AtomicU64> =
                        (0..entries).map(|_| AtomicU64::new(OLD)).collect();
                    let slot = Slot {
                        entries: &memory,
                        table: 0x4_5678_9000,
                        index: 5,
                        va: 0x7_6543_2000,
                    };
                    let change = Change {
                        level,
                        old,
                        new,
                        new_bits: NEW,
                        below: Below::Cleared,
                    };
                    assert_eq!(change.kind(), kind);
                    let owner = Owner {
                        space,
                        tag: self.env.tag,
                        reach,
                        conditions: Conditions::NONE,
                        may_defer,
                    };
                    let (issued, changed) = self
                        .backend(|tlb, sink| tlb.change(&mut Record(sink), &slot, &change, &owner));
                    let did = Did {
                        issued,
                        owed: changed.owed,
                        ..Did::nothing()
                    };
                    assert_eq!(did, plan, "{kind:?} of level {level:?} for {owner:?}");
                    let becomes = if stores { NEW } else { OLD };
                    let all = memory.iter().all(|e| e.load(Ordering::Relaxed) == becomes);
                    assert!(all, "{kind:?} of level {level:?} for {owner:?}");
                }
            }
        }
    }

    /// Loads a space, returns to user code and brings up a CPU, both ways.
    fn events(&mut self) {
        // Devices are not switched, nor do they come up.
        let config = self.env.config;
        self.env.root.conditions = conditions(self.model, config);
        self.env.config.features &= !M::SENDER_ONLY.0;
        self.events_of_cpu();
        self.env.config = config;
    }

    fn events_of_cpu(&mut self) {
        for debt in [Debt::None, Debt::Tag, Debt::All] {
            self.env.debt = debt;
            let to = self.env.root;
            let plan = self.plan(Shape::Switch);
            let (issued, owed) = self.backend(|tlb, sink| tlb.switch(&mut Record(sink), &to, debt));
            let did = Did {
                issued,
                owed,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "switch owing {debt:?}");
        }
        for put_off in [false, true] {
            self.env.owed = put_off;
            let to = self.env.root;
            let plan = self.plan(Shape::Resume);
            let (issued, ()) =
                self.backend(|tlb, sink| tlb.resume(&mut Record(sink), &to, put_off));
            let did = Did {
                issued,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "resume, view's flush put off: {put_off}");
        }
        let plan = self.plan(Shape::Arrive);
        let (issued, owed) = self.backend(|tlb, sink| tlb.arrive(&mut Record(sink)));
        let did = Did {
            issued,
            owed,
            ..Did::nothing()
        };
        assert_eq!(did, plan, "arrive");
    }
}

const TAG: Tag = Tag {
    value: 0x5a6,
    of_machine: false,
};

fn env(config: Config, limits: &[u64], tag: Tag) -> Env {
    Env {
        config,
        limits: limits.to_vec(),
        tag,
        walk: false,
        ends: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: 0xfedc_ba98_7654_3000,
            tag,
            empty: 0x1234_5678_9abc_d000,
            conditions: Conditions::NONE,
        },
        debt: Debt::None,
        owed: false,
    }
}

const SPACES: [Space; 2] = [Space::User, Space::Kernel];
const REACHES: [Reach; 2] = [Reach::Here, Reach::Wide];

fn plans_and_backend_agree_in_every_configuration<M: Machine>(analysis: &Analysis) {
    let Analysis { model, plans } = analysis;
    let limits = most(model);
    let seen = RefCell::default();
    let (mut compared, mut all) = (0, 0);
    for config in configs(model).filter(|config| model.possible(*config)) {
        all += 1;
        let tlb = machine_of::<M>(model, config, &limits).expect("a possible machine");
        let table = model.level_table(config);
        for of_machine in [false, true] {
            let tag = Tag { of_machine, ..TAG };
            let mut asked = Asked {
                model,
                plans,
                tlb: &tlb,
                env: env(config, &limits, tag),
                seen: &seen,
            };
            asked.events();
            asked.changes(&table);
            for (space, reach) in SPACES.iter().flat_map(|s| REACHES.map(|r| (*s, r))) {
                asked.flush(space, reach, Scope::Teardown);
                for tables in [false, true] {
                    asked.flush(space, reach, Scope::Everything { tables });
                    for level in Level::all().filter(|level| table[level.index()].leaf) {
                        let (start, _) = addresses(model, space, config);
                        let va = start + 0x7654_3218;
                        asked.env.page = (va, level);
                        let page = Scope::Page {
                            va,
                            level,
                            table: tables,
                        };
                        asked.flush(space, reach, page);
                        compared += 1;
                    }
                }
            }
        }
    }
    // Two tags, two spaces, two reaches, with tables and without, and a level at least.
    assert!(all > 0 && compared >= 16 * all, "{compared} in {all}");
}

/// The first address of a space, and how many bits it has.
fn addresses(model: &Model, space: Space, config: Config) -> (u64, u32) {
    let addresses = model.space(space).addresses.get(config);
    let addresses = addresses.expect("the addresses of a space");
    (addresses.base, addresses.bits)
}

/// An extent, before it is known which machine it is for.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Where it begins, as a fraction of the space.
    place: u64,
    /// From which of its two ends that counts.
    from_top: bool,
    /// How many entries of the level it is for, and then base pages more.
    entries: u64,
    pages: u64,
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let entries = prop_oneof![
        6 => 0..8u64,
        3 => 0..70u64,
        2 => 0..600u64,
        1 => 0..1u64 << 22,
        1 => (1u64 << 16) - 2..(1 << 16) + 3,
    ];
    let pages = prop_oneof![3 => Just(0), 1 => 0..600u64];
    // Close together, so that one level's extent often lies in another's; or anywhere.
    let place = prop_oneof![4 => 0..1u64 << 24, 1 => any::<u64>()];
    (place, any::<bool>(), entries, pages).prop_map(|(place, from_top, entries, pages)| Stretch {
        place,
        from_top,
        entries,
        pages,
    })
}

impl Stretch {
    /// The extent, for entries of `1 << shift` bytes: within the space, in whole base pages.
    fn extent(self, (start, bits): (u64, u32), shift: u32, page: u32) -> Extent {
        let size = 1u128 << bits;
        let bytes = (u128::from(self.entries) << shift) + (u128::from(self.pages) << page);
        let bytes = bytes.clamp(1 << page, size);
        let place = (u128::from(self.place) << page) % (size - bytes + 1);
        let place = if self.from_top {
            size - bytes - place
        } else {
            place
        };
        let offset = place as u64 >> page << page;
        Extent::new(start + offset, bytes as u64)
    }
}

/// What is asked for, before it is known what the machine has.
#[derive(Debug, Clone)]
struct Case {
    config: u64,
    limits: Vec<u64>,
    space: Space,
    reach: Reach,
    tag: Tag,
    leaf: [Option<Stretch>; LEVELS],
    walk: [Option<Stretch>; LEVELS],
    live: bool,
    /// Whether leaf entries appeared, and were not cleared.
    appeared: bool,
    /// Whether one entry is asked for as one entry.
    reduced: bool,
    root: (u64, u64),
}

fn case() -> impl Strategy<Value = Case> {
    let level = |weight| proptest::option::weighted(weight, stretch());
    let levels = |weight| std::array::from_fn::<_, LEVELS, _>(|_| level(weight));
    let request = (
        proptest::sample::select(SPACES.to_vec()),
        proptest::sample::select(REACHES.to_vec()),
        (any::<u16>(), any::<bool>()).prop_map(|(value, of_machine)| Tag {
            value: value.into(),
            of_machine,
        }),
    );
    (
        (any::<u64>(), proptest::collection::vec(any::<u64>(), 4)),
        request,
        (levels(0.5), levels(0.3), proptest::bool::weighted(0.3)),
        (any::<bool>(), proptest::bool::weighted(0.2)),
        any::<(u64, u64)>(),
    )
        .prop_map(
            |(
                (config, limits),
                (space, reach, tag),
                (leaf, walk, live),
                (reduced, appeared),
                root,
            )| Case {
                config,
                limits,
                space,
                reach,
                tag,
                leaf,
                walk,
                live,
                appeared,
                reduced,
                root,
            },
        )
}

impl Case {
    fn ranges(&self, addresses: (u64, u32), table: &LevelTable) -> Ranges {
        let mut ranges = Ranges::new();
        let page = table[0].shift;
        let extent = |stretch: &Stretch, shift| stretch.extent(addresses, shift, page);
        for level in Level::all() {
            let facts = table[level.index()];
            if facts.shift == 0 {
                continue;
            }
            if let (Some(leaf), true) = (&self.leaf[level.index()], facts.leaf) {
                let extent = extent(leaf, facts.shift);
                if self.appeared {
                    ranges.appeared(level, extent);
                } else {
                    ranges.leaf(level, extent);
                }
            }
            if let (Some(walk), true) = (&self.walk[level.index()], level != Level(0)) {
                ranges.walk(level, extent(walk, facts.shift));
            }
        }
        if self.live {
            ranges.below_live();
        }
        ranges
    }
}

fn plans_and_backend_agree_on_ranges<M: Machine>(analysis: &Analysis) {
    let Analysis { model, plans } = analysis;
    let possible: Vec<Config> = configs(model).filter(|c| model.possible(*c)).collect();
    let seen = RefCell::default();
    let mut runner = TestRunner::new(Runs {
        failure_persistence: None,
        ..Runs::with_cases(CASES)
    });
    let outcome = runner.run(&case(), |case| {
        let config = possible[(case.config % possible.len() as u64) as usize];
        // The least, the most, or anything, oftener small.
        let limit = |(limit, random): (&tlbc::model::Limit, &u64)| match random % 20 {
            0 => limit.least,
            1..=3 => limit.most,
            bits => {
                let width = (limit.most - limit.least + 1) >> (bits - 4);
                limit.least + (random >> 8) % width.max(1)
            }
        };
        let limits: Vec<u64> = model.limits.iter().zip(&case.limits).map(limit).collect();
        let tlb = machine_of::<M>(model, config, &limits).expect("a possible machine");
        let table = model.level_table(config);
        let ranges = case.ranges(addresses(model, case.space, config), &table);
        let mut env = env(config, &limits, case.tag);
        env.ranges = ranges;
        (env.root.table, env.root.empty) = case.root;
        let scope = if case.reduced {
            ranges.scope(&table)
        } else {
            Scope::Ranges(&ranges)
        };
        if let Scope::Page { va, level, .. } = scope {
            env.page = (va, level);
        }
        let mut asked = Asked {
            model,
            plans,
            tlb: &tlb,
            env,
            seen: &seen,
        };
        asked.events();
        asked.changes(&table);
        asked.flush(case.space, case.reach, Scope::Teardown);
        asked.flush(case.space, case.reach, scope);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert_eq!(
        seen.into_inner(),
        planned(analysis),
        "some instruction is never issued"
    );
}
