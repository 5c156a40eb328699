//! Shootdown: who is told of a change, and how.
//!
//! Two sets matter. The *holders* of a space may have entries of it; the CPUs that have it *loaded* can use and make
//! them. What a holder has that does not have it loaded it can only use after loading it: that is a debt, which
//! its [`Book`](crate::debts::Book) knows. The protocols are a pair:
//!
//! | switch side ([`switch`](crate::Mmu::switch)) | flush side |
//! |---|---|
//! | say "switching" | change the entries |
//! | be a holder | raise the generation |
//! | [`Barrier::SwitchIn`] | [`Barrier::Flush`] |
//! | read the generation; drop what is behind | read the holders, what they have loaded, and devices |
//! | load the root, say which | interrupt those; drop here; wait |
//!
//! Of the two reads at least one sees the other side's write: so a CPU that the sender did not see drops what it
//! has before it can use it, and one that it saw is interrupted, and takes the interrupt when it has loaded the root.
//!
//! Where instructions reach every CPU nothing of this is needed: holders are not read, and generations not raised.
//!
//! A CPU that waits, for acknowledgements or for a lock of the runtime, serves what others ask of it meanwhile, and
//! so may wait with interrupts off.
//!
//! Source: Linux 71b3c126e611, where a CPU was in the set before it had loaded the root, but not ordered so; OpenBSD
//! 9f1181d59de3, where it left the set before it had left the root.

use crate::Mmu;
use crate::backend::{Backend, Delivery, Owed, Started};
use crate::clause::{Holders, Level};
use crate::cpus::{CpuId, Cpus, SharedCpus};
use crate::local::Local;
use crate::message::Message;
use crate::platform::Platform;
use crate::request::{Conditions, Reach, Request, Scope, Space};
use crate::space::{AddressSpace, SpaceId};
use crate::sync::{Barrier, full_barrier};

/// Who has to be told of a flush.
pub(crate) struct Told<S> {
    /// Others that are interrupted.
    pub others: S,
    /// Whether this CPU may have entries that it could use.
    pub here: bool,
}

// What is known of a scope where it is made is to be known where it is matched.
#[allow(clippy::inline_always)]
impl<P: Platform> Mmu<P> {
    /// The facts of the backend.
    pub(crate) const FACTS: crate::Facts = <P::Backend as Backend>::FACTS;

    /// Whether interrupts are off where others are flushed: the backend wants it, or others may ask something of
    /// this CPU meanwhile.
    pub(crate) const INTERRUPTS_OFF: bool = Self::FACTS.interrupts_off
        || Self::FACTS.one_at_a_time
        || !matches!(Self::FACTS.delivery, Delivery::Broadcast);

    /// Flushes what a scope names of a space, everywhere, and returns when nobody can use it any more.
    #[inline(never)]
    pub(crate) fn flush(&self, space: &AddressSpace<P>, scope: Scope<'_>, why: Why) {
        self.flush_what(space, || scope, why);
    }

    /// The same of one leaf entry. It has a function of its own, in which nothing is left to be decided of the scope, and,
    /// where nobody is interrupted, no call.
    #[inline(never)]
    pub(crate) fn flush_page(&self, space: &AddressSpace<P>, va: u64, level: Level, why: Why) {
        let scope = || Scope::Page {
            va,
            level,
            table: false,
        };
        self.flush_what(space, scope, why);
    }

    /// `scope` is a closure, so that what runs pinned is another function for each.
    #[inline(always)]
    fn flush_what<'s>(&self, space: &AddressSpace<P>, scope: impl Fn() -> Scope<'s>, why: Why) {
        self.platform.pinned(Self::INTERRUPTS_OFF, |cpu| {
            let here = self.platform.local(cpu);
            match why {
                Why::Changed => {}
                Why::Asked => here.counters.full_asked.count(1),
                Why::Nested => here.counters.full_nested.count(1),
                Why::Debt => here.counters.full_debt.count(1),
            }
            self.alone(cpu, || self.flush_here(cpu, here, space, scope()));
        });
    }

    /// Runs as the only one who flushes, where the machine bears no second.
    pub(crate) fn alone<R>(&self, cpu: CpuId, run: impl FnOnce() -> R) -> R {
        if Self::FACTS.one_at_a_time {
            self.one_at_a_time.with(|| self.serve(cpu), run)
        } else {
            run()
        }
    }

    #[inline(always)]
    fn flush_here(&self, cpu: CpuId, here: &Local<P>, space: &AddressSpace<P>, scope: Scope<'_>) {
        // CPUs that remember how far they have followed are not all interrupted.
        let generation = if space.lines > 0 {
            space.ledger.raise()
        } else {
            0
        };
        full_barrier(Barrier::Flush);
        let mut request = self.request(here, space, scope);
        let audience = self.platform.backend().audience(&request);
        let told = if audience.holders.is_empty() {
            // Instructions reach everybody. That this CPU alone holds entries can be relied on only where no other
            // attaches the space meanwhile.
            if Self::FACTS.attach_waits_for_changes && self.is_only_holder(cpu, space) {
                request.reach = Reach::Here;
            }
            here.counters.broadcast.count(1);
            Told {
                others: P::Set::none(),
                here: false,
            }
        } else {
            let told = self.told(cpu, space, audience.holders);
            let devices = request.conditions.and(P::Backend::SENDER_ONLY);
            if !told.here && devices == Conditions::NONE {
                // Nothing here could be used before it is dropped anyway: others are told, and nobody else.
                self.flush_elsewhere(
                    cpu,
                    (space, generation),
                    &request,
                    (told.others, audience.sets),
                );
                return;
            }
            if told.others.is_empty() {
                request.reach = Reach::Here;
                here.counters.here.count(1);
            } else {
                here.counters.interrupting.count(1);
            }
            told
        };
        self.count_size(here, &request);
        let trims = Self::begin_trimming(space, &request);
        let started = self.start(cpu, space, &mut request);
        let sets = started.deliver.sets;
        let sent = if told.others.is_empty() && sets == 0 {
            P::Set::none()
        } else {
            self.ask(cpu, (space, generation), &request, (told.others, sets))
        };
        self.tell_devices(space, &request);
        self.await_all(cpu, &sent);
        let finished = self
            .platform
            .backend()
            .finish(&mut self.platform.sink(cpu), started);
        let mut kept = self.kept(space, finished.interrupt.sets);
        if !finished.interrupt.holders.is_empty() {
            kept.extend(&self.told(cpu, space, finished.interrupt.holders).others);
        }
        if !kept.is_empty() {
            self.call(cpu, kept, &Message::Come);
        }
        if told.here {
            Self::followed(here, space, generation);
        }
        self.record(here, space, finished.owed);
        self.end_trimming(space, trims);
    }

    /// A flush that this CPU has no part in. The interrupt publishes what was changed.
    #[cold]
    #[inline(never)]
    fn flush_elsewhere(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P>, u64),
        request: &Request<'_>,
        (others, sets): (P::Set, u8),
    ) {
        let counters = &self.platform.local(cpu).counters;
        let nobody = others.is_empty() && sets == 0;
        let sent = if nobody {
            counters.nobody.count(1);
            others
        } else {
            counters.interrupting.count(1);
            self.count_size(self.platform.local(cpu), request);
            self.ask(cpu, (space, generation), request, (others, sets))
        };
        self.tell_devices(space, request);
        self.await_all(cpu, &sent);
    }

    /// Interrupts others to drop what a request names, and says whom to wait for.
    #[cold]
    #[inline(never)]
    fn ask(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P>, u64),
        request: &Request<'_>,
        (mut sent, sets): (P::Set, u8),
    ) -> P::Set {
        let message = Message::Drop {
            space: space.id,
            generation,
            request: *request,
        };
        sent.extend(&self.kept(space, sets));
        self.send(cpu, sent, &message)
    }

    /// What a flush of a scope asks for, of everybody, as this CPU names the space.
    #[inline]
    pub(crate) fn request<'s>(
        &self,
        here: &Local<P>,
        space: &AddressSpace<P>,
        scope: Scope<'s>,
    ) -> Request<'s> {
        Request {
            space: space.kind,
            tag: self.tag_of(here, space),
            reach: Reach::Wide,
            conditions: space.conditions(),
            scope,
        }
    }

    /// Starts a flush; again where the tag was read too early.
    #[inline(always)]
    pub(crate) fn start(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P>,
        request: &mut Request<'_>,
    ) -> Started {
        let backend = self.platform.backend();
        let mut sink = self.platform.sink(cpu);
        loop {
            let started = backend.start(&mut sink, request);
            if !Self::FACTS.tag_after_publish {
                return started;
            }
            // The start has published the changes: a tag that is still the same counts as read after that. Whoever
            // loads the space under another one sees the changes.
            let now = self.tag_of(self.platform.local(cpu), space);
            if now == request.tag {
                return started;
            }
            request.tag = now;
        }
    }

    /// Whom a flush interrupts, of these classes, and whether this CPU is one of those who hold something.
    #[inline]
    pub(crate) fn told(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P>,
        classes: Holders,
    ) -> Told<P::Set> {
        let mut others = if space.kind == Space::Kernel {
            let mut all = self.online.now(Barrier::Unloaded);
            all.remove(cpu);
            return Told {
                others: all,
                here: true,
            };
        } else {
            space.holders.now(Barrier::Unloaded)
        };
        let mut here = false;
        for holder in others.clone().iter() {
            let local = self.platform.local(holder);
            let loaded = local.loaded();
            let class = if loaded != space.id && loaded != SpaceId::SWITCHING {
                Holders::PARKED
            } else if loaded == space.id && local.lazy.acquire(Barrier::Unloaded) != 0 {
                Holders::LAZY
            } else {
                Holders::ACTIVE
            };
            if holder == cpu {
                here = class != Holders::PARKED || classes.covers(Holders::PARKED);
            }
            let off_line = loaded == SpaceId::NONE;
            if holder == cpu || off_line || !classes.covers(class) {
                others.remove(holder);
            }
        }
        Told { others, here }
    }

    /// The CPUs of the sets that the kernel keeps.
    pub(crate) fn kept(&self, space: &AddressSpace<P>, sets: u8) -> P::Set {
        let mut all = P::Set::none();
        for set in (0..8).filter(|set| sets & 1 << set != 0) {
            all.extend(&self.platform.named_set(set, space));
        }
        all
    }

    /// This CPU has followed a flush that it took part in, if it had followed all before.
    fn followed(here: &Local<P>, space: &AddressSpace<P>, generation: u64) {
        if let Some(line) = here.book.line(space.id, space.lines)
            && here.book.followed(line).wrapping_add(1) == generation
        {
            here.book.follow(line, generation);
        }
    }

    /// Puts what a backend owes on the books. What lazy and parked CPUs owe is there: the generation.
    #[inline]
    pub(crate) fn record(&self, here: &Local<P>, space: &AddressSpace<P>, owed: Owed) {
        if !owed.is_nothing() {
            self.put_on_books(here, space, owed);
        }
    }

    fn put_on_books(&self, here: &Local<P>, space: &AddressSpace<P>, owed: Owed) {
        if owed.contains(Owed::SPACE_UNTIL_ATTACH) {
            space.ledger.attach.owe();
            here.counters.owed.count(1);
        }
        if owed.contains(Owed::OTHERS_UNTIL_LOAD) {
            here.counters.owed.count(1);
            let loaded = SpaceId(here.loaded.mine());
            here.book
                .owe_others(here.book.line(loaded, crate::debts::REMEMBERED));
            if self.platform.backend().tags().of_machine.is_some() {
                here.book.owe_everything();
            }
        }
        if owed.contains(Owed::VIEW_UNTIL_RESUME) {
            here.counters.owed.count(1);
            match here
                .book
                .line(SpaceId(here.loaded.mine()), crate::debts::REMEMBERED)
            {
                Some(line) => here.book.owe_view(line),
                None => here.book.owe_everything(),
            }
        }
    }

    fn count_size(&self, here: &Local<P>, request: &Request<'_>) {
        let backend = self.platform.backend();
        let levels = backend.levels();
        match request.scope {
            Scope::Page { .. } => here.counters.flushed(1),
            Scope::Ranges(ranges) => {
                let (mut leaves, mut cuts, mut pages) = (0u64, 0u64, 0u64);
                for ((leaf, walk), level) in ranges.leaf.iter().zip(&ranges.walk).zip(levels) {
                    if level.shift != 0 {
                        leaves = leaves.saturating_add(leaf.entries(level.shift));
                        cuts = walk.entries(level.shift).saturating_add(cuts);
                        pages = leaf.entries(levels[0].shift).saturating_add(pages);
                    }
                }
                here.counters.flushed(leaves);
                // One instruction names one entry at least: most flushes are well below every ceiling.
                let close = [Reach::Here, Reach::Wide].into_iter().any(|reach| {
                    let ceiling = backend.ceiling(request.space, reach);
                    ceiling.is_exceeded_by(leaves.saturating_add(cuts), pages)
                });
                let gives_up = close && backend.gives_up(request);
                here.counters.full_ceiling.count(u64::from(gives_up));
            }
            Scope::Everything { .. } | Scope::Teardown => {}
        }
    }

    /// Whether this CPU, which has the space loaded, is its only holder. Whoever attaches it from now on sees what
    /// was changed before.
    fn is_only_holder(&self, cpu: CpuId, space: &AddressSpace<P>) -> bool {
        full_barrier(Barrier::Change);
        space.kind == Space::User
            && self.platform.local(cpu).loaded.mine() == space.id.0
            && space
                .holders
                .now(Barrier::Unloaded)
                .iter()
                .all(|holder| holder == cpu)
    }

    /// Before everything of a space goes where attaching waits for changes: nobody attaches it now.
    fn begin_trimming(space: &AddressSpace<P>, request: &Request<'_>) -> bool {
        let everything = matches!(request.scope, Scope::Everything { .. } | Scope::Teardown);
        let trims = Self::FACTS.attach_waits_for_changes
            && everything
            && request.reach == Reach::Wide
            && space.kind == Space::User;
        if trims {
            Self::begin_change(space);
        }
        trims
    }

    /// Everything of it is gone, everywhere: who does not have it loaded is no holder any more.
    fn end_trimming(&self, space: &AddressSpace<P>, trims: bool) {
        if !trims {
            return;
        }
        for holder in space.holders.now(Barrier::Unloaded).iter() {
            if !self.platform.local(holder).may_have_loaded(space.id) {
                space.holders.remove(holder, Barrier::Unload);
            }
        }
        Self::end_change(space);
    }
}

/// Why there is a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Of what was changed.
    Changed,
    /// Of everything: the space ends, or it was asked for.
    Asked,
    /// Of everything: another gather is under way, which may have cleared what this one did not see.
    Nested,
    /// Of everything: it was put off, and is due.
    Debt,
}
