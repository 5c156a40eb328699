//! Facts that follow from several statements of a definition.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{LazyMm, PteUpdate, TableFree};
use tlbc_runtime::pte::{self, ChangeFacts};
use tlbc_runtime::request;

use super::events::{Aspect, Event, Issued};
use super::instructions::{Drops, Instr, Source, Value};
use super::machine::{Cache, CachedKind};
use super::spaces::{Renewal, Tag};
use super::terms::{Cond, Config, Machine, Resync};
use super::{Known, Model};

impl Model {
    /// Returns whether a CPU that attaches a space waits for changes of entries that are not finished: this is
    /// stated, or the way in which an entry is changed depends on which CPUs have the space attached.
    #[must_use]
    pub fn attach_waits(&self) -> bool {
        let local = self.invalidates.iter().any(|it| {
            let mut cases = it.agents.cases.iter();
            let narrow = cases.any(|(at, _)| !at.value.covers(Agents::CPUS));
            it.writes_entry.is_some() && narrow
        });
        let depends = self.change.deferred.is_some() || local;
        self.switch.waits_for_changes.is_some() || !self.change.plain_store.value && depends
    }

    /// Returns how entries change, for the runtime.
    #[must_use]
    pub fn pte_update(&self) -> PteUpdate {
        if self.change.plain_store.value {
            return PteUpdate::Store;
        }
        PteUpdate::Instruction {
            pages_batched: self.policy.pages_batched.is_none_or(|at| at.value),
            deferrable: self.change.deferred.is_some(),
        }
    }

    /// Returns when the memory of a table is free. If nothing is stated, lockless walkers are waited for.
    #[must_use]
    pub fn table_free(&self) -> TableFree {
        if self.policy.tables_deferred.is_none_or(|at| at.value) {
            TableFree::GracePeriod
        } else {
            TableFree::AfterFlush
        }
    }

    /// Returns what keeps a space that lazy CPUs have loaded.
    #[must_use]
    pub fn lazy_mm(&self) -> LazyMm {
        if self.policy.lazy_refcounted.is_none_or(|at| at.value) {
            LazyMm::Refcounted
        } else {
            LazyMm::Shootdown
        }
    }

    /// Returns whether code that uses the entries of a space may fault on stale ones, which the fault handler then flushes.
    #[must_use]
    pub fn may_fault(&self, space: request::Space) -> bool {
        space == request::Space::User || self.policy.kernel_faults_fixed.is_some()
    }

    /// Returns the features that each space has for itself, one bit each.
    #[must_use]
    pub fn features_of_space(&self) -> u32 {
        let features = self.features.iter().enumerate();
        let of_space = features.filter(|(_, feature)| feature.known == Known::Space);
        of_space.fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Returns the facts about changes of table entries that the runtime uses.
    #[must_use]
    pub fn change_facts(&self, config: Config) -> ChangeFacts {
        let caches = &self.caches;
        // Where instructions write entries there is no invalid entry between the old one and the new one.
        let through_invalid = |aspect| {
            let mut said = self.change.in_place(aspect).iter().rev();
            let said = said.find(|(_, when)| when.holds(config));
            self.change.plain_store.value && !said.is_some_and(|(in_place, _)| *in_place)
        };
        let holds = |when: &Option<Cond>| when.as_ref().is_some_and(|when| when.holds(config));
        let stricter = caches.stricter(config);
        let shared = self.user.has_devices(config) || self.kernel.has_devices(config);
        ChangeFacts {
            walk_cached: caches.hold(CachedKind::Walk, config),
            negative: caches.negative(config),
            stricter: stricter.how,
            devices_stay_strict: stricter.cpus_only && shared,
            output_through_invalid: through_invalid(Aspect::Output),
            size_through_invalid: through_invalid(Aspect::Size),
            attributes_through_invalid: through_invalid(Aspect::Attributes),
            rights_through_invalid: through_invalid(Aspect::Rights),
            cleared_may_stay: if holds(&caches.accessed_may_stay) {
                pte::Marks::ACCESSED
            } else {
                pte::Marks::NONE
            },
            clean_to_dirty_walks: holds(&caches.clean_to_dirty_walks),
        }
    }

    /// Iterates over the caches from which a clause drops entries: those that it names, or those that hold entries of its
    /// kinds on some machine.
    pub fn caches_of(&self, drops: &Drops) -> impl Iterator<Item = &Cache> {
        let kinds = [
            (CachedKind::Leaf, drops.leaf.is_some()),
            (CachedKind::Walk, drops.walk.is_some()),
            (CachedKind::Root, drops.root),
            (CachedKind::Negative, drops.negative.is_some()),
        ];
        let kinds = kinds.into_iter().filter(|(_, is_dropped)| *is_dropped);
        let held = kinds.fold(CacheSet::NONE, |all, (kind, _)| {
            CacheSet(all.0 | self.caches.ever_holding(kind).0)
        });
        let of = drops.caches.unwrap_or(held);
        let caches = self.caches.all.iter().enumerate();
        let caches = caches.filter(move |(index, _)| of.0 & (1 << index) != 0);
        caches.map(|(_, cache)| cache)
    }

    /// Iterates over every `resync`, with the block in which it is stated.
    pub fn resyncs(&self) -> impl Iterator<Item = (&'static str, &Resync)> {
        let blocks = [
            ("switch", &self.switch.resync),
            ("return_to_user", &self.return_to_user.resync),
            ("cpu_online", &self.cpu_online.resync),
            ("space user", &self.user.resync),
            ("space kernel", &self.kernel.resync),
        ];
        let stated = blocks.into_iter();
        stated.filter_map(|(block, resync)| Some((block, resync.as_ref()?)))
    }

    /// Returns whether a CPU comes online with nothing cached.
    #[must_use]
    pub fn online_clean(&self, machine: impl Machine) -> bool {
        let unknown = self.cpu_online.contents_unknown.as_ref();
        unknown.is_some_and(|when| !when.value.holds(machine))
    }

    /// Returns the tags whose values are all given out anew at once, at a rollover.
    pub fn tags_with_generations(&self, machine: impl Machine) -> impl Iterator<Item = &Tag> {
        let tags = self.tags.iter();
        tags.filter(move |tag| tag.when.holds(machine) && tag.has_generations())
    }

    /// Returns how a user space that is loaded gets a new tag in place of a flush, if it may.
    #[must_use]
    pub fn renewal(&self, machine: impl Machine) -> Option<Renewal> {
        let mut tags = self.tags.iter().filter(|tag| tag.when.holds(machine));
        tags.find_map(|tag| Some(tag.renewal?.value))
    }

    /// Returns whether a switch may need a flush of everything under every tag: a CPU whose caches start empty needs
    /// none, unless all tags are given out anew at once.
    #[must_use]
    pub fn switch_flushes_every_tag(&self, machine: impl Machine) -> bool {
        !self.online_clean(machine) || self.tags_with_generations(machine).next().is_some()
    }

    /// Returns whether a switch invalidates everything of user spaces after its loads.
    #[must_use]
    pub fn switch_flushes(&self, machine: impl Machine) -> bool {
        let flushes = self.switch.flushes.as_ref();
        flushes.is_some_and(|at| at.value.holds(machine))
    }

    /// Returns whether an event loads root and tag one after the other: a walk in between would fill entries of one
    /// space under the tag of another, so an empty root is loaded first. Where software fills entries there is no walk
    /// in between, because the kernel accesses no address of a user space then.
    #[must_use]
    pub fn is_half_loaded(&self, event: &Event, machine: impl Machine) -> bool {
        let here = event.loads.iter().filter(|loads| loads.when.holds(machine));
        let loads: Vec<usize> = here.flat_map(|loads| loads.loads.clone()).collect();
        let carries = |load: usize, source| self.carries(load, source, machine);
        let has = |source| loads.iter().any(|load| carries(*load, source));
        let whole = |load: &usize| carries(*load, Source::Root) && carries(*load, Source::Tag);
        let stated = event.half_loaded_unsafe.is_some() && loads.len() > 1;
        let apart = has(Source::Root) && has(Source::Tag) && !loads.iter().any(whole);
        stated || apart && self.caches.fill_while_loaded(machine)
    }

    /// Returns whether user code runs on a top table of its own, which the return to user code loads.
    #[must_use]
    pub fn has_user_root(&self, machine: impl Machine) -> bool {
        let here = self.return_to_user.loads.iter();
        let here = here.filter(|loads| loads.when.holds(machine));
        let mut loads = here.flat_map(|loads| &loads.loads);
        loads.any(|load| self.carries(*load, Source::Root, machine))
    }

    /// Returns whether operands of a load have fields with bits of a source.
    fn carries(&self, load: usize, source: Source, machine: impl Machine) -> bool {
        let operands = self.loads[load].template.operands.iter();
        let mut fields = operands.flat_map(|&operand| &self.operands[operand].fields);
        fields.any(|field| field.value.source() == Some(source) && field.when.holds(machine))
    }

    /// Returns whether the tag of a space is read again after the change is visible: this is stated, or the tag may
    /// change at any time. The latter does not count where an atomic that orders everything publishes the change,
    /// because it is then visible before the first read.
    #[must_use]
    pub fn reads_tag_after_publish(&self) -> bool {
        let visible_before = self.assumed.is_some() && self.atomics_order.is_some();
        self.tags.iter().any(|tag| {
            let changes = tag.has_generations() && !tag.per_cpu.value && !visible_before;
            tag.read_after_publish.is_some() || changes
        })
    }

    /// Returns whether an instruction of a workaround needs an address or a level that the workaround does not state.
    #[must_use]
    pub fn names_address(&self, issued: &Issued) -> bool {
        let Instr::Invalidate(invalidate) = issued.instr else {
            return false;
        };
        let operands = &self.invalidates[invalidate].template.operands;
        let mut fields = operands.iter().flat_map(|&o| &self.operands[o].fields);
        let set = |source| issued.with.iter().any(|(of, _)| *of == source);
        fields.any(|field| match field.value {
            Value::Source(s) | Value::Slice(s, ..) | Value::PageNumber(s) => {
                matches!(s, Source::Va | Source::End | Source::Bytes) && !set(s)
            }
            Value::LevelAs(_) => issued.level.is_none(),
            Value::Const(_) => false,
        })
    }

    /// Turns on one feature after the other, unless the machine would become impossible.
    #[must_use]
    pub fn with_all_features(&self, mut config: Config) -> Config {
        // A feature may need one that is defined after it, so there are as many rounds as features.
        for _ in &self.features {
            for feature in 0..self.features.len() {
                let features = config.features | 1 << feature;
                let more = Config { features, ..config };
                if self.possible(more) {
                    config = more;
                }
            }
        }
        config
    }

    /// Iterates over the tags that exist in a configuration.
    pub fn tags(&self, config: Config) -> impl Iterator<Item = &Tag> + Clone {
        self.tags.iter().filter(move |tag| tag.when.holds(config))
    }

    /// Returns the bits of a tag that select the view; they are 0 in the tag of a space.
    #[must_use]
    pub fn view_bits(&self, config: impl Machine) -> u64 {
        let views = self.user.views.iter();
        let views = views.filter(|view| view.when.holds(config));
        views.fold(0, |bits, view| bits | view.or)
    }
}
