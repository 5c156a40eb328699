//! Numbers and ranges on the command line.

use tlbc_runtime::request::Extent;

/// Parses a number: decimal, or with the prefix `0x` or `0b`, with `_` between digits.
pub(super) fn number(text: &str) -> Result<u128, String> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16),
        Some("0b" | "0B") => (&text[2..], 2),
        _ => (text, 10),
    };
    let plain = digits.replace('_', "");
    let is_number = !plain.is_empty() && plain.chars().all(|c| c.is_digit(radix));
    if !is_number {
        return Err(format!(
            "`{text}` is not a number: write 4096, 0x1000 or 0x1_0000"
        ));
    }
    u128::from_str_radix(&plain, radix).map_err(|_| format!("{text} is far too large"))
}

/// Parses a tag.
pub(super) fn tag(text: &str) -> Result<u64, String> {
    u64::try_from(number(text)?).map_err(|_| "a tag has at most 64 bits".to_owned())
}

/// Addresses, with the level of their entries if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LevelRange {
    /// The addresses.
    pub extent: Extent,
    /// The name of the level.
    pub level: Option<String>,
}

/// Parses `START..END` or `START..END@LEVEL`.
pub(super) fn place(text: &str) -> Result<LevelRange, String> {
    let (addresses, level) = match text.split_once('@') {
        Some((_, "")) => return Err("the level is missing after the @".to_owned()),
        Some((addresses, level)) => (addresses, Some(level.to_owned())),
        None => (text, None),
    };
    Ok(LevelRange {
        extent: range(addresses)?,
        level,
    })
}

/// Parses `START..END`; the end is not included.
fn range(text: &str) -> Result<Extent, String> {
    let Some((start, end)) = text.split_once("..") else {
        return Err("write START..END, such as 0x1000..0x3000".to_owned());
    };
    if end.starts_with('=') {
        return Err("the end of a range is the first address after it; leave out the =".to_owned());
    }
    let (start, end) = (number(start)?, number(end)?);
    if end > 1 << 64 {
        return Err(format!(
            "{end:#x} is beyond the last address; 0x1_0000_0000_0000_0000 is the largest end"
        ));
    }
    if start == end {
        return Err("the range is empty: its end is the first address after it".to_owned());
    }
    if start > end {
        return Err(format!(
            "the range ends before it starts; did you mean {end:#x}..{start:#x}?"
        ));
    }
    let fits = |number| u64::try_from(number).ok();
    match (fits(start), fits(end - start)) {
        (Some(start), Some(bytes)) => Ok(Extent::new(start, bytes)),
        _ => {
            Err("no space has all 64 bits of addresses; --everything is the whole space".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("0", 0),
            ("4_096", 4096),
            ("0xfF_f0", 0xfff0),
            ("0b1_01", 5),
        ] {
            assert_eq!(number(text), Ok(expected));
        }
        let huge = "9".repeat(50);
        for text in ["", "_", "0x", "0xg", "-1", "+1", "1 ", "0b2", "é1", &huge] {
            assert!(number(text).is_err(), "{text}");
        }
        assert_eq!(tag("0xffff"), Ok(0xffff));
        assert_eq!(tag("0xffff_ffff_ffff_ffff"), Ok(u64::MAX));
        assert!(tag("0x1_0000_0000_0000_0000").is_err());
    }

    #[test]
    fn places() {
        let place_of = |text| place(text).map(|place| (place.extent, place.level));
        let page = Extent::new(0, 4096);
        assert_eq!(place_of("0..4096"), Ok((page, None)));
        assert_eq!(place_of("0..4096@pmd"), Ok((page, Some("pmd".to_owned()))));
        for text in ["0..4096@", "@pmd", "0@pmd..4096"] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(range("0..4096"), Ok(Extent::new(0, 4096)));
        let last = "0xffff_ffff_ffff_f000..0x1_0000_0000_0000_0000";
        assert_eq!(range(last), Ok(Extent::new(u64::MAX - 0xfff, 0x1000)));
        let bad = [
            "1",
            "1..",
            "..1",
            "1..1",
            "2..1",
            "1..=2",
            "0..0x10000000000000000",
            "1..0x10000000000000001",
        ];
        for text in bad {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
