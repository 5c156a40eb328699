//! The picture of an architecture: the levels of its tables, and what each instruction drops.
//!
//! In: a [`Model`]. Out: an SVG. A clause of an instruction is a line: the kinds of entries, the address range, the
//! tags, the CPUs and devices, and when the entries are gone. Holds: columns are as wide as their widest text, so
//! that nothing overlaps.

use tlbc_runtime::agents::Agents;

use super::blocks::{ClauseText, InstructionText, bare, blocks};
use super::levels;
use crate::describe;
use crate::model::TagSelector;
use crate::model::{AddressSelector, Barrier, CachedKind, Invalidate, Model};
use crate::svg::{Face, Svg, width};

const MARGIN: u32 = 28;
const LINE: u32 = 20;
const BAR: u32 = 56;
const INK: &str = "#1a1a1a";
const GREY: &str = "#555555";
const RULE: &str = "#d0d0d0";

/// The kinds of entries with their colours.
const KINDS: [(CachedKind, &str, &str); 4] = [
    (CachedKind::Leaf, "leaf", "#2f7d4f"),
    (CachedKind::Walk, "walk", "#2e5aa8"),
    (CachedKind::Root, "root", "#8a4b9c"),
    (CachedKind::Negative, "negative", "#a3641a"),
];
const WHOSE: [&str; 6] = ["this", "loaded", "other", "global", "table", "user"];
const WHERE: [(&str, Agents); 4] = [
    ("self", Agents::SELF),
    ("core", Agents::CORE),
    ("CPUs", Agents::CPUS),
    ("devices", Agents::DEVICE),
];

/// The x coordinates at which columns begin.
struct Columns {
    kinds: Vec<(CachedKind, &'static str, &'static str)>,
    kind: u32,
    levels: u32,
    bar: u32,
    addresses: u32,
    whose: u32,
    held: u32,
    when: u32,
    note: u32,
    right: u32,
}

/// The width of a column of marks.
const MARK: u32 = 50;

/// Returns the picture as SVG.
#[must_use]
pub fn picture(model: &Model) -> String {
    let mut svg = Svg::default();
    let title = format!("{}: tables and instructions", model.arch.name);
    svg.text(MARGIN, 42, 22, Face::Bold, INK, &title);
    let (tables, y) = levels::draw(&mut svg, model, MARGIN, 64);
    let blocks = blocks(model);
    let columns = columns(model, &blocks);
    svg.text(
        MARGIN,
        y + 20,
        17,
        Face::Bold,
        INK,
        "What each instruction drops",
    );
    let y = heads(&mut svg, &columns, y + 34);
    let y = blocks.iter().enumerate().fold(y, |y, (index, block)| {
        let shade = index % 2 == 1;
        draw(&mut svg, &columns, block, y, shade)
    });
    let (below, y) = legend(&mut svg, model, y + 24);
    let right = columns
        .right
        .max(MARGIN + tables.max(below).max(width(&title, 22, Face::Bold)));
    svg.finish(right + MARGIN, y + MARGIN, &title)
}

fn columns(model: &Model, blocks: &[InstructionText]) -> Columns {
    let widest = |texts: &mut dyn Iterator<Item = &String>, size| {
        texts
            .map(|text| width(text, size, Face::Mono))
            .max()
            .unwrap_or(0)
    };
    let clauses = || blocks.iter().flat_map(|block| &block.clauses);
    let caches = &model.caches;
    let kinds: Vec<_> = (KINDS.into_iter())
        .filter(|(kind, ..)| caches.ever_hold(*kind))
        .collect();
    let name = MARGIN + 10;
    let names = blocks.iter().flat_map(|block| block.name.iter());
    let kind = name
        + names
            .map(|text| width(text, 12, Face::Mono))
            .max()
            .unwrap_or(0)
        + 22;
    let levels = kind + kinds.len() as u32 * MARK + 10;
    let bar = levels + widest(&mut clauses().map(|c| &c.levels), 12).max(80) + 20;
    let addresses = bar + BAR + 10;
    let whose = addresses + widest(&mut clauses().map(|c| &c.addresses), 12).max(80) + 16;
    let held = whose + WHOSE.len() as u32 * MARK + 22;
    let when = held + WHERE.len() as u32 * MARK + 22;
    let note = when + widest(&mut blocks.iter().flat_map(|b| &b.when), 12).max(60) + 20;
    let notes = widest(&mut clauses().map(|c| &c.note), 12);
    let right = if notes == 0 {
        note - 10
    } else {
        note + notes + 10
    };
    Columns {
        kinds,
        kind,
        levels,
        bar,
        addresses,
        whose,
        held,
        when,
        note,
        right,
    }
}

/// Draws the heads of the columns. Returns the y coordinate of the lower end.
fn heads(svg: &mut Svg, at: &Columns, y: u32) -> u32 {
    let top = y + 16;
    let groups = [
        (MARGIN + 10, "instruction"),
        (at.kind, "kinds of entries"),
        (at.bar, "addresses"),
        (at.whose, "under which tag"),
        (at.held, "on which agents"),
        (at.when, "complete"),
    ];
    let only = (at.note < at.right).then_some((at.note, "only"));
    for (x, text) in groups.into_iter().chain(only) {
        svg.text(x, top, 13, Face::Bold, INK, text);
    }
    let below = top + 19;
    let mut marks = |x: u32, texts: &mut dyn Iterator<Item = &str>| {
        for (index, text) in texts.enumerate() {
            svg.centred(
                x + index as u32 * MARK + MARK / 2,
                below,
                11,
                Face::Sans,
                GREY,
                text,
            );
        }
    };
    marks(at.kind, &mut at.kinds.iter().map(|(_, name, _)| *name));
    marks(at.whose, &mut WHOSE.into_iter());
    marks(at.held, &mut WHERE.into_iter().map(|(name, _)| name));
    svg.line((MARGIN, below + 9), (at.right, below + 9), GREY);
    below + 10
}

/// Draws an instruction. Returns the y coordinate of the lower end.
fn draw(svg: &mut Svg, at: &Columns, block: &InstructionText, y: u32, shade: bool) -> u32 {
    let lines = block
        .clauses
        .len()
        .max(block.name.len())
        .max(block.when.len())
        .max(1 + block.reach.len());
    let height = lines as u32 * LINE + 8;
    if shade {
        svg.rect(MARGIN, y, at.right - MARGIN, height, "#f6f6f6", "none");
    }
    let line = |index: usize| y + 4 + index as u32 * LINE;
    for (index, text) in block.name.iter().enumerate() {
        let ink = if index == 0 { INK } else { GREY };
        svg.text(MARGIN + 10, line(index) + 14, 12, Face::Mono, ink, text);
    }
    for (index, text) in block.when.iter().enumerate() {
        svg.text(at.when, line(index) + 14, 12, Face::Mono, INK, text);
    }
    for (index, text) in block.reach.iter().enumerate() {
        svg.text(
            at.held + 8,
            line(index + 1) + 14,
            12,
            Face::Mono,
            GREY,
            text,
        );
    }
    agents(svg, at.held, line(0), block.invalidate);
    for (index, clause) in block.clauses.iter().enumerate() {
        draw_clause(svg, at, clause, line(index));
    }
    if block.clauses.is_empty() {
        svg.text(
            at.levels,
            line(0) + 14,
            12,
            Face::Mono,
            GREY,
            "drops nothing",
        );
    }
    svg.line((MARGIN, y + height), (at.right, y + height), RULE);
    y + height
}

/// Draws the marks of the agents: filled if always, hollow if only under a condition.
fn agents(svg: &mut Svg, x: u32, y: u32, invalidate: &Invalidate) {
    let cases = || invalidate.agents.cases.iter().map(|(at, _)| at.value);
    for (index, (_, class)) in WHERE.into_iter().enumerate() {
        let fill = match (
            cases().all(|of| of.covers(class)),
            cases().any(|of| of.covers(class)),
        ) {
            (true, _) => "#444444",
            (false, true) => "#ffffff",
            (false, false) => continue,
        };
        let middle = x + index as u32 * MARK + MARK / 2;
        svg.rect(middle - 7, y + 3, 14, 14, fill, "#444444");
    }
}

fn draw_clause(svg: &mut Svg, at: &Columns, clause: &ClauseText, y: u32) {
    let drops = clause.drops;
    let some = !drops.when.terms.is_empty();
    let mut colour = GREY;
    for (index, (kind, _, of)) in at.kinds.iter().enumerate().rev() {
        let is = match kind {
            CachedKind::Leaf => drops.leaf.is_some(),
            CachedKind::Walk => drops.walk.is_some(),
            CachedKind::Root => drops.root,
            CachedKind::Negative => drops.negative.is_some(),
        };
        if is {
            colour = of;
            let fill = if some { "#ffffff" } else { of };
            svg.rect(
                at.kind + index as u32 * MARK + MARK / 2 - 10,
                y + 3,
                20,
                14,
                fill,
                of,
            );
        }
    }
    svg.text(at.levels, y + 14, 12, Face::Mono, INK, &clause.levels);
    bar(svg, at.bar, y + 5, &drops.which.value, colour);
    svg.text(at.addresses, y + 14, 12, Face::Mono, INK, &clause.addresses);
    let TagSelector {
        this,
        loaded,
        other,
        global,
        table,
        user,
    } = drops.whose.value;
    let classes = [this, loaded, other, global, table, user];
    for (index, _) in classes.iter().enumerate().filter(|(_, is)| **is) {
        let middle = at.whose + index as u32 * MARK + MARK / 2;
        svg.circle(
            middle,
            y + 10,
            6,
            if some { "#ffffff" } else { "#444444" },
            "#444444",
        );
    }
    svg.text(at.note, y + 14, 12, Face::Mono, GREY, &clause.note);
}

/// Draws a bar that shows how much of the addresses a clause covers.
fn bar(svg: &mut Svg, x: u32, y: u32, which: &AddressSelector, colour: &str) {
    svg.rect(x, y, BAR, 10, "#ffffff", "#b0b0b0");
    let parts: &[(u32, u32)] = match which {
        AddressSelector::OnePage => &[(22, 5)],
        AddressSelector::Run { .. } => &[(14, 22)],
        AddressSelector::OneSet => &[(4, 3), (14, 3), (24, 3), (34, 3), (44, 3)],
        AddressSelector::Subtree => &[(28, 28)],
        AddressSelector::Everything => &[(0, BAR)],
    };
    for (from, wide) in parts {
        svg.rect(x + from, y, *wide, 10, colour, "none");
    }
}

/// Draws the meaning of the marks and the roles of the barriers. Returns the width and the y coordinate of the lower
/// end.
fn legend(svg: &mut Svg, model: &Model, y: u32) -> (u32, u32) {
    let mut lines = vec![
        "Filled marks apply always, hollow ones under the condition next to them. Where several conditions hold, the \
         last counts."
            .to_owned(),
        "A leaf entry is a translation, a walk entry a pointer to a table, a root entry the top table of a tag.".to_owned(),
    ];
    lines.extend(model.barriers.iter().map(|of| barrier(model, of)));
    let mut widest = 0;
    for (index, line) in lines.iter().enumerate() {
        svg.text(MARGIN, y + index as u32 * 19, 12, Face::Sans, GREY, line);
        widest = widest.max(width(line, 12, Face::Sans));
    }
    (widest, y + lines.len() as u32 * 19 - 12)
}

fn barrier(model: &Model, barrier: &Barrier) -> String {
    let publishes = barrier
        .publishes
        .map(|at| format!("publishes stores to {}", describe::agents(at.value)));
    let completes = barrier
        .completes
        .map(|at| format!("waits for invalidations on {}", describe::agents(at.value)));
    let resyncs = barrier
        .resyncs
        .map(|_| "resynchronizes this CPU".to_owned());
    let roles: Vec<String> = [publishes, completes, resyncs]
        .into_iter()
        .flatten()
        .collect();
    let needed = bare(&describe::when(model, &barrier.requires));
    format!("{}{needed}: {}", barrier.named.name, roles.join("; "))
}
