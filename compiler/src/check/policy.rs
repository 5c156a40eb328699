//! Policy: the facts permit what it states.
//!
//! In: the policy, and how entries change. Out: E0208, E0505, E0602, E0603, E0604. Holds: nothing is freed earlier than a flush
//! allows, entries can be changed as stated, and a fault that is fixed can occur.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Level;

use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{CachedKind, Invalidate, Model, Negative, Shootdown, Stricter};

fn has_writer(model: &Model) -> bool {
    model.invalidates.iter().any(|i| i.writes_entry.is_some())
}

/// Checks E0505: where plain stores are not allowed, an instruction writes entries.
pub fn writers(model: &Model, found: &mut Vec<Diagnostic>) {
    let plain = model.change.plain_store;
    if plain.value || has_writer(model) {
        return;
    }
    found.push(
        Diagnostic::new(
            Code::E0505,
            plain.span,
            "entries are changed by instructions, and none writes entries",
        )
        .label("rules plain stores out")
        .note("a walker could see the entry while it changes by a plain store")
        .help("add `writes entry at ...: invalid;` to the instruction that changes them, or state `plain store;`"),
    );
}

/// Checks E0602: tables are freed after a flush only where the flush interrupts every CPU.
pub fn tables_after_flush(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(stated) = model.policy.tables_deferred.filter(|at| !at.value) else {
        return;
    };
    let shootdown = model.policy.shootdown.as_ref();
    let mut cases = shootdown.into_iter().flat_map(|shootdown| &shootdown.cases);
    let broadcast = cases.find(|(by, _)| by.value == Shootdown::Broadcast);
    let wide = |i: &&Invalidate| {
        let mut cases = i.agents.cases.iter();
        cases.any(|(at, _)| !Agents::CORE.covers(at.value))
    };
    let wide = model.invalidates.iter().find(wide);
    let given = model.invalidates.iter().find_map(Invalidate::given);
    let configs = Configs::of(model, model.caches.conds());
    let uncached = configs
        .iter()
        .find(|&config| !model.caches.hold(CachedKind::Walk, config));
    let unflushed = uncached.map(|config| {
        let when = configs.when(config);
        format!("tables are freed after a flush, and freeing one requires no flush{when}")
    });
    let (message, fact, label) = match (broadcast, wide, &unflushed) {
        (Some((by, _)), ..) => (
            "tables are freed after a flush that sends no IPI",
            by.span,
            "a broadcast leaves the other CPUs running",
        ),
        _ if given.is_some() => (
            "tables are freed after a flush that may send no IPI",
            given.unwrap_or(stated.span),
            "flushes other CPUs in place of the IPI, and leaves them running",
        ),
        (None, Some(wide), _) if shootdown.is_none() => (
            "tables are freed after a flush that may send no IPI",
            wide.agents.span,
            "flushes other CPUs and leaves them running",
        ),
        (.., Some(message)) => (
            message.as_str(),
            model.caches.span,
            "no cache holds walk entries",
        ),
        _ => return,
    };
    found.push(
        Diagnostic::new(Code::E0602, stated.span, message)
            .label("freed after the flush")
            .because(fact, label)
            .note("only the IPI excludes lockless walkers, which run with interrupts off")
            .help("state `tables deferred`: tables are freed after a grace period"),
    );
}

/// Checks E0603: pages are freed at the change only where the change itself flushes.
pub fn pages_at_change(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(stated) = model.policy.pages_batched.filter(|at| !at.value) else {
        return;
    };
    if has_writer(model) {
        return;
    }
    found.push(
        Diagnostic::new(
            Code::E0603,
            stated.span,
            "pages are freed at the change, and no instruction that changes an entry flushes it",
        )
        .label("freed at once")
        .because(
            model.change.plain_store.span,
            "changes the table and drops no entry",
        )
        .note(
            "a CPU that still caches the translation would write into a page that has a new owner",
        )
        .help("state `pages batched`: pages are freed after one flush"),
    );
}

/// Checks E0208: faults on stale entries of the kernel occur on some machine.
pub fn faults(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(stated) = model.policy.kernel_faults_fixed else {
        return;
    };
    let caches = &model.caches;
    let mut negative = caches.negative.cases.iter();
    let mut stricter = caches.stricter.cases.iter();
    if negative.any(|(kept, _)| *kept != Negative::Never)
        || stricter.any(|(stricter, _)| stricter.how != Stricter::Refetched)
    {
        return;
    }
    found.push(
        Diagnostic::new(
            Code::E0208,
            stated.span,
            "`kernel faults fixed` has no effect: no stale entry makes the kernel's code fault",
        )
        .label("stated here")
        .because(caches.negative.span, "no negative entries")
        .because(caches.stricter.span, "walks again before it faults")
        .help("remove the statement, or correct what the machine caches"),
    );
}

/// Checks E0604: strides are of levels that map pages, and the smallest pages of each geometry have one.
pub fn strides(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(stated) = model.policy.strides else {
        return;
    };
    let leaves = model.leaf_levels();
    for level in stated.value.iter().filter(|&level| !leaves.contains(level)) {
        let named = &model.levels[level.index()];
        found.push(
            Diagnostic::new(
                Code::E0604,
                stated.span,
                format!("`strides` names `{}`, which maps no pages", named.name),
            )
            .label("stated here")
            .because(named.span, "without `leaf`")
            .note("no request flushes leaf entries of this level")
            .help("remove the level, or mark it `leaf`"),
        );
    }
    for geometry in &model.geometries {
        let levels = geometry.levels.iter().zip(&model.levels).enumerate();
        let smallest = levels.filter_map(|(index, (level, named))| {
            let leaf = level.as_ref()?.leaf.as_ref()?;
            Some((Level(index as u8), named, leaf))
        });
        // If entries of a level map pages on some machines only, the next level has the smallest pages on the others.
        let mut without = Vec::new();
        for (level, named, leaf) in smallest {
            if !stated.value.contains(level) {
                without.push(named);
            }
            if leaf.terms.is_empty() {
                break;
            }
        }
        for named in without {
            found.push(
                Diagnostic::new(
                    Code::E0604,
                    stated.span,
                    format!(
                        "`strides` leaves out `{}`, which may map the smallest pages of `{}`",
                        named.name, geometry.named.name
                    ),
                )
                .label("stated here")
                .because(named.span, "no lower level has a stride")
                .note("leaf entries of a level that is left out are flushed at the stride of the next lower one")
                .help(format!("add `{}`", named.name)),
            );
        }
    }
}
