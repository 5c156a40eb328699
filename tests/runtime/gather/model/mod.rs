//! Random programs of gathers against the simple model, in every configuration.

use tlbc_tests::tests_on_every_machine;
mod programs;
mod space;

use programs::{FEW, Op, Program, Step, programs};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use space::Space;
use tlbc_runtime::{Backend, Current, Gather, NewSpace};
use tlbc_tests::hosted::Hosted;
use tlbc_tests::model::{Machine, Model, machine};
use tlbc_tests::watched::Watched;

struct World<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    spaces: [Space<B>; 2],
    model: Model<B>,
}

impl<B: Backend + Send + Sync + 'static> World<B> {
    fn gather(&mut self, which: usize, steps: &[Step]) {
        let (mmu, handle) = (self.mmu.clone(), self.spaces[which].handle.clone());
        self.begin(which);
        mmu.gather(&handle, |gather| self.steps(gather, which, steps));
        self.model.see();
        self.model.all_is_met(self.spaces[which].subject);
    }

    fn begin(&mut self, which: usize) {
        self.model.begin(self.spaces[which].subject);
    }

    fn steps(&mut self, gather: &mut Gather<'_, Hosted<Watched<B>>>, which: usize, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Section(ops) => {
                    gather.locked((), |section, ()| {
                        for op in ops {
                            self.begin(which);
                            self.spaces[which].run(section, &mut self.model, op);
                            self.model.see();
                        }
                    });
                    self.model.see();
                    assert!(
                        self.model.has_no_rmaps(),
                        "no rmap is left after the lock is released"
                    );
                }
                Step::Flush => {
                    gather.flush();
                    self.model.see();
                }
                Step::Memory(batches) => {
                    use std::sync::atomic::Ordering::SeqCst;
                    self.mmu.platform().batches.store(*batches, SeqCst);
                }
                Step::Nested(other, steps) => {
                    let inner = if *other { 1 - which } else { which };
                    let mmu = self.mmu.clone();
                    Hosted::on(&mmu, inner as u32, || self.gather(inner, steps));
                    self.begin(which);
                }
            }
        }
    }

    fn teardown(&mut self, which: usize) {
        let (mmu, handle) = (self.mmu.clone(), self.spaces[which].handle.clone());
        self.begin(which);
        self.model.tear_down(self.spaces[which].subject, &handle);
        mmu.teardown(&handle, |gather| {
            let large = (0..FEW).map(|at| Op::ClearLarge(true, at));
            let ops = large.chain([Op::UnlinkAll]).collect();
            self.steps(gather, which, &[Step::Section(ops)]);
        });
        self.model.see();
        self.model.all_is_met(self.spaces[which].subject);
    }
}

fn run<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace, program: &Program) {
    let mmu = machine(backend, 3);
    let mut model = Model::new(&mmu);
    let mut world = World {
        spaces: [0, 1].map(|subject| Space::new(&mmu, &mut model, subject, new)),
        model,
        mmu: mmu.clone(),
    };
    let runs = [Some(0), Some(1), program.shared.then_some(0)];
    let mut current = Vec::new();
    for (cpu, space) in (0..).zip(runs) {
        let space = space.map(|space: usize| world.spaces[space].handle.clone());
        current.push(Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, space.as_ref())
        }));
    }
    // This runs on the CPU that runs the space: a CPU that does not have it loaded issues nothing that could be
    // checked.
    for (which, steps) in &program.gathers {
        Hosted::on(&mmu, u32::from(*which), || {
            world.gather(usize::from(*which), steps);
        });
    }
    if program.teardown {
        for (cpu, current) in (0..).zip(&mut current) {
            let was = std::mem::replace(current, Current::Kernel);
            *current = Hosted::on(&mmu, cpu, || Hosted::switch(&mmu, was, None));
        }
        for which in 0..2 {
            Hosted::on(&mmu, which as u32, || world.teardown(which));
        }
    }
    world.model.nothing_waits();
    world.model.tags_stay_apart();
}

fn programs_agree_with_the_model<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let config = ProptestConfig {
        cases: 200,
        max_shrink_time: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&programs(), |program| {
        run(backend, new, &program);
        Ok(())
    });
    result.unwrap_or_else(|failed| panic!("{failed}"));
}

tests_on_every_machine!(programs_agree_with_the_model);
