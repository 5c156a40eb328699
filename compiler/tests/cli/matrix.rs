//! The comparison of architectures: its content for any definition, and that texts of definitions are escaped.

use std::path::Path;

use crate::support::{names_in, root, shipped, tlbc, tlbc_reading, xml};
use tlbc::compile::planned;
use tlbc::matrix::{Matrix, html, markdown, text};
use tlbc::{Analysis, codes::TOY};
use tlbc_runtime::backend::Shootdown;

/// A text that is markup in Markdown and HTML.
const HOSTILE: &str = "<b>|&amp; \\\\ `x` *y* _z_ [a](b) ]]> <!-- </table>";

fn analyses(texts: &[String]) -> Vec<Analysis> {
    let sources = texts.iter().enumerate();
    let sources = sources.map(|(index, text)| (format!("{index}.arch"), text.clone()));
    let (compiled, analyses) = planned(sources);
    assert!(
        compiled.diagnostics.is_empty(),
        "{:?}",
        compiled.diagnostics
    );
    analyses
}

fn all() -> Vec<Analysis> {
    let names = names_in(&root().join("archdefs"));
    let names = names
        .iter()
        .filter(|name| Path::new(name).extension() == Some("arch".as_ref()));
    analyses(&names.map(|name| shipped(name)).collect::<Vec<_>>())
}

fn hostile() -> Vec<Analysis> {
    let text = shipped("x86_64.arch");
    let text = text.replace("CR4.PGE: global pages", &HOSTILE.replace("\\\\", "\\"));
    assert!(text.contains("<b>"));
    analyses(&[text])
}

#[test]
fn any_number_of_architectures() {
    assert_eq!(Matrix::new(&[], false).sections, []);
    let toy = Matrix::new(&analyses(&[TOY.to_owned()]), false);
    assert_eq!(toy.columns, ["toy"]);
    let many = Matrix::new(&all(), false);
    for matrix in [&toy, &many] {
        for row in matrix.sections.iter().flat_map(|section| &section.rows) {
            assert_eq!(row.cells.len(), matrix.columns.len(), "{}", row.question);
        }
    }
}

#[test]
fn the_brief_form_is_part_of_the_long_form() {
    let all = all();
    let rows = |is_brief| {
        let sections = Matrix::new(&all, is_brief).sections.into_iter();
        sections
            .flat_map(|section| section.rows)
            .collect::<Vec<_>>()
    };
    let (brief, whole) = (rows(true), rows(false));
    assert!(brief.len() < whole.len());
    assert!(brief.iter().all(|row| whole.contains(row)));
}

/// Every form of every instruction is in exactly one row of the long form.
#[test]
fn every_instruction_is_shown_once() {
    for analysis in all() {
        let matrix = Matrix::new(std::slice::from_ref(&analysis), false);
        let section = matrix
            .sections
            .iter()
            .find(|section| section.title == "Instructions");
        let rows = section.expect("instructions").rows.iter();
        let lines: Vec<&String> = rows.flat_map(|row| &row.cells[0]).collect();
        for invalidate in &analysis.model.invalidates {
            for form in &invalidate.forms {
                let name = match &form.named {
                    Some((named, _)) => format!("`{} {}`", invalidate.named.name, named.name),
                    None => format!("`{}`", invalidate.named.name),
                };
                let shown = |line: &&&String| {
                    let rest = line.strip_prefix(&name);
                    rest.is_some_and(|rest| rest.starts_with(':') || rest.starts_with(" when"))
                        && line.contains("; on ")
                };
                assert_eq!(lines.iter().filter(shown).count(), 1, "{name}");
            }
        }
    }
}

/// Every clause names the tags whose entries it drops.
#[test]
fn no_clause_is_empty() {
    for analysis in all() {
        let matrix = Matrix::new(std::slice::from_ref(&analysis), false);
        for row in matrix.sections.iter().flat_map(|section| &section.rows) {
            for line in row.cells.iter().flatten() {
                let is_complete =
                    !line.contains("  ") && !line.contains(", ;") && !line.ends_with(", ");
                assert!(is_complete, "{}: {line}", analysis.model.arch.name);
            }
        }
    }
}

/// The derived shootdown is the same as in the generated backend.
#[test]
fn shootdown_is_that_of_the_backend() {
    for analysis in all() {
        let name = &analysis.model.arch.name;
        let path = root().join(format!("generated/src/{name}.rs"));
        let backend = std::fs::read_to_string(path).expect("a generated backend");
        let word = match analysis.plans.shootdown(&analysis.model) {
            Shootdown::Broadcast => "Broadcast",
            Shootdown::Ipi => "Ipi",
            Shootdown::Either => "Either",
        };
        assert!(
            backend.contains(&format!("shootdown: Shootdown::{word},")),
            "{name}: {word}"
        );
    }
}

#[test]
fn text_is_no_wider_than_requested() {
    for width in [120, 160, 240] {
        let text = text(&Matrix::new(&all(), false), width);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
            assert_eq!(line.trim_end(), line);
        }
    }
    // A width that is too small is not an error.
    assert!(!text(&Matrix::new(&hostile(), false), 0).is_empty());
}

/// Returns the number of cells in a line of a Markdown table.
fn cells(line: &str) -> usize {
    line.replace("\\|", "").matches('|').count() - 1
}

#[test]
fn markdown_is_a_table() {
    for analyses in [all(), hostile()] {
        let count = analyses.len() + 1;
        for (is_brief, whole) in [(true, true), (false, false), (false, true)] {
            let text = markdown(&Matrix::new(&analyses, is_brief), whole);
            for line in text
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with("## "))
            {
                assert!(line.starts_with("| ") || line.starts_with("|--"), "{line}");
                assert_eq!(cells(line), count, "{line}");
            }
        }
    }
    let text = markdown(&Matrix::new(&hostile(), false), false);
    let shown =
        "&lt;b>\\|&amp;amp; \\\\ 'x' \\*y\\* \\_z\\_ \\[a\\](b) \\]\\]> &lt;!-- &lt;/table>";
    assert!(text.contains(shown), "{text}");
}

#[test]
fn html_is_escaped() {
    let page = html(&Matrix::new(&hostile(), false));
    assert!(
        page.contains("&lt;b&gt;|&amp;amp; \\ &#39;x&#39;"),
        "{page}"
    );
    assert!(!page.contains("<b>") && !page.contains("<!-- ") && !page.contains("<script"));
    let outer = page.trim_start_matches("<!DOCTYPE html>");
    xml::elements(outer);
}

#[test]
fn only_text_has_a_width() {
    for format in ["markdown", "html"] {
        let run = tlbc(&root(), &["matrix", "--format", format, "--width", "80"]);
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{format}");
    }
}

#[test]
fn errors_and_missing_files() {
    let run = tlbc_reading(&root(), &["matrix", "-"], b"arch m { frobnicate; }");
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(
        run.stderr.contains("E0102") || run.stderr.contains("E0101"),
        "{}",
        run.stderr
    );
    let run = tlbc(&root(), &["matrix", "nowhere.arch"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
}

#[test]
fn entries_and_top_tables_are_described() {
    let narrow = ["extended", "sections"].map(|name| {
        let path = format!("tests/codegen/narrow/{name}.arch");
        std::fs::read_to_string(root().join(path)).expect("a definition")
    });
    let matrix = Matrix::new(&analyses(&narrow), false);
    let rows = || matrix.sections.iter().flat_map(|section| &section.rows);
    let cells = |question: &str| {
        let row = rows().find(|row| row.question == question);
        row.expect("a row").cells.clone()
    };
    assert_eq!(cells("A table entry has"), [["8 bytes"], ["4 bytes"]]);
    let tops = cells("Top tables");
    assert_eq!(tops[0], ["aligned to 32 bytes", "within 32 bits"]);
    assert_eq!(tops[1], ["aligned to 16 KiB"]);
}
