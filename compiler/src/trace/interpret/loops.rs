//! Loops over entries, runs and sets, and the ceiling that decides whether there is one.

use tlbc_facts::clause::MaxCount;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::{Pass, Passes, SortedPasses};
use tlbc_runtime::request::runs::{Runs, Units};

use super::{Interpreter, LoopOperands};
use crate::plan::ir::{Count, Node, Over, Shape};
use crate::trace::env::ceiling;

impl Interpreter<'_> {
    /// Returns whether the passes take more operations than the ceiling of a space and a reach permits.
    pub(super) fn is_over_ceiling(&self, count: &Node, beyond: Shape) -> bool {
        let Some(passes) = &self.passes else {
            return false;
        };
        let (space, reach) = (beyond.space(), beyond.reach());
        let (operations, pages) = ceiling(
            self.model,
            (self.env.config, &self.env.limits),
            space,
            reach,
        );
        self.operations(count, passes) > operations || passes.pages() > pages
    }

    /// Returns how many operations the passes take.
    fn operations(&self, count: &Node, passes: &SortedPasses<'_>) -> u64 {
        let of = |count: &Count| match *count {
            Count::Entries => passes.entries(),
            Count::EntryRuns(most, levels, walks) => {
                passes.entry_runs(self.most(most), levels, walks)
            }
            Count::PageRuns(operand, walks) => {
                let page = self.model.geometries[self.env.config.geometry].page_shift;
                self.units(operand)
                    .map_or(0, |units| passes.page_runs(page, units, walks))
            }
        };
        match count {
            Node::Select {
                on,
                then,
                otherwise,
            } => self.operations(if self.test(*on) { then } else { otherwise }, passes),
            Node::Count(counts) => counts.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn most(&self, most: MaxCount) -> u32 {
        match most {
            MaxCount::Count(count) => count,
            MaxCount::Limit(limit) => self.env.limits[limit as usize] as u32,
        }
    }

    pub(super) fn repeat(&mut self, over: Over, each: &Node, rest: Option<&Node>) {
        match over {
            Over::Walks | Over::Leaves => {
                let Some(passes) = &self.passes else {
                    return;
                };
                let part: Vec<Pass> = if over == Over::Walks {
                    passes.walks().collect()
                } else {
                    passes.leaves().collect()
                };
                for pass in part {
                    self.pass = Some(pass);
                    self.node(each, None);
                }
                self.pass = None;
            }
            Over::Entries => {
                let addresses = self.pass.map(|pass| pass.addresses());
                for va in addresses.into_iter().flatten() {
                    if self.is_cut() {
                        break;
                    }
                    let piece = LoopOperands {
                        va,
                        ..LoopOperands::default()
                    };
                    self.node(each, Some(piece));
                }
            }
            Over::Sets(count) => {
                for set in 0..count.on(&self.env.limits) {
                    if self.is_cut() {
                        break;
                    }
                    let piece = LoopOperands {
                        set,
                        ..LoopOperands::default()
                    };
                    self.node(each, Some(piece));
                }
            }
            Over::Runs { operand, most } => self.runs(operand, most, each, rest),
        }
    }

    /// Returns the unit in which an operand with a count names pages or entries.
    pub(super) fn units(&self, operand: usize) -> Option<Units> {
        let names = self.model.operands[operand].names.as_ref()?;
        Some(Units {
            base: names.base,
            step: names.step,
            scales: names.scales,
            most: names.most_num + 1,
        })
    }

    pub(super) fn shift(&self, level: Level) -> u32 {
        self.model.level_table(self.env.config)[level.index()].shift
    }

    fn runs(&mut self, operand: usize, most: MaxCount, each: &Node, rest: Option<&Node>) {
        let model = self.model;
        let (Some(pass), Some(names)) = (self.pass, model.operands[operand].names.as_ref()) else {
            return;
        };
        let Some(units) = self.units(operand) else {
            return;
        };
        let mut runs = if names.pages {
            let page = model.geometries[self.env.config.geometry].page_shift;
            Runs::of_pages(&pass, page, units)
        } else {
            Runs::of_entries(&pass, self.most(most), units)
        };
        for run in runs.by_ref() {
            if self.is_cut() {
                break;
            }
            let piece = LoopOperands {
                va: run.va,
                end: Some(run.end),
                num: run.num,
                scale: u64::from(run.scale),
                set: 0,
            };
            self.node(each, Some(piece));
        }
        if let (Some(va), Some(rest)) = (runs.rest(), rest) {
            let piece = LoopOperands {
                va,
                ..LoopOperands::default()
            };
            self.node(rest, Some(piece));
        }
    }
}
