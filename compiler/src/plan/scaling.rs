//! How plans grow with features, errata and instructions. Sizes are counted, not timed.

use super::builder::PlanBuilder;
use super::candidates::Variant;
use super::choose::{Chooser, wanted};
use super::context::PlanContext;
use super::demand::LEAF_AND_WALK;
use super::ir::Shape;
use super::plan;
use super::search::undominated;
use super::symbolic::outcomes;
use super::tests::model;
use crate::model::Model;
use crate::model::flags::{KnownFlags, Needs};
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

/// Returns a machine that flushes a page with its tables, a tag, or everything, with additional items.
pub(crate) fn with(items: impl IntoIterator<Item = String>) -> Model {
    let items: String = items.into_iter().collect();
    model(format!(
        r#"arch growing {{
            target_arch "growing";
            geometry base {{ page 4 KiB; levels {{ pte 12 leaf; pmd 21 leaf; pgd 30; }} }}
            caches {{
                tlb holds leaf, walk;
                one per cpu;
                walk spans its reach;
                large leaf may split, dropped together;
                invalid never;
                fills while loaded;
                stricter dropped by the fault;
            }}
            tag asid {{ 16 bits; of machine; values 1..65535; from generations; }}
            space user {{ addresses low 38 bits; leaf under asid; walk under asid; }}
            space kernel {{ addresses high 38 bits; leaf global; walk under every tag; }}
            barrier begin "begin" {{ publishes on cpus; }}
            barrier end "end" {{ completes on cpus; gone; drained; }}
            operand address 64 bits {{ [63:0] va; }}
            operand number 64 bits {{ [63:16] 0; [15:0] tag; }}
            invalidate page "page {{address}}, {{number}}" {{
                drops leaf, walk of one page, this tag or global; where cpus; needs no lock; after end;
            }}
            invalidate space "space {{number}}" {{
                drops leaf, walk of everything, this tag; where cpus; needs no lock; after end;
            }}
            invalidate all "all" {{ drops leaf, walk of everything, any tag; where cpus; needs no lock; after end; }}
            change {{ plain store; }}
            operand root 64 bits {{ [63:48] tag; [47:0] root[47:0]; }}
            load root "root {{root}}" {{ }}
            switch {{ loads root; }}
            cpu_online {{ contents unknown; }}
            {items}
            policy {{ ceiling 8 operations; }}
        }}"#
    ))
}

/// Returns the number of outcomes of a plan, and its number of steps and decisions.
fn size(model: &Model, shape: Shape) -> (usize, usize) {
    let needs = Needs::of(model);
    let mut chooser = Chooser::default();
    let found = outcomes(&needs, |machine| {
        PlanBuilder::new(model, machine, &mut chooser).node(shape)
    });
    let (plans, findings) = plan(model);
    assert!(findings.is_empty());
    let mut nodes = 0;
    plans.get(shape).unwrap().body.walk(&mut |_| nodes += 1);
    (found.len(), nodes)
}

const PAGE: Shape = Shape::Page(Space::User, Reach::Wide);
const FINISH: Shape = Shape::Finish(Space::User, Reach::Wide);

/// Returns an instruction for one page, and the feature that it requires.
fn feature(name: usize, drops: &str, cost: usize) -> String {
    format!(
        "feature f{name} \"one more\";
         invalidate x{name} requires f{name} \"x {{address}}, {{number}}\" {{
            drops {drops} of one page, this tag; where cpus; needs no lock; after end; cost {cost};
         }}"
    )
}

#[test]
fn instructions_that_are_never_the_least_are_not_asked_for() {
    let dearer = (0..8).map(|k| feature(k, "leaf, walk", 2 + k));
    assert_eq!(size(&with(dearer), PAGE), size(&with([]), PAGE));
}

#[test]
fn each_better_instruction_adds_the_same() {
    let better = |count| size(&with((0..count).map(|k| feature(k, "leaf", 1))), PAGE);
    let [(kinds, none), (kinds_of_one, one), (kinds_of_all, all)] = [0, 1, 8].map(better);
    assert!(kinds_of_one > kinds);
    assert_eq!(kinds_of_all - kinds, 8 * (kinds_of_one - kinds));
    // Each is one decision with one more branch, not one for each set of the others.
    assert!(all - none <= 8 * (one - none), "{none}, {one}, {all}");
}

#[test]
fn each_erratum_with_a_workaround_adds_the_same() {
    let errata = |count: usize| {
        let erratum = |k| {
            format!(
                "erratum e{k} \"once more\" {{
                    weakens end: not drained;
                    workaround after end issue space, end;
                 }}"
            )
        };
        size(&with((0..count).map(erratum)), FINISH)
    };
    let [(kinds, none), (_, one), (kinds_of_all, all)] = [0, 1, 8].map(errata);
    // The barrier becomes a sequence with the workaround, which is one node whatever it issues.
    assert_eq!(one - none, 1);
    assert_eq!(kinds_of_all, kinds);
    assert_eq!(all - none, 8 * (one - none));
}

/// Returns the number of ways in which an instruction can be a candidate for a page.
fn ways(model: &Model, name: &str) -> usize {
    let needs = Needs::of(model);
    let found = outcomes(&needs, |machine| {
        let context = PlanContext::new(model, machine, Space::User, Reach::Wide);
        context
            .pool(false)
            .into_iter()
            .filter(|it| {
                let mut primitives = it.candidate.how.primitive().into_iter();
                primitives.any(|it| model.invalidates[it.invalidate].named.name == name)
            })
            .count()
    });
    found.into_iter().map(|(_, count)| count).max().unwrap_or(0)
}

/// Returns the number of candidates that the search for a page with its tables has to combine.
fn searched(model: &Model) -> usize {
    let needs = Needs::of(model);
    let found = outcomes(&needs, |machine| {
        let context = PlanContext::new(model, machine, Space::User, Reach::Wide);
        let pool = context.pool(false);
        let pool: Vec<&Variant> = pool.iter().collect();
        let cells = wanted(&context, LEAF_AND_WALK, Levels::ALL, Levels::ALL);
        undominated(&pool, &cells, LEAF_AND_WALK.extent, KnownFlags::default()).len()
    });
    found.into_iter().map(|(_, count)| count).max().unwrap_or(0)
}

#[test]
fn instructions_that_others_dominate_are_not_searched() {
    let many = |count: usize, cost: usize| {
        let one = |k| {
            let drops = ["leaf", "walk", "leaf, walk"][k % 3];
            format!(
                "invalidate x{k} \"x{k} {{address}}, {{number}}\" {{
                    drops {drops} of one page, this tag; where cpus; needs no lock; after end; cost {cost};
                 }}"
            )
        };
        searched(&with((0..count).map(one)))
    };
    // The first of the three kinds each, and those of the machine itself.
    let few = many(3, 1);
    assert_eq!(many(198, 1), few);
    assert_eq!(many(198, 2), searched(&with([])));
}

#[test]
fn each_feature_adds_one_of_its_instructions_to_the_search() {
    let features = |count: usize| {
        let feature = |k| format!("feature f{k} \"one more\";");
        let one = |k: usize| {
            let of = k % count;
            format!(
                "invalidate x{k} requires f{of} \"x{k} {{address}}, {{number}}\" {{
                    drops leaf of one page, this tag; where cpus; needs no lock; after end;
                 }}"
            )
        };
        searched(&with(
            (0..count).map(feature).chain((0..12 * count).map(one)),
        ))
    };
    let [one, two, eight] = [1, 2, 8].map(features);
    assert_eq!(eight - one, 7 * (two - one));
}

#[test]
fn a_set_has_as_many_instructions_as_it_needs() {
    let of_level = |drops: &str| {
        let name = drops.replace(' ', "_");
        format!(
            "invalidate {name} \"{name} {{address}}, {{number}}\" {{
                drops {drops} of one page, this tag; where cpus; needs no lock; after end;
             }}"
        )
    };
    let weak =
        "erratum weak \"`page` does nothing\" { weakens page: not leaf; weakens page: not walk; }";
    let levels = ["leaf at pte", "leaf at pmd", "walk at pmd", "walk at pgd"];
    let model = with(levels.map(of_level).into_iter().chain([weak.to_owned()]));
    let needs = Needs::of(&model);
    let mut chooser = Chooser::default();
    let chosen = outcomes(&needs, |machine| {
        let context = PlanContext::new(&model, machine, Space::User, Reach::Wide);
        let choice = chooser.choose(&context, LEAF_AND_WALK).unwrap();
        let primitives = choice.candidates.iter().filter_map(|it| it.how.primitive());
        let names = primitives.map(|it| model.invalidates[it.invalidate].named.name.clone());
        names.collect::<Vec<_>>()
    });
    let chosen: Vec<Vec<String>> = chosen.into_iter().map(|(_, names)| names).collect();
    let names = levels.map(|drops| drops.replace(' ', "_"));
    assert_eq!(chosen, [vec!["page".to_owned()], names.to_vec()]);
}

#[test]
fn conditions_in_a_circle_are_asked_for_one_after_the_other() {
    let circle = |count: usize| {
        let features = (0..count).map(|k| format!("feature f{k} \"one more\";"));
        let clause = |k| {
            let next = (k + 1) % count;
            format!("drops leaf of one page, this tag when f{k} and not f{next};")
        };
        let clauses: String = (0..count).map(clause).collect();
        let odd = format!(
            "invalidate odd \"odd {{address}}, {{number}}\" {{ {clauses} where cpus; needs no lock; after end; }}"
        );
        ways(&with(features.chain([odd])), "odd")
    };
    let [four, eight] = [4, 8].map(circle);
    // With all sets of features there would be sixteen times as many.
    assert!(eight <= 4 * four, "{four}, {eight}");
}

#[test]
fn errata_that_take_the_same_add_the_same() {
    let errata = |count: usize| {
        let erratum = |k| {
            format!(
                "feature f{k} \"one more\";
                 erratum e{k} \"once more\" needs f{k} {{ weakens page: not leaf; }}"
            )
        };
        ways(&with((0..count).map(erratum)), "page")
    };
    let [none, four, eight] = [0, 4, 8].map(errata);
    assert_eq!(eight - none, 2 * (four - none));
}
