//! What an instruction needs of the code around it: plans give it, or `check` says that no plan can.

use tlbc::codes::Code;
use tlbc::model::{At, Instr, Model, Need, Which};
use tlbc::plan::plan;
use tlbc::prove::prove;
use tlbc_tests::archdefs::{analysis, definition, names};
use tlbc_tests::requests::findings;

/// Returns whether workarounds issue an instruction.
fn is_of_workaround(model: &Model, invalidate: usize) -> bool {
    let workarounds = model.errata.iter().flat_map(|it| &it.workarounds);
    let mut issued = workarounds.flat_map(|it| &it.issue);
    issued.any(|it| it.instr == Instr::Invalidate(invalidate))
}

/// Returns a definition in which some instructions need more: those of workarounds, and every second one.
fn needing(model: &Model, needs: &[Need], offset: usize) -> Model {
    let mut changed = model.clone();
    for (index, it) in changed.invalidates.iter_mut().enumerate() {
        let chosen = is_of_workaround(model, index) || index % 2 == offset;
        let span = it.span;
        for &value in needs.iter().filter(|_| chosen) {
            if it.needs.iter().all(|stated| stated.value != value) {
                it.needs.push(At { value, span });
            }
        }
    }
    changed
}

#[test]
fn what_is_planned_has_what_it_needs() {
    let mut refused = 0;
    for (number, name) in names().enumerate() {
        for needs in [&[Need::SameCpu, Need::InterruptsOff][..], &[Need::Lock]] {
            let model = needing(&analysis(name).model, needs, number % 2);
            let (plans, found) = plan(&model);
            if !found.is_empty() {
                // The caller can give all that is not the lock.
                assert_eq!(needs, [Need::Lock], "{name}: {found:#?}");
                assert!(found.iter().all(|it| it.code == Code::E0413), "{found:#?}");
                refused += 1;
                continue;
            }
            for need in needs {
                let issued = plans.instructions(&model).into_iter();
                let mut issued = issued.filter_map(|it| match it {
                    Which::Invalidate(index) => Some(&model.invalidates[index]),
                    _ => None,
                });
                let is_issued = issued.any(|it| it.needs.iter().any(|at| at.value == *need));
                // Where the lock is not held, instructions that do not need it are selected.
                assert!(is_issued || *need == Need::Lock, "{name} {need:?}");
                assert!(plans.needs(*need) || !is_issued, "{name} {need:?}");
            }
            let failures = prove(&model, &plans).failures;
            let messages = failures.iter().map(|it| it.diagnostic(&model).message);
            let messages: Vec<String> = messages.collect();
            assert_eq!(messages, Vec::<String>::new(), "{name} {needs:?}");
        }
    }
    assert!(refused >= 3, "{refused}");
}

/// Where IPIs flush, each instruction for this CPU is one of their handler. Broadcasts are issued by the sender, which holds
/// the lock.
#[test]
fn only_the_sender_holds_the_lock() {
    let codes = |old: &str, new: &str| {
        let of = |name| {
            let found = findings(&definition(name).replace(old, new)).into_iter();
            let mut codes: Vec<String> = found.map(|it| it[..5].to_owned()).collect();
            codes.dedup();
            codes
        };
        names().map(of).collect::<Vec<_>>()
    };
    let refused = |it: &&Vec<String>| **it == ["E0413"];
    let local = codes("where self;", "where self; needs lock;");
    assert!(local.iter().filter(refused).count() >= 3, "{local:?}");
    let broadcast = codes("needs no lock;", "");
    let accepted = broadcast.iter().filter(|it| it.is_empty()).count();
    assert!(accepted >= 2, "{broadcast:?}");
}
