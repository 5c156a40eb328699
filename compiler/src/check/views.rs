//! Views: each is loaded when it must be.
//!
//! In: the views of a space, and what a switch and a return to user code load. Out: E0516. Holds: on every machine with tags, a
//! switch loads the view that is loaded while the kernel runs, and a return to user code loads every other.

use super::configs::{Configs, RecordedConfig};
use super::spaces::{carry_tag, conds};
use super::tags_in;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Load, Loads, Model};

/// Checks E0516: a switch loads the view with which the kernel runs, and a return to user code every other.
pub fn loaded(model: &Model, found: &mut Vec<Diagnostic>) {
    let views = &model.user.views;
    let of_return = model.return_to_user.loads.iter().map(|loads| &loads.when);
    let whens = views.iter().map(|view| &view.when).chain(of_return);
    let configs = Configs::of(model, conds(model).chain(whens));
    let finding = |span, message: String| Diagnostic::new(Code::E0516, span, message);
    // Not exactly one view that is loaded while the kernel runs has been reported by E0513.
    let one = |config: RecordedConfig<'_>| {
        let loaded = views
            .iter()
            .filter(|view| view.loaded && view.when.holds(config));
        loaded.count() == 1
    };
    if !configs.iter().all(one) {
        return;
    }
    for config in configs.iter() {
        // Without a tag, a view is a root alone, and a load drops the entries of the previous one.
        if tags_in(model, config).next().is_none() {
            continue;
        }
        let when = configs.when(config);
        let of = |event: &'_ crate::model::Event| -> Vec<Loads> {
            let loads = event.loads.iter();
            loads.filter(|it| it.when.holds(config)).cloned().collect()
        };
        let (switch, return_to_user) = (of(&model.switch), of(&model.return_to_user));
        let missing =
            (switch.iter().chain(&return_to_user)).find(|it| !views[it.view].when.holds(config));
        if let Some(loads) = missing {
            let view = &views[loads.view].named;
            found.push(
                finding(
                    loads.span,
                    format!(
                        "the view `{}` is loaded where it does not exist{when}",
                        view.name
                    ),
                )
                .label("loaded here")
                .because(view.span, "does not exist then")
                .note("a CPU would run under a tag that no flush covers")
                .help("give the load the condition of the view"),
            );
            return;
        }
        if let Some(loads) = switch.iter().find(|it| !views[it.view].loaded) {
            let view = &views[loads.view].named;
            found.push(
                finding(
                    loads.span,
                    format!(
                        "a switch loads the view `{}`, and the kernel runs with another{when}",
                        view.name
                    ),
                )
                .label("loaded here")
                .because(view.span, "not the one that is `loaded`")
                .note("an instruction on the loaded tag would be chosen to cover a view that is not loaded")
                .help("load the view that is `loaded` in `switch`, and the other in `return_to_user`"),
            );
            return;
        }
        let never = views.iter().enumerate().find(|(index, view)| {
            let loads = return_to_user.iter().filter(|it| it.view == *index);
            let loads = loads.flat_map(|it| it.loads.iter().map(|&load| &model.loads[load]));
            let loads: Vec<&Load> = loads.collect();
            !view.loaded && view.when.holds(config) && !carry_tag(model, &loads, config)
        });
        if let Some((_, view)) = never {
            found.push(
                finding(
                    view.named.span,
                    format!(
                        "the view `{}` is not loaded in the kernel, nor by the return to user code{when}",
                        view.named.name
                    ),
                )
                .label("never loaded")
                .because(model.return_to_user.span, "loads no tag of it")
                .note("user code would run with the view of the kernel, and flushes that are deferred until this view is loaded would never be done")
                .help(format!("let `return_to_user` load it: `loads ... in {};`", view.named.name)),
            );
            return;
        }
    }
}
