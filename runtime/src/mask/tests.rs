use super::*;

#[test]
fn a_set_holds_the_cpus_that_were_added() {
    let mut set = CpuSet::<2>::NONE;
    for cpu in [0, 63, 64, 127] {
        set.insert(CpuId(cpu));
    }
    set.insert(CpuId(128)); // beyond the capacity
    assert!(set.iter().map(|cpu| cpu.0).eq([0, 63, 64, 127]));
    assert_eq!(set.count(), 4);
    set.remove(CpuId(64));
    assert!(!set.contains(CpuId(64)) && set.contains(CpuId(63)));
    set.retain(|cpu| cpu.0 != 127);
    assert!(set.iter().map(|cpu| cpu.0).eq([0, 63]));
    let mut more = CpuSet::<2>::NONE;
    more.insert(CpuId(100));
    set.extend(&more);
    assert!(set.iter().map(|cpu| cpu.0).eq([0, 63, 100]));
    set.retain(|cpu| cpu.0 < 64);
    let mut same = CpuSet::<2>::NONE;
    same.insert(CpuId(0));
    same.insert(CpuId(63));
    assert!(set == same && !set.is_empty());
    assert!(set != more);
    set.retain(|_| false);
    assert!(set.is_empty() && set == CpuSet::NONE);
    let shared = no_cpus::<SharedCpuSet<2>>();
    shared.insert(CpuId(70), Barrier::Post);
    assert!(shared.contains(CpuId(70), Barrier::Receive));
    assert!(shared.iter(128, Barrier::Receive).eq([CpuId(70)]));
    assert!(shared.iter(64, Barrier::Receive).next().is_none());
    assert!(!shared.has_others(CpuId(70), 128, Barrier::Receive));
    assert!(!shared.has_others(CpuId(6), 64, Barrier::Receive));
    assert!(shared.has_others(CpuId(6), 128, Barrier::Receive));
    shared.remove(CpuId(70), Barrier::Acknowledge);
    assert!(shared.iter(128, Barrier::Receive).next().is_none());
}

/// A set that implements only what has no default.
#[derive(Clone)]
struct Plain(CpuSet<2>);

struct SharedPlain(SharedCpuSet<2>);

impl CpuMask for Plain {
    const CAPACITY: usize = CpuSet::<2>::CAPACITY;
    const NONE: Self = Self(CpuSet::NONE);
    type Shared = SharedPlain;

    fn insert(&mut self, cpu: CpuId) {
        self.0.insert(cpu);
    }

    fn remove(&mut self, cpu: CpuId) {
        self.0.remove(cpu);
    }

    fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    fn contains(&self, cpu: CpuId) -> bool {
        self.0.contains(cpu)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = CpuId> {
        self.0.iter()
    }
}

impl SharedCpuMask for SharedPlain {
    type Set = Plain;

    #[cfg(not(loom))]
    const NONE: Self = Self(SharedCpuSet::NONE);

    #[cfg(loom)]
    fn none() -> Self {
        Self(SharedCpuSet::none())
    }

    fn insert(&self, cpu: CpuId, barrier: Barrier) {
        self.0.insert(cpu, barrier);
    }

    fn remove(&self, cpu: CpuId, barrier: Barrier) {
        self.0.remove(cpu, barrier);
    }

    fn contains(&self, cpu: CpuId, barrier: Barrier) -> bool {
        self.0.contains(cpu, barrier)
    }

    fn iter(&self, cpus: usize, barrier: Barrier) -> impl Iterator<Item = CpuId> {
        self.0.iter(cpus, barrier)
    }
}

#[test]
fn defaults_do_what_the_sets_of_words_do() {
    let cpus = [0, 1, 63, 64, 127].map(CpuId);
    for bits in 0..1 << cpus.len() {
        let members = || (0..).zip(cpus).filter(|(nth, _)| bits & 1 << nth != 0);
        let (plain, shared) = (no_cpus::<SharedPlain>(), no_cpus::<SharedCpuSet<2>>());
        for (_, cpu) in members() {
            plain.insert(cpu, Barrier::Post);
            shared.insert(cpu, Barrier::Post);
        }
        let of = |cpu: CpuId| members().any(|(_, member)| member == cpu);
        for cpu in cpus {
            let others = members().any(|(_, member)| member != cpu);
            assert_eq!(plain.has_others(cpu, 128, Barrier::Receive), others);
            assert_eq!(shared.has_others(cpu, 128, Barrier::Receive), others);
            assert_eq!(plain.any(128, Barrier::Receive, |is| is == cpu), of(cpu));
            assert_eq!(shared.any(128, Barrier::Receive, |is| is == cpu), of(cpu));
        }
        let mut plain: Plain = set_of(plain.iter(128, Barrier::Receive));
        let mut set: CpuSet<2> = set_of(shared.iter(128, Barrier::Receive));
        assert_eq!(
            (plain.count(), set.count()),
            (members().count(), members().count())
        );
        plain.retain(|cpu| cpu.0 % 63 == 0);
        set.retain(|cpu| cpu.0 % 63 == 0);
        let kept = || members().map(|(_, cpu)| cpu).filter(|cpu| cpu.0 % 63 == 0);
        assert!(plain.iter().eq(kept()) && set.iter().eq(kept()));
    }
}
