//! mmap and munmap.

use core::ops::Range;

use crate::large;
use crate::process::{Area, Body, Error};

/// Lets user code use addresses. The first access to each page brings its contents.
pub fn mmap(process: &Body, area: Area) -> Result<(), Error> {
    process.lock().areas.add(area)
}

/// Takes an area away with everything in it: pages, and tables that nothing else uses. Returns how many entries mapped them.
///
/// When this returns no CPU reaches the pages. They are free by then, unless another process has them too.
pub fn munmap(process: &Body, start: u64) -> Result<usize, Error> {
    let id = process.space.id();
    process.change(process.lock(), |section, tables| {
        let range = tables.areas.remove(start)?.range();
        let mut count = 0;
        section.unmap_all(tables.pages(id, range.clone()).inspect(|_| count += 1))?;
        tables.unlink_unused(id, range, section)?;
        Ok(count)
    })
}

/// Takes pages out of an area, which get their first contents again when they are next used. Returns how many
/// entries mapped them.
pub fn discard(process: &Body, range: Range<u64>) -> Result<usize, Error> {
    let id = process.space.id();
    process.change(process.lock(), |section, tables| {
        for va in [range.start, range.end] {
            large::split_at(section, tables.entry(id, va))?;
        }
        let mut count = 0;
        section.unmap_all(tables.pages(id, range).inspect(|_| count += 1))?;
        Ok(count)
    })
}
