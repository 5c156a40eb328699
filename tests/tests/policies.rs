//! Every policy that facts can choose, run: with the backends that choose it, and where no shipped one does with
//! one that is told to.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::backend::{Audience, Debt, Finished, Owed, Root, Started};
use tlbc_runtime::change::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Reach, Request, Space};
use tlbc_runtime::{
    AddressSpace, Backend, Ceiling, Conditions, Current, Delivery, Facts, Issue, Level, NewSpace,
    Platform, TagSource, Tags,
};
use tlbc_tests::hosted::{Event, Host, HostBackend, Hosted};
use tlbc_tests::tables::Entries;

const PTE: Level = Level(0);
const PMD: Level = Level(1);
const VA: u64 = 0x4000_0000;

fn x86(flags: &[x86_64::Config]) -> x86_64::Tlb {
    x86_64::Tlb {
        config: flags.iter().fold(x86_64::Config::NONE, |c, f| c.with(*f)),
        invlpgb_pages: 8,
    }
}

fn power(flags: &[powerpc64::Config]) -> powerpc64::Tlb {
    let none = powerpc64::Config::NONE;
    powerpc64::Tlb {
        config: flags.iter().fold(none, |c, f| c.with(*f)),
    }
}

fn arm64() -> arm64::Tlb {
    arm64::Tlb {
        config: arm64::Config::NONE,
    }
}

fn s390() -> s390::Tlb {
    s390::Tlb {
        config: s390::Config::NONE,
    }
}

/// A backend whose definition would say something else in its policy.
struct Told<B, const DIRECTLY: bool, const ONE: bool>(B);

impl<B: Backend, const DIRECTLY: bool, const ONE: bool> Backend for Told<B, DIRECTLY, ONE> {
    type Op = B::Op;
    const FACTS: Facts = Facts {
        tables_deferred: !DIRECTLY && B::FACTS.tables_deferred,
        one_at_a_time: ONE || B::FACTS.one_at_a_time,
        ..B::FACTS
    };
    const SENDER_ONLY: Conditions = B::SENDER_ONLY;
    fn levels(&self) -> &'static LevelTable {
        self.0.levels()
    }
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.0.ceiling(space, reach)
    }
    fn change_facts(&self, conditions: Conditions) -> ChangeFacts {
        self.0.change_facts(conditions)
    }
    fn change(
        &self,
        cpu: &mut impl Issue<B::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        self.0.change(cpu, slot, change, owner)
    }
    fn tags(&self) -> Tags {
        self.0.tags()
    }
    fn audience(&self, request: &Request<'_>) -> Audience {
        self.0.audience(request)
    }
    fn gives_up(&self, request: &Request<'_>) -> bool {
        self.0.gives_up(request)
    }
    fn start(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Started {
        self.0.start(cpu, request)
    }
    fn finish(&self, cpu: &mut impl Issue<B::Op>, started: Started) -> Finished {
        self.0.finish(cpu, started)
    }
    fn deliver(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Owed {
        self.0.deliver(cpu, request)
    }
    fn switch(&self, cpu: &mut impl Issue<B::Op>, to: &Root, debt: Debt) -> Owed {
        self.0.switch(cpu, to, debt)
    }
    fn resume(&self, cpu: &mut impl Issue<B::Op>, to: &Root, owed: bool) {
        self.0.resume(cpu, to, owed);
    }
    fn arrive(&self, cpu: &mut impl Issue<B::Op>) -> Owed {
        self.0.arrive(cpu)
    }
}

type Shared<B> = Arc<AddressSpace<Hosted<B>>>;

type Machine<B> = (Arc<Host<B>>, Shared<B>, [Current<Shared<B>>; 2]);

/// Three CPUs: the first and the second run in the space, the third in none.
fn machine<B: HostBackend>(backend: B) -> Machine<B> {
    let mmu = Hosted::machine(backend, 3);
    let new = NewSpace {
        table: 0x1000,
        user_table: 0x1000,
        ..NewSpace::default()
    };
    let space = Arc::new(mmu.address_space(new).expect("a tag"));
    let current = [0, 1].map(|cpu| {
        Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        })
    });
    mmu.platform().events();
    (mmu, space, current)
}

fn ptes<B: HostBackend>(mmu: &Host<B>, space: &Shared<B>, va: u64) -> Entries {
    let ptes = Entries::new(mmu.platform().backend(), space, PTE, va, 4);
    (0..4).for_each(|at| ptes.map(at, 100 + at as u64, 0));
    ptes
}

/// Four pages and their table go; what happened to the table, with what was issued before it came out.
fn table_goes<B: HostBackend>(backend: B, batches: usize) -> Vec<Event<B::Op>> {
    let (mmu, space, _current) = machine(backend);
    mmu.platform().batches.store(batches, SeqCst);
    let ptes = ptes(&mmu, &space, VA);
    let pmds = Entries::new(mmu.platform().backend(), &space, PMD, VA, 1);
    pmds.link(0, 7);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.clear_all(ptes.leaves()).expect("leaves");
                section
                    .unlink(pmds.pointer(0).expect("a table"))
                    .expect("a pointer");
            });
        });
    });
    mmu.platform().events()
}

fn position<Op: PartialEq>(events: &[Event<Op>], wanted: &Event<Op>) -> Option<usize> {
    events.iter().position(|event| event == wanted)
}

/// The table comes out behind the last instruction, and only once.
fn comes_out_last<Op: PartialEq + std::fmt::Debug>(events: &[Event<Op>], out: &Event<Op>) {
    let at = position(events, out).unwrap_or_else(|| panic!("{out:?} in {events:?}"));
    let issued = |event: &Event<Op>| matches!(event, Event::Issued(..));
    assert!(!events[at..].iter().any(issued), "{events:?}");
    assert!(events[..at].iter().any(issued), "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == out).count(), 1);
}

#[test]
fn tables_wait_for_walkers_in_batches_by_interrupts_or_not_at_all() {
    fn each<B: HostBackend<Op: PartialEq>>(backend: fn() -> B) {
        assert!(B::FACTS.tables_deferred);
        let events = table_goes(backend(), usize::MAX);
        comes_out_last(&events, &Event::Deferred(vec![7]));
        assert_eq!(position(&events, &Event::Freed(7)), None);
        // No memory for a batch: every other CPU is interrupted before the table is freed.
        let events = table_goes(backend(), 0);
        comes_out_last(&events, &Event::Freed(7));
        let all = position(&events, &Event::Interrupted(vec![1, 2])).expect("an interrupt to all");
        let issued = |event: &Event<B::Op>| matches!(event, Event::Issued(..));
        assert!(!events[all..].iter().any(issued), "the flush goes first");
        assert!(all < position(&events, &Event::Freed(7)).unwrap());
        // Every flush interrupts every CPU: nothing is left to wait for.
        let directly = Told::<B, true, false>(backend());
        let events = table_goes(directly, usize::MAX);
        comes_out_last(&events, &Event::Freed(7));
        assert_eq!(position(&events, &Event::Interrupted(vec![1, 2])), None);
    }
    each(arm64);
    each(s390);
    each(|| x86(&[]));
    each(|| x86(&[x86_64::Config::PCID, x86_64::Config::INVLPGB]));
    each(|| power(&[powerpc64::Config::GTSE]));
    each(|| power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]));
    each(|| power(&[]));
}

/// Leaves of two sizes in one gather: each level is flushed as what it is, in one flush.
#[test]
fn page_sizes_go_together_where_the_level_is_an_operand() {
    let power = power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]);
    let (mmu, space, _current) = machine(power);
    let ptes = ptes(&mmu, &space, VA);
    let pmds = Entries::new(mmu.platform().backend(), &space, PMD, VA + (2 << 20), 1);
    pmds.map(0, 512, 0);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.clear_all(ptes.leaves()).expect("leaves");
                section
                    .clear(pmds.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let events = mmu.platform().events();
    let addresses: Vec<u64> = (events.iter())
        .filter_map(|event| match event {
            Event::Issued(0, powerpc64::Op::TlbieVa { rb_va, .. }) => Some(*rb_va),
            _ => None,
        })
        .collect();
    let sizes = |size: u64| addresses.iter().filter(|rb| *rb >> 5 & 7 == size).count();
    assert_eq!((sizes(0), sizes(1), addresses.len()), (4, 1, 5));
    let completions = events
        .iter()
        .filter(|event| matches!(event, Event::Issued(_, op) if op.name() == "tlbsync"));
    assert_eq!(completions.count(), 1, "one flush");
}

/// A CPU that does not have the space loaded has no part in a flush by interrupts: it issues nothing, and what it
/// runs itself stays cached.
#[test]
fn a_flush_elsewhere_leaves_this_cpu_alone() {
    let (mmu, space, _current) = machine(x86(&[x86_64::Config::PGE]));
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 2, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section
                    .clear(ptes.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let invlpg = x86_64::Op::Invlpg { va: VA };
    let expected = [
        Event::Interrupted(vec![0, 1]),
        Event::Issued(0, invlpg),
        Event::Issued(1, invlpg),
        Event::Released(100),
    ];
    assert_eq!(mmu.platform().events(), expected);
    let counts = mmu.counts();
    assert_eq!((counts.interrupting, counts.sent, counts.vain), (1, 2, 0));
}

/// What the instructions of a flush do not reach is interrupted behind their completion, and pages come out behind that:
/// CPUs of a set that the kernel keeps, because of an erratum.
#[test]
fn what_instructions_leave_over_is_interrupted() {
    let (mmu, space, _current) = machine(arm64::Tlb {
        config: arm64::Config::C1PRO_SME,
    });
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section
                    .clear(ptes.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let events = mmu.platform().events();
    let [
        ..,
        Event::Issued(0, last),
        Event::Interrupted(whom),
        Event::Released(100),
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), whom.as_slice()), ("dsb_ish", &[1, 2][..]));
    let counts = mmu.counts();
    assert_eq!((counts.sent, counts.received, counts.vain), (2, 2, 0));
}

/// The same where the wait comes later; and a device that only instructions of this CPU reach is not left to the CPUs
/// that are interrupted.
#[test]
fn a_reclaim_leaves_nobody_out() {
    fn reclaim<B: HostBackend>(backend: B, conditions: Conditions) -> Vec<Event<B::Op>> {
        let (mmu, space, _current) = machine(backend);
        mmu.attach_device(&space, conditions);
        let ptes = ptes(&mmu, &space, VA);
        Hosted::on(&mmu, 0, || {
            mmu.reclaim(|reclaim| {
                let leaf = ptes.leaf(0).expect("a leaf");
                let token = reclaim.unmap(&space, leaf, |_| false);
                let token = token.expect("a leaf").expect("a page");
                assert!(reclaim.wait().redeem(token).is_ok());
            });
        });
        mmu.platform().events()
    }
    let sme = arm64::Tlb {
        config: arm64::Config::C1PRO_SME,
    };
    let events = reclaim(sme, Conditions::NONE);
    let [.., Event::Issued(0, last), Event::Interrupted(whom)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), whom.as_slice()), ("dsb_ish", &[1, 2][..]));

    let device = powerpc64::Config::NONE
        .with(powerpc64::Config::COPROCESSORS)
        .conditions();
    let events = reclaim(power(&[powerpc64::Config::GTSE]), device);
    let issued = |name| {
        events
            .iter()
            .any(|event| matches!(event, Event::Issued(0, op) if op.name() == name))
    };
    assert!(issued("tlbie_va") || issued("tlbie_pid2"), "{events:?}");
    assert!(issued("tlbsync"), "{events:?}");
}

/// A page that was cleared where the clearing flushes is not flushed again.
#[test]
fn nothing_is_batched_where_the_change_flushes() {
    let (mmu, space, _current) = machine(s390());
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            // Another gather under way leaves nothing behind either.
            mmu.gather(&space, |inner| {
                inner.locked((), |section, ()| {
                    section.clear_all(ptes.leaves()).expect("leaves");
                });
            });
            g.locked((), |_, ()| {});
        });
    });
    let events = mmu.platform().events();
    let names = events.iter().filter_map(|event| match event {
        Event::Issued(_, op) => Some(op.name()),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["ipte"; 4]);
    let counts = mmu.counts();
    assert_eq!((counts.broadcast, counts.full_nested), (0, 0));
}

/// Alone in the space, stores are enough, and one flush of everything behind them.
#[test]
fn changes_are_put_off_while_no_other_cpu_is_attached() {
    let (mmu, space, [_here, there]) = machine(s390());
    Hosted::on(&mmu, 1, || {
        let other = NewSpace {
            table: 0x2000,
            user_table: 0x2000,
            ..NewSpace::default()
        };
        let other = Arc::new(mmu.address_space(other).expect("a tag"));
        let _there = Hosted::switch(&mmu, there, Some(&other));
    });
    mmu.platform().events();
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.clear_all(ptes.leaves()).expect("leaves");
                mmu.platform().note("cleared");
                assert!(space.flush_pending());
            });
        });
    });
    let events = mmu.platform().events();
    let tag = 0x1000;
    let flush = s390::Op::IdteAsce {
        asce: tag,
        clear_by_asce: 0x800,
    };
    let mut expected = vec![Event::Note("cleared"), Event::Issued(0, flush)];
    expected.extend((100..104).map(Event::Released));
    assert_eq!(events, expected);
    assert!(!space.flush_pending());
}

/// Two CPUs flush at once on a machine that bears one: whoever comes second waits, and answers meanwhile.
#[test]
fn one_flush_at_a_time() {
    const ROUNDS: usize = 500;
    let one = Told::<_, false, true>(x86(&[]));
    let (mmu, space, _current) = machine(one);
    let begin = Barrier::new(2);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for cpu in 0..2 {
            let (mmu, space, begin, done) = (&mmu, &space, &begin, &done);
            scope.spawn(move || {
                Hosted::on(mmu, cpu, || {
                    begin.wait();
                    for round in 0..ROUNDS as u64 {
                        let va = VA + (u64::from(cpu) << 32) + (round << 12);
                        let extent = tlbc_runtime::request::Extent::new(va, 0x1000);
                        mmu.flush_range(space, extent, PTE).expect("a page");
                    }
                    done.fetch_add(1, SeqCst);
                });
            });
        }
    });
    assert_eq!(done.load(SeqCst), 2);
    // Each flush is whole before the next one begins: here, then the interrupt and there; who waits for its turn
    // looks for messages, and may have answered before it is interrupted.
    let events = mmu.platform().events();
    let mut flushes = 0;
    for flush in events.chunks(3) {
        let (Event::Issued(here, a), rest) = (&flush[0], &flush[1..]) else {
            panic!("{flush:?}");
        };
        let there = 1 - here;
        assert!(rest.contains(&Event::Issued(there, *a)), "{flush:?}");
        assert!(rest.contains(&Event::Interrupted(vec![there])), "{flush:?}");
        flushes += 1;
    }
    assert_eq!(flushes, 2 * ROUNDS);
}

/// As many pages as the ceiling allows go one by one, and one more is too many; the counters say so.
#[test]
fn too_many_pages_are_everything() {
    fn gives_up<B: HostBackend>(backend: B, pages: u64) -> u64 {
        let (mmu, space, _current) = machine(backend);
        let extent = tlbc_runtime::request::Extent::new(VA, pages << 12);
        Hosted::on(&mmu, 0, || mmu.flush_range(&space, extent, PTE)).expect("pages");
        mmu.counts().full_ceiling
    }
    let broadcast = || power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]);
    for (pages, expected) in [(33, 0), (34, 1)] {
        assert_eq!(gives_up(x86(&[]), pages), expected);
        assert_eq!(gives_up(broadcast(), pages), expected);
    }
    for (pages, expected) in [(511, 0), (512, 1)] {
        assert_eq!(gives_up(arm64(), pages), expected);
    }
    // No instruction of this machine names a page of a space and leaves it as it is.
    assert_eq!(gives_up(s390(), 1 << 20), 0);
}

/// What the shipped backends choose, so that the tests above are about what they are about.
#[test]
fn shipped_backends_choose() {
    fn facts<B: Backend>(_: B) -> (Delivery, bool, bool, bool) {
        let facts = B::FACTS;
        (
            facts.delivery,
            facts.pages_batched,
            facts.changes_plainly,
            facts.lazy_refcounted,
        )
    }
    assert_eq!(facts(x86(&[])), (Delivery::Either, true, true, true));
    assert_eq!(facts(arm64()), (Delivery::Broadcast, true, true, true));
    assert_eq!(facts(power(&[])), (Delivery::Either, true, true, false));
    assert_eq!(facts(s390()), (Delivery::Broadcast, false, false, true));
    let source = |tags: Tags| tags.of_machine.map(|(_, source)| source);
    assert_eq!(source(x86(&[]).tags()), None);
    assert_eq!(source(arm64().tags()), Some(TagSource::Generations));
    assert_eq!(source(power(&[]).tags()), Some(TagSource::Life));
    assert_eq!(source(s390().tags()), Some(TagSource::Root));
}
