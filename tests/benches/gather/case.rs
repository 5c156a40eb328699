//! What is measured, and what it may cost.

/// The machine whose flush is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// None: the gather alone.
    Nothing,
    /// Instructions that reach every CPU.
    Arm64,
    /// Instructions here, and IPIs to other CPUs.
    X86,
}

impl Flush {
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Arm64, Self::X86];

    /// Returns its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no flush",
            Self::Arm64 => "arm64",
            Self::X86 => "x86-64",
        }
    }
}

/// What is done in one gather, or instead of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Unmaps this many pages.
    Pages(usize),
    /// Unmaps this many pages, 16 at a time.
    Folios(usize),
    /// Tears down a space of this many pages.
    Teardown(usize),
    /// Unmaps a page while another CPU does the same in the same space.
    Shared,
    /// Unmaps pages with sets of up to `64 * words` CPUs, of which some are online and some run in the space.
    Capacity {
        words: usize,
        online: u32,
        active: u32,
        pages: usize,
    },
    /// Frees this many tables.
    Tables(usize),
    /// Flushes a page, without a gather.
    Flush,
    /// Switches to another space and back.
    Switch,
    /// Switches to a kernel thread and back.
    Lazy,
}

/// One row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub flush: Flush,
    pub shape: Shape,
}

/// The numbers of pages.
const PAGES: [usize; 10] = [1, 2, 3, 4, 8, 16, 32, 64, 100, 10_000];
/// The numbers of pages in folios of 16.
const FOLIOS: [usize; 3] = [16, 64, 1024];
/// The sizes of spaces that are torn down.
const TEARDOWNS: [usize; 2] = [1_000, 10_000];
/// The capacities of CPU sets, in words of 64 CPUs.
pub const WORDS: [usize; 4] = [1, 4, 16, 64];
/// How many CPUs are online, how many run in the space, and how many pages are unmapped.
const CPUS: [(u32, u32, usize); 4] = [(1, 1, 1), (1, 1, 2), (8, 1, 1), (8, 2, 1)];

impl Case {
    /// Returns the cases that are compared with the C program.
    pub fn compared() -> Vec<Self> {
        let shapes = PAGES.map(Shape::Pages).into_iter();
        let shapes = shapes.chain(FOLIOS.map(Shape::Folios));
        let shapes = shapes.chain(TEARDOWNS.map(Shape::Teardown));
        Self::on_all(&shapes.collect::<Vec<_>>())
    }

    /// Returns the cases of two CPUs in one space, on the machines where no CPU has to take an IPI.
    pub fn shared() -> Vec<Self> {
        let flushes = [Flush::Nothing, Flush::Arm64];
        flushes
            .map(|flush| Self {
                flush,
                shape: Shape::Shared,
            })
            .into()
    }

    /// Returns the cases that measure the capacity of CPU sets. Those of one capacity follow one another, as [`WORDS`] does.
    pub fn capacities() -> Vec<Self> {
        let shapes = CPUS.into_iter().flat_map(|(online, active, pages)| {
            WORDS.map(|words| Shape::Capacity {
                words,
                online,
                active,
                pages,
            })
        });
        let flushes = [Flush::Arm64, Flush::X86].into_iter();
        let shapes: Vec<_> = shapes.collect();
        flushes
            .flat_map(|flush| shapes.iter().map(move |&shape| Self { flush, shape }))
            .collect()
    }

    /// Returns the cases that are compared with nothing.
    pub fn others() -> Vec<Self> {
        let shapes = [Shape::Tables(512), Shape::Flush, Shape::Switch, Shape::Lazy];
        Self::on_all(&shapes)
    }

    fn on_all(shapes: &[Shape]) -> Vec<Self> {
        let on = |flush| shapes.iter().map(move |&shape| Self { flush, shape });
        Flush::ALL.into_iter().flat_map(on).collect()
    }

    /// Returns its name, which a filter may select.
    pub fn name(self) -> String {
        let flush = self.flush.name();
        match self.shape {
            Shape::Pages(1) => format!("{flush}, 1 page"),
            Shape::Pages(pages) => format!("{flush}, {pages} pages"),
            Shape::Folios(pages) => format!("{flush}, {pages} pages in folios"),
            Shape::Teardown(pages) => format!("{flush}, teardown of {pages}"),
            Shape::Shared => format!("{flush}, 1 page, two CPUs"),
            Shape::Capacity {
                words,
                online,
                active,
                pages,
            } => {
                let capacity = words * 64;
                format!(
                    "{flush}, {pages} pages, set of {capacity}, {online} online, {active} active"
                )
            }
            Shape::Tables(tables) => format!("{flush}, {tables} tables"),
            Shape::Flush => format!("{flush}, flush of a page"),
            Shape::Switch => format!("{flush}, switch and back"),
            Shape::Lazy => format!("{flush}, lazy and back"),
        }
    }

    /// Returns the most that it may take, as a part of what the C program takes.
    pub fn target(self) -> Option<f64> {
        match self.shape {
            Shape::Pages(1) => Some(1.0),
            Shape::Pages(2..=64) | Shape::Folios(_) => Some(1.1),
            Shape::Pages(_) => Some(0.9),
            Shape::Teardown(_) => Some(0.8),
            _ => None,
        }
    }

    /// Returns what the C program is asked to do: a shape, the pages of a gather, and a flush. Returns `None` if it cannot do
    /// the same.
    pub fn request(self) -> Option<String> {
        let (shape, pages) = match self.shape {
            Shape::Pages(pages) => ('p', pages),
            Shape::Folios(pages) => ('f', pages),
            Shape::Teardown(pages) => ('t', pages),
            Shape::Shared => ('s', 1),
            _ => return None,
        };
        Some(format!("{shape} {pages} {}", self.flush as u8))
    }
}

/// The most that a set of the largest capacity may cost, as a part of what the smallest costs.
pub const MOST_FOR_CAPACITY: f64 = 1.1;
