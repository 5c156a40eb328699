//! A failure as a picture: a lane for each CPU, and time running down.
//!
//! In: what happened, row by row. Out: a text in SVG. Holds: texts are escaped and wrapped, so that nothing is cut off; a row has
//! one event, and rows are as high as their text.
//!
//! The writer is its own: the picture consists of rectangles, lines and texts with positions that are computed here, which no
//! crate for SVG takes over.

use std::fmt::Write as _;

/// What an event is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A CPU begins or ends something.
    Note,
    /// A table is changed.
    Store,
    /// An entry is cached.
    Fill,
    /// An instruction is issued that does nothing about the stale entry.
    Instruction,
    /// An instruction is issued that removes the stale entry.
    Removal,
    /// An IPI is sent or taken.
    Ipi,
    /// A page or a table gets another owner.
    Release,
    /// The stale entry may be used.
    Use,
}

impl Mark {
    const ALL: [Self; 8] = [
        Self::Note,
        Self::Store,
        Self::Fill,
        Self::Instruction,
        Self::Removal,
        Self::Ipi,
        Self::Release,
        Self::Use,
    ];

    fn colour(self) -> &'static str {
        match self {
            Self::Note => "#9aa0a6",
            Self::Store => "#1a73e8",
            Self::Fill => "#e8910c",
            Self::Instruction => "#5f6b7a",
            Self::Removal => "#188038",
            Self::Ipi => "#8430ce",
            Self::Release => "#a0522d",
            Self::Use => "#d01716",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Note => "step of a program",
            Self::Store => "store to a table",
            Self::Fill => "fill",
            Self::Instruction => "instruction",
            Self::Removal => "removes the entry",
            Self::Ipi => "IPI",
            Self::Release => "new owner",
            Self::Use => "stale use",
        }
    }
}

/// An event.
#[derive(Debug, Clone)]
pub struct Row {
    /// When it happened.
    pub step: String,
    /// The number of its lane.
    pub lane: usize,
    pub mark: Mark,
    pub text: String,
    /// Where it comes from.
    pub place: Option<String>,
}

/// The life of an entry in a lane: the rows in which it is filled and used, and from which on it is stale.
#[derive(Debug, Clone)]
pub struct Life {
    pub lane: usize,
    pub filled: usize,
    pub stale: usize,
    pub used: usize,
}

/// A picture.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// What failed.
    pub title: String,
    /// Why, a paragraph each.
    pub paragraphs: Vec<String>,
    /// The names of the lanes.
    pub lanes: Vec<String>,
    pub rows: Vec<Row>,
    pub lives: Vec<Life>,
    /// IPIs and the like: from a row to a later one of another lane.
    pub arrows: Vec<(usize, usize)>,
    /// Rows at which something changes for every lane, and what.
    pub rules: Vec<(usize, String)>,
}

/// The width of a character, the height of a line, and the widths of the steps and of a lane's margin for lives.
const CHARACTER: usize = 7;
const LINE: usize = 16;
const STEPS: usize = 64;
const MARGIN: usize = 34;
/// The most characters of a line in a lane, and the fewest.
const WIDEST: usize = 50;
const NARROWEST: usize = 30;

impl Picture {
    /// Returns the picture in SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let texts = self.rows.iter().map(|row| row.text.chars().count());
        let characters = texts.max().unwrap_or(0).clamp(NARROWEST, WIDEST);
        let lane_width = MARGIN + characters * CHARACTER + 16;
        let width = (STEPS + self.lanes.len() * lane_width + 16).max(640);
        let mut body = String::new();
        let mut y = 30;
        let across = (width - 32) / CHARACTER;
        for line in wrapped(&self.title, across * 6 / 7) {
            text(&mut body, (16, y), "title", &line);
            y += LINE + 3;
        }
        for paragraph in &self.paragraphs {
            for line in wrapped(paragraph, across) {
                text(&mut body, (16, y), "why", &line);
                y += LINE;
            }
            y += 3;
        }
        y += 12;
        let top = y;
        for (number, name) in self.lanes.iter().enumerate() {
            let x = STEPS + number * lane_width;
            text(&mut body, (x + MARGIN, y + 15), "lane", name);
        }
        y += 34;
        let tops = self.tops(y, characters);
        let bottom = tops.last().copied().unwrap_or(y);
        let mut back = String::new();
        for number in 0..self.lanes.len() {
            let x = STEPS + number * lane_width;
            let fill = if number % 2 == 0 { "#f6f8fa" } else { "#ffffff" };
            rectangle(&mut back, (x, top), (lane_width, bottom - top), fill);
        }
        for (row, what) in &self.rules {
            let y = tops[*row] - 3;
            let _ = writeln!(
                back,
                r##"<line x1="{STEPS}" y1="{y}" x2="{}" y2="{y}" stroke="#1a73e8" stroke-dasharray="5 4"/>"##,
                STEPS + self.lanes.len() * lane_width
            );
            text(&mut back, (width - 22, y - 3), "rule", what);
        }
        let lane = |row: usize| STEPS + self.rows[row].lane * lane_width;
        let middle = |row: usize| tops[row] + 8;
        for life in &self.lives {
            let x = STEPS + life.lane * lane_width + 8;
            let stale = life.stale.max(life.filled);
            let (from, turns, to) = (middle(life.filled), middle(stale), middle(life.used));
            rectangle(&mut back, (x, from), (8, turns - from), "#f3c77d");
            rectangle(&mut back, (x, turns), (8, to - turns), "#e57373");
        }
        for (from, to) in &self.arrows {
            let is_right = self.rows[*to].lane > self.rows[*from].lane;
            let start = lane(*from) + if is_right { lane_width - 10 } else { MARGIN - 10 };
            let end = lane(*to) + if is_right { MARGIN - 14 } else { lane_width - 4 };
            let _ = writeln!(
                back,
                r##"<line x1="{start}" y1="{}" x2="{end}" y2="{}" stroke="#8430ce" stroke-width="1.5" marker-end="url(#tip)"/>"##,
                middle(*from),
                middle(*to)
            );
        }
        for (number, row) in self.rows.iter().enumerate() {
            let (x, y) = (lane(number) + MARGIN, tops[number]);
            let colour = row.mark.colour();
            text(&mut body, (STEPS - 8, y + 12), "step", &row.step);
            let _ = writeln!(
                body,
                r#"<circle cx="{}" cy="{}" r="4.5" fill="{colour}"/>"#,
                x - 9,
                y + 8
            );
            let mut line_y = y + 12;
            for line in wrapped(&row.text, characters) {
                let class = if row.mark == Mark::Note { "note" } else { "text" };
                text(&mut body, (x, line_y), class, &line);
                line_y += LINE;
            }
            for line in row.place.iter().flat_map(|place| wrapped(place, characters)) {
                text(&mut body, (x, line_y - 2), "place", &line);
                line_y += LINE;
            }
        }
        let mut x = 16;
        let mut legend_y = bottom + 22;
        for mark in Mark::ALL {
            let advance = 24 + mark.name().len() * CHARACTER;
            if x + advance > width {
                (x, legend_y) = (16, legend_y + LINE + 2);
            }
            let _ = writeln!(
                body,
                r#"<circle cx="{}" cy="{}" r="4.5" fill="{}"/>"#,
                x + 5,
                legend_y - 4,
                mark.colour()
            );
            text(&mut body, (x + 14, legend_y), "note", mark.name());
            x += advance;
        }
        let bars = "a bar is the life of the stale entry: yellow while the tables have it, red afterwards";
        text(&mut body, (16, legend_y + LINE + 4), "note", bars);
        let height = legend_y + LINE + 18;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="11.5">
<style>.title{{font-size:14px;font-weight:bold}}.why{{fill:#333}}.lane{{font-size:13px;font-weight:bold}}.step{{fill:#888;text-anchor:end}}.note{{fill:#777}}.place{{fill:#999;font-size:10px}}.rule{{fill:#1a73e8;font-size:10px;text-anchor:end}}</style>
<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#8430ce"/></marker></defs>
<rect width="{width}" height="{height}" fill="#ffffff"/>
{back}{body}</svg>
"##
        )
    }

    /// Returns where each row begins, and where the last one ends.
    fn tops(&self, first: usize, characters: usize) -> Vec<usize> {
        let mut tops = vec![first];
        for row in &self.rows {
            let place = row.place.iter().flat_map(|place| wrapped(place, characters));
            let lines = wrapped(&row.text, characters).len() + place.count();
            tops.push(tops[tops.len() - 1] + lines.max(1) * LINE + 6);
        }
        tops
    }
}

/// Returns a text in lines of at most so many characters, unless a word is longer.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn rectangle(out: &mut String, (x, y): (usize, usize), (w, h): (usize, usize), fill: &str) {
    let _ = writeln!(
        out,
        r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{fill}"/>"#
    );
}

fn text(out: &mut String, (x, y): (usize, usize), class: &str, text: &str) {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    let _ = writeln!(
        out,
        r#"<text x="{x}" y="{y}" class="{class}">{escaped}</text>"#
    );
}
