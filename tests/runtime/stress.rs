//! All CPUs at the same time, at full speed: the host's checks hold while the CPUs race.

use std::sync::{Arc, Mutex};
use std::thread;

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::{CpuId, Current, Level, NewSpace, SpaceFlags};
use tlbc_tests::hosted::{Handle, Host, HostBackend, Hosted};
use tlbc_tests::machines;
use tlbc_tests::tables::Entries;

const CPUS: usize = 3;
const SPACES: usize = 4;
const ROUNDS: usize = 400;
/// The number of tag values of a machine; some are for user views.
const TAGS: u64 = 16;

/// A space, and the lock of its tables.
struct Space<B: HostBackend> {
    handle: Handle<B>,
    tables: Mutex<(Entries, Entries)>,
}

impl<B: HostBackend> Space<B> {
    fn new(mmu: &Arc<Host<B>>, table: u64) -> Self {
        let new = NewSpace {
            table,
            user_table: table + 0x1000,
            ..NewSpace::default()
        };
        let handle = Hosted::space(mmu, new).expect("a tag");
        let backend = mmu.platform().backend();
        let pages = Entries::new(backend, &handle, Level(0), 0, 4);
        let upper = Entries::new(backend, &handle, Level(1), 1 << 30, 1);
        Self {
            handle,
            tables: Mutex::new((pages, upper)),
        }
    }

    /// Maps pages and a table, and unmaps them, some pages in a batched unmap.
    fn map_and_unmap(&self, mmu: &Host<B>, without_waiting: bool) {
        mmu.gather(&self.handle, |gather| {
            let tables = self.tables.lock().expect("no test panics with it");
            gather.locked(tables, |section, tables| {
                let (pages, upper) = &**tables;
                for page in (0..4).filter(|page| pages.leaf(*page).is_none()) {
                    pages.map(page, page as u64, 0);
                }
                upper.link(0, 7);
                if !without_waiting {
                    section.unmap_all(pages.leaves()).expect("of this space");
                }
                let link = upper.pointer(0).expect("a table");
                section.unlink(link).expect("of this space");
            });
        });
        if without_waiting {
            mmu.reclaim(|reclaim| {
                let tables = self.tables.lock().expect("no test panics with it");
                let unmap = |leaf| {
                    let unmapped = reclaim.unmap(&self.handle, leaf);
                    unmapped.expect("of this space").expect("a page")
                };
                let tokens: Vec<_> = tables.0.leaves().map(unmap).collect();
                drop(tables);
                let waited = reclaim.wait();
                for token in tokens {
                    assert!(waited.redeem(token).is_ok());
                }
            });
        }
    }
}

/// What a CPU does: numbers from a seed choose the next step.
struct Cpu<'t, B: HostBackend> {
    mmu: &'t Arc<Host<B>>,
    number: u32,
    spaces: &'t [Space<B>],
    idle: Handle<B>,
    running: Option<Current<Handle<B>>>,
    seed: u64,
}

impl<B: HostBackend> Cpu<'_, B> {
    fn next(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 16) % below
    }

    fn switch(&mut self, to: Option<&Handle<B>>) {
        let from = self.running.take().expect("a CPU that is online");
        self.running = Some(Hosted::switch(self.mmu, from, to));
    }

    fn cpu_offline(&mut self) {
        let current = self.running.take().expect("a CPU that is online");
        let cpu = CpuId(self.number);
        let hosted = self.mmu.platform();
        hosted.interrupts_off(|| self.mmu.cpu_offline(cpu, current));
    }

    fn step(&mut self, round: u64) {
        let (mmu, spaces) = (self.mmu, self.spaces);
        let space = &spaces[self.next(SPACES as u64) as usize];
        match self.next(16) {
            0..4 => self.switch(Some(&space.handle)),
            4 => self.switch(None),
            5..8 => {
                let without_waiting = self.next(2) == 0;
                space.map_and_unmap(mmu, without_waiting);
            }
            8 => {
                if let Ok(pin) = mmu.pin_tag(&space.handle) {
                    self.switch(Some(&space.handle));
                    let loaded = mmu.platform().loaded_tag(self.number);
                    assert_eq!(loaded, Some(pin));
                    mmu.unpin_tag(&space.handle).expect("its own pin");
                }
            }
            9 => {
                let device = mmu.attach_device(&space.handle, SpaceFlags::NONE);
                let device = device.expect("room for a device");
                assert!(mmu.detach_device(&space.handle, device).is_ok());
            }
            10 => {
                self.cpu_offline();
                let online = Hosted::cpu_online(mmu, self.number);
                self.running = Some(online.expect("a usable machine"));
            }
            11 => mmu.flush_everything(mmu.kernel()),
            // Tags roll over and are reused.
            _ => {
                let table = u64::from(self.number + 1) << 40 | round << 20;
                let new = NewSpace {
                    table,
                    user_table: table + 0x1000,
                    ..NewSpace::default()
                };
                if let Ok(other) = mmu.address_space(new).map(Handle::<B>::new) {
                    self.switch(Some(&other));
                    let idle = self.idle.clone();
                    self.switch(Some(&idle));
                    mmu.teardown(&other, |_| ());
                    mmu.release(&other).expect("no other CPU has loaded it");
                }
            }
        }
    }
}

fn all_at_once<B: HostBackend>(backend: B) {
    let mmu = Hosted::with_tags(backend, CPUS, 2, TAGS);
    let currents = [0, 1, 2].map(|cpu| Hosted::cpu_online(&mmu, cpu).expect("a usable machine"));
    let space = |nth| Space::new(&mmu, (nth as u64 + 1) << 16);
    let spaces: Vec<_> = (0..SPACES).map(space).collect();
    thread::scope(|scope| {
        for (number, current) in (0..).zip(currents) {
            let (mmu, spaces) = (&mmu, &spaces);
            scope.spawn(move || {
                let idle = Space::new(mmu, (0x100 + u64::from(number)) << 16).handle;
                let mut cpu = Cpu {
                    mmu,
                    number,
                    spaces,
                    idle,
                    running: Some(current),
                    seed: 0x9e37_79b9_7f4a_7c15 ^ u64::from(number + 1) << 32,
                };
                Hosted::on(mmu, number, || {
                    (0..ROUNDS as u64).for_each(|round| cpu.step(round));
                    cpu.cpu_offline(); // the other CPUs no longer wait for this one
                });
            });
        }
    });
    for space in &spaces {
        Hosted::on(&mmu, 0, || mmu.release(&space.handle)).expect("loaded nowhere");
    }
}

#[test]
fn arm64() {
    all_at_once(machines::arm64(arm64::Config::NONE));
    all_at_once(machines::arm64(arm64::Config::KPTI));
}

#[test]
fn x86_64() {
    let pcid = x86_64::Config::PGE.with(x86_64::Config::PCID);
    all_at_once(machines::x86(x86_64::Config::NONE));
    all_at_once(machines::x86(pcid));
    all_at_once(machines::x86(pcid.with(x86_64::Config::PTI)));
    all_at_once(machines::x86(
        pcid.with(x86_64::Config::INVPCID)
            .with(x86_64::Config::INVLPGB),
    ));
}

#[test]
fn powerpc64() {
    let gtse = powerpc64::Config::GTSE;
    all_at_once(machines::powerpc64(powerpc64::Config::NONE));
    all_at_once(machines::powerpc64(gtse));
    all_at_once(machines::powerpc64(gtse.with(powerpc64::Config::BROADCAST)));
}

#[test]
fn s390() {
    all_at_once(machines::s390(s390::Config::NONE));
    all_at_once(machines::s390(s390::Config::LOCAL_CLEAR));
}
