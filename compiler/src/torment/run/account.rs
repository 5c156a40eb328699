//! What the instructions of a request do about an entry that is left.
//!
//! In: a request, and an entry that does harm afterwards. Out: an [`Account`]: each instruction in order, with what it does about
//! the entry, and the words of the definition that are responsible. Holds: the order and the effects are those of the execution.

use tlbc_machine::hardware::{CachedEntry, EntryKind, Left};
use tlbc_runtime::agents::Agents;

use super::{Bench, CpuPart, Harm, NotExecuted};
use crate::model::{DefinitionName, Drops, Instr, Lost, Model};
use crate::source::Span;
use crate::torment::decode::{Act, Decoded};
use crate::torment::effect::{Cached, KeptReason};
use crate::torment::picture::Mark;
use crate::torment::request::Request;

/// What a CPU does, in order.
#[derive(Debug, Clone)]
pub struct AccountLine {
    /// Whether the CPU with the entry does it, which is not the one that flushes.
    pub is_other: bool,
    pub text: String,
    pub mark: Mark,
}

/// What was done about an entry.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub lines: Vec<AccountLine>,
    /// What went wrong, in one sentence without its full stop.
    pub cause: String,
    /// The words of the definition that are responsible, the first most, and why.
    pub places: Vec<(Span, &'static str)>,
}

/// What an invalidation does about the entry.
enum RequestFate<'m> {
    NotReached,
    KeptReason(KeptReason, &'m Drops),
    /// An erratum of the machine takes this effect.
    Lost(Span),
    /// It removes the entry; the barrier that completes it, if one does.
    Removes(Option<usize>),
}

/// An instruction that removes the entry.
struct Removal<'m> {
    named: &'m DefinitionName,
    /// Whether the change was visible to the walker.
    is_published: bool,
    is_other: bool,
    open: Option<Unfinished>,
}

/// Why the removal of an entry is not complete.
#[derive(Clone, Copy)]
enum Unfinished {
    /// The barrier has not followed.
    Missing(usize),
    /// The barrier has followed, and completes nothing for the agent.
    Elsewhere(usize),
    /// An erratum takes this effect from the barrier.
    Lost(usize, Span),
}

impl Unfinished {
    fn barrier(self) -> usize {
        match self {
            Self::Missing(barrier) | Self::Elsewhere(barrier) | Self::Lost(barrier, _) => barrier,
        }
    }
}

/// The account while it is written.
struct AccountWriter<'b, 'm> {
    bench: &'b Bench<'m>,
    harm: &'b Harm,
    account: Account,
    is_published: bool,
    removals: Vec<Removal<'m>>,
    closest: Option<(KeptReason, String, &'m Drops)>,
    lost: Option<(String, Span)>,
    not_reached: Option<(String, Span)>,
}

impl Bench<'_> {
    /// Returns what the instructions of a request do about an entry that is left.
    ///
    /// # Errors
    /// Which instruction the hardware does not have.
    pub fn account(&self, request: &Request, harm: &Harm) -> Result<Account, NotExecuted> {
        let script = self.script(request)?;
        let agent = &harm.agent;
        let class = agent.class;
        let is_own = class == Agents::SELF;
        let mut writer = AccountWriter {
            bench: self,
            harm,
            account: Account::default(),
            is_published: self.hardware.model.assumed.is_some(),
            removals: Vec::new(),
            closest: None,
            lost: None,
            not_reached: None,
        };
        writer.add(false, "changes the tables".to_owned(), Mark::Store);
        writer.part(&script.start, false, class);
        let interrupted = script.interrupted(agent);
        if let Some(part) = interrupted {
            writer.add(false, "sends an IPI".to_owned(), Mark::Ipi);
            writer.add(true, "takes the IPI".to_owned(), Mark::Ipi);
            writer.is_published = true;
            writer.part(part, true, Agents::SELF);
        }
        writer.part(&script.finish, false, class);
        writer.add(false, "the flush ends".to_owned(), Mark::Release);
        Ok(writer.finish(is_own || interrupted.is_some()))
    }
}

impl<'m> AccountWriter<'_, 'm> {
    fn add(&mut self, is_other: bool, text: String, mark: Mark) {
        self.account.lines.push(AccountLine {
            is_other,
            text,
            mark,
        });
    }

    fn part(&mut self, part: &CpuPart<'m>, is_other: bool, class: Agents) {
        let model = self.bench.hardware.model;
        for (at, act) in part.acts.iter().enumerate() {
            match act {
                Act::Barrier(index) => {
                    let barrier = &model.barriers[*index];
                    let publishes = barrier.publishes.is_some_and(|at| at.value.covers(class));
                    self.is_published |= publishes;
                    let completes = barrier.completes.is_some_and(|at| at.value.covers(class));
                    let lost =
                        (self.bench).lost(part, at, Instr::Barrier(*index), &self.harm.agent);
                    let lost = lost.iter().find(|it| it.lost.value == Lost::Gone);
                    let open = match lost {
                        _ if !completes || barrier.gone.is_none() => {
                            Some(Unfinished::Elsewhere(*index))
                        }
                        Some(weakens) => Some(Unfinished::Lost(*index, weakens.target.span)),
                        None => None,
                    };
                    let own = { self.removals.iter_mut() }.filter(|it| it.is_other == is_other);
                    own.filter(|it| it.open.is_some_and(|open| open.barrier() == *index))
                        .for_each(|it| it.open = open);
                    let what = match (publishes, completes) {
                        (true, true) => ": publishes, completes",
                        (true, false) => ": publishes",
                        (false, true) => ": completes",
                        (false, false) => "",
                    };
                    let text = format!("`{}`{what}", barrier.named.name);
                    self.add(is_other, text, Mark::Instruction);
                }
                Act::Invalidate { index, with, .. } => {
                    let it = &model.invalidates[*index];
                    let judged = self.judge(part, at, class);
                    let (does, mark) = self.note(&judged, with, *index, is_other);
                    let text = format!("`{}`{}: {does}", it.named.name, operands(with));
                    self.add(is_other, text, mark);
                }
                Act::Load { index, with } => {
                    let named = &model.loads[*index].named;
                    let (does, mark) = if class == Agents::SELF {
                        self.removals.push(Removal {
                            named,
                            is_published: self.is_published,
                            is_other,
                            open: None,
                        });
                        (
                            "entries under the old tag cannot be used any more",
                            Mark::Removal,
                        )
                    } else {
                        ("does not act there", Mark::Instruction)
                    };
                    let text = format!("`{}`{}: {does}", named.name, operands(with));
                    self.add(is_other, text, mark);
                }
            }
        }
    }

    /// Returns what an invalidation of a part does about the entry.
    fn judge(&self, part: &CpuPart<'m>, at: usize, class: Agents) -> RequestFate<'m> {
        let hardware = self.bench.hardware;
        let Harm {
            agent,
            entry,
            tag,
            global,
            ..
        } = self.harm;
        let Act::Invalidate { index, form, with } = part.acts[at] else {
            return RequestFate::NotReached;
        };
        let it = &hardware.model.invalidates[index];
        if !it.reach(hardware.config).covers(class) {
            return RequestFate::NotReached;
        }
        let cached = Cached {
            entry,
            va: agent.va,
            set: agent.set_of(entry),
            tag: *tag,
            global: *global,
            loaded: agent.loaded,
            space: agent.space,
        };
        let kept = |drops: &'m Drops| Some((hardware.keeps(drops, &with, &cached, &[])?, drops));
        let kept: Option<Vec<_>> = form.drops.iter().map(kept).collect();
        if let Some((kept, drops)) = kept.and_then(|all| all.into_iter().max_by_key(|it| it.0)) {
            return RequestFate::KeptReason(kept, drops);
        }
        let lost = self.bench.lost(part, at, Instr::Invalidate(index), agent);
        let hits = { self.bench.hardware }.hits(
            (form, &with),
            (it.reach(hardware.config), class),
            agent,
            &lost,
        );
        let number = agent.path.entries().zip(&agent.under);
        let mut same = number
            .enumerate()
            .filter(|(_, (other, under))| *other == entry && **under == (*tag, *global));
        let is_hit = same.any(|(number, _)| hits & (1 << number) != 0);
        if let Some(weakens) = lost.first().filter(|_| !is_hit) {
            return RequestFate::Lost(weakens.target.span);
        }
        let Some(after) = it.done_after(hardware.config) else {
            return RequestFate::Removes(None);
        };
        RequestFate::Removes(Some(after))
    }

    /// Returns what an invalidation does about the entry, in words.
    fn note(
        &mut self,
        judged: &RequestFate<'m>,
        with: &Decoded,
        index: usize,
        is_other: bool,
    ) -> (String, Mark) {
        let model = self.bench.hardware.model;
        let it = &model.invalidates[index];
        let name = || format!("`{}`{}", it.named.name, operands(with));
        match judged {
            RequestFate::NotReached => {
                let at = it.agents.get(self.bench.hardware.config);
                let span = at.map_or(it.named.span, |at| at.span);
                self.not_reached.get_or_insert((name(), span));
                ("does not act there".to_owned(), Mark::Instruction)
            }
            RequestFate::KeptReason(kept, drops) => {
                if self.closest.as_ref().is_none_or(|(most, ..)| most < kept) {
                    self.closest = Some((*kept, name(), drops));
                }
                let does = match kept {
                    KeptReason::Condition => "does not act with these operands",
                    KeptReason::Kind => "removes other kinds or levels",
                    KeptReason::Tag => "acts on other tags",
                    KeptReason::Address => "names other addresses",
                };
                (does.to_owned(), Mark::Instruction)
            }
            RequestFate::Lost(span) => {
                self.lost.get_or_insert((name(), *span));
                ("keeps it, by an erratum".to_owned(), Mark::Instruction)
            }
            RequestFate::Removes(after) => {
                self.removals.push(Removal {
                    named: &it.named,
                    is_published: self.is_published,
                    is_other,
                    open: after.map(Unfinished::Missing),
                });
                let does = match after {
                    Some(after) => {
                        format!("removes it after `{}`", model.barriers[*after].named.name)
                    }
                    None => "removes it".to_owned(),
                };
                (does, Mark::Removal)
            }
        }
    }

    /// Returns from what an entry that was removed is filled again, in words. Of several sources one that is still cached is
    /// named.
    fn filled_again(&self) -> String {
        let Harm {
            agent,
            entry,
            tag,
            global,
            ..
        } = self.harm;
        let entries: Vec<_> = agent.path.entries().zip(&agent.under).collect();
        let mut same = entries.iter();
        let number = same.position(|(it, under)| *it == entry && **under == (*tag, *global));
        let sources = number.into_iter().flat_map(|it| agent.path.sources(it));
        let Some((source, is_cached)) = sources.max_by_key(|(_, is_cached)| *is_cached) else {
            return "it is filled again".to_owned();
        };
        let (kind, cache) = entry_words(self.bench.hardware.model, entries[source].0);
        let when = if is_cached {
            "is still cached"
        } else {
            "was still cached then"
        };
        format!("it is filled again from the {kind} in `{cache}`, which {when}")
    }

    /// Adds the cause.
    fn finish(mut self, is_served: bool) -> Account {
        let model = self.bench.hardware.model;
        if let Some(removal) = self.removals.last() {
            let named = removal.named;
            let name = &named.name;
            let again = self.filled_again();
            let account = &mut self.account;
            account.cause = match (self.harm.left, removal.is_published, removal.open) {
                (Left::InFlight, ..) => {
                    format!(
                        "`{name}` removes the entry, but accesses that it translated are not awaited"
                    )
                }
                (Left::Cached, false, _) => {
                    format!(
                        "`{name}` is issued before the change is visible to the walker, which fills the entry again"
                    )
                }
                (Left::Cached, true, Some(open)) => {
                    let barrier = &model.barriers[open.barrier()].named;
                    let place = (barrier.span, "this completes it");
                    let (place, why) = match open {
                        Unfinished::Missing(_) => (place, "does not follow"),
                        Unfinished::Elsewhere(_) => (place, "does not complete it there"),
                        Unfinished::Lost(_, span) => {
                            ((span, "this is lost"), "an erratum of this machine weakens")
                        }
                    };
                    account.places.push(place);
                    format!(
                        "`{name}` removes the entry after `{}`, which {why}",
                        barrier.name
                    )
                }
                (Left::Cached, true, None) => format!("`{name}` removes the entry, and {again}"),
            };
            account
                .places
                .push((named.span, "this instruction removes it"));
        } else if let Some((name, span)) = self.lost {
            self.account.cause =
                format!("{name} would remove the entry, but for an erratum of this machine");
            self.account.places.push((span, "this is lost"));
        } else if let Some((kept, name, drops)) = self.closest {
            let why = match kept {
                KeptReason::Condition => "does not act with these operands",
                KeptReason::Kind => match self.harm.entry.kind {
                    EntryKind::Leaf => "removes no leaf entry of this level from this cache",
                    EntryKind::Walk => "removes no walk entry of this level from this cache",
                    EntryKind::Root => "removes no root entry",
                    EntryKind::Negative => {
                        "removes no negative entry of this level from this cache"
                    }
                },
                KeptReason::Tag => "acts on other tags",
                KeptReason::Address => "names other addresses",
            };
            self.account.cause = format!("the entry should be removed by {name}, which {why}");
            self.account
                .places
                .push((drops.span, "this clause keeps it"));
        } else if let Some((name, span)) = self.not_reached {
            let ipi = if is_served {
                ""
            } else {
                ", and no IPI is sent"
            };
            self.account.cause =
                format!("{name} does not act on the CPU or device with the entry{ipi}");
            self.account.places.push((span, "it acts on these alone"));
        } else {
            "no instruction that invalidates is issued".clone_into(&mut self.account.cause);
        }
        self.account
    }
}

/// Returns the address and the tag that an instruction names.
fn operands(with: &Decoded) -> String {
    let mut words = Vec::new();
    words.extend(with.va.map(|bits| format!("{:#x}", bits.value)));
    words.extend(with.tag.map(|bits| format!("tag {:#x}", bits.value)));
    if words.is_empty() {
        return String::new();
    }
    format!(" of {}", words.join(", "))
}

/// Returns the kind and the level of an entry, and the cache that has it.
pub fn entry_words<'m>(model: &'m Model, entry: &CachedEntry) -> (String, &'m str) {
    let level = &model.levels[entry.level.index()].name;
    let kind = match entry.kind {
        EntryKind::Leaf => format!("leaf entry of {level}"),
        EntryKind::Walk => format!("walk entry of {level}"),
        EntryKind::Root => "root entry".to_owned(),
        EntryKind::Negative => format!("negative entry of {level}"),
    };
    (kind, &model.caches.all[usize::from(entry.cache)].named.name)
}
