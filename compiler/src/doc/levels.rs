//! The part of the picture that shows the levels of the tables.
//!
//! In: a [`Model`]. Out: a row of boxes for every shape that the tables can have, with a box per level from the top
//! table to the page. A box shows the bits of a user address that index the table, how many bytes one of its entries
//! maps, and whether an entry may map a page.

use crate::describe::{bytes, cond};
use crate::model::{Config, Model};
use crate::svg::{Face, Svg, width};

const BOX: u32 = 176;
const GAP: u32 = 24;
const HEIGHT: u32 = 96;
const INK: &str = "#1a1a1a";
const GREY: &str = "#555555";

/// Draws all shapes from `(x, y)`. Returns the width and the y coordinate of the lower end.
pub fn draw(svg: &mut Svg, model: &Model, x: u32, mut y: u32) -> (u32, u32) {
    let mut widest = 0;
    for (geometry, config) in shapes(model) {
        let label = label(model, geometry, config);
        svg.text(x, y + 14, 14, Face::Bold, INK, &label);
        widest = widest.max(width(&label, 14, Face::Bold));
        let right = row(svg, model, config, x, y + 26);
        widest = widest.max(right - x);
        y += 26 + HEIGHT + 26;
    }
    (widest, y)
}

/// Returns one configuration for each shape of the tables. A shape is what the entries of the levels map, and the
/// width of addresses.
fn shapes(model: &Model) -> Vec<(usize, Config)> {
    let mut found: Vec<(usize, Config, Vec<Option<u32>>)> = Vec::new();
    for geometry in 0..model.geometries.len() {
        let mut features = 0;
        let levels = model.geometries[geometry].levels.iter().flatten();
        let conds = levels.flat_map(|level| level.shift.conds());
        for of in conds.chain(model.user.addresses.conds()) {
            features = of
                .features()
                .fold(features, |all, feature| all | 1u32 << feature);
        }
        // Every subset of the features that the shape depends on, small subsets first.
        let mut subset = 0u32;
        loop {
            let config = Config {
                features: subset,
                errata: 0,
                geometry,
            };
            let mut shape: Vec<Option<u32>> = (0..model.levels.len())
                .map(|level| model.level_shift(level, config))
                .collect();
            shape.push(
                model
                    .user
                    .addresses
                    .get(config)
                    .map(|addresses| addresses.bits),
            );
            let known = found
                .iter()
                .any(|(of, _, other)| *of == geometry && *other == shape);
            if !known && model.possible(config) {
                found.push((geometry, config, shape));
            }
            subset = subset.wrapping_sub(features) & features;
            if subset == 0 {
                break;
            }
        }
    }
    found
        .into_iter()
        .map(|(geometry, config, _)| (geometry, config))
        .collect()
}

fn label(model: &Model, geometry: usize, config: Config) -> String {
    let of = &model.geometries[geometry];
    let bits = model
        .user
        .addresses
        .get(config)
        .map_or(0, |addresses| addresses.bits);
    let features = model.features.iter().enumerate();
    let features = features.filter(|(index, _)| config.has(*index));
    let names: Vec<&str> = features
        .map(|(_, feature)| feature.named.name.as_str())
        .collect();
    let with = if names.is_empty() {
        String::new()
    } else {
        format!(", with {}", names.join(", "))
    };
    format!(
        "{}: pages of {}, entries of {}, user addresses of {bits} bits{with}",
        of.named.name,
        bytes(of.page_shift),
        bytes(model.entry_size().ilog2())
    )
}

/// Draws the boxes of one shape. Returns the x coordinate of the right end.
fn row(svg: &mut Svg, model: &Model, config: Config, mut x: u32, y: u32) -> u32 {
    let geometry = &model.geometries[config.geometry];
    let present = (0..model.levels.len()).rev();
    let present: Vec<(usize, u32)> = present
        .filter_map(|level| Some((level, model.level_shift(level, config)?)))
        .collect();
    let lowest = present.last().map(|(level, _)| *level);
    let mut above = model
        .user
        .addresses
        .get(config)
        .map_or(64, |addresses| addresses.bits);
    for (level, shift) in present {
        let leaf = geometry.levels[level]
            .as_ref()
            .and_then(|of| of.leaf.as_ref());
        let maps = match leaf {
            None => "tables only".to_owned(),
            Some(_) if Some(level) == lowest => "maps a page".to_owned(),
            Some(of) if of.terms.is_empty() => "a table or a page".to_owned(),
            Some(of) => format!("a page when {}", cond(model, of).replace('`', "")),
        };
        let fill = if leaf.is_some() { "#e2f2e4" } else { "#e6edf9" };
        let bits = if above > shift {
            let entries = 1u128 << (above - shift);
            let place = if above == shift + 1 {
                format!("bit {shift}")
            } else {
                format!("bits {}:{shift}", above - 1)
            };
            format!("{place}, {entries} entries")
        } else {
            "not indexed".to_owned()
        };
        let top = if geometry.tops.len() > 1 && geometry.tops.contains(&level) {
            "may be the top"
        } else {
            ""
        };
        let name = &model.levels[level].name;
        boxed(
            svg,
            (x, y),
            fill,
            [name, &bits, &format!("an entry: {}", bytes(shift)), &maps],
        );
        let after = x + 20 + width(name, 14, Face::Mono);
        svg.text(after, y + 22, 11, Face::Sans, GREY, top);
        svg.arrow(x + BOX + 3, y + HEIGHT / 2, GAP - 6, GREY);
        x += BOX + GAP;
        above = shift;
    }
    let offset = format!("bits {}:0", geometry.page_shift.max(1) - 1);
    boxed(
        svg,
        (x, y),
        "#f2f2f2",
        ["page", &offset, &bytes(geometry.page_shift), ""],
    );
    x + BOX
}

fn boxed(svg: &mut Svg, (x, y): (u32, u32), fill: &str, lines: [&str; 4]) {
    svg.rect(x, y, BOX, HEIGHT, fill, "#8a8a8a");
    svg.text(x + 10, y + 22, 14, Face::Mono, INK, lines[0]);
    for (line, y) in lines[1..].iter().zip([y + 44, y + 64, y + 84]) {
        svg.text(x + 10, y, 12, Face::Sans, INK, line);
    }
}
