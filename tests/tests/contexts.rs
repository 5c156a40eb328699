//! The contexts that the runtime's documentation promises are checked on every call: each rule has a test that violates it.

#[path = "policies/told.rs"]
mod told;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tlbc_backends::x86_64::{self, Config};
use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, Conditions, CpuId, Current, Debt, Issue, Level, LockEvent, NewSpace, Platform, Record,
    Root, Tag,
};
use tlbc_tests::hosted::{Handle, Host, HostBackend, Hosted};
use tlbc_tests::machines::x86;
use tlbc_tests::rules::Rule;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

type X86 = Arc<Host<x86_64::Tlb>>;

fn machine() -> X86 {
    Hosted::machine(x86(Config::PCID), 2)
}

fn space<B: HostBackend>(mmu: &Arc<Host<B>>) -> Handle<B> {
    let new = NewSpace {
        table: 0x1_0000,
        user_table: 0x1_1000,
        ..NewSpace::default()
    };
    Hosted::space(&mmu, new).expect("a tag")
}

/// A space that CPU 0 runs in.
fn running<B: HostBackend>(mmu: &Arc<Host<B>>) -> Handle<B> {
    let space = space(mmu);
    let _ = Hosted::on(mmu, 0, || {
        Hosted::switch(mmu, Current::Kernel, Some(&space))
    });
    space
}

/// A flush of everything of a space.
fn request(space: Space, tag: Tag) -> Request<'static> {
    Request {
        space,
        tag,
        reach: Reach::Here,
        conditions: Conditions::NONE,
        scope: Scope::Everything { tables: true },
    }
}

const OTHER: Tag = Tag {
    value: 3,
    of_machine: false,
};

fn nowhere<Op>() -> impl Issue<Op> {
    Record(|_| ())
}

/// The backend as the runtime calls it.
fn backend(mmu: &X86) -> &<Hosted<x86_64::Tlb> as Platform>::Backend {
    Platform::backend(mmu.platform())
}

fn root() -> Root {
    Root {
        table: 0x1_0000,
        tag: OTHER,
        empty: 0,
        conditions: Conditions::NONE,
    }
}

/// What happens on CPU 0 violates a rule, whose words are in the panic's message.
fn violates<B: HostBackend>(rule: Rule, mmu: &Arc<Host<B>>, run: impl FnOnce()) {
    let result = Hosted::on(mmu, 0, || catch_unwind(AssertUnwindSafe(run)));
    let panic = result.expect_err("a violation");
    let message = panic.downcast_ref::<String>().expect("a message");
    let (file, sentence) = rule.stated();
    assert!(
        message.contains(sentence) && message.contains(file),
        "{message}"
    );
    // Every CPU of the machine is told: none waits for the one that panicked.
    let other = Hosted::on(mmu, 1, || {
        catch_unwind(AssertUnwindSafe(|| mmu.wait_for_walkers()))
    });
    assert!(other.is_err(), "the machine has failed");
}

#[test]
fn the_rules_are_in_the_documentation() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    for rule in Rule::ALL {
        let (file, sentence) = rule.stated();
        let text = std::fs::read_to_string(source.join(file)).expect("a file of the runtime");
        let comments = text.lines().filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("///").or(line.strip_prefix("//!"))
        });
        let words: Vec<_> = comments.flat_map(str::split_whitespace).collect();
        assert!(
            words.join(" ").contains(sentence),
            "{rule:?} is not in {file}"
        );
    }
}

#[test]
fn a_sink_is_used_on_its_cpu() {
    let mmu = machine();
    violates(Rule::SinkOfThisCpu, &mmu, || {
        let _ = mmu.platform().sink(CpuId(1));
    });
    let mmu = machine();
    violates(Rule::SinkOfThisCpu, &mmu, || {
        let mut sink = mmu.platform().sink(CpuId(0));
        let op = x86_64::Op::MovCr3;
        Hosted::on(&mmu, 1, || sink.issue(op));
    });
}

#[test]
fn a_flush_stays_on_its_cpu() {
    let mmu = machine();
    violates(Rule::FlushStaysOnCpu, &mmu, || {
        let everything = request(Space::Kernel, Tag::default());
        let started = mmu
            .platform()
            .pinned(true, |_| backend(&mmu).start(&mut nowhere(), &everything));
        // The thread could have moved meanwhile.
        mmu.platform().pinned(true, |_| {
            let _ = backend(&mmu).finish(&mut nowhere(), started);
        });
    });
}

#[test]
fn a_flush_has_interrupts_off_where_the_facts_say_so() {
    let mmu = machine();
    violates(Rule::FlushInterruptsOff, &mmu, || {
        mmu.platform().pinned(false, |_| {
            let everything = request(Space::Kernel, Tag::default());
            let _ = backend(&mmu).start(&mut nowhere(), &everything);
        });
    });
    let mmu = machine();
    violates(Rule::FlushInterruptsOff, &mmu, || {
        mmu.platform().pinned(false, |_| {
            let everything = request(Space::Kernel, Tag::default());
            let start = |_| backend(&mmu).start(&mut nowhere(), &everything);
            let started = mmu.platform().pinned(true, start);
            let _ = backend(&mmu).finish(&mut nowhere(), started);
        });
    });
}

#[test]
fn flushes_are_one_at_a_time_where_the_facts_say_so() {
    let one = told::Told::<_, false, true>(x86(Config::PCID));
    let mmu = Hosted::machine(one, 2);
    let started = |cpu| {
        let everything = Request {
            reach: Reach::Wide,
            ..request(Space::Kernel, Tag::default())
        };
        Hosted::on(&mmu, cpu, || {
            let backend = Platform::backend(mmu.platform());
            let start = |_| backend.start(&mut nowhere(), &everything);
            let _ = mmu.platform().pinned(true, start);
        });
    };
    started(1);
    violates(Rule::OneFlushAtATime, &mmu, || started(0));
}

#[test]
fn a_request_is_delivered_with_interrupts_off_and_where_the_space_is_loaded() {
    let mmu = machine();
    violates(Rule::DeliverInterruptsOff, &mmu, || {
        let everything = request(Space::Kernel, Tag::default());
        let _ = backend(&mmu).deliver(&mut nowhere(), &everything);
    });
    let mmu = machine();
    let _space = running(&mmu);
    violates(Rule::DeliverWhereLoaded, &mmu, || {
        mmu.platform().interrupts_off(|| {
            let _ = backend(&mmu).deliver(&mut nowhere(), &request(Space::User, OTHER));
        });
    });
}

#[test]
fn roots_are_loaded_with_interrupts_off() {
    let mmu = machine();
    violates(Rule::SwitchInterruptsOff, &mmu, || {
        let _ = backend(&mmu).switch(&mut nowhere(), &root(), Debt::None);
    });
    // By way of the runtime.
    let mmu = machine();
    let process = space(&mmu);
    violates(Rule::SwitchInterruptsOff, &mmu, || {
        let _ = mmu.switch(CpuId(0), Current::Kernel, Some(process.clone()));
    });
    let mmu = machine();
    violates(Rule::SwitchInterruptsOff, &mmu, || {
        mmu.offline(CpuId(0), Current::Kernel);
    });
    let mmu = machine();
    let process = running(&mmu);
    violates(Rule::ResumeInterruptsOff, &mmu, || {
        mmu.resume(CpuId(0), &process);
    });
    let mmu = machine();
    violates(Rule::ArriveInterruptsOff, &mmu, || {
        let _ = backend(&mmu).arrive(&mut nowhere());
    });
}

#[test]
fn a_tag_is_one_spaces() {
    let other = Root {
        table: 0x2_0000,
        ..root()
    };
    let load = |mmu: &X86, root: &Root, debt| {
        mmu.platform().interrupts_off(|| {
            let _ = backend(mmu).switch(&mut nowhere(), root, debt);
        });
    };
    for debt in [Debt::None, Debt::Tag, Debt::All] {
        // Before the other root is loaded what is flushed is filled again.
        let mmu = machine();
        violates(Rule::TagsAreNotShared, &mmu, || {
            load(&mmu, &root(), Debt::None);
            load(&mmu, &other, debt);
        });
        let mmu = machine();
        let kernel = mmu.platform().kernel_root();
        let by_the_kernel = || {
            load(&mmu, &root(), Debt::None);
            load(&mmu, &kernel, Debt::None);
            load(&mmu, &other, debt);
        };
        if debt == Debt::None {
            violates(Rule::TagsAreNotShared, &mmu, by_the_kernel);
        } else {
            Hosted::on(&mmu, 0, by_the_kernel);
        }
    }
    // A tag of the machine is one space's on all CPUs.
    let [root, other] = [root(), other].map(|root| Root {
        tag: Tag {
            of_machine: true,
            ..root.tag
        },
        ..root
    });
    let mmu = machine();
    Hosted::on(&mmu, 1, || load(&mmu, &root, Debt::None));
    violates(Rule::TagsAreNotShared, &mmu, || {
        load(&mmu, &other, Debt::Tag);
    });
}

#[test]
fn cpus_are_interrupted_with_interrupts_off() {
    let mmu = machine();
    violates(Rule::InterruptInterruptsOff, &mmu, || {
        mmu.platform().interrupt(&tlbc_runtime::Cpus::NONE);
    });
}

#[test]
fn locks_are_taken_one_at_a_time_with_interrupts_off_and_for_a_moment() {
    use LockEvent::{Acquired, Releasing};
    let mmu = machine();
    violates(Rule::LockInterruptsOff, &mmu, || {
        mmu.platform().lock_event(CpuId(0), Acquired);
    });
    let mmu = machine();
    violates(Rule::OneLockAtATime, &mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            mmu.platform().lock_event(CpuId(0), Acquired);
        });
    });
    let mmu = machine();
    violates(Rule::OneLockAtATime, &mmu, || {
        mmu.platform()
            .interrupts_off(|| mmu.platform().lock_event(CpuId(0), Releasing));
    });
    let mmu = machine();
    violates(Rule::LocksAreShort, &mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            mmu.flush_everything(mmu.kernel());
        });
    });
    let mmu = machine();
    violates(Rule::LocksAreShort, &mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            let _ = mmu.platform().page_batch();
        });
    });
}

/// Unmaps a page and unlinks a table on CPU 0.
fn unmap<B: HostBackend>(mmu: &Arc<Host<B>>, process: &Handle<B>) {
    let backend = mmu.platform().backend();
    let pages = Entries::new(backend, process, Level(0), 0, 1);
    let tables = Entries::new(backend, process, Level(1), 1 << 30, 1);
    pages.map(0, 100, 0);
    tables.link(0, 7);
    mmu.gather(process, |gather| {
        gather.locked((), |section, ()| {
            section
                .clear(pages.leaf(0).expect("a page"))
                .expect("of this space");
            let link = tables.pointer(0).expect("a table");
            section.unlink(link).expect("of this space");
        });
    });
}

#[test]
fn tables_come_out_where_the_kernel_waits_for_nothing() {
    let mmu = machine();
    let process = running(&mmu);
    let again = Arc::downgrade(&mmu);
    mmu.platform().on_tables_out(Box::new(move |_, at_once| {
        assert!(!at_once);
        again.upgrade().expect("a machine").wait_for_walkers();
    }));
    violates(Rule::DeferDoesNotWait, &mmu, || unmap(&mmu, &process));
}

#[test]
fn devices_are_told_without_a_flush() {
    let mmu = machine();
    let process = running(&mmu);
    let again = Arc::downgrade(&mmu);
    mmu.platform().on_devices_told(Box::new(move || {
        let mmu = again.upgrade().expect("a machine");
        mmu.flush_everything(mmu.kernel());
    }));
    let device = Hosted::on(&mmu, 0, || mmu.attach_device(&process, Conditions::NONE));
    assert!(device.is_ok());
    violates(Rule::SecondaryDoesNotFlush, &mmu, || unmap(&mmu, &process));
}

#[test]
fn pages_come_out_where_the_runtime_leaves_interrupts_alone() {
    let mmu = machine();
    let process = running(&mmu);
    violates(Rule::ReleaseAsTheFlush, &mmu, || {
        mmu.platform().pinned(true, |_| unmap(&mmu, &process));
    });
    // With interrupts off a kernel may unmap as well: pages come out as they are.
    let mmu = machine();
    let process = running(&mmu);
    Hosted::on(&mmu, 0, || {
        mmu.platform().interrupts_off(|| unmap(&mmu, &process));
    });
}

/// A CPU that waits for a lock of the runtime answers meanwhile: the CPU that has it may be waiting for that.
#[test]
fn a_cpu_that_waits_for_a_lock_serves() {
    let mut cpus = Scheduler::new(x86(Config::PCID.with(Config::INVLPGB)), 3);
    let tagged = cpus.process();
    let process = cpus.process_with(NewSpace {
        tag_of_cpu: true,
        ..NewSpace::default()
    });
    cpus.run(1, &process);
    cpus.run(2, &process);
    let (mmu, hosted) = (cpus.mmu.clone(), cpus.mmu.platform());
    // What has happened: CPU 0 has the lock; CPU 2's flush is over; and if it was not in time.
    let happened: Arc<[AtomicBool; 3]> = Arc::default();
    let of_hook = happened.clone();
    hosted.on_lock(Box::new(move |cpu, event| {
        let [locked, flushed, late] = &*of_hook;
        if cpu == 0 && event == LockEvent::Acquired {
            locked.store(true, SeqCst);
            let end = Instant::now() + Duration::from_secs(5);
            while !flushed.load(SeqCst) && !late.load(SeqCst) {
                late.store(Instant::now() > end, SeqCst);
                thread::yield_now();
            }
        }
    }));
    let [locked, flushed, late] = &*happened;
    thread::scope(|scope| {
        let pin = |cpu| Hosted::on(&mmu, cpu, || mmu.pin_tag(&tagged).is_ok());
        let first = scope.spawn(move || pin(0));
        while !locked.load(SeqCst) {
            assert!(!first.is_finished(), "it takes the lock");
            thread::yield_now();
        }
        let second = scope.spawn(move || pin(1));
        while !hosted.are_interrupts_off(1) {
            thread::yield_now();
        }
        Hosted::on(&mmu, 2, || mmu.flush_everything(&process));
        assert!(hosted.is_interrupted(1) || late.load(SeqCst), "it waits");
        flushed.store(true, SeqCst);
        assert!(first.join().unwrap() && second.join().unwrap());
    });
    assert!(
        !late.load(SeqCst),
        "CPU 1 waits for the lock and serves nobody"
    );
}
