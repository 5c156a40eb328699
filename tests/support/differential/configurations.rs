//! Every event, every change, and a page at each level, in every possible configuration.

use std::cell::RefCell;

use tlbc::Analysis;
use tlbc::model::Config;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Scope, Tag};

use super::asked::{Asked, env};
use super::machines::{Module, REACHES, SPACES, addresses, machine_of, most as most_of};
use crate::configurations;

const TAG: Tag = Tag {
    value: 0x5a6,
    global: false,
};

/// Panics if plans and backend differ in a configuration. At most `most` configurations are tried.
pub fn plans_and_backend_agree_in_configurations(
    analysis: &Analysis,
    module: &Module,
    most: usize,
) {
    let Analysis { model, plans } = analysis;
    let possible: Vec<Config> = configurations::possible(model).collect();
    let limits = most_of(model);
    let seen = RefCell::default();
    let (mut compared, mut all) = (0, 0);
    for &config in possible.iter().step_by(possible.len().div_ceil(most)) {
        all += 1;
        let tlb = machine_of(module, model, config, &limits).expect("a possible machine");
        let table = model.level_table(config);
        for global in [false, true] {
            let tag = Tag { global, ..TAG };
            let mut asked = Asked {
                model,
                plans,
                tlb: &*tlb,
                env: env(config, &limits, tag),
                seen: &seen,
            };
            asked.events();
            asked.changes(&table);
            for (space, reach) in SPACES.iter().flat_map(|s| REACHES.map(|r| (*s, r))) {
                asked.flush(space, reach, Scope::Teardown);
                for tables in [false, true] {
                    asked.flush(space, reach, Scope::Everything { tables });
                    for level in Level::all().filter(|level| table[level.index()].leaf) {
                        let (start, _) = addresses(model, space, config);
                        let va = start + 0x7654_3218;
                        asked.env.page = (va, level);
                        let page = Scope::Page {
                            va,
                            level,
                            table: tables,
                        };
                        asked.flush(space, reach, page);
                        compared += 1;
                    }
                }
            }
        }
    }
    // Two tags, two spaces, two reaches, with tables and without, and a level at least.
    assert!(all > 0 && compared >= 16 * all, "{compared} in {all}");
}
