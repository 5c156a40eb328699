//! Shows a [`Matrix`] as text, as Markdown and as HTML.
//!
//! Holds for every definition: the columns of the text are aligned, the Markdown has one valid table per subject, and
//! the HTML is a complete page in which no text of a definition is interpreted as markup.

use std::fmt::Write as _;
use std::ops::Range;

use super::table::Matrix;
use crate::html::{self, coded};

/// The minimum width of a column of text.
const NARROWEST: usize = 20;

/// Returns the matrix as text for a terminal, with cells wrapped to fit the width if that is possible. Architectures that
/// do not fit next to each other follow in another table.
#[must_use]
pub fn text(matrix: &Matrix, width: usize) -> String {
    let rows = || matrix.sections.iter().flat_map(|section| &section.rows);
    let questions = rows().map(|row| row.question.len());
    let first = questions.max().unwrap_or(0).min(28);
    let fit = width.saturating_sub(first) / (NARROWEST + 2);
    let count = matrix.columns.len().max(1);
    // As many tables as needed, with as equal numbers of columns as possible.
    let tables = count.div_ceil(fit.max(1));
    let each = count.div_ceil(tables);
    let starts = (0..count).step_by(each);
    let texts = starts.map(|start| table(matrix, start..count.min(start + each), first, width));
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Returns the table of some architectures.
fn table(matrix: &Matrix, shown: Range<usize>, first: usize, width: usize) -> String {
    let count = shown.len();
    let room = (width.saturating_sub(first + 2 * count) / count).max(NARROWEST);
    let names = matrix.columns.get(shown.clone()).unwrap_or_default();
    let columns = shown.clone().zip(names).map(|(index, name)| {
        let rows = matrix.sections.iter().flat_map(|section| &section.rows);
        let cells = rows.filter_map(|row| row.cells.get(index));
        let lines = cells.flatten().map(|line| line.chars().count());
        let longest = lines.chain([name.chars().count()]).max();
        longest.unwrap_or(0).min(room)
    });
    let widths: Vec<usize> = std::iter::once(first).chain(columns).collect();
    let mut out = String::new();
    let head: Vec<Vec<String>> = std::iter::once(Vec::new())
        .chain(names.iter().map(|name| vec![name.clone()]))
        .collect();
    row(&mut out, &widths, &head);
    for section in &matrix.sections {
        let _ = write!(out, "\n{}\n", section.title);
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let _ = writeln!(out, "{}", rule.join("  "));
        for asked in &section.rows {
            let question = vec![asked.question.to_owned()];
            let cells = asked.cells.get(shown.clone()).unwrap_or_default();
            let cells = std::iter::once(&question).chain(cells);
            let wrapped: Vec<Vec<String>> = (cells.zip(&widths))
                .map(|(cell, &width)| wrapped(cell, width))
                .collect();
            row(&mut out, &widths, &wrapped);
        }
    }
    out
}

/// Writes the lines of cells next to each other.
fn row(out: &mut String, widths: &[usize], cells: &[Vec<String>]) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let text = cell.get(number).map_or("", String::as_str);
            format!("{text:width$}")
        });
        let line = parts.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Wraps lines to a width. Continuation lines are indented.
fn wrapped(lines: &[String], width: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in lines {
        let (mut now, mut length) = (String::new(), 0);
        for word in line
            .split(' ')
            .flat_map(|word| pieces(word, width.saturating_sub(2).max(1)))
        {
            let more = word.chars().count();
            if length > 0 && length + 1 + more > width {
                out.push(std::mem::replace(&mut now, "  ".to_owned()));
                length = 2;
            } else if length > 0 {
                now.push(' ');
                length += 1;
            }
            now.push_str(&word);
            length += more;
        }
        out.push(now);
    }
    out
}

/// Divides a word into pieces that fit on a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters
        .chunks(width)
        .map(|chunk| chunk.iter().collect())
        .collect()
}

/// Returns the matrix as Markdown: a heading and a table for each subject, or a single table if `whole`.
#[must_use]
pub fn markdown(matrix: &Matrix, whole: bool) -> String {
    let mut out = String::new();
    let head = |out: &mut String| {
        let names: Vec<String> = matrix.columns.iter().map(|name| marked(name)).collect();
        let _ = writeln!(out, "| | {} |", names.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(matrix.columns.len()));
    };
    if whole {
        head(&mut out);
    }
    for (index, section) in matrix.sections.iter().enumerate() {
        if !whole {
            let gap = if index == 0 { "" } else { "\n" };
            let _ = write!(out, "{gap}## {}\n\n", section.title);
            head(&mut out);
        }
        for row in &section.rows {
            let cells = row.cells.iter().map(|lines| {
                let lines: Vec<String> = lines.iter().map(|line| marked(line)).collect();
                lines.join("<br>")
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(out, "| {} | {} |", marked(row.question), cells.join(" | "));
        }
    }
    out
}

/// Escapes a line for a cell of a Markdown table. Only its backticks remain markup.
#[must_use]
pub fn marked(line: &str) -> String {
    let mut out = String::new();
    for (index, part) in line.split('`').enumerate() {
        let is_code = index % 2 == 1;
        if index > 0 {
            out.push('`');
        }
        for letter in part.chars() {
            match letter {
                '|' => out.push_str("\\|"),
                '<' if !is_code => out.push_str("&lt;"),
                '&' if !is_code => out.push_str("&amp;"),
                '\\' | '*' | '_' | '[' | ']' | '~' if !is_code => {
                    out.push('\\');
                    out.push(letter);
                }
                _ => out.push(letter),
            }
        }
    }
    out
}

/// Returns the matrix as a self-contained page of HTML.
#[must_use]
pub fn html(matrix: &Matrix) -> String {
    let mut out = String::new();
    for section in &matrix.sections {
        let _ = writeln!(out, "<h2>{}</h2>", section.title);
        let names = matrix.columns.iter().map(String::as_str);
        html::table_start(&mut out, std::iter::once("").chain(names));
        for row in &section.rows {
            let _ = write!(out, "<tr><th>{}</th>", coded(row.question));
            for cell in &row.cells {
                let lines = cell
                    .iter()
                    .map(|line| format!("<div>{}</div>", coded(line)));
                let _ = write!(out, "<td>{}</td>", lines.collect::<String>());
            }
            out.push_str("</tr>\n");
        }
        out.push_str(html::TABLE_END);
    }
    html::page("How architectures invalidate their TLBs", &out)
}
