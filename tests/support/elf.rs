//! As much of ELF as it takes to find functions in an object: 64 bits, either byte order, each function
//! in a section of its own.

use std::collections::BTreeMap;

/// The code of each function, by the name of its section.
pub fn functions(object: &[u8]) -> BTreeMap<String, Vec<u8>> {
    const SECTION_HEADERS: usize = 0x28;
    const HEADER_SIZE: usize = 0x3a;
    assert!(
        object.starts_with(b"\x7fELF\x02"),
        "an ELF object of 64 bits"
    );
    let is_little = match object[5] {
        1 => true,
        2 => false,
        other => panic!("byte order {other} is none"),
    };
    let number = |at: usize, size: usize| {
        let mut bytes = object[at..at + size].to_vec();
        if is_little {
            bytes.reverse();
        }
        bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte))
    };
    let (size, count) = (number(HEADER_SIZE, 2), number(HEADER_SIZE + 2, 2));
    let section = |index: usize| {
        let header = number(SECTION_HEADERS, 8) + index * size;
        (
            number(header, 4),
            number(header + 0x18, 8),
            number(header + 0x20, 8),
        )
    };
    let (_, names, _) = section(number(HEADER_SIZE + 4, 2));
    let sections = (0..count).map(section).filter_map(|(name, start, size)| {
        let name = object[names + name..].split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?.strip_prefix(".text.")?;
        Some((name.to_owned(), object[start..start + size].to_vec()))
    });
    sections.collect()
}
