//! A comparison of architectures.
//!
//! In: definitions with their plans. Out: a [`Matrix`] with one column per architecture and one row per question, as
//! text for a terminal, as Markdown or as a page of HTML. Holds: every cell follows from the facts or the plans of
//! its architecture, none from its name.

mod costs;
mod facts;
mod instructions;
mod policy;
mod question;
mod show;
mod table;

pub(crate) use instructions::{done, reach};
pub use policy::Origin;
pub(crate) use policy::wants;
pub use show::{html, markdown, marked, text};
pub use table::{Matrix, MatrixRow, MatrixSection};

use crate::analysis::Analysis;

impl Matrix {
    /// Compares architectures. The brief form contains only the questions that a newcomer asks first. A question
    /// that none of the architectures answers is omitted.
    #[must_use]
    pub fn new(analyses: &[Analysis], is_brief: bool) -> Self {
        let subjects = [
            ("Page tables", facts::TABLES),
            ("What may be cached", facts::CACHES),
            ("Tags and views", facts::TAGS),
            ("Changes of table entries", facts::CHANGES),
            ("Instructions", instructions::ALL),
            ("Policy", policy::POLICIES),
            ("What is issued", policy::ISSUED),
            ("Events", policy::EVENTS),
            ("Features and errata", policy::VARIANTS),
        ];
        let sections = subjects.into_iter().map(|(title, asked)| {
            let asked = asked.iter().filter(|ask| ask.brief || !is_brief);
            let rows = asked.map(|ask| MatrixRow {
                question: ask.question,
                cells: analyses.iter().map(ask.answer).collect(),
            });
            let rows = rows.filter(|row| row.cells.iter().any(|cell| !cell.is_empty()));
            MatrixSection {
                title,
                rows: rows.collect(),
            }
        });
        Self {
            columns: analyses
                .iter()
                .map(|it| it.model.arch.name.clone())
                .collect(),
            sections: sections
                .filter(|section| !section.rows.is_empty())
                .collect(),
        }
    }
}
