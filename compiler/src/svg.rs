//! A small SVG writer: boxes, lines, marks and texts.
//!
//! Holds: the picture has a white background, so that it can be read on any page, and texts are escaped. [`width`]
//! does not measure a text; it returns an upper bound for common fonts.

use std::fmt::Write as _;

use crate::html::escaped;

/// A typeface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// For sentences.
    Sans,
    /// For headings.
    Bold,
    /// For names and bits.
    Mono,
}

/// Returns an upper bound of the width of a text.
#[must_use]
pub fn width(text: &str, size: u32, face: Face) -> u32 {
    let letter = match face {
        Face::Sans => 60,
        Face::Bold => 68,
        Face::Mono => 61,
    };
    (text.chars().count() as u32 * size * letter).div_ceil(100)
}

/// A picture that is being drawn.
#[derive(Debug, Default)]
pub struct Svg {
    body: String,
}

impl Svg {
    pub fn rect(&mut self, x: u32, y: u32, width: u32, height: u32, fill: &str, stroke: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{fill}" stroke="{stroke}"/>"#
        );
    }

    pub fn line(&mut self, from: (u32, u32), to: (u32, u32), stroke: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{stroke}"/>"#
        );
    }

    #[cfg(feature = "cli")]
    pub fn dashed(&mut self, from: (u32, u32), to: (u32, u32), stroke: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{stroke}" stroke-dasharray="5 4"/>"#
        );
    }

    /// Draws the tip of an arrow, in the direction of the line to it.
    #[cfg(feature = "cli")]
    pub fn tip(&mut self, from: (u32, u32), to: (u32, u32), fill: &str) {
        let degrees = {
            let across = f64::from(to.0) - f64::from(from.0);
            let down = f64::from(to.1) - f64::from(from.1);
            down.atan2(across).to_degrees()
        };
        let (x, y) = to;
        let _ = writeln!(
            self.body,
            r#"<path d="M -8 -4 L 0 0 L -8 4 Z" transform="translate({x} {y}) rotate({degrees:.1})" fill="{fill}"/>"#
        );
    }

    /// Draws an arrow to the right.
    pub fn arrow(&mut self, x: u32, y: u32, length: u32, stroke: &str) {
        let end = x + length;
        self.line((x, y), (end - 4, y), stroke);
        let (back, up, down) = (end - 6, y - 4, y + 4);
        let _ = writeln!(
            self.body,
            r#"<path d="M {back} {up} L {end} {y} L {back} {down} Z" fill="{stroke}"/>"#
        );
    }

    pub fn circle(&mut self, x: u32, y: u32, radius: u32, fill: &str, stroke: &str) {
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>"#
        );
    }

    /// Draws a text with its left end at `x` and its baseline at `y`.
    pub fn text(&mut self, x: u32, y: u32, size: u32, face: Face, fill: &str, text: &str) {
        self.anchored(x, y, size, face, fill, text, "start");
    }

    /// Draws a text with its middle at `x` and its baseline at `y`.
    pub fn centred(&mut self, x: u32, y: u32, size: u32, face: Face, fill: &str, text: &str) {
        self.anchored(x, y, size, face, fill, text, "middle");
    }

    /// Draws a text with its right end at `x` and its baseline at `y`.
    #[cfg(feature = "cli")]
    pub fn right(&mut self, x: u32, y: u32, size: u32, face: Face, fill: &str, text: &str) {
        self.anchored(x, y, size, face, fill, text, "end");
    }

    #[allow(clippy::too_many_arguments)] // The attributes of a text in SVG.
    fn anchored(
        &mut self,
        x: u32,
        y: u32,
        size: u32,
        face: Face,
        fill: &str,
        text: &str,
        anchor: &str,
    ) {
        let (family, weight) = match face {
            Face::Sans => ("sans-serif", "normal"),
            Face::Bold => ("sans-serif", "bold"),
            Face::Mono => ("monospace", "normal"),
        };
        let text = escaped(text);
        let _ = writeln!(
            self.body,
            r#"<text x="{x}" y="{y}" font-family="{family}" font-weight="{weight}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// Returns the finished picture. Screen readers read the title.
    #[must_use]
    pub fn finish(self, width: u32, height: u32, title: &str) -> String {
        let (title, body) = (escaped(title), self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}
