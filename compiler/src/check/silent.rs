//! Statements with alternatives that say nothing on some machine.
//!
//! In: the statements that have no default. Out: E0203. Holds: on every machine on which such a statement counts, one of
//! its alternatives does. `tables`, `sets` and `levels` check the statements whose numbers have rules of their own.

use super::configs::{Configs, RecordedConfig};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{CachedKind, Cases, Cond, Model};

/// Checks E0203: a statement without a default has an alternative on every machine.
pub fn everywhere(model: &Model, found: &mut Vec<Diagnostic>) {
    let caches = &model.caches;
    let always = |_: RecordedConfig<'_>| true;
    let what = "`caches` does not say whether there are negative entries";
    silent(model, &caches.negative, [], always, what, found);
    let what = "`caches` does not say what fills entries";
    silent(model, &caches.fills, [], always, what, found);
    let what = "`caches` does not say what happens when an entry allows less than the table";
    silent(model, &caches.stricter, [], always, what, found);
    for (name, space) in [("user", &model.user), ("kernel", &model.kernel)] {
        let what = format!("`space {name}` does not say under what leaf entries are");
        silent(model, &space.leaf, [], always, &what, found);
        let what = format!("`space {name}` does not say under what walk entries are");
        let walks = |config: RecordedConfig<'_>| caches.hold(CachedKind::Walk, config);
        silent(model, &space.walk, caches.conds(), walks, &what, found);
    }
    for it in &model.invalidates {
        let name = &it.named.name;
        let used = |config: RecordedConfig<'_>| it.requires.holds(config);
        let what = format!("`{name}` does not say where it acts");
        silent(model, &it.agents, [&it.requires], used, &what, found);
        if let Some(after) = &it.after {
            let what = format!("`{name}` does not say when it is finished");
            silent(model, after, [&it.requires], used, &what, found);
        }
    }
    for (block, resync) in model.resyncs() {
        let what = format!("`{block}` does not say what its resync is");
        silent(model, resync, [], always, &what, found);
    }
}

/// Reports a machine on which a statement counts and none of its alternatives holds. `conds` are the conditions on which
/// `counts` depends.
fn silent<'m, T>(
    model: &'m Model,
    cases: &'m Cases<T>,
    conds: impl IntoIterator<Item = &'m Cond>,
    counts: impl Fn(RecordedConfig<'_>) -> bool,
    what: &str,
    found: &mut Vec<Diagnostic>,
) {
    let configs = Configs::of(model, cases.conds().chain(conds));
    let mut without = configs.iter().filter(|&config| counts(config));
    let Some(config) = without.find(|&config| cases.get(config).is_none()) else {
        return;
    };
    found.push(
        Diagnostic::new(
            Code::E0203,
            cases.span,
            format!("{what}{}", configs.when(config)),
        )
        .label("no alternative holds there")
        .note("this statement has no default")
        .help("begin with an alternative that has no condition"),
    );
}
