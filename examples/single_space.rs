//! A kernel with a single address space (a unikernel, for example): kernel and application run from one table, which
//! all CPUs have loaded.
//!
//! It needs little of the runtime: each CPU calls [`Mmu::cpu_online`], entries change in [`Mmu::gather`] of
//! [`Mmu::kernel`], and the handler of the platform's IPI calls [`Mmu::handle_ipi`]. It creates no address space,
//! switches to none and releases none, and it allocates no tag.
//!
//! The [`Root`] that [`Platform::kernel_root`] returns has the one table both as `table` and as `empty`. (The platform
//! of the examples takes `empty` from its caller.)
//!
//! `empty` is what a machine loads for a moment if it loads table and tag one after the other. An empty table there
//! would unmap a kernel that runs from `table`. The kernel's own table is correct instead, because there is no second
//! space whose entries could be cached under the wrong tag. What each machine loads in `cpu_online`:
//!
//! * arm64: TTBR0 (`empty`), the ASID in TTBR1, TTBR0 (`table`). A kernel in the lower half must have `empty == table`.
//!   For a kernel in the upper half, whose table is in TTBR1, `empty` may be any table. Entries are global (nG = 0).
//! * x86-64: CR3, once, with `table` and, if PCIDs are enabled, the tag. `empty` is not read. The kernel may be in
//!   either half.
//! * powerpc64: PIDR, with the tag; tables are found through the process table. The definition has the kernel's entries
//!   in quadrant 3 under PID 0, so the kernel runs there, and the tag is another PID, which has no tables. A kernel in
//!   quadrant 0 is not described.
//! * s390: CR1 and CR7, with the tag, which is the ASCE of `table`. `empty` is not read. The kernel may be at any
//!   address.
//!
//! [`Mmu::cpu_online`]: tlbc_runtime::Mmu::cpu_online
//! [`Mmu::gather`]: tlbc_runtime::Mmu::gather
//! [`Mmu::kernel`]: tlbc_runtime::Mmu::kernel
//! [`Mmu::handle_ipi`]: tlbc_runtime::Mmu::handle_ipi
//! [`Platform::kernel_root`]: tlbc_runtime::Platform::kernel_root
//! [`Root`]: tlbc_runtime::Root

use std::process::ExitCode;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use tlbc_runtime::{Level, Platform};
use tlbc_tests::hosted::{Host, Hosted};
use tlbc_tests::show::{self, Example, Machine, line};
use tlbc_tests::tables::{Entries, WRITE, leaf_bits};

/// A kernel with a single space, which starts and changes its mappings, on any machine.
pub struct SingleSpace;

/// The kernel, the tables that it changes here, and their lock.
struct Kernel<B: Machine> {
    mmu: Arc<Host<B>>,
    upper: Entries,
    table: Entries,
    lock: Mutex<()>,
}

impl<B: Machine> Kernel<B> {
    /// Maps a page. The new entry is published before the lock is released: from then on every CPU can use it.
    fn map(&self, index: usize, page: u64, flags: u64) {
        self.mmu.gather(self.mmu.kernel(), |gather| {
            gather.locked(self.lock.lock().unwrap(), |section, _| {
                let mapped = section.map(&self.table.at(index), leaf_bits(page, flags));
                mapped.expect("an invalid entry of the kernel");
            });
        });
    }

    /// Changes the rights of a mapped page.
    fn protect(&self, index: usize, rights: impl Fn(u64) -> u64) {
        self.mmu.gather(self.mmu.kernel(), |gather| {
            gather.locked(self.lock.lock().unwrap(), |section, _| {
                let protected = section.protect(&self.table.at(index), rights);
                protected.expect("a valid entry of the kernel");
            });
        });
    }

    /// Unmaps everything, and frees the table as well.
    fn unmap_all(&self) {
        self.mmu.gather(self.mmu.kernel(), |gather| {
            gather.locked(self.lock.lock().unwrap(), |section, _| {
                let cleared = section.unmap_all(self.table.leaves());
                cleared.expect("entries of the kernel");
                let link = self.upper.pointer(0).expect("a linked table");
                section.unlink(link).expect("an entry of the kernel");
            });
        });
    }
}

impl Example for SingleSpace {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mmu = Hosted::machine_offline(backend, 2);
        let hosted = mmu.platform();
        hosted.empty.store(hosted.kernel_root().table, SeqCst);
        let va = match B::FACTS.name {
            "powerpc64" => 0xc000_0000_4000_0000, // quadrant 3
            _ => 0x4000_0000,
        };
        let table = |level, count| Entries::new(hosted.backend(), mmu.kernel(), level, va, count);
        let kernel = Kernel {
            mmu: mmu.clone(),
            upper: table(Level(1), 1),
            table: table(Level(0), 2),
            lock: Mutex::new(()),
        };
        kernel.upper.link(0, 77);

        hosted.note("both CPUs come online");
        for cpu in 0..2 {
            let _ = Hosted::cpu_online(&mmu, cpu).expect("a usable machine");
        }
        hosted.note("two pages are mapped, one of them read-only");
        Hosted::on(&mmu, 0, || kernel.map(0, 100, WRITE));
        Hosted::on(&mmu, 0, || kernel.map(1, 101, 0));
        hosted.note("the second becomes writable: no CPU may fault on it");
        Hosted::on(&mmu, 0, || kernel.protect(1, |bits| bits | WRITE));
        hosted.note("the first becomes read-only");
        Hosted::on(&mmu, 0, || kernel.protect(0, |bits| bits & !WRITE));
        hosted.note("both are unmapped, and their table is freed");
        Hosted::on(&mmu, 1, || kernel.unmap_all());
        hosted.events().iter().map(line).collect()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<SingleSpace>()
}
