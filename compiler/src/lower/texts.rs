//! Texts for the reader, which must not be blank.
//!
//! In: items. Out: E0203 for a text that is blank. [`template`](crate::template) checks templates.

use super::scope::Lower;
use crate::ast::{InvalidateFact, Item, Text};

const PER: (&str, &str) = ("`per`", "where it is documented");

impl Lower {
    pub(super) fn texts(&mut self, items: &[Item]) {
        for item in items {
            let of = |what: &str, name: &str| format!("the {what} `{name}`");
            match item {
                Item::Feature(it) => {
                    self.filled(&it.text, &of("feature", &it.name.node), "what it is");
                }
                Item::Limit(it) => {
                    self.filled(&it.text, &of("limit", &it.name.node), "what it is");
                }
                Item::Erratum(it) => {
                    self.filled(&it.text, &of("erratum", &it.name.node), "what it is");
                }
                Item::CpuSet(it) => {
                    let set = of("set of CPUs", &it.name.node);
                    self.filled(&it.text, &set, "which CPUs they are");
                }
                Item::Setup(it) => self.filled(&it.text, "`needs`", "what it is for"),
                Item::Assumed(it) => {
                    let what = "what publishes a change";
                    self.filled(&it.node, "`publishes assumed`", what);
                }
                Item::Unconfirmed(it) => {
                    let what = "which fact it is, and what it relies on";
                    self.filled(&it.text, "`unconfirmed`", what);
                }
                Item::Invalidate(it) => {
                    for fact in &it.facts {
                        if let InvalidateFact::Per(text) = &fact.node {
                            self.filled(text, PER.0, PER.1);
                        }
                    }
                }
                Item::Load(it) => {
                    for text in &it.per {
                        self.filled(text, PER.0, PER.1);
                    }
                }
                _ => {}
            }
        }
    }

    fn filled(&mut self, text: &Text, whole: &str, what: &str) {
        if text.node.trim().is_empty() {
            self.missing(text.span, whole, what, "write it between the quotes");
        }
    }
}
