//! powerpc64: on each CPU and device, every entry of the request is dropped from each cache, in an order in which no entry
//! can be made again, and no other address is named.

use std::ops::Range;

use proptest::prelude::*;
use tlbc::model::Config;
use tlbc::model::Which;
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{Effects, Op, flush, interpret};
use tlbc_runtime::request::{Extent, Ranges, Reach, Scope, Space};

use crate::coverage::case::rounded;
use crate::coverage::manual::powerpc64::{Cpu, Drop, Place, Where};
use crate::coverage::random::{Raw, configurations, reaches, spaces};
use tlbc_tests::configurations::Machine;
use tlbc_tests::requests::{TAG, env, level, powerpc};

const LEVELS: [&str; 4] = ["pte", "pmd", "pud", "pgd"];

/// The agents whose entries are invalidated: the CPU that flushes, all CPUs, devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Cpu,
    Others,
    Device,
}

/// Returns whether an instruction reaches the TLB of an agent, or its ERAT.
fn is_reached(at: Where, agent: Agent, erat: bool) -> bool {
    match (at, agent) {
        (Where::Core, Agent::Cpu) => !erat,
        (Where::Erat, Agent::Cpu) => erat,
        (Where::All { cpus, .. }, Agent::Cpu | Agent::Others) => cpus,
        (Where::All { nest, .. }, Agent::Device) => nest,
        _ => false,
    }
}

/// A request.
#[derive(Debug)]
struct Case {
    cpu: Cpu,
    space: Space,
    leaf: Vec<(usize, Range<u128>)>,
    unlinked: Vec<(usize, Range<u128>)>,
    live: bool,
}

impl Case {
    fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::new();
        let model = &powerpc().model;
        let extent = |range: &Range<u128>| {
            let start = u64::try_from(range.start).expect("an address");
            let bytes = u64::try_from(range.end - range.start).expect("a length");
            Extent::new(start, bytes)
        };
        for (at, range) in &self.leaf {
            ranges.leaf(level(model, LEVELS[*at]), extent(range));
        }
        for (at, range) in &self.unlinked {
            ranges.walk(level(model, LEVELS[*at]), extent(range));
        }
        if self.live {
            ranges.subtree();
        }
        ranges
    }

    fn run(&self, config: Config, reach: Reach) -> [Effects; 2] {
        let arch = powerpc();
        let ranges = self.ranges();
        let machine = Machine {
            config,
            limits: Vec::new(),
        };
        let mut env = env(machine, true, ranges);
        if self.space == Space::Kernel {
            env.tag.value = 0;
        }
        let shape = match ranges.scope(&arch.model.level_table(config)) {
            Scope::Page { va, level, .. } => {
                env.page = (va, level);
                Shape::Page(self.space, reach)
            }
            _ => Shape::Ranges(self.space, reach),
        };
        flush(&arch.model, &arch.plans, shape, &env)
    }

    /// Returns the dropped entries with their positions, and the positions of the instructions that complete earlier ones on
    /// all CPUs, or on this core.
    fn issued(&self, effects: &[Effects; 2]) -> (Vec<(usize, Drop)>, Vec<usize>, Vec<usize>) {
        let model = &powerpc().model;
        let ops: Vec<&Op> = effects.iter().flat_map(|e| &e.ops).collect();
        let barrier = |names: &[&str]| {
            let all = ops.iter().enumerate().filter(|(_, op)| match op.which {
                Which::Barrier(i) => names.contains(&model.barriers[i].named.name.as_str()),
                _ => false,
            });
            all.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let drops = ops.iter().enumerate();
        let drops = drops.filter_map(|(at, op)| Some((at, self.cpu.read(op)?)));
        let local = if self.cpu.has("isa31") {
            &["ptesync_cpabort"][..]
        } else {
            &["ptesync", "tlbsync"]
        };
        (drops.collect(), barrier(&["tlbsync"]), barrier(local))
    }

    fn pid(&self) -> u64 {
        match self.space {
            Space::User => TAG,
            Space::Kernel => 0,
        }
    }

    /// Returns whether these name all leaf entries of a range.
    fn covered(&self, shift: u32, range: &Range<u128>, places: &[&Place]) -> bool {
        let sets = places.iter().filter_map(|place| match place {
            Place::Set(set) => Some(*set),
            _ => None,
        });
        let mut sets: Vec<u64> = sets.collect();
        sets.sort_unstable();
        sets.dedup();
        if places.contains(&&Place::Everything) || sets.len() as u64 == self.cpu.sets() {
            return true;
        }
        let hits = places.iter().filter_map(|place| match place {
            Place::Sized(of, range) if of.contains(&shift) => Some(within(range, shift)),
            _ => None,
        });
        let hits: Vec<Range<u128>> = hits.collect();
        joined(&rounded(range, shift), hits.iter().collect())
    }

    /// Checks that one agent loses all entries of the request.
    fn check(&self, effects: &[Effects; 2], agent: Agent) {
        let (drops, syncs, locals) = self.issued(effects);
        let done = |drop: &Drop, at: usize, by: usize| match drop.at {
            Where::All { .. } if !self.cpu.has("gtse") => at < by,
            Where::All { .. } => syncs.iter().any(|sync| at < *sync && *sync < by),
            Where::Core | Where::Erat => locals.iter().any(|sync| at < *sync && *sync < by),
        };
        let own = |drop: &Drop| drop.pid.is_none_or(|pid| pid == self.pid());
        let mine = |erat: bool| {
            let all = drops
                .iter()
                .filter(move |(_, drop)| is_reached(drop.at, agent, erat));
            all.filter(|(_, drop)| own(drop)).collect::<Vec<_>>()
        };
        let end = usize::MAX;
        // Walk entries: of the PID, or not at all, and complete.
        let walks: Vec<usize> = mine(false)
            .iter()
            .filter(|(at, drop)| drop.walk && done(drop, *at, end))
            .map(|(at, _)| *at)
            .collect();
        for (level, range) in &self.unlinked {
            let all = mine(false);
            let named = all.iter().filter(|(at, _)| walks.contains(at));
            let named: Vec<&Place> = named.map(|(_, drop)| &drop.place).collect();
            assert!(
                touched(range, self.cpu.shift(*level), &named),
                "{agent:?} keeps walk entries of {range:x?}: {named:x?}"
            );
        }
        let refills = self.live && !self.unlinked.is_empty();
        let walk_done = |by: usize| {
            mine(false)
                .iter()
                .any(|(at, drop)| drop.walk && (*at == by || done(drop, *at, by)))
        };
        // Sets come after the first, which has the walk entries.
        let stays_gone = |at: usize, drop: &Drop| {
            let set = matches!(drop.place, Place::Set(_));
            !refills || walk_done(at) || set && walks.first().is_some_and(|walk| *walk < at)
        };
        // The hypervisor is responsible for the state after its call.
        let weak = self.cpu.suffers("p9_nest") && self.cpu.has("gtse");
        let nest = |drop: &Drop| {
            let by_pid = drop.place == Place::Everything && !drop.walk;
            agent != Agent::Device || !by_pid || !weak
        };
        let mut last_tlb = 0;
        for (at, range) in &self.leaf {
            let shift = self.cpu.shift(*at);
            let tlb = mine(false);
            let tlb = tlb
                .iter()
                .filter(|(i, drop)| drop.leaf && stays_gone(*i, drop) && done(drop, *i, end))
                .filter(|(_, drop)| nest(drop));
            let places: Vec<&Place> = tlb.clone().map(|(_, drop)| &drop.place).collect();
            assert!(
                self.covered(shift, range, &places),
                "{agent:?}'s TLB keeps {at} {range:x?}"
            );
            let local = tlb.filter(|(_, drop)| drop.at == Where::Core);
            last_tlb = local.map(|(i, _)| *i).fold(last_tlb, usize::max);
            // The ERAT is made from the TLB.
            let erat = mine(true);
            let erat = erat.iter().filter(|(i, drop)| {
                let after = drop.at == Where::Erat;
                drop.leaf && (!after || locals.iter().any(|sync| last_tlb < *sync && sync < i))
            });
            let places: Vec<&Place> = erat.map(|(_, drop)| &drop.place).collect();
            let device = agent == Agent::Device;
            assert!(
                device || self.covered(shift, range, &places),
                "{agent:?}'s ERAT keeps {at} {range:x?}"
            );
        }
    }

    /// Checks that no address outside of the request is named, except by workarounds.
    fn names_no_more(&self, effects: &[Effects; 2]) {
        let workarounds = self.cpu.suffers("p9_erat") || self.cpu.suffers("p9_stq");
        let (drops, ..) = self.issued(effects);
        for (_, drop) in &drops {
            let Place::Sized(shifts, named) = &drop.place else {
                continue;
            };
            let asked = if drop.leaf {
                &self.leaf
            } else {
                &self.unlinked
            };
            let asked = asked.iter().filter_map(|(at, range)| {
                let shift = self.cpu.shift(*at);
                let named = !drop.leaf || shifts.contains(&shift);
                named.then(|| rounded(range, shift))
            });
            let asked: Vec<Range<u128>> = asked.collect();
            let inside = joined(named, asked.iter().collect());
            let last = named.start == 0xf_ffff_ffff_f000;
            assert!(inside || workarounds && last, "{named:x?} is named");
        }
    }

    /// Checks that everything is flushed only above the ceiling, or if a device needs both forms for a freed table.
    fn flushes_by_address_below_the_ceiling(
        &self,
        effects: &[Effects; 2],
        reach: Reach,
        devices: bool,
    ) {
        let (drops, ..) = self.issued(effects);
        let whole = drops.iter().any(|(_, drop)| {
            let place = matches!(drop.place, Place::Everything | Place::Set(_));
            drop.leaf && place && drop.at != Where::Erat && drop.pid == Some(self.pid())
        });
        let one = |(at, range): &(usize, Range<u128>)| {
            let out = rounded(range, self.cpu.shift(*at));
            (out.end - out.start) >> self.cpu.shift(*at)
        };
        let leaves: u128 = self.leaf.iter().map(one).sum();
        let all = leaves + self.unlinked.iter().map(one).sum::<u128>();
        let direct = self.cpu.has("broadcast") || !self.cpu.has("gtse");
        let most = match (self.space, reach) {
            (Space::Kernel, _) => 0,
            (_, Reach::Wide) if direct => 33,
            _ if devices => 33,
            _ => 256,
        };
        let both =
            self.cpu.has("gtse") && self.cpu.has("coprocessors") && !self.unlinked.is_empty();
        let workaround = self.cpu.suffers("p9_erat") && self.pid() == 0;
        assert!(
            !whole || all > most || both || workaround,
            "everything is flushed for {leaves} leaves"
        );
        let by_address = drops
            .iter()
            .filter(|(_, drop)| matches!(drop.place, Place::Sized(..)) && drop.at == Where::Core);
        assert!(
            by_address.count() as u128 <= most.max(1),
            "over the ceiling"
        );
    }
}

/// Returns whether each walk entry of a range contains a named address.
fn touched(range: &Range<u128>, shift: u32, places: &[&Place]) -> bool {
    let hits = places.iter().map(|place| match place {
        Place::Sized(_, named) => rounded(named, shift),
        _ => range.clone(),
    });
    let hits: Vec<Range<u128>> = hits.collect();
    joined(range, hits.iter().collect())
}

/// Returns the entries that lie in a range whole.
fn within(range: &Range<u128>, shift: u32) -> Range<u128> {
    let size = 1 << shift;
    range.start.next_multiple_of(size)..range.end >> shift << shift
}

/// Returns whether ranges together cover another.
fn joined(range: &Range<u128>, mut hits: Vec<&Range<u128>>) -> bool {
    hits.sort_by_key(|hit| hit.start);
    let end = hits.iter().fold(range.start, |at, hit| {
        if hit.start <= at { at.max(hit.end) } else { at }
    });
    end >= range.end
}

fn raw() -> impl Strategy<Value = Raw> {
    let count = prop_oneof![6 => 1u64..20, 3 => 1u64..300, 1 => 1u64..2_000_000];
    (any::<bool>(), 0u64..2000, count, 0u8..4)
}

/// Generates ranges close to each other, or at an end of the space.
fn ranges(raw: &[Raw], cpu: Cpu, anchor: u64, space: &Range<u128>) -> Vec<(usize, Range<u128>)> {
    let one = |(at, &(there, offset, count, place)): (usize, &Raw)| {
        let shift = cpu.shift(at);
        let bytes = (u128::from(count) << shift.min(30)).min((space.end - space.start) / 2);
        let start = match place {
            0 => space.end - bytes,
            1 => space.start,
            _ => {
                let at = (u128::from(anchor) % (space.end - space.start)) & !0x3fff_ffff;
                let at = space.start + at + (u128::from(offset) << cpu.page());
                at.min(space.end - bytes)
            }
        };
        there.then_some((at, start..start + bytes))
    };
    raw.iter().enumerate().filter_map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_time: 10_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers(
        config in configurations(powerpc()),
        space in spaces(),
        reach in reaches(),
        leaves in proptest::array::uniform3(raw()),
        unlinked_raw in proptest::array::uniform4(raw()),
        anchor in any::<u64>(),
        live in any::<bool>(),
    ) {
        let cpu = Cpu { config };
        let addresses = match space {
            Space::User => 0..1 << 52,
            Space::Kernel => 0xc000_0000_0000_0000..0xc010_0000_0000_0000,
        };
        let mut leaf = ranges(&leaves, cpu, anchor, &addresses);
        let unlinked: Vec<_> = ranges(&unlinked_raw, cpu, anchor, &addresses)
            .into_iter()
            .filter(|(at, _)| *at > 0)
            .collect();
        if leaf.is_empty() && unlinked.is_empty() {
            leaf = ranges(&[(true, leaves[0].1, leaves[0].2, leaves[0].3)], cpu, anchor, &addresses);
        }
        let case = Case { cpu, space, leaf, unlinked, live };
        let effects = case.run(config, reach);
        case.check(&effects, Agent::Cpu);
        case.names_no_more(&effects);
        case.flushes_by_address_below_the_ceiling(&effects, reach, cpu.has("coprocessors"));
        if space == Space::User && cpu.has("coprocessors") {
            case.check(&effects, Agent::Device);
        }
        if reach == Reach::Wide {
            let arch = powerpc();
            let machine = Machine { config, limits: Vec::new() };
            let env = env(machine, true, case.ranges());
            let flush_ipis = interpret(&arch.model, &arch.plans, Shape::IpiTargets(space), &env).flush_ipis;
            if flush_ipis.is_empty() {
                case.check(&effects, Agent::Others);
            } else {
                let device = arch.model.features.iter().position(|f| f.named.name == "coprocessors");
                let device = 1 << device.expect("a feature");
                let own = Config { features: config.features & !device, ..config };
                let effects = case.run(own, Reach::Here);
                case.check(&effects, Agent::Cpu);
                case.flushes_by_address_below_the_ceiling(&effects, Reach::Here, false);
            }
        }
    }
}
