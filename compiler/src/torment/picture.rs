//! A failure as a picture: a lane for each CPU, and time running down.
//!
//! In: what happened, row by row. Out: a text in SVG. Holds: texts are escaped and wrapped, so that nothing is cut off; a row has
//! one event, and rows are as high as their text.

use crate::svg::{Face, Svg, width};
use crate::text::wrap;

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
pub struct PictureRow {
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

/// An IPI, from a row to a later one of another lane.
#[derive(Debug, Clone)]
pub struct Arrow {
    pub from: usize,
    pub to: usize,
    /// Whether it had not arrived by then.
    pub is_late: bool,
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
    pub rows: Vec<PictureRow>,
    pub lives: Vec<Life>,
    pub arrows: Vec<Arrow>,
    /// Rows at which something changes for every lane, and what.
    pub rules: Vec<(usize, String)>,
}

/// The sizes of texts, the height of a line, and the widths of the steps and of a lane's margin for lives.
const TEXT: u32 = 12;
const SMALL: u32 = 10;
const LINE: u32 = 16;
const STEPS: u32 = 64;
const MARGIN: u32 = 34;
/// The most characters of a line in a lane, and the fewest.
const WIDEST: usize = 50;
const NARROWEST: usize = 30;
/// The least width of a picture.
const LEAST: u32 = 640;

const NONE: &str = "none";
const TABLES: &str = "#1a73e8";
const IPI: &str = "#8430ce";
const GREY: &str = "#777777";

/// The sizes of a picture.
struct Layout {
    lane: u32,
    /// Where each row begins, and where the last one ends.
    tops: Vec<u32>,
}

impl Layout {
    fn x(&self, lane: usize) -> u32 {
        STEPS + lane as u32 * self.lane
    }

    fn middle(&self, row: usize) -> u32 {
        self.tops[row] + 8
    }

    fn bottom(&self) -> u32 {
        self.tops.last().copied().unwrap_or_default()
    }
}

impl Picture {
    /// Returns the picture in SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let texts = self.rows.iter().map(|row| row.text.chars().count());
        let characters = texts.max().unwrap_or(0).clamp(NARROWEST, WIDEST);
        let widest = width(&"m".repeat(characters), TEXT, Face::Mono);
        let lane = MARGIN + widest + 16;
        let width = (STEPS + self.lanes.len() as u32 * lane + 16).max(LEAST);
        let mut svg = Svg::default();
        let top = self.head(&mut svg, width);
        let layout = Layout {
            lane,
            tops: self.tops(top + 34, characters),
        };
        self.lanes(&mut svg, &layout, top);
        for life in &self.lives {
            let x = layout.x(life.lane) + 8;
            let stale = life.stale.max(life.filled);
            let [from, turns, to] = [life.filled, stale, life.used].map(|row| layout.middle(row));
            svg.rect(x, from, 8, turns - from, "#f3c77d", NONE);
            svg.rect(x, turns, 8, to - turns, "#e57373", NONE);
        }
        for arrow in &self.arrows {
            self.arrow(&mut svg, &layout, arrow);
        }
        for (number, row) in self.rows.iter().enumerate() {
            let (x, y) = (layout.x(row.lane) + MARGIN, layout.tops[number]);
            svg.right(STEPS - 8, y + 12, TEXT, Face::Mono, GREY, &row.step);
            svg.circle(x - 10, y + 8, 4, row.mark.colour(), row.mark.colour());
            let fill = if row.mark == Mark::Note {
                GREY
            } else {
                "#000000"
            };
            let mut line_y = y + 12;
            for line in wrap(&row.text, characters) {
                svg.text(x, line_y, TEXT, Face::Mono, fill, &line);
                line_y += LINE;
            }
            for line in row.place.iter().flat_map(|place| wrap(place, characters)) {
                svg.text(x, line_y - 2, SMALL, Face::Mono, GREY, &line);
                line_y += LINE;
            }
        }
        let height = legend(&mut svg, layout.bottom() + 22, width);
        svg.finish(width, height, &self.title)
    }

    /// Draws what failed, and why. Returns where that ends.
    fn head(&self, svg: &mut Svg, width: u32) -> u32 {
        let most = |size: u32, face: Face| {
            let letter = crate::svg::width("mmmmmmmmmm", size, face);
            ((width - 32) * 10 / letter) as usize
        };
        let mut y = 30;
        for line in wrap(&self.title, most(15, Face::Bold)) {
            svg.text(16, y, 15, Face::Bold, "#000000", &line);
            y += LINE + 3;
        }
        for paragraph in &self.paragraphs {
            for line in wrap(paragraph, most(TEXT, Face::Mono)) {
                svg.text(16, y, TEXT, Face::Mono, "#333333", &line);
                y += LINE;
            }
            y += 3;
        }
        y + 12
    }

    /// Draws the lanes, and what changes for all of them.
    fn lanes(&self, svg: &mut Svg, layout: &Layout, top: u32) {
        for (number, name) in self.lanes.iter().enumerate() {
            let x = layout.x(number);
            let fill = if number % 2 == 0 {
                "#f6f8fa"
            } else {
                "#ffffff"
            };
            svg.rect(x, top, layout.lane, layout.bottom() - top, fill, NONE);
            svg.text(x + MARGIN, top + 15, 14, Face::Bold, "#000000", name);
        }
        for (row, what) in &self.rules {
            let y = layout.tops[*row] - 3;
            svg.dashed((STEPS, y), (layout.x(self.lanes.len()), y), TABLES);
            svg.right(
                layout.x(self.lanes.len()) - 4,
                y - 3,
                SMALL,
                Face::Sans,
                TABLES,
                what,
            );
        }
    }

    fn arrow(&self, svg: &mut Svg, layout: &Layout, arrow: &Arrow) {
        let (from, to) = (self.rows[arrow.from].lane, self.rows[arrow.to].lane);
        let is_right = to > from;
        let start = layout.x(from)
            + if is_right {
                layout.lane - 10
            } else {
                MARGIN - 16
            };
        let end = layout.x(to)
            + if is_right {
                MARGIN - 16
            } else {
                layout.lane - 4
            };
        let start = (start, layout.middle(arrow.from));
        let end = (end, layout.middle(arrow.to));
        if arrow.is_late {
            svg.dashed(start, end, IPI);
        } else {
            svg.line(start, end, IPI);
        }
        svg.tip(start, end, IPI);
    }

    /// Returns where each row begins, and where the last one ends.
    fn tops(&self, first: u32, characters: usize) -> Vec<u32> {
        let mut tops = vec![first];
        for row in &self.rows {
            let place = row.place.iter().flat_map(|place| wrap(place, characters));
            let lines = wrap(&row.text, characters).len() + place.count();
            tops.push(tops[tops.len() - 1] + lines.max(1) as u32 * LINE + 6);
        }
        tops
    }
}

/// Draws what marks mean. Returns the height of the picture.
fn legend(svg: &mut Svg, top: u32, most: u32) -> u32 {
    let (mut x, mut y) = (16, top);
    for mark in Mark::ALL {
        let advance = 24 + width(mark.name(), TEXT, Face::Sans);
        if x + advance > most {
            (x, y) = (16, y + LINE + 2);
        }
        svg.circle(x + 5, y - 4, 4, mark.colour(), mark.colour());
        svg.text(x + 14, y, TEXT, Face::Sans, GREY, mark.name());
        x += advance;
    }
    for line in [
        "A bar is the life of the stale entry: yellow while the tables have it, red afterwards.",
        "An arrow is an IPI, dashed if it was not taken in time.",
    ] {
        y += LINE + 2;
        svg.text(16, y, TEXT, Face::Sans, GREY, line);
    }
    y + 16
}
