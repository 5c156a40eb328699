//! What typical flushes cost.
//!
//! In: definitions with their plans. Out: a table with one column per architecture and one row per flush. Holds: the
//! figures are those of `tlbc trace --why`.

use super::table::{Matrix, MatrixRow, MatrixSection};
use crate::analysis::Analysis;
use crate::model::Config;
use crate::sample_requests::Sample;

impl Matrix {
    /// Compares the costs of typical flushes, on machines without features and on those with as many features as are
    /// possible together.
    #[must_use]
    pub fn costs(analyses: &[Analysis]) -> Self {
        let subjects = [
            ("Entries of this CPU alone, no features", false, false),
            ("Entries of this CPU alone, most features", false, true),
            ("Entries of other CPUs as well, no features", true, false),
            ("Entries of other CPUs as well, most features", true, true),
        ];
        let sections = subjects.into_iter().map(|(title, others, rich)| {
            let cell = |it: &Analysis, sample: Sample| {
                let plain = Config::default();
                let config = if rich {
                    it.model.with_all_features(plain)
                } else {
                    plain
                };
                vec![sample.cost(it, config, others)]
            };
            let rows = Sample::FLUSHES.into_iter().map(|sample| MatrixRow {
                question: sample.title(),
                cells: analyses.iter().map(|it| cell(it, sample)).collect(),
            });
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
            sections: sections.collect(),
        }
    }
}
