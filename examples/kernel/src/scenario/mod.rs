//! What the kernel is put through. Each scenario returns early when something was wrong: what comes then may be anything.

pub mod copies;
pub mod kernel;
pub mod large;
pub mod reclaim;
pub mod recycle;
pub mod rights;

use crate::boot::{self, UserState};
use crate::frames::FRAME;
use crate::munmap;
use crate::process::{Area, Contents, Error, Process};
use crate::pte::Rights;
use crate::user::Cpu;

/// A scenario. An option of the boot names the only one to run.
pub struct Scenario {
    pub number: u8,
    pub name: &'static str,
    /// It is given the number of pages to unmap.
    pub run: fn(&mut Cpu, usize) -> Result<(), Error>,
}

pub const ALL: [Scenario; 6] = [
    Scenario {
        number: 1,
        name: "kernel mappings",
        run: kernel::run,
    },
    Scenario {
        number: 2,
        name: "rights",
        run: rights::run,
    },
    Scenario {
        number: 3,
        name: "copies",
        run: copies::run,
    },
    Scenario {
        number: 4,
        name: "recycled pages",
        run: recycle::run,
    },
    Scenario {
        number: 5,
        name: "large pages",
        run: large::run,
    },
    Scenario {
        number: 6,
        name: "reclaim",
        run: reclaim::run,
    },
];

/// Where programs are.
const PROGRAMS: u64 = 0x1000_0000;
/// Where stacks are, one page a CPU.
const STACKS: u64 = 0x2000_0000;
/// Where the pages are that programs access: on both sides of a boundary between two tables.
const WINDOW: u64 = 0x4020_0000 - PAGES / 2 * FRAME;
const PAGES: u64 = 512;

const READ_WRITE: Rights = Rights::READ.with(Rights::WRITE);

/// Returns a process with programs, stacks, and pages to be accessed.
fn process(contents: Contents) -> Result<Process, Error> {
    let process = Process::new()?;
    let programs = boot::programs();
    let area = |start, pages, rights, contents| Area {
        start,
        pages,
        rights,
        contents,
    };
    let code = (programs.end - programs.start) / FRAME;
    let execute = Rights::READ.with(Rights::EXECUTE);
    munmap::mmap(&process, area(PROGRAMS, code, execute, Contents::Programs))?;
    let stacks = boot::CPUS as u64;
    munmap::mmap(&process, area(STACKS, stacks, READ_WRITE, Contents::Zeros))?;
    munmap::mmap(&process, area(WINDOW, PAGES, READ_WRITE, contents))?;
    Ok(process)
}

/// Any program.
type Program = extern "C" fn(u64, u64, u64, u64) -> !;

/// Returns the state in which a CPU's thread begins.
fn thread(cpu: usize, program: Program, arguments: [u64; 4]) -> UserState {
    let offset = program as usize as u64 - boot::OFFSET - boot::programs().start;
    let stack = STACKS + (cpu as u64 + 1) * FRAME;
    UserState::new(PROGRAMS + offset, stack, arguments)
}

/// Returns the arguments of [`program::access`] for a CPU.
fn accesses(cpu: usize, count: u64) -> [u64; 4] {
    [WINDOW, PAGES, 0x9e37_79b9 + cpu as u64, count]
}
