//! Negative entries: what a CPU flushes that faults on an address whose entry has become valid.

use std::sync::{Arc, Mutex};

use tlbc_backends::arm64;
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::{self, ChangeFacts};
use tlbc_runtime::request::{LevelTable, Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, Ceiling, Current, Deferred, Facts, Finished, IpiTargets, Issue, Level, Misuse,
    NewSpace, Pending, Root, SpaceFlags, Started, Tags,
};
use tlbc_tests::hosted::{Event, Hosted};

/// arm64 with negative entries, which it does not have. It records the flushes that are requested.
struct Negative {
    tlb: arm64::Tlb,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A flush, by the levels at which entries became valid; `None` if it is not for negative entries.
type Asked = (Reach, Vec<Level>);

impl Backend for Negative {
    type Op = arm64::Op;
    const FACTS: Facts = <arm64::Tlb>::FACTS;

    fn levels(&self) -> &'static LevelTable {
        self.tlb.levels()
    }
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.tlb.ceiling(space, reach)
    }
    fn change_facts(&self, conditions: SpaceFlags) -> ChangeFacts {
        ChangeFacts {
            negative: pte::Negative::UntilDropped,
            ..self.tlb.change_facts(conditions)
        }
    }
    fn publish(&self, cpu: &mut impl Issue<Self::Op>, space: Space) {
        self.tlb.publish(cpu, space);
    }
    fn tags(&self) -> Tags {
        self.tlb.tags()
    }
    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        self.tlb.ipi_targets(request)
    }
    fn start(&self, cpu: &mut impl Issue<Self::Op>, request: &Request<'_>) -> Started {
        let levels = match request.scope {
            Scope::Ranges(ranges) if ranges.has_negative() => Level::all()
                .filter(|&level| ranges.has_leaf_at(Levels::only(level)))
                .collect(),
            _ => Vec::new(),
        };
        let mut asked = self.asked.lock().expect("a lock");
        asked.push((request.reach, levels));
        self.tlb.start(cpu, request)
    }
    fn finish(&self, cpu: &mut impl Issue<Self::Op>, started: Started) -> Finished {
        self.tlb.finish(cpu, started)
    }
    fn switch(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, pending: Pending) -> Deferred {
        self.tlb.switch(cpu, to, pending)
    }
    fn return_to_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, deferred: bool) {
        self.tlb.return_to_user(cpu, to, deferred);
    }
    fn enter_from_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root) {
        self.tlb.enter_from_user(cpu, to);
    }
    fn cpu_online(&self, cpu: &mut impl Issue<Self::Op>) -> Deferred {
        self.tlb.cpu_online(cpu)
    }
}

/// The table above may have been missing as well, and the one above that: a flush covers every level from that of the
/// entry upwards, and none below. Only the CPU that faulted flushes.
#[test]
fn a_fault_flushes_negative_entries_of_the_levels_above() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let tlb = arm64::Tlb {
        config: arm64::Config::NONE,
    };
    let backend = Negative {
        tlb,
        asked: asked.clone(),
    };
    let mmu = Hosted::machine(backend, 2);
    let space = Hosted::space(
        &mmu,
        NewSpace {
            table: 0x1000,
            ..NewSpace::default()
        },
    );
    let space = space.expect("a tag");
    for cpu in [1, 0] {
        Hosted::on(&mmu, cpu, || {
            let user = Hosted::switch(&mmu, Current::Kernel, Some(&space));
            assert!(matches!(user, Current::User(_)));
        });
    }
    let levels = mmu.platform().backend().levels();
    let there: Vec<Level> = Level::all()
        .zip(levels)
        .filter_map(|(level, facts)| (facts.shift != 0).then_some(level))
        .collect();
    assert!(there.len() > 3, "{there:?}");
    for (level, facts) in Level::all().zip(levels) {
        mmu.platform().events();
        asked.lock().expect("a lock").clear();
        let fixed = Hosted::on(&mmu, 0, || mmu.fix_spurious(&space, 0x4020_1000, level));
        let asked = asked.lock().expect("a lock").clone();
        if !facts.leaf {
            assert_eq!((fixed, asked), (Err(Misuse::NoSuchLevel), Vec::new()));
            continue;
        }
        assert_eq!(fixed, Ok(true));
        let above = there.iter().copied().filter(|&it| it >= level);
        assert_eq!(asked, [(Reach::Here, above.collect())]);
        let here = |event: &Event<arm64::Op>| matches!(event, Event::Issued(0, _));
        let events = mmu.platform().events();
        assert!(!events.is_empty() && events.iter().all(here), "{events:?}");
    }
}
