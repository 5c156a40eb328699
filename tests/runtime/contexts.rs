//! The contexts that the runtime's documentation promises are checked on every call: each rule has a test that violates
//! it.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use tlbc_tests::overridden;

use tlbc_backends::x86_64::{self, Config};
use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, CpuId, Current, Issue, Level, NewSpace, Pending, Platform, Record, Root, SpaceFlags,
    Tag,
};
use tlbc_tests::hosted::{Handle, Host, HostBackend, Hosted};
use tlbc_tests::machines::x86;
use tlbc_tests::rules::Rule;
use tlbc_tests::tables::Entries;

type X86 = Arc<Host<x86_64::Tlb>>;

fn machine() -> X86 {
    Hosted::machine(x86(Config::PGE.with(Config::PCID)), 2)
}

fn space<B: HostBackend>(mmu: &Arc<Host<B>>) -> Handle<B> {
    let new = NewSpace {
        table: 0x1_0000,
        user_table: 0x1_1000,
        ..NewSpace::default()
    };
    Hosted::space(mmu, new).expect("a tag")
}

/// Creates a space that CPU 0 runs in.
fn running<B: HostBackend>(mmu: &Arc<Host<B>>) -> Handle<B> {
    let space = space(mmu);
    let _ = Hosted::on(mmu, 0, || {
        Hosted::switch(mmu, Current::Kernel, Some(&space))
    });
    space
}

/// Returns a flush of everything of a space.
fn request(space: Space, tag: Tag) -> Request<'static> {
    Request {
        space,
        tag,
        reach: Reach::Here,
        published: false,
        flags: SpaceFlags::NONE,
        scope: Scope::Everything { tables: true },
    }
}

const OTHER: Tag = Tag {
    value: 3,
    global: false,
};

fn nowhere<Op>() -> impl Issue<Op> {
    Record(|_| ())
}

/// Returns the backend as the runtime calls it.
fn backend(mmu: &X86) -> impl Deref<Target = <Hosted<x86_64::Tlb> as Platform>::Backend> {
    Platform::backend(mmu.platform())
}

fn root() -> Root {
    Root {
        table: 0x1_0000,
        tag: OTHER,
        empty: 0,
        flags: SpaceFlags::NONE,
    }
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
    Rule::SinkOfThisCpu.is_violated_by(&mmu, || {
        let _ = mmu.platform().sink(CpuId(1));
    });
    let mmu = machine();
    Rule::SinkOfThisCpu.is_violated_by(&mmu, || {
        let mut sink = mmu.platform().sink(CpuId(0));
        let op = x86_64::Op::MovCr3;
        Hosted::on(&mmu, 1, || sink.issue(op));
    });
}

#[test]
fn a_flush_stays_on_its_cpu() {
    let mmu = machine();
    Rule::FlushStaysOnCpu.is_violated_by(&mmu, || {
        let everything = request(Space::Kernel, Tag::default());
        let started = mmu
            .platform()
            .pin_cpu(true, |_| backend(&mmu).start(&mut nowhere(), &everything));
        // The thread could have moved in between.
        mmu.platform().pin_cpu(true, |_| {
            let _ = backend(&mmu).finish(&mut nowhere(), started);
        });
    });
}

#[test]
fn a_flush_has_interrupts_off_if_the_facts_require_it() {
    let mmu = machine();
    Rule::FlushInterruptsOff.is_violated_by(&mmu, || {
        mmu.platform().pin_cpu(false, |_| {
            let everything = request(Space::Kernel, Tag::default());
            let _ = backend(&mmu).start(&mut nowhere(), &everything);
        });
    });
    let mmu = machine();
    Rule::FlushInterruptsOff.is_violated_by(&mmu, || {
        mmu.platform().pin_cpu(false, |_| {
            let everything = request(Space::Kernel, Tag::default());
            let start = |_| backend(&mmu).start(&mut nowhere(), &everything);
            let started = mmu.platform().pin_cpu(true, start);
            let _ = backend(&mmu).finish(&mut nowhere(), started);
        });
    });
}

#[test]
fn flushes_are_one_at_a_time_if_the_facts_require_it() {
    let one =
        overridden::Overridden::<_, { overridden::ONE }>::new(x86(Config::PGE.with(Config::PCID)));
    let mmu = Hosted::machine(one, 2);
    let started = |cpu| {
        let everything = Request {
            reach: Reach::Wide,
            ..request(Space::Kernel, Tag::default())
        };
        Hosted::on(&mmu, cpu, || {
            let backend = Platform::backend(mmu.platform());
            let start = |_| backend.start(&mut nowhere(), &everything);
            let _ = mmu.platform().pin_cpu(true, start);
        });
    };
    started(1);
    Rule::OneFlushAtATime.is_violated_by(&mmu, || started(0));
}

#[test]
fn a_request_is_handled_with_interrupts_off_and_where_the_space_is_loaded() {
    let mmu = machine();
    Rule::HandleInterruptsOff.is_violated_by(&mmu, || {
        let everything = request(Space::Kernel, Tag::default());
        let _ = backend(&mmu).handle(&mut nowhere(), &everything);
    });
    let mmu = machine();
    let _space = running(&mmu);
    Rule::HandleWhereLoaded.is_violated_by(&mmu, || {
        mmu.platform().interrupts_off(|| {
            let _ = backend(&mmu).handle(&mut nowhere(), &request(Space::User, OTHER));
        });
    });
}

#[test]
fn roots_are_loaded_with_interrupts_off() {
    let mmu = machine();
    Rule::SwitchInterruptsOff.is_violated_by(&mmu, || {
        let _ = backend(&mmu).switch(&mut nowhere(), &root(), Pending::None);
    });
    // Through the runtime.
    let mmu = machine();
    let process = space(&mmu);
    Rule::SwitchInterruptsOff.is_violated_by(&mmu, || {
        let _ = mmu.switch(CpuId(0), Current::Kernel, Some(process.clone()));
    });
    let mmu = machine();
    Rule::SwitchInterruptsOff.is_violated_by(&mmu, || {
        mmu.cpu_offline(CpuId(0), Current::Kernel);
    });
    let mmu = machine();
    let process = running(&mmu);
    Rule::ReturnToUserInterruptsOff.is_violated_by(&mmu, || {
        mmu.return_to_user(CpuId(0), &process);
    });
    let mmu = machine();
    let process = running(&mmu);
    Rule::EnterInterruptsOff.is_violated_by(&mmu, || {
        mmu.enter_from_user(CpuId(0), &process);
    });
    let mmu = machine();
    Rule::OnlineInterruptsOff.is_violated_by(&mmu, || {
        let _ = backend(&mmu).cpu_online(&mut nowhere());
    });
}

#[test]
fn a_tag_belongs_to_one_space() {
    let other = Root {
        table: 0x2_0000,
        ..root()
    };
    let load = |mmu: &X86, root: &Root, pending| {
        mmu.platform().interrupts_off(|| {
            let _ = backend(mmu).switch(&mut nowhere(), root, pending);
        });
    };
    for pending in [Pending::None, Pending::Tag, Pending::All] {
        // What is flushed before the other root is loaded is filled again.
        let mmu = machine();
        Rule::TagsAreNotShared.is_violated_by(&mmu, || {
            load(&mmu, &root(), Pending::None);
            load(&mmu, &other, pending);
        });
        let mmu = machine();
        let kernel = mmu.platform().kernel_root();
        let by_the_kernel = || {
            load(&mmu, &root(), Pending::None);
            load(&mmu, &kernel, Pending::None);
            load(&mmu, &other, pending);
        };
        if pending == Pending::None {
            Rule::TagsAreNotShared.is_violated_by(&mmu, by_the_kernel);
        } else {
            Hosted::on(&mmu, 0, by_the_kernel);
        }
    }
    // A global tag belongs to one space on all CPUs.
    let [root, other] = [root(), other].map(|root| Root {
        tag: Tag {
            global: true,
            ..root.tag
        },
        ..root
    });
    let mmu = machine();
    Hosted::on(&mmu, 1, || load(&mmu, &root, Pending::None));
    Rule::TagsAreNotShared.is_violated_by(&mmu, || {
        load(&mmu, &other, Pending::Tag);
    });
}

#[test]
fn cpus_are_interrupted_with_interrupts_off() {
    let mmu = machine();
    Rule::InterruptInterruptsOff.is_violated_by(&mmu, || {
        mmu.platform().send_ipi(&tlbc_runtime::CpuMask::NONE);
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
                .unmap(pages.leaf(0).expect("a page"))
                .expect("of this space");
            let link = tables.pointer(0).expect("a table");
            section.unlink(link).expect("of this space");
        });
    });
}

#[test]
fn free_tables_deferred_must_not_wait() {
    let mmu = machine();
    let process = running(&mmu);
    let again = Arc::downgrade(&mmu);
    mmu.platform().on_tables_out(Box::new(move |_, at_once| {
        assert!(!at_once);
        again.upgrade().expect("a machine").wait_for_walkers();
    }));
    Rule::DeferDoesNotWait.is_violated_by(&mmu, || unmap(&mmu, &process));
}

#[test]
fn devices_are_invalidated_without_a_flush() {
    let mmu = machine();
    let process = running(&mmu);
    let again = Arc::downgrade(&mmu);
    mmu.platform().on_devices(Box::new(move || {
        let mmu = again.upgrade().expect("a machine");
        mmu.flush_everything(mmu.kernel());
    }));
    let device = Hosted::on(&mmu, 0, || mmu.attach_device(&process, SpaceFlags::NONE));
    assert!(device.is_ok());
    Rule::SecondaryDoesNotFlush.is_violated_by(&mmu, || unmap(&mmu, &process));
}

#[test]
fn pages_are_released_with_the_callers_interrupt_state() {
    let mmu = machine();
    let process = running(&mmu);
    Rule::ReleaseAsTheFlush.is_violated_by(&mmu, || {
        mmu.platform().pin_cpu(true, |_| unmap(&mmu, &process));
    });
    // A kernel may unmap with interrupts off as well: pages are then released with interrupts off.
    let mmu = machine();
    let process = running(&mmu);
    Hosted::on(&mmu, 0, || {
        mmu.platform().interrupts_off(|| unmap(&mmu, &process));
    });
}
