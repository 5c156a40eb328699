//! Agents: the CPUs and devices that may cache entries, in classes by their relation to a space.

use core::fmt;

/// A set of classes of agents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Agents(pub u8);

impl Agents {
    /// How many classes there are.
    pub const CLASSES: usize = 7;
    /// No agent.
    pub const NONE: Self = Self(0);
    /// This CPU.
    pub const SELF: Self = Self(1);
    /// CPUs that share this one's TLB.
    pub const SIBLING: Self = Self(1 << 1);
    /// Other CPUs that run the space.
    pub const ACTIVE: Self = Self(1 << 2);
    /// Other CPUs that have its root loaded without using it: they walk and fill by speculation.
    pub const LAZY: Self = Self(1 << 3);
    /// CPUs with tagged entries that they cannot use before they load the space again.
    pub const INACTIVE: Self = Self(1 << 4);
    /// CPUs outside the domain that broadcasts reach.
    pub const OUTSIDE: Self = Self(1 << 5);
    /// Devices that walk the same tables.
    pub const DEVICE: Self = Self(1 << 6);
    /// This CPU and those that share its TLB.
    pub const CORE: Self = Self(Self::SELF.0 | Self::SIBLING.0);
    /// Every other CPU of the domain that does not share this one's TLB.
    pub const OTHERS: Self = Self(Self::ACTIVE.0 | Self::LAZY.0 | Self::INACTIVE.0);
    /// Every CPU of the domain.
    pub const CPUS: Self = Self(Self::CORE.0 | Self::OTHERS.0);

    /// Returns the classes in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the classes in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the classes of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether all classes of `other` are in this set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Returns whether no class is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the classes by their index.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::CLASSES).filter(move |class| self.0 & (1 << class) != 0)
    }

    /// Returns the name of a class.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub const fn name(class: usize) -> &'static str {
        const NAMES: [&str; Agents::CLASSES] = [
            "this CPU",
            "CPUs that share its TLB",
            "active CPUs",
            "lazy CPUs",
            "inactive CPUs",
            "CPUs outside the domain",
            "devices",
        ];
        NAMES[class]
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Self::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn a_set_is_its_classes() {
        let sets = || (0..1 << Agents::CLASSES).map(Agents);
        let classes = |set: Agents| set.iter().collect::<BTreeSet<usize>>();
        for a in sets() {
            let of_a = classes(a);
            assert_eq!(a.0, of_a.iter().map(|class| 1 << class).sum());
            assert_eq!(a.is_empty(), of_a.is_empty());
            for b in sets() {
                let of_b = classes(b);
                assert_eq!(classes(a.union(b)), &of_a | &of_b);
                assert_eq!(classes(a.and(b)), &of_a & &of_b);
                assert_eq!(classes(a.without(b)), &of_a - &of_b);
                assert_eq!(a.covers(b), of_b.is_subset(&of_a));
            }
        }
    }

    #[test]
    fn each_class_has_a_name_and_a_place() {
        let each = [
            (Agents::SELF, "this CPU"),
            (Agents::SIBLING, "CPUs that share its TLB"),
            (Agents::ACTIVE, "active CPUs"),
            (Agents::LAZY, "lazy CPUs"),
            (Agents::INACTIVE, "inactive CPUs"),
            (Agents::OUTSIDE, "CPUs outside the domain"),
            (Agents::DEVICE, "devices"),
        ];
        for (set, name) in each {
            assert_eq!(format!("{set:?}"), format!("{{{name:?}}}"));
        }
        let union = |sets: &[Agents]| sets.iter().fold(Agents::NONE, |all, set| all.union(*set));
        let all: Vec<Agents> = each.map(|(set, _)| set).to_vec();
        assert_eq!(Agents::CORE, union(&all[..2]));
        assert_eq!(Agents::OTHERS, union(&all[2..5]));
        assert_eq!(Agents::CPUS, union(&all[..5]));
    }
}
