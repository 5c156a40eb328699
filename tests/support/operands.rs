//! Operands of instructions, as the manuals draw them: `archdefs/NAME/operands.txt`.
//!
//! In: the text of the file. Out: requests, each with the operands of its instructions: the fields and the whole word, which
//! are written from the manual. Holds: the word of a row is the sum of its fields.

use tlbc::Analysis;
use tlbc::trace::{Instruction, Step, Trace, trace};

use crate::archdefs::lines;
use crate::requests::{Steps, bits, edited, good, lines as assembly};
use crate::traces::query;

/// A field: its highest bit, its lowest bit, and its value.
type Field = (u32, u32, u64);

/// An operand of an issued instruction.
#[derive(Debug)]
pub struct Row<'a> {
    /// The instruction, by its name.
    instruction: &'a str,
    /// How many of that name are issued before it.
    nth: usize,
    /// The operand, by its name.
    pub operand: &'a str,
    /// Its value.
    word: u128,
    /// Its fields.
    fields: Vec<Field>,
}

/// A request on a machine.
#[derive(Debug)]
pub struct Request<'a> {
    /// The options of `tlbc trace`.
    options: &'a str,
    /// The words of the machine.
    machine: &'a str,
    /// The operands of its instructions.
    pub rows: Vec<Row<'a>>,
}

/// Requests of the definition, or of a variant of it.
#[derive(Debug, Default)]
pub struct Group<'a> {
    /// Parts of the text that are replaced.
    edits: Vec<(&'a str, &'a str)>,
    /// The requests.
    pub requests: Vec<Request<'a>>,
}

impl<'a> Row<'a> {
    /// Reads `INSTRUCTION#N.OPERAND = WORD: [HIGH:LOW] VALUE, ...`, or `INSTRUCTION.OPERAND = WORD`.
    fn read(line: &'a str) -> Option<Self> {
        let (place, value) = line.split_once(" = ")?;
        let (instruction, operand) = place.rsplit_once('.')?;
        let (instruction, nth) = match instruction.split_once('#') {
            Some((instruction, nth)) => (instruction, nth.parse().ok()?),
            None => (instruction, 0),
        };
        let (word, fields) = value.split_once(": ").unwrap_or((value, ""));
        let fields = fields.split(", ").filter(|field| !field.is_empty());
        Some(Self {
            instruction,
            nth,
            operand,
            word: number(word)?,
            fields: fields.map(field).collect::<Option<_>>()?,
        })
    }

    /// Compares the operand with what this CPU issues, calls in place of IPIs included.
    fn compare(&self, trace: &Trace) -> Result<(), String> {
        let of = |it: &&Instruction| it.name == self.instruction;
        let calls = trace.ipis.iter().flat_map(|ipi| &ipi.calls);
        let calls = calls.filter_map(Step::instruction);
        let Some(issued) = trace.instructions().chain(calls).filter(of).nth(self.nth) else {
            let lines = assembly(trace.instructions()).join("; ");
            return Err(format!("it is not issued: {lines}"));
        };
        let operand = issued.operands.iter().find(|it| it.name == self.operand);
        let Some(operand) = operand else {
            return Err("the instruction has no such operand".to_owned());
        };
        let got = operand.value.0;
        for &(high, low, value) in &self.fields {
            let found = bits(got, high, low);
            if found != value {
                return Err(format!("[{high}:{low}] is {found:#x}, not {value:#x}"));
            }
        }
        if got != self.word {
            return Err(format!("it is {got:#x}, not {:#x}", self.word));
        }
        let sum = |sum, &(_, low, value): &Field| sum | u128::from(value) << low;
        let sum = self.fields.iter().fold(0, sum);
        if !self.fields.is_empty() && sum != self.word {
            return Err(format!("the fields of the row itself are {sum:#x}"));
        }
        Ok(())
    }
}

/// Reads a hexadecimal or a decimal number.
fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Reads `[HIGH:LOW] VALUE`, or `[BIT] VALUE`.
fn field(text: &str) -> Option<Field> {
    let (place, value) = text.strip_prefix('[')?.split_once("] ")?;
    let (high, low) = place.split_once(':').unwrap_or((place, place));
    let value = number(value)?.try_into().ok()?;
    Some((high.parse().ok()?, low.parse().ok()?, value))
}

/// Reads a file.
///
/// # Panics
/// If the file does not have the form that `archdefs/README.md` describes.
pub fn read(text: &str) -> Vec<Group<'_>> {
    let mut groups = vec![Group::default()];
    for line in lines(text) {
        let group = groups.last_mut().expect("the first");
        if line.starts_with("variant ") {
            groups.push(Group::default());
        } else if let Some(old) = line.strip_prefix("- ") {
            assert!(group.requests.is_empty(), "edits come first: {line}");
            group.edits.push((old, ""));
        } else if let Some(new) = line.strip_prefix("+ ") {
            let edit = group.edits.last_mut().expect("`+ NEW` after `- OLD`");
            edit.1 = new;
        } else if line.starts_with("--") {
            let (options, machine) = line.rsplit_once(" | ").expect("OPTIONS | MACHINE");
            group.requests.push(Request {
                options,
                machine: if machine == "-" { "" } else { machine },
                rows: Vec::new(),
            });
        } else {
            let row = Row::read(line).unwrap_or_else(|| panic!("no row: {line}"));
            let request = group.requests.last_mut().expect("a row after its request");
            request.rows.push(row);
        }
    }
    groups
}

impl Group<'_> {
    /// Compares the rows of all requests with what is issued for them. Returns the differences.
    ///
    /// # Panics
    /// If a request cannot be read, or if the machine cannot have it.
    pub fn differences(&self, text: &str, shipped: &Analysis) -> Vec<String> {
        let variant = self
            .edits
            .iter()
            .fold(text.to_owned(), |text, (old, new)| edited(&text, old, new));
        let variant = (!self.edits.is_empty()).then(|| good(&variant));
        let arch = variant.as_ref().unwrap_or(shipped);
        let mut differences = Vec::new();
        for request in &self.requests {
            let head = format!("{} | {}", request.options, request.machine);
            let query = query(&arch.model, request.options, request.machine);
            let query = query.unwrap_or_else(|why| panic!("{head}: {why}"));
            let issued = trace(&arch.model, &arch.plans, &query);
            let issued = issued.unwrap_or_else(|why| panic!("{head}: {why}"));
            for row in &request.rows {
                if let Err(why) = row.compare(&issued) {
                    let Row {
                        instruction,
                        nth,
                        operand,
                        ..
                    } = row;
                    differences.push(format!("{head}: {instruction}#{nth}.{operand}: {why}"));
                }
            }
        }
        differences
    }
}
