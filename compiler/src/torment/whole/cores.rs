//! The CPUs of the hardware, with everything that their TLBs may hold.
//!
//! In: instructions with their operand bits, and stores. Out: the first complaint. Holds: nothing is evicted, and after each
//! step every CPU has filled everything that it could fill. An invalidation in progress removes the entries that were
//! cached when it was issued and that could not be filled again since, and that not before its barrier.
//!
//! A complaint is about owners: user code may use an entry although its page belongs to another space or to none, or an
//! entry that permits more than the table after a flush; a walker may read memory that is no longer a table. Where user code has a view
//! of its own, a complaint is also about the view that is loaded, and about entries of the kernel that user code may use.

mod act;
mod agents;
pub mod blame;
mod checks;
mod device;
mod faults;
mod fills;
pub mod history;
mod invalidate;
mod marks;
mod observe;
pub mod weak;

use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::rc::Rc;

use tlbc_machine::schedule;
use tlbc_runtime::Backend;
use tlbc_runtime::level::LEVELS;
use tlbc_runtime::pte::ChangeFacts;

pub use device::DeviceKind;
pub use device::agent_name;
use device::reaches;

use self::history::{EntryKey, History, Seen};
use self::weak::Weakness;
use super::memory::{Memory, NUMBER, Table};
use crate::ast::Written;
use crate::interpreted::{Instruction, Interpreted};
use crate::model::{self, Form, Which};
use crate::torment::decode::{Act, Decoded, Hardware};
use crate::torment::effect::Cached;
use crate::torment::same_instructions::SameInstructions;
use crate::trace::with_devices;

/// The invalidations in progress that will remove an entry, one bit each.
type Way = u64;

/// An entry in a TLB.
#[derive(Debug, Clone)]
pub struct Held {
    pub key: EntryKey,
    /// The ways in which it can be cached; none is a superset of another one.
    ways: Vec<Way>,
    /// When it was filled first.
    pub since: u64,
}

/// A CPU or a device.
#[derive(Debug, Clone, Default)]
pub struct Core {
    /// The number of the top table that is loaded.
    root: Option<usize>,
    tag: u64,
    pub held: Vec<Held>,
    /// The space whose user code runs, or that a device uses.
    pub user: Option<usize>,
    /// Whether code may use any entry of the kernel.
    pub kernel: bool,
    /// Whether the next code that runs is user code.
    pub is_user_next: bool,
    /// Whether its walker may walk the tables of the kernel that change: not before it has loaded its first root, and not while it
    /// goes offline.
    pub walks_kernel: bool,
    /// Whether it has loaded no root since it booted.
    boots: bool,
    /// The barriers, by index, one bit each, that it has executed since it last took an IPI or completed invalidations: an
    /// instruction that should follow another one may act before that.
    orders: u64,
    /// The barriers that it has executed since it last loaded a root or a tag or invalidated something.
    before_load: u64,
    /// What it is, if it is a device.
    device: Option<DeviceKind>,
}

/// An invalidation in progress.
struct PendingInvalidation<'m> {
    cpu: usize,
    barrier: usize,
    form: &'m Form,
    with: Decoded,
}

/// What a complaint is about.
#[derive(Debug, Clone)]
pub enum ComplaintSubject {
    /// An entry of a CPU.
    Entry(usize, EntryKey),
    /// A table that a CPU may walk.
    Table(usize, usize),
}

/// The CPUs and the memory.
pub struct Cores<'m> {
    pub hardware: Hardware<'m>,
    /// The same hardware for spaces that devices share.
    with_devices: Hardware<'m>,
    same_instructions: SameInstructions<'m>,
    pub memory: Memory,
    /// The CPUs, and after them a device for each.
    pub all: Vec<Core>,
    cpus: usize,
    /// log2 of what an entry of each level translates.
    shifts: [u32; LEVELS],
    /// How many pages a large page of the second lowest level has.
    pub large_pages: usize,
    /// The number of the kernel's top table.
    pub kernel_top: Option<usize>,
    /// The tag of the kernel's root.
    pub kernel_root_tag: u64,
    /// The tag under which each top table was loaded last.
    pub tags: HashMap<usize, u64>,
    /// Whether user code runs on a view of its own, without the tables of the kernel.
    pub(super) has_views: bool,
    /// Whether that view has a top table of its own.
    pub has_user_root: bool,
    /// The numbers of such top tables.
    pub user_tops: HashSet<usize>,
    /// Whether the kernel fixes faults of its own code at entries that permit less than the table.
    fixes_faults: bool,
    /// Which changes require that an entry is invalid and flushed in between.
    changes: ChangeFacts,
    /// Whether devices keep an entry that permits less than the table.
    strict_devices: bool,
    pending: Vec<Option<PendingInvalidation<'m>>>,
    pub complaint: Option<String>,
    /// The step of the complaint.
    pub complained: u64,
    /// What the complaint is about, if that is an entry or a table.
    pub subject: Option<ComplaintSubject>,
    /// What the hardware does not do although the definition permits it.
    pub weak: Option<Weakness>,
    /// What happened, where that is recorded.
    pub history: Option<History>,
    /// Where the runtime called the platform last, for each CPU.
    pub called: Vec<Option<&'static Location<'static>>>,
    pub steps: u64,
}

impl<'m> Cores<'m> {
    pub fn new(hardware: Hardware<'m>, cpus: usize) -> Self {
        let (model, config) = (hardware.model, hardware.config);
        let views = model.user.views.iter();
        let with_devices = Hardware {
            config: with_devices(model, config),
            ..hardware
        };
        let shifts = model.level_table(config).map(|level| level.shift);
        let levels = shifts.iter().filter(|shift| **shift != 0).count();
        // A table of the second lowest level is not there twice: each change of its entries would be made twice.
        let has_user_root = model.has_user_root(config) && levels > 2;
        let page_shift = shifts.into_iter().find(|shift| *shift != 0);
        Self {
            hardware,
            with_devices,
            same_instructions: SameInstructions::new(model, model),
            memory: Memory::new(model.entry_size(), page_shift.unwrap_or_default()),
            all: vec![Core::default(); 2 * cpus],
            cpus,
            shifts,
            large_pages: 1,
            kernel_top: None,
            kernel_root_tag: 0,
            tags: HashMap::new(),
            has_views: has_user_root || views.filter(|view| view.when.holds(config)).count() > 1,
            has_user_root,
            user_tops: HashSet::new(),
            fixes_faults: Interpreted::facts().kernel_faults_fixed,
            changes: model.change_facts(config),
            strict_devices: model.change_facts(with_devices.config).devices_stay_strict,
            pending: (0..Way::BITS).map(|_| None).collect(),
            complaint: None,
            complained: 0,
            subject: None,
            weak: None,
            history: None,
            called: vec![None; cpus],
            steps: 0,
        }
    }

    /// Returns whether the hardware has a weakness.
    fn is_weak(&self, weakness: Weakness) -> bool {
        self.weak == Some(weakness)
    }

    /// Records a complaint, and ends the run.
    pub fn complain(&mut self, text: String) {
        if self.complaint.is_none() {
            self.complaint = Some(text);
            self.complained = self.steps;
            schedule::stop();
        }
    }

    /// Returns whether the run goes on only to its end, after the step of a complaint.
    fn is_over(&self) -> bool {
        self.complaint.is_some() && self.steps > self.complained
    }

    /// Records a complaint about something, and ends the run.
    fn complain_of(&mut self, subject: ComplaintSubject, text: String) {
        if self.complaint.is_none() {
            self.subject = Some(subject);
        }
        self.complain(text);
    }

    /// Records an event of a CPU.
    pub fn record(&mut self, cpu: usize, seen: impl FnOnce() -> Seen) {
        let is_over = self.is_over();
        if let Some(history) = self.history.as_mut().filter(|_| !is_over) {
            history.add(self.steps, cpu, seen());
        }
    }

    /// Notes stores, and fills what can be filled since then.
    pub fn step(&mut self) {
        self.steps += 1;
        let at_once = self.hardware.model.assumed.is_some() || self.is_weak(Weakness::SeesAtOnce);
        let noted = self.memory.note(at_once);
        if !self.hardware.model.change.plain_store.value {
            self.check_stores(&noted);
        }
        if noted.has_changed {
            self.observe();
            self.settle();
        }
    }

    /// Frees a top table. The next space whose top table is there has another tag.
    pub fn free_top(&mut self, top: &Rc<Table>) {
        self.tags.remove(&top.number);
        self.user_tops.remove(&top.number);
        self.memory.free_top_table(top);
    }

    /// Publishes all stores.
    pub fn publish(&mut self) {
        self.step();
        self.memory.publish();
        self.observe();
    }

    /// Executes an instruction of a CPU.
    pub fn issue(&mut self, cpu: usize, instruction: &Instruction) {
        schedule::progress();
        self.step();
        let tags: Vec<u64> = self.all.iter().map(|core| core.tag).collect();
        let from = self.called[cpu];
        self.record(cpu, || Seen::Issued {
            instruction: Box::new(*instruction),
            tags,
            from,
        });
        let model = self.hardware.model;
        let op = instruction.op(model);
        let changes = if let Which::Load(load) = instruction.which {
            let ordered = std::mem::take(&mut self.all[cpu].before_load);
            let it = &model.loads[load];
            if let Some(barrier) = it.follows.filter(|at| ordered & 1 << at.value == 0) {
                let (name, barrier) = (&it.named.name, &model.barriers[barrier.value].named.name);
                return self.complain(format!(
                    "`{name}` may act before what precedes it: it does not follow `{barrier}`"
                ));
            }
            let Some(with) = self.hardware.load(load, &op) else {
                let name = &model.loads[load].named.name;
                return self.complain(format!("no `{name}` has these operands"));
            };
            self.load(cpu, load, &with, instruction.sources.root);
            true
        } else {
            match self.act(instruction) {
                Ok((Act::Barrier(barrier), _)) => self.barrier(cpu, barrier),
                Ok((Act::Invalidate { index, form, with }, lost)) => {
                    let writes = self.write(index, &with, instruction);
                    self.invalidate(cpu, (index, lost), form, with) || writes
                }
                Ok((Act::Load { .. }, _)) => false,
                Err(why) => return self.complain(why),
            }
        };
        self.observe();
        // Everything is filled and checked already if nothing has changed, as after most of the instructions of a long flush.
        if changes {
            self.settle();
        }
    }

    fn load(&mut self, cpu: usize, load: usize, with: &Decoded, root: u64) {
        let model = self.hardware.model;
        if let Some(tag) = with.tag {
            self.all[cpu].tag = tag.value;
        }
        // Where no load has the root, the walker finds it by the tag in a table in memory.
        let has_root = model.loads.iter().any(|load| {
            let operands = load.template.operands.iter();
            let mut fields = operands.flat_map(|&operand| &model.operands[operand].fields);
            fields.any(|field| field.value.source() == Some(model::Source::Root))
        });
        let is_tag = model.tags.iter().any(|tag| tag.is_root.is_some());
        let root = match (with.root, with.tag) {
            (Some(bits), _) => Some(bits.value),
            (None, Some(tag)) if is_tag => Some(tag.value),
            (None, _) => (!has_root).then_some(root),
        };
        if let Some(root) = root {
            let top = self.memory.at(root).map(|table| table.number);
            self.all[cpu].root = top;
            self.tags.extend(top.map(|top| (top, self.all[cpu].tag)));
        }
        let evicts = self.is_weak(Weakness::EvictsAtLoad);
        let core = &mut self.all[cpu];
        core.walks_kernel |= std::mem::take(&mut core.boots);
        let loaded = core.tag;
        let mut held = std::mem::take(&mut core.held);
        if evicts {
            held.clear();
        }
        let drops = &model.loads[load].drops;
        let hardware = self.hardware;
        let keep =
            |held: &Held| !hardware.drops(drops, with, &cached(&hardware, &held.key, loaded), &[]);
        core.held = held.into_iter().filter(keep).collect();
    }

    /// Makes the change of a table entry that an instruction makes, if it makes one. Returns whether it does.
    fn write(&mut self, index: usize, with: &Decoded, instruction: &Instruction) -> bool {
        let Some(writes) = self.hardware.model.invalidates[index].writes_entry else {
            return false;
        };
        let from = &instruction.sources;
        let count = if with.counts.is_some() {
            with.num + 1
        } else {
            1
        };
        for nth in 0..count {
            let bits = match writes.to {
                Written::Invalid => 0,
                Written::Replaced | Written::MoreRights => from.new,
            };
            let address = from.entry + nth * self.memory.entry_size;
            self.memory.store(address, bits);
        }
        self.memory.note(true);
        self.memory.publish();
        true
    }
}

fn cached<'h>(hardware: &Hardware<'_>, held: &'h EntryKey, loaded: u64) -> Cached<'h> {
    let cache = u64::from(held.entry.cache);
    let of_cache = hardware.model.caches.all.get(usize::from(held.entry.cache));
    let stated = of_cache.and_then(|it| it.sets.as_ref()?.get(hardware.config));
    let sets = stated.map_or(1, |count| count.on(hardware.limits)).max(1);
    Cached {
        entry: &held.entry,
        va: held.va,
        // An entry that is made from another one is in another set than that.
        set: ((held.va >> NUMBER) + cache * (sets - 1)) % sets,
        tag: held.tag,
        global: held.global,
        loaded,
        space: held.space,
    }
}
