//! Traces of changes match the runtime: it runs on a hosted machine, and the instructions that it issues are recorded.
//!
//! Compared are the instructions with their operands, the IPIs between them, and the value of the entry at each instruction:
//! for each change at each level, and for entries that are unmapped with their table or without, of a user space and of the
//! kernel, with this CPU alone and with another that runs the space, on machines of each architecture.

use std::sync::{Arc, Mutex};

use tlbc::Analysis;
use tlbc::model::{Config, Known, Model};
use tlbc::trace::{
    AddressRange, Becomes, Change, DeferredBy, EntriesInMemory, Event, Instruction, Query, Step,
    Tables, To, Trace, UnmappedEntries, trace,
};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::Entry;
use tlbc_runtime::request::{Extent, Space, SpaceFlags, Tag};
use tlbc_runtime::{AddressSpace, Current, NewSpace, Platform};
use tlbc_tests::archdefs::{analysis, data};
use tlbc_tests::configurations::machine;
use tlbc_tests::hosted::{self, Cpus, Host, Hosted};
use tlbc_tests::machines::Named;
use tlbc_tests::show::{Machine, line};
use tlbc_tests::tables::{ACCESSED, DIRTY, Entries, FILE, WRITE, leaf_bits, table_bits};
use tlbc_tests::traces::Traces;

const CHANGES: [To; 11] = [
    To::Unmap,
    To::Replace,
    To::FewerRights,
    To::MoreRights,
    To::Attributes,
    To::SoftwareBits,
    To::Split,
    To::Collapse,
    To::Map,
    To::Accessed,
    To::Dirty,
];

/// A machine of a definition, with its generated backend.
struct On<B> {
    analysis: &'static Analysis,
    config: Config,
    backend: B,
}

/// A request, with its machine.
struct Made<'a, B: Machine> {
    on: &'a On<B>,
    mmu: Arc<Host<B>>,
    space: Arc<AddressSpace<Cpus>>,
    kernel: bool,
    others: bool,
}

/// Returns the line for an instruction.
fn issued(cpu: u32, it: &Instruction) -> String {
    let operands = it.operands.iter();
    let operands = operands.map(|operand| format!(" {}={}", operand.name, operand.value));
    format!("cpu {cpu}: {}{}", it.name, operands.collect::<String>())
}

/// Returns the lines of a trace, and the value of the entry at each instruction of this CPU.
fn expected(trace: &Trace, before: u64, after: u64) -> (Vec<String>, Vec<u64>) {
    let (mut lines, mut stands) = (Vec::new(), Vec::new());
    let mut now = before;
    for step in &trace.here {
        match step {
            Step::Store(store) => {
                now = match store.becomes {
                    Becomes::Invalid => 0,
                    Becomes::New => after,
                }
            }
            Step::Ipi { ipi } => {
                lines.push("interrupted: cpu 1".to_owned());
                let there = trace.ipis[*ipi].steps.iter().filter_map(Step::instruction);
                lines.extend(there.map(|it| issued(1, it)));
            }
            step => {
                lines.extend(step.instruction().map(|it| issued(0, it)));
                stands.push(now);
            }
        }
    }
    (lines, stands)
}

/// Returns the bits of an entry before and after a change.
fn bits_of(to: To, change: &tlbc_runtime::pte::Change) -> (u64, u64) {
    let bits = |entry| match entry {
        Entry::Invalid => 0,
        Entry::Leaf {
            page,
            rights,
            attributes,
        } => leaf_bits(
            page,
            (u64::from(rights & 2) * WRITE / 2) | (attributes << 6),
        ),
        Entry::Table { table, attributes } => table_bits(table, attributes << 6),
    };
    let (old, new) = (bits(change.old), bits(change.new));
    match to {
        To::Accessed => (old | ACCESSED, new),
        To::Dirty => (old | DIRTY, new),
        To::SoftwareBits => (old, new | FILE),
        _ => (old, new),
    }
}

impl<B: Machine> Made<'_, B> {
    fn model(&self) -> &'static Model {
        &self.on.analysis.model
    }

    fn space(&self) -> &AddressSpace<Cpus> {
        if self.kernel {
            self.mmu.kernel()
        } else {
            &self.space
        }
    }

    /// The tag of the space, as the runtime has given it out.
    fn tag(&self) -> Tag {
        let platform = self.mmu.platform();
        if self.kernel {
            return platform.kernel_root().tag;
        }
        platform.loaded_tag(0).unwrap_or_default()
    }

    fn trace(&self, event: Event) -> Result<Trace, String> {
        let model = self.model();
        // No device shares the kernel's tables here.
        let of_kernel = Config {
            features: self.on.config.features & !model.features_of_space(),
            ..self.on.config
        };
        let query = Query {
            config: if self.kernel {
                of_kernel
            } else {
                self.on.config
            },
            limits: model.limits.iter().map(|limit| limit.most).collect(),
            space: self.kind(),
            event,
            tag: self.tag(),
            others: self.others,
        };
        let answer = trace(model, &self.on.analysis.plans, &query)?;
        // Where the runtime does not look which CPUs hold entries the trace says that it flushes as for others.
        if answer
            .notes
            .iter()
            .any(|note| note.contains("`--cpus others`"))
        {
            let query = Query {
                others: true,
                ..query
            };
            return trace(model, &self.on.analysis.plans, &query);
        }
        Ok(answer)
    }

    fn lines(&self) -> Vec<String> {
        let events = self.mmu.platform().events();
        let of_runtime = |event: &hosted::Event<B::Op>| !matches!(event, hosted::Event::Note(_));
        events
            .iter()
            .filter(|it| of_runtime(it))
            .map(line)
            .collect()
    }

    /// Returns the lines of flushes, without those of freed pages and tables.
    fn flush_lines(&self) -> Vec<String> {
        let of_flush = |line: &String| line.starts_with("cpu ") || line.starts_with("interrupted");
        self.lines().into_iter().filter(of_flush).collect()
    }

    /// Compares one change. Returns whether trace and runtime accept it.
    fn change(&self, to: To, level: Level, shift: u32) -> bool {
        let base = self.base();
        let extent = Extent::new(base + (5 << shift), 1 << shift);
        let backend = self.mmu.platform().backend();
        let maps_pages = backend.levels()[level.index()].leaf;
        if to == To::Replace && !maps_pages {
            return false; // one table for another: it is detached, and the other is mapped
        }
        let change = to.change(level, maps_pages, 0);
        let (old, new) = bits_of(to, &change);
        let entries = Entries::new(backend, self.space(), level, base, 6);
        let memory = EntriesInMemory {
            table: entries.table,
            old,
            new,
            ..EntriesInMemory::default()
        };
        // With no other CPU in the space the runtime defers where it may, to the end of the gather.
        let deferrable = B::FACTS.pte_update.is_deferrable() && !self.others && !self.kernel;
        let asked = Change {
            to,
            level,
            extent,
            memory,
            may_defer: deferrable,
        };
        let Ok(trace) = self.trace(Event::Change(asked)) else {
            return false;
        };
        let (mut lines, stands) = expected(&trace, old, new);
        if trace
            .deferred
            .iter()
            .any(|it| it.cpus == DeferredBy::AnotherCpu)
        {
            let whole = self.trace(Event::Everything).expect("a flush");
            lines.extend(expected(&whole, 0, 0).0);
        }

        entries.set(5, old);
        let entries = Arc::new(entries);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (watched, noted) = (entries.clone(), seen.clone());
        self.mmu.platform().on_issue(Box::new(move |cpu| {
            if cpu == 0 {
                noted.lock().expect("a lock").push(watched.bits(5));
            }
        }));
        let entry = entries.at(5);
        Hosted::on(&self.mmu, 0, || {
            self.mmu.gather(self.space(), |gather| {
                gather.locked((), |section, ()| {
                    let changed = match (change.old, change.new) {
                        (Entry::Invalid, _) => section.map(&entry, new),
                        (Entry::Table { .. }, Entry::Invalid) => {
                            section.unlink(entry).map_err(|refused| refused.why)
                        }
                        (Entry::Table { .. }, Entry::Leaf { .. }) => {
                            section.collapse(entry, new).map_err(|refused| refused.why)
                        }
                        (Entry::Leaf { page, .. }, Entry::Leaf { page: other, .. })
                            if page != other =>
                        {
                            section.replace(entry, new).map_err(|refused| refused.why)
                        }
                        (Entry::Leaf { .. }, Entry::Table { .. }) => {
                            section.split(&entry, new).map(drop)
                        }
                        _ => section.protect(&entry, |_| new).map(drop),
                    };
                    changed.expect("a change that the machine has");
                });
            });
        });
        let context = format!("{}: {to:?} of level {level:?}", trace.request.title);
        assert_eq!(self.flush_lines(), lines, "{context}");
        if B::FACTS.pte_update.is_store() {
            assert_eq!(*seen.lock().expect("a lock"), stands, "{context}");
        }
        true
    }

    fn kind(&self) -> Space {
        if self.kernel {
            Space::Kernel
        } else {
            Space::User
        }
    }

    /// Returns the first address of the space.
    fn base(&self) -> u64 {
        let addresses = &self.model().space(self.kind()).addresses;
        addresses.get(self.on.config).map_or(0, |it| it.base)
    }

    /// Compares an unmap of neighbouring entries, with their table or without.
    fn clear(&self, level: Level, count: u64, tables: Tables) {
        let levels = self.mmu.platform().backend().levels();
        let shift = levels[level.index()].shift;
        let mut above = Level::all().filter(|it| *it > level && levels[it.index()].shift != 0);
        let Some(above) = above.next() else { return };
        let reach = levels[above.index()].shift;
        let whole = tables == Tables::UnlinkedLive;
        let start = self.base() + (3 << reach);
        let bytes = if whole { 1 << reach } else { count << shift };
        let event = Event::Unmapped(UnmappedEntries {
            ranges: vec![AddressRange {
                extent: Extent::new(start, bytes),
                levels: vec![level.index()],
            }],
            tables,
            stored: false,
        });
        let trace = self.trace(event).expect("a request that the machine has");
        let backend = self.mmu.platform().backend();
        let entries = Entries::new(backend, self.space(), level, start, count as usize);
        (0..count).for_each(|index| entries.map(index as usize, 100 + index, 0));
        let upper = Entries::new(backend, self.space(), above, start, 1);
        upper.link(0, 50);
        Hosted::on(&self.mmu, 0, || {
            self.mmu.gather(self.space(), |gather| {
                gather.locked((), |section, ()| {
                    let table = upper.pointer(0).expect("a table");
                    if !whole {
                        section.unmap_all(entries.leaves()).expect("entries");
                    }
                    match tables {
                        Tables::Kept => {}
                        Tables::Unlinked => section.unlink(table).expect("a table"),
                        Tables::UnlinkedLive => section.unlink_subtree(table).expect("a table"),
                    }
                });
            });
        });
        let expected = expected(&trace, 0, 0).0;
        // Instructions that write entries take the address of the table, which the trace cannot know.
        let compared = |lines: Vec<String>| -> Vec<String> {
            let name = |line: &String| line.split(' ').take(3).collect::<Vec<_>>().join(" ");
            if B::FACTS.pte_update.is_store() {
                lines
            } else {
                lines.iter().map(name).collect()
            }
        };
        assert_eq!(
            compared(self.flush_lines()),
            compared(expected),
            "{}",
            trace.request.title
        );
    }

    /// Compares a fault that the table does not justify.
    fn fault(&self, level: Level, shift: u32) {
        let base = self.base();
        let range = AddressRange {
            extent: Extent::new(base + (5 << shift), 1 << shift),
            levels: vec![level.index()],
        };
        let va = range.extent.start;
        let trace = self.trace(Event::Fault(range));
        let fixed = Hosted::on(&self.mmu, 0, || {
            self.mmu.fix_spurious(self.space(), va, level)
        });
        let (Ok(trace), Ok(fixed)) = (&trace, fixed) else {
            assert!(trace.is_err() && fixed.is_err(), "{trace:?}, {fixed:?}");
            return;
        };
        assert_eq!(self.lines(), expected(trace, 0, 0).0);
        assert_eq!(fixed, trace.issued().count() > 0);
    }
}

/// Creates a machine with one CPU, or with two that run the same space.
fn made<B: Machine + Clone>(on: &On<B>, kernel: bool, others: bool, per_cpu: bool) -> Made<'_, B> {
    let mmu = Hosted::machine(on.backend.clone(), if others { 2 } else { 1 });
    let space = Hosted::space(
        &mmu,
        NewSpace {
            table: 0x1000,
            user_table: 0x1000,
            flags: SpaceFlags(on.config.features & on.analysis.model.features_of_space()),
            per_cpu_tag: per_cpu,
        },
    );
    let space = space.expect("a tag");
    for cpu in if others { &[1, 0][..] } else { &[0] } {
        Hosted::on(&mmu, *cpu, || {
            let user = Hosted::switch(&mmu, Current::Kernel, Some(&space));
            assert!(matches!(user, Current::User(_)));
        });
    }
    mmu.platform().events();
    Made {
        on,
        mmu,
        space,
        kernel,
        others,
    }
}

/// Compares every change and fault on a machine.
fn on_machine<B: Machine + Clone>(on: &On<B>) {
    let levels = *on.backend.levels();
    let levels = Level::all().zip(levels);
    let levels: Vec<_> = levels.filter(|(_, facts)| facts.shift != 0).collect();
    let both_kinds = on.backend.tags().per_cpu.is_some() && on.backend.tags().global.is_some();
    let mut found = 0;
    for (kernel, others) in [(false, false), (false, true), (true, false), (true, true)] {
        for per_cpu in [false, true].into_iter().take(1 + usize::from(both_kinds)) {
            for &(level, facts) in &levels {
                for to in CHANGES {
                    // A machine each: what one watches is not what another does.
                    let made = made(on, kernel, others, per_cpu);
                    found += usize::from(made.change(to, level, facts.shift));
                }
                made(on, kernel, others, per_cpu).fault(level, facts.shift);
                for tables in [Tables::Kept, Tables::Unlinked, Tables::UnlinkedLive] {
                    for count in [1, 3].into_iter().filter(|_| facts.leaf) {
                        made(on, kernel, others, per_cpu).clear(level, count, tables);
                    }
                }
            }
        }
    }
    assert!(found > 60, "{found}");
}

/// Compares on the machines of the list `changes` of `archdefs/NAME/traces.txt`.
fn on_architecture<B: Named>() {
    let analysis = analysis(B::ARCH);
    let model = &analysis.model;
    let text = data(B::ARCH, "traces.txt");
    for words in Traces::read(&text).machines("changes") {
        // What holds of a space is given with the space.
        let of_space = |name: &&str| {
            let mut features = model.features.iter();
            features.any(|it| it.named.name == *name && it.known == Known::Space)
        };
        let at_boot = words.split_whitespace().filter(|name| !of_space(name));
        let limits = model.limits.iter();
        let limits = limits.map(|limit| format!("{}={}", limit.named.name, limit.most));
        let at_boot: Vec<String> = at_boot.map(str::to_owned).chain(limits).collect();
        on_machine(&On {
            analysis,
            config: machine(model, words).config,
            backend: B::named(&at_boot.join(" ")),
        });
    }
}

macro_rules! tests {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        #[test]
        fn $arch() {
            on_architecture::<tlbc_backends::$arch::Tlb>();
        }
    )* };
}

tlbc_tests::for_each_architecture!([tests]);
