//! The backend of all toys.

use std::marker::PhantomData;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{LazyMm, PteUpdate, TableFree};
use tlbc_runtime::level::LEVELS;
use tlbc_runtime::pte::{
    Change, ChangeFacts, Changed, Entry, Marks, Negative, Owner, Slot, Stricter, Was,
};
use tlbc_runtime::request::{LevelFacts, LevelTable, Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, Ceiling, Deferred, Facts, Finished, IpiTargets, Issue, Level, Outcome, Pending, Root,
    Shootdown, SpaceFlags, Started, TagSource, Tags,
};

use super::{ToyKind, VIEW};
use crate::machine::SharedMachine;
use crate::memory::Stores;
use crate::op::{InvalidatedEntries, Kept, Op, Where};

/// A backend of the kind `K`.
#[derive(Debug)]
pub struct Toy<K> {
    machine: SharedMachine,
    kind: PhantomData<K>,
}

const LEVEL_TABLE: LevelTable = {
    let mut levels = [LevelFacts::NONE; LEVELS];
    levels[0] = LevelFacts::leaf(PAGE_SHIFT);
    levels[1] = LevelFacts::table(PAGE_SHIFT + 1);
    levels
};

/// The space flag of a space whose tables are shared by a device that instructions reach.
pub const DEVICE: SpaceFlags = SpaceFlags(1);

/// log2 of the size of a page in bytes.
pub const PAGE_SHIFT: u32 = 12;

impl<K: ToyKind> Toy<K> {
    /// Creates a backend for a machine.
    #[must_use]
    pub fn new(machine: &SharedMachine) -> Self {
        Self {
            machine: machine.clone(),
            kind: PhantomData,
        }
    }

    /// Returns what walkers see of stores on a machine of this kind.
    #[must_use]
    pub fn stores() -> Stores {
        if K::WRITES || !K::PUBLISHES {
            Stores::AsLoaded
        } else {
            Stores::Published
        }
    }

    /// The part of a flush of the kernel's view that is deferred.
    const VIEW_DEFERRED: Deferred = if K::VIEWS {
        Deferred::VIEW_UNTIL_RETURN
    } else {
        Deferred::NOTHING
    };

    const TAGGED: bool = K::TAGS.per_cpu.is_some() || K::TAGS.global.is_some();

    /// Stores an entry in the machine's memory.
    fn store_in_machine(&self, slot: &Slot<'_>, change: &Change) {
        let (table, index) = (slot.table as usize, usize::from(slot.index));
        self.machine.store(table, index, change.new_bits);
    }

    fn drop_named(cpu: &mut impl Issue<Op>, request: &Request<'_>, at: Where) {
        let tag = (request.space == Space::User).then_some(request.tag.value);
        let mut drop = |page, walks| {
            let tag = tag.filter(|_| Self::TAGGED);
            cpu.issue(
                if K::KERNEL_UNDER_LOADED && request.space == Space::Kernel {
                    Op::InvalidateLoaded { page, walks }
                } else {
                    Op::Invalidate(InvalidatedEntries { tag, page, walks }, at)
                },
            );
        };
        match request.scope {
            Scope::Page { va, table, .. } => drop(Some(va >> PAGE_SHIFT), table),
            // There is no operation by page: a toy invalidates the tag.
            _ => drop(None, request.tables()),
        }
    }
}

impl<K: ToyKind> Backend for Toy<K> {
    type Op = Op;

    const SENDER_ONLY: SpaceFlags = DEVICE;

    const FACTS: Facts = Facts {
        name: "toy",
        shootdown: if K::INTERRUPTS {
            Shootdown::Ipi
        } else {
            Shootdown::Broadcast
        },
        pte_update: if K::WRITES {
            PteUpdate::Instruction {
                pages_batched: false,
                deferrable: K::DEFERS,
            }
        } else {
            PteUpdate::Store
        },
        table_free: TableFree::GracePeriod,
        lazy_mm: if K::LAZY_REFCOUNTED {
            LazyMm::Refcounted
        } else {
            LazyMm::Shootdown
        },
        interrupts_off: K::INTERRUPTS_OFF,
        tag_after_publish: matches!(K::TAGS.global, Some((_, TagSource::Generations))),
        one_at_a_time: false,
        attach_waits_for_changes: K::WRITES,
        kernel_faults_fixed: false,
        atomics_order_everything: false,
    };

    fn levels(&self) -> &'static LevelTable {
        &LEVEL_TABLE
    }

    fn ceiling(&self, _: Space, _: Reach) -> Ceiling {
        Ceiling {
            operations: u64::MAX,
            pages: u64::MAX,
        }
    }

    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        ChangeFacts {
            walk_cached: true,
            negative: Negative::Never,
            stricter: Stricter::DroppedByFault,
            devices_stay_strict: flags.and(DEVICE) != SpaceFlags::NONE,
            output_through_invalid: true,
            size_through_invalid: true,
            attributes_through_invalid: true,
            rights_through_invalid: false,
            cleared_may_stay: Marks::NONE,
            clean_to_dirty_walks: true,
        }
    }

    /// The tables are in the machine's memory. This also updates the entry that the runtime sees.
    fn store(&self, slot: &Slot<'_>, change: &Change, flags: SpaceFlags) -> Changed {
        let was = slot.exchange(change.new_bits);
        self.store_in_machine(slot, change);
        Changed {
            was,
            required: change.required_flush(&self.change_facts(flags)),
            deferred: Deferred::NOTHING,
        }
    }

    fn store_if(
        &self,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
        flags: SpaceFlags,
    ) -> Option<Changed> {
        if !slot.compare_exchange(seen, change.new_bits) {
            return None;
        }
        self.store_in_machine(slot, change);
        Some(Changed {
            was: seen,
            required: change.required_flush(&self.change_facts(flags)),
            deferred: Deferred::NOTHING,
        })
    }

    fn change(
        &self,
        cpu: &mut impl Issue<Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        if matches!(change.old, Entry::Invalid) {
            return self.store(slot, change, owner.flags);
        }
        let facts = self.change_facts(owner.flags);
        let mut changed = Changed {
            was: slot.exchange(change.new_bits),
            required: change.left_over(&facts, owner.space),
            deferred: Deferred::NOTHING,
        };
        if K::DEFERS && owner.may_defer {
            self.store_in_machine(slot, change);
            changed.deferred = Deferred::SPACE_UNTIL_ATTACH;
        } else {
            cpu.issue(Op::Write {
                table: slot.table as usize,
                index: usize::from(slot.index),
                bits: change.new_bits,
                target: InvalidatedEntries {
                    tag: Some(owner.tag.value),
                    page: Some(slot.va >> PAGE_SHIFT),
                    walks: change.level != Level(0),
                },
                at: match owner.reach {
                    Reach::Here => Where::Here,
                    Reach::Wide | Reach::Given => Where::EverywhereAtOnce,
                },
            });
        }
        changed
    }

    fn publish(&self, cpu: &mut impl Issue<Op>, _: Space) {
        if K::PUBLISHES {
            cpu.issue(Op::Publish);
        }
    }

    fn tags(&self) -> Tags {
        K::TAGS
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        if !K::INTERRUPTS || request.reach != Reach::Wide {
            return IpiTargets::NONE;
        }
        let mut agents = Agents::ACTIVE;
        if request.tables() || request.space == Space::Kernel {
            agents = agents.union(Agents::LAZY);
        }
        if K::TAGS.global.is_some() && matches!(request.scope, Scope::Teardown) {
            agents = agents.union(Agents::INACTIVE);
        }
        IpiTargets {
            agents,
            by_call: K::CALLS_REACH != 0,
            ..IpiTargets::NONE
        }
    }

    fn start(&self, cpu: &mut impl Issue<Op>, request: &Request<'_>) -> Started {
        let at = if K::INTERRUPTS || request.reach == Reach::Here {
            Where::Here
        } else {
            Where::Everywhere
        };
        if K::PUBLISHES && !request.published {
            cpu.issue(Op::Publish);
        }
        Self::drop_named(cpu, request, at);
        if K::INTERRUPTS && request.flags.and(DEVICE) != SpaceFlags::NONE {
            cpu.issue(Op::InvalidateDevices);
        }
        Started::new(request, self.ipi_targets(request), Outcome::NOTHING)
    }

    fn finish(&self, cpu: &mut impl Issue<Op>, started: Started) -> Finished {
        if !K::INTERRUPTS {
            cpu.issue(Op::Complete);
        }
        Finished {
            sync_ipis: IpiTargets::NONE,
            deferred: if K::KERNEL_UNDER_LOADED && started.space == Space::Kernel {
                Deferred::OTHERS_UNTIL_LOAD
            } else {
                Self::VIEW_DEFERRED
            },
        }
    }

    fn switch(&self, cpu: &mut impl Issue<Op>, to: &Root, pending: Pending) -> Deferred {
        let tag = if Self::TAGGED { to.tag.value } else { 0 };
        let mut drop = |target| cpu.issue(Op::Invalidate(target, Where::Here));
        let by_load = if Self::TAGGED {
            Kept::All
        } else {
            Kept::OtherTags
        };
        let kept = match pending {
            Pending::None => by_load,
            // The flush comes before the load: this CPU may still fill under the tag that is loaded.
            Pending::Tag if Self::TAGGED => {
                let tag = Some(tag);
                drop(InvalidatedEntries {
                    tag,
                    ..InvalidatedEntries::ALL
                });
                by_load
            }
            Pending::Tag => Kept::OtherTags,
            Pending::All => {
                drop(InvalidatedEntries::ALL);
                by_load
            }
        };
        cpu.issue(Op::Load {
            root: to.table as usize,
            tag,
            kept,
        });
        if pending == Pending::None {
            Deferred::NOTHING
        } else {
            Self::VIEW_DEFERRED
        }
    }

    fn enter_from_user(&self, cpu: &mut impl Issue<Op>, to: &Root) {
        if K::VIEWS {
            cpu.issue(Op::Load {
                root: to.table as usize,
                tag: to.tag.value,
                kept: Kept::All,
            });
        }
    }

    fn return_to_user(&self, cpu: &mut impl Issue<Op>, to: &Root, deferred: bool) {
        if K::VIEWS {
            let tag = to.tag.value | VIEW;
            if deferred {
                let tag = Some(tag);
                let target = InvalidatedEntries {
                    tag,
                    ..InvalidatedEntries::ALL
                };
                cpu.issue(Op::Invalidate(target, Where::Here));
            }
            cpu.issue(Op::Load {
                root: to.table as usize,
                tag,
                kept: Kept::All,
            });
        }
    }

    fn cpu_online(&self, cpu: &mut impl Issue<Op>) -> Deferred {
        if K::KERNEL_UNDER_LOADED {
            let (page, walks) = (None, true);
            cpu.issue(Op::InvalidateLoaded { page, walks });
            return Deferred::OTHERS_UNTIL_LOAD;
        }
        cpu.issue(Op::Invalidate(InvalidatedEntries::ALL, Where::Here));
        Deferred::NOTHING
    }
}
